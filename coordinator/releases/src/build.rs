//! Building: from a manifest to a bundle in one file.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::command::Cancel;
use crate::error::{Error, Result};
use crate::fetch;
use crate::manifest::Manifest;
use crate::pack;
use crate::progress::Progress;
use crate::target::Target;
use crate::unpack;
use crate::workspace::Workspace;

/// What to build and where.
#[derive(Debug, Clone)]
pub struct BuildRequest<'a> {
    /// The release.
    pub manifest: &'a Manifest,
    /// The workers it is for.
    pub target: Target,
    /// Where the bundle is left and the build's scratch lies, about 1.5 GB at most; one build at a time, the next one waits.
    pub work_dir: &'a Path,
    /// Where downloads are kept between builds, under `artifacts/<sha256>`; see [`default_cache_dir`].
    pub cache_dir: &'a Path,
}

/// A finished bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltBundle {
    /// The file, `<work_dir>/<sha256>.tar.zst`. It is the caller's to move or remove.
    pub path: PathBuf,
    /// The bundle's id: the file's SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// The file's size.
    pub bytes: u64,
}

/// Builds a bundle; the same request gives the same bytes. Blocks for some seconds with a full cache, else as long as
/// about 620 MB of downloads take.
///
/// It may be killed at any moment: what it was doing is swept when the next build begins, and a file under its final name is
/// complete. When the calling process is killed, a running pip or Maven ends by itself.
///
/// # Errors
/// All of [`Error`] but the manifest's own; [`Error::Cancelled`] within a second of [`Cancel::cancel`].
pub fn build(request: &BuildRequest<'_>, progress: &dyn Progress, cancel: &Cancel) -> Result<BuiltBundle> {
    let result = build_steps(request, progress, cancel);
    progress.finished();
    result
}

fn build_steps(request: &BuildRequest<'_>, progress: &dyn Progress, cancel: &Cancel) -> Result<BuiltBundle> {
    let &BuildRequest { manifest, target, work_dir, cache_dir } = request;
    let workspace = Workspace::enter(work_dir, progress, cancel)?;
    let files = fetch::fetch(manifest, target, cache_dir, &workspace, progress, cancel)?;
    let tree = unpack::unpack(manifest, target, cache_dir, &files, &workspace, progress, cancel)?;
    let half = workspace.scratch().join("bundle.tar.zst");
    let (sha256, bytes) = pack::pack(&tree, &half, progress, cancel)?;
    let path = work_dir.join(format!("{sha256}.tar.zst"));
    fs::rename(&half, &path).map_err(Error::io("create", &path))?;
    File::open(work_dir).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", work_dir))?;
    Ok(BuiltBundle { path, sha256, bytes })
}

/// Where downloads are kept unless told otherwise: `HEARTH_CACHE`, else `~/.cache/hearth`, else `/var/cache/hearth`.
#[must_use]
pub fn default_cache_dir() -> PathBuf {
    let named = env::var_os("HEARTH_CACHE").filter(|value| !value.is_empty()).map(PathBuf::from);
    let at_home = || {
        env::var_os("HOME")
            .filter(|value| !value.is_empty())
            .map(|home| Path::new(&home).join(".cache/hearth"))
    };
    named.or_else(at_home).unwrap_or_else(|| PathBuf::from("/var/cache/hearth"))
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::manifest::tests::SMALL;
    use crate::progress::Silent;
    use crate::target::Arch;
    use crate::verify::verify;

    /// Puts a source distribution of (path, mode, text) into the cache; its part of a manifest, that places `rules`.
    fn sdist(cache_dir: &Path, project: &str, files: &[(&str, u32, &str)], rules: &str) -> String {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, mode, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(*mode);
            header.set_mtime(1_700_000_000);
            archive.append_data(&mut header, format!("{project}-1/{name}"), text.as_bytes()).unwrap();
        }
        let bytes = archive.into_inner().unwrap().finish().unwrap();
        let sha256 = hex::encode(Sha256::digest(&bytes));
        fs::create_dir_all(cache_dir.join("artifacts")).unwrap();
        fs::write(cache_dir.join("artifacts").join(&sha256), &bytes).unwrap();
        format!(
            r#"
            [[sdist]]
            project = "{project}"
            version = "1"
            file = "{project}-1.tar.gz"
            sha256 = "{sha256}"
            bytes = {}
            place = [{rules}]
            drop = ["**/*.cmd"]
            "#,
            bytes.len()
        )
    }

    /// A manifest with one source distribution, which is in the cache: a build without pip, Maven and network.
    fn prepare(cache_dir: &Path) -> Manifest {
        parse(&engine(cache_dir))
    }

    fn engine(cache_dir: &Path) -> String {
        let files = [
            ("deps/bin/spark-submit", 0o755, "#!/bin/sh\n"),
            ("deps/bin/spark-submit.cmd", 0o644, "rem\r\n"),
            ("deps/jars/spark-core_2.12-0.0.1.jar", 0o644, "jar"),
            ("setup.py", 0o644, "raise SystemExit\n"),
        ];
        let rules = r#"{ from = "deps/bin", to = "spark/bin" }, { from = "deps/jars", to = "spark/jars" }"#;
        sdist(cache_dir, "engine", &files, rules)
    }

    fn parse(sdists: &str) -> Manifest {
        Manifest::parse(&format!("{SMALL}{sdists}"), Path::new("small.toml")).unwrap()
    }

    fn target() -> Target {
        Target { python: "3.11".parse().unwrap(), arch: Arch::X86_64 }
    }

    #[test]
    fn the_same_inputs_give_the_same_bytes_wherever_they_are_built() {
        let build_once = || {
            let dir = tempfile::tempdir().unwrap();
            let manifest = prepare(&dir.path().join("cache"));
            let (work_dir, cache_dir) = (dir.path().join("work"), dir.path().join("cache"));
            let request = BuildRequest {
                manifest: &manifest,
                target: target(),
                work_dir: &work_dir,
                cache_dir: &cache_dir,
            };
            let built = build(&request, &Silent, &Cancel::default()).unwrap();
            let info = verify(&built.path).unwrap();
            assert_eq!((&info.sha256, info.bytes), (&built.sha256, built.bytes));
            // The bundle and the lock.
            assert_eq!(fs::read_dir(&work_dir).unwrap().count(), 2);
            (built.sha256, info)
        };
        let ((first, info), (second, _)) = (build_once(), build_once());
        assert_eq!(first, second);
        assert_eq!(
            info.files,
            [
                "bundle.json",
                "python/shim.py",
                "spark/bin/spark-submit",
                "spark/jars/spark-core_2.12-0.0.1.jar"
            ]
            .len() as u64
        );
        assert_eq!(info.identity.release_label, "spark-0.0.1");
    }

    #[test]
    fn a_later_archive_replaces_each_file_by_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let older =
            [("lib/a.py", 0o644, "old a"), ("lib/b.py", 0o644, "old b"), ("lib/c.py", 0o644, "old c")];
        let newer = [("lib/a.py", 0o644, "new a"), ("lib/b.py", 0o644, "new b")];
        let rule = r#"{ from = "lib", to = "python/lib" }"#;
        let manifest = parse(
            &[
                engine(dir.path()),
                sdist(dir.path(), "older", &older, rule),
                sdist(dir.path(), "newer", &newer, rule),
            ]
            .concat(),
        );
        let request = BuildRequest {
            manifest: &manifest,
            target: target(),
            work_dir: dir.path(),
            cache_dir: dir.path(),
        };
        let built = build(&request, &Silent, &Cancel::default()).unwrap();
        let mut archive = tar::Archive::new(zstd::Decoder::new(File::open(built.path).unwrap()).unwrap());
        let mut texts = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            if path.starts_with("python/lib/") && entry.header().entry_type().is_file() {
                texts.push(std::io::read_to_string(&mut entry).unwrap());
            }
        }
        assert_eq!(texts, ["new a", "new b", "old c"]);
    }

    #[test]
    fn another_target_gives_another_bundle_id() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = prepare(dir.path());
        let ids: Vec<String> = ["3.11", "3.12"]
            .map(|python| {
                let target = Target { python: python.parse().unwrap(), ..target() };
                let request =
                    BuildRequest { manifest: &manifest, target, work_dir: dir.path(), cache_dir: dir.path() };
                build(&request, &Silent, &Cancel::default()).unwrap().sha256
            })
            .into();
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn a_cached_file_that_rotted_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = prepare(dir.path());
        fs::write(dir.path().join("artifacts").join(&manifest.sdists[0].sha256), "rotten").unwrap();
        let request = BuildRequest {
            manifest: &manifest,
            target: target(),
            work_dir: dir.path(),
            cache_dir: dir.path(),
        };
        assert!(matches!(build(&request, &Silent, &Cancel::default()), Err(Error::DigestMismatch { .. })));
    }

    #[test]
    fn a_cancelled_build_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = prepare(&dir.path().join("cache"));
        let (work_dir, cache_dir) = (dir.path().join("work"), dir.path().join("cache"));
        let cancel = Cancel::default();
        /// Cancels when the last phase begins.
        struct StopAtPacking(Cancel);
        impl Progress for StopAtPacking {
            fn begin(&self, phase: crate::Phase, _: Option<u64>) {
                if phase == crate::Phase::Packing {
                    self.0.cancel();
                }
            }
            fn advanced(&self, _: u64) {}
            fn finished(&self) {}
        }
        let request = BuildRequest {
            manifest: &manifest,
            target: target(),
            work_dir: &work_dir,
            cache_dir: &cache_dir,
        };
        assert!(matches!(build(&request, &StopAtPacking(cancel.clone()), &cancel), Err(Error::Cancelled)));
        let left: Vec<_> = fs::read_dir(&work_dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["lock"]);
    }
}
