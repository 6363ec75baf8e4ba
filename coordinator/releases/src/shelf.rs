//! The shelf: finished bundles in one directory, each under its digest, and their way to other sites and from there.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::catalog::Catalog;
use crate::command::Cancel;
use crate::error::{Error, Result};
use crate::identity::BundleIdentity;
use crate::manifest::Manifest;
use crate::progress::Silent;
use crate::target::{Arch, Target};
use crate::verify::{BundleInfo, identify, verify};
use crate::workspace::Workspace;

const SUFFIX: &str = ".tar.zst";

/// The bundles that `hearth release build` and `import` leave in a directory, `<sha256>.tar.zst` each.
#[derive(Debug, Clone)]
pub struct Shelf {
    dir: PathBuf,
}

/// A bundle on the shelf, of which nothing but the first entry was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its file.
    pub path: PathBuf,
    /// Its id, by its name.
    pub sha256: String,
    /// The file's size.
    pub bytes: u64,
    /// What its `bundle.json` says.
    pub identity: BundleIdentity,
}

impl Shelf {
    /// The shelf in `dir`, which need not be there yet.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// What is on the shelf, by name. A file whose beginning cannot be read is left out: nobody would use it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn list(&self) -> Result<Vec<Stored>> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(Error::io("read", &self.dir))?,
        };
        let mut stored = Vec::new();
        for entry in entries {
            let path = entry.map_err(Error::io("read", &self.dir))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (Some(sha256), Ok(identity)) = (name.strip_suffix(SUFFIX), identify(&path)) else { continue };
            let bytes = fs::metadata(&path).map_err(Error::io("read", &path))?.len();
            stored.push(Stored { sha256: sha256.to_owned(), path: path.clone(), bytes, identity });
        }
        stored.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(stored)
    }

    /// A bundle of exactly this content, read to its end; one that is damaged or for other machines is passed over.
    #[must_use]
    pub fn find(&self, wanted: &BundleIdentity, arch: Arch) -> Option<(PathBuf, BundleInfo)> {
        let stored = self.list().ok()?.into_iter().filter(|stored| stored.identity == *wanted);
        stored.into_iter().find_map(|stored| {
            let info = self.whole(&stored).ok()?;
            info.arch.is_none_or(|its| its == arch).then_some((stored.path, info))
        })
    }

    /// Writes the bundle of a release to `file`, and its digest to `file` with `.sha256` behind it, as `sha256sum` does.
    /// The file is whole or not there.
    ///
    /// # Errors
    /// [`Error::NotBuilt`]; [`Error::BadBundle`] if the shelf's own file is damaged; [`Error::Io`].
    pub fn export(&self, manifest: &Manifest, file: &Path) -> Result<BundleInfo> {
        let stored = (self.list()?.into_iter())
            .find(|stored| stored.identity == BundleIdentity::new(manifest, target_of(&stored.identity)))
            .ok_or_else(|| Error::NotBuilt { label: manifest.label.clone() })?;
        let info = self.whole(&stored)?;
        let sidecar = beside(file, ".sha256");
        remove_if_there(&sidecar)?;
        let half = beside(file, ".half");
        copy(&stored.path, &half, &info.sha256)?;
        fs::rename(&half, file).map_err(Error::io("write", file))?;
        sync_folder(file)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        fs::write(&sidecar, format!("{}  {name}\n", info.sha256)).map_err(Error::io("write", &sidecar))?;
        Ok(info)
    }

    /// Takes a bundle file in, after reading all of it: one that the catalog's own manifest would make, for machines like
    /// this, with the digest that stands beside it or is `expected`. Taking in what is there already changes nothing.
    ///
    /// # Errors
    /// [`Error::BadBundle`] for what is damaged or foreign, with advice; [`Error::UnknownLabel`]; [`Error::Io`].
    pub fn import(
        &self,
        file: &Path,
        expected: Option<&str>,
        catalog: &Catalog,
        arch: Arch,
    ) -> Result<(PathBuf, BundleInfo)> {
        let bad = |reason: String| Error::BadBundle { path: file.to_owned(), reason };
        let info = verify(file)?;
        let promised = match expected {
            Some(digest) => Some(digest.trim().to_ascii_lowercase()),
            None => promised(file)?,
        };
        if let Some(digest) = promised.filter(|digest| *digest != info.sha256) {
            return Err(bad(format!(
                "its SHA-256 is {}, and {digest} was promised: it was damaged or exchanged on its way; copy it anew",
                info.sha256
            )));
        }
        let label = &info.identity.release_label;
        let manifest = catalog.get(label)?;
        if BundleIdentity::new(manifest, target_of(&info.identity)) != info.identity {
            return Err(bad(format!(
                "it carries Spark {} for JDK {}, and {label} is Spark {} for JDK {} here: export it from the same version of hearth",
                info.identity.spark_version, info.identity.java, manifest.versions.spark, manifest.java.major
            )));
        }
        if let Some(other) = info.arch.filter(|its| *its != arch) {
            return Err(bad(format!(
                "it is for {} and this host is {}: build it on a machine like this one",
                other.name(),
                arch.name()
            )));
        }
        let path = self.dir.join(format!("{}{SUFFIX}", info.sha256));
        fs::create_dir_all(&self.dir).map_err(Error::io("create", &self.dir))?;
        // What an import before this one left is swept with the leftovers of builds.
        let workspace = Workspace::enter(&self.dir, &Silent, &Cancel::default())?;
        let half = workspace.scratch().join("import");
        copy(file, &half, &info.sha256)?;
        fs::rename(&half, &path).map_err(Error::io("write", &path))?;
        sync_folder(&path)?;
        Ok((path, info))
    }

    /// Reads a stored bundle to its end.
    fn whole(&self, stored: &Stored) -> Result<BundleInfo> {
        let info = verify(&stored.path)?;
        if info.sha256 == stored.sha256 {
            return Ok(info);
        }
        let reason =
            format!("its SHA-256 is {}, not that of its name: remove it and build it anew", info.sha256);
        Err(Error::BadBundle { path: stored.path.clone(), reason })
    }
}

/// The target whose bundle would be this one.
fn target_of(identity: &BundleIdentity) -> Target {
    // The architecture is no part of an identity.
    Target { python: identity.python, arch: Arch::X86_64 }
}

/// The digest in the file that `export` left beside a bundle, if it is there.
fn promised(file: &Path) -> Result<Option<String>> {
    let sidecar = beside(file, ".sha256");
    match fs::read_to_string(&sidecar) {
        Ok(text) => Ok(Some(text.split_whitespace().next().unwrap_or_default().to_ascii_lowercase())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", &sidecar)(error)),
    }
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    PathBuf::from(name)
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Copies a file durably; a copy that came out different is removed, for the source was changed or misread meanwhile.
fn copy(from: &Path, to: &Path, sha256: &str) -> Result<()> {
    let mut source = File::open(from).map_err(Error::io("open", from))?;
    let mut copy = File::create(to).map_err(Error::io("create", to))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let written = loop {
        match source.read(&mut buffer).map_err(Error::io("read", from)) {
            Ok(0) => break copy.sync_all().map_err(Error::io("write", to)),
            Ok(count) => {
                hash.update(&buffer[..count]);
                if let Err(error) = copy.write_all(&buffer[..count]) {
                    break Err(Error::io("write", to)(error));
                }
            }
            Err(error) => break Err(error),
        }
    };
    let found = hex::encode(hash.finalize());
    let result = written.and_then(|()| match found == sha256 {
        true => Ok(()),
        false => Err(Error::DigestMismatch {
            file: from.display().to_string(),
            expected: sha256.to_owned(),
            found,
        }),
    });
    if result.is_err() {
        remove_if_there(to)?;
    }
    result
}

/// Makes the name of a file durable.
fn sync_folder(file: &Path) -> Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::SMALL;
    use crate::verify::tests::{CORE, IDENTITY, SUBMIT, bundle, pretend};

    struct Site {
        shelf: Shelf,
        catalog: Catalog,
        dir: tempfile::TempDir,
    }

    impl Site {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("releases")).unwrap();
            fs::write(dir.path().join("releases/spark-0.0.1.toml"), SMALL).unwrap();
            let catalog = Catalog::load(&dir.path().join("releases")).unwrap();
            Self { shelf: Shelf::new(dir.path().join("bundles")), catalog, dir }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn import(&self, file: &Path) -> Result<(PathBuf, BundleInfo)> {
            self.shelf.import(file, None, &self.catalog, Arch::X86_64)
        }

        fn export(&self, file: &Path) -> Result<BundleInfo> {
            self.shelf.export(self.catalog.get("spark-0.0.1").unwrap(), file)
        }
    }

    fn files(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_bundle_goes_from_site_to_site_and_may_be_taken_in_twice() {
        let (here, there) = (Site::new(), Site::new());
        here.import(&pretend(here.dir.path(), "")).unwrap();
        let file = here.path("x.hearth");
        let exported = here.export(&file).unwrap();
        assert_eq!(
            fs::read_to_string(here.path("x.hearth.sha256")).unwrap(),
            format!("{}  x.hearth\n", exported.sha256)
        );
        for _ in 0..2 {
            let (path, info) = there.import(&file).unwrap();
            assert_eq!(
                (info.sha256.as_str(), fs::read(path).unwrap()),
                (exported.sha256.as_str(), fs::read(&file).unwrap())
            );
        }
        let name = format!("{}{SUFFIX}", exported.sha256);
        assert_eq!(files(&there.path("bundles")), [name.as_str(), "lock"]);
        let wanted = &there.shelf.list().unwrap()[0].identity;
        assert_eq!(there.shelf.find(wanted, Arch::X86_64).unwrap().1.sha256, exported.sha256);
    }

    #[test]
    fn what_was_damaged_on_its_way_is_refused_and_leaves_nothing() {
        let site = Site::new();
        let file = pretend(site.dir.path(), "");
        fs::write(beside(&file, ".sha256"), format!("{}  bundle\n", "0".repeat(64))).unwrap();
        let error = site.import(&file).unwrap_err().to_string();
        assert!(error.contains("copy it anew"), "{error}");
        let right = verify(&file).unwrap().sha256;
        let wrong = site.shelf.import(&file, Some("1"), &site.catalog, Arch::X86_64);
        assert!(matches!(wrong, Err(Error::BadBundle { .. })));
        assert!(!site.path("bundles").exists());
        // What a person says counts more than the file beside it.
        site.shelf.import(&file, Some(&right.to_uppercase()), &site.catalog, Arch::X86_64).unwrap();
    }

    #[test]
    fn what_is_foreign_is_refused_with_advice() {
        let site = Site::new();
        for (from, to, advice) in
            [("spark-0.0.1", "spark-9", "known labels"), ("\"0.0.1\"", "\"0.0.2\"", "same version of hearth")]
        {
            let identity = IDENTITY.replace(from, to);
            let file = bundle(site.dir.path(), &[("bundle.json", &identity), SUBMIT, CORE]);
            let error = site.import(&file).unwrap_err().to_string();
            assert!(error.contains(advice), "{error}");
        }
        let file = pretend(site.dir.path(), "python/numpy/core/x.cpython-311-aarch64-linux-gnu.so");
        let error = site.import(&file).unwrap_err().to_string();
        assert!(error.contains("it is for aarch64 and this host is x86_64"), "{error}");
    }

    #[test]
    fn a_bundle_that_rotted_on_the_shelf_is_not_passed_on() {
        let site = Site::new();
        let (path, _) = site.import(&pretend(site.dir.path(), "")).unwrap();
        let file = site.path("x");
        assert!(matches!(Site::new().export(&file), Err(Error::NotBuilt { .. })));
        fs::write(&path, fs::read(pretend(site.dir.path(), "python/other.py")).unwrap()).unwrap();
        let error = site.export(&file).unwrap_err().to_string();
        assert!(error.contains("build it anew"), "{error}");
        assert!(!file.exists());
        let wanted = &site.shelf.list().unwrap()[0].identity;
        assert_eq!(site.shelf.find(wanted, Arch::X86_64), None);
        fs::write(&path, "rotten").unwrap();
        assert!(site.shelf.list().unwrap().is_empty());
    }
}
