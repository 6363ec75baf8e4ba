//! Unpacking: from verified artifacts to the list of the bundle's files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use crate::command::Cancel;
use crate::error::{Error, Result};
use crate::fetch::Pip;
use crate::identity::{self, BundleIdentity};
use crate::manifest::{Manifest, Placement, Sdist, Wheel, is_inside};
use crate::pack::{Content, Entry, Tree};
use crate::pattern::Pattern;
use crate::progress::{Phase, Progress};
use crate::target::Target;
use crate::workspace::Workspace;

/// Lays out the bundle's files: archives are unpacked into the scratch directory, jars stay where the cache has them.
/// `files` maps digests to verified files.
///
/// # Errors
/// [`Error::BadArchive`], [`Error::MissingTool`], [`Error::Io`], [`Error::Cancelled`].
pub(crate) fn unpack(
    manifest: &Manifest,
    target: Target,
    cache_dir: &Path,
    files: &BTreeMap<String, PathBuf>,
    workspace: &Workspace,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Tree> {
    progress.begin(Phase::Unpacking, None);
    let mut tree = Tree::new();
    for (index, sdist) in manifest.sdists.iter().enumerate() {
        let folder = workspace.folder(&format!("sdist-{index}"))?;
        unpack_sdist(sdist, &files[&sdist.sha256], &folder, &mut tree, progress, cancel)?;
    }
    for (index, (wheel, file)) in manifest.wheels_for(target)?.into_iter().enumerate() {
        let folder = workspace.folder(&format!("wheel-{index}"))?;
        // Python knows a wheel by its name, the cache by its digest: zipfile does not care.
        let log = workspace.scratch().join(format!("wheel-{index}.log"));
        Pip::find(cache_dir)?.unzip(&files[&file.sha256], &folder, log, cancel)?;
        place_wheel(wheel, &folder, &mut tree)?;
    }
    for jar in &manifest.maven {
        let path = format!("{}/{}", jar.to, jar.file_name());
        tree.insert(path, Entry { content: Content::File(files[&jar.sha256].clone()), is_executable: false });
    }
    for overlay in &manifest.overlays {
        if overlay.python.as_ref().is_none_or(|range| range.admits(target.python)) {
            let content = Content::Bytes(overlay.text.clone().into_bytes());
            tree.insert(overlay.path.clone(), Entry { content, is_executable: false });
        }
    }
    let about = BundleIdentity::new(manifest, target).to_bytes();
    tree.insert(identity::PATH.to_owned(), Entry { content: Content::Bytes(about), is_executable: false });
    Ok(tree)
}

/// Streams a source distribution: gunzip, then each file that a rule places goes to `folder`.
fn unpack_sdist(
    sdist: &Sdist,
    archive: &Path,
    folder: &Path,
    tree: &mut Tree,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<()> {
    let bad = |reason: String| Error::BadArchive { archive: sdist.file.clone(), reason };
    let unreadable = || Error::io("read", archive);
    let file = File::open(archive).map_err(Error::io("open", archive))?;
    let mut reader = tar::Archive::new(GzDecoder::new(BufReader::with_capacity(1 << 18, file)));
    let mut written = 0;
    for (number, entry) in reader.entries().map_err(unreadable())?.enumerate() {
        cancel.check()?;
        let mut entry = entry.map_err(unreadable())?;
        let path = String::from_utf8(entry.path_bytes().into_owned())
            .map_err(|_| bad("a file name is not UTF-8".to_owned()))?;
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() {
            continue;
        }
        let Some(placed) =
            path.split_once('/').and_then(|(_, inner)| place(inner, &sdist.place, &sdist.drop))
        else {
            continue;
        };
        if !kind.is_file() || !is_inside(&placed) {
            return Err(bad(format!("{path} is not an ordinary file inside the archive")));
        }
        let mode = entry.header().mode().map_err(unreadable())?;
        let on_disk = folder.join(number.to_string());
        let mut out = File::create(&on_disk).map_err(Error::io("create", &on_disk))?;
        written += io::copy(&mut entry, &mut out).map_err(Error::io("write", &on_disk))?;
        progress.advanced(written);
        tree.insert(placed, Entry { content: Content::File(on_disk), is_executable: mode & 0o100 != 0 });
    }
    // Reading to the end checks the gzip trailer too.
    io::copy(&mut reader.into_inner(), &mut io::sink()).map_err(unreadable())?;
    Ok(())
}

/// Where the file `inner` of an archive goes: the first rule that holds it decides; `None` leaves it out.
fn place(inner: &str, rules: &[Placement], drop: &[Pattern]) -> Option<String> {
    let placed = rules.iter().find_map(|rule| {
        let rest = inner.strip_prefix(rule.from.as_str())?.strip_prefix('/')?;
        Some(format!("{}/{rest}", rule.to))
    })?;
    (!drop.iter().any(|pattern| pattern.matches(&placed))).then_some(placed)
}

/// Adds the unpacked files of a wheel.
fn place_wheel(wheel: &Wheel, folder: &Path, tree: &mut Tree) -> Result<()> {
    let mut folders = vec![(folder.to_owned(), wheel.to.clone())];
    while let Some((folder, to)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Error::io("read", &folder))? {
            let entry = entry.map_err(Error::io("read", &folder))?;
            let name = entry.file_name().into_string().map_err(|name| Error::BadArchive {
                archive: wheel.project.clone(),
                reason: format!("file name {} is not UTF-8", name.display()),
            })?;
            let (path, placed) = (entry.path(), format!("{to}/{name}"));
            let metadata = entry.metadata().map_err(Error::io("read", &path))?;
            if metadata.is_dir() {
                folders.push((path, placed));
            } else if !wheel.drop.iter().any(|pattern| pattern.matches(&placed)) {
                let is_executable = metadata.permissions().mode() & 0o100 != 0;
                tree.insert(placed, Entry { content: Content::File(path), is_executable });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_places_and_a_pattern_drops() {
        let rule = |from: &str, to: &str| Placement { from: from.to_owned(), to: to.to_owned() };
        let rules = [rule("deps/bin", "spark/bin"), rule("pyspark", "spark/python/pyspark")];
        let drop = [Pattern::new("**/*.cmd")];
        for (inner, expected) in [
            ("deps/bin/spark-submit", Some("spark/bin/spark-submit")),
            ("deps/bin/spark-submit.cmd", None),
            ("deps/binary/x", None),
            ("pyspark/sql/functions.py", Some("spark/python/pyspark/sql/functions.py")),
            ("setup.py", None),
        ] {
            assert_eq!(place(inner, &rules, &drop).as_deref(), expected, "{inner}");
        }
    }
}
