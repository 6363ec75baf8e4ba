//! Where the archives are, and which fit.

use crate::host::Host;
use hearth_agent_core::jvm::class_path;
use hearth_agent_core::view::{HostPaths, View};
use hearth_bundles::BundleId;
use hearth_processes::java::JavaInstall;
use hearth_types::WorkerKind;
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Names that start so are swept when the directory is opened.
const PARTIAL: &str = ".partial-";
/// Archives waiting to be made; one more is asked for again by the next worker.
const WAITING: usize = 8;

/// The archives of this host: `<state>/archives/<bundle>-<JDK>-<digest>/{driver,executor}.jsa`.
#[derive(Debug)]
pub(crate) struct Archives {
    dir: PathBuf,
    wanted: mpsc::Sender<Wanted>,
    last_start: watch::Sender<Instant>,
}

/// Archives that no worker has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) key: String,
    pub(crate) bundle: BundleId,
    pub(crate) java: PathBuf,
    pub(crate) python: Option<PathBuf>,
}

impl Archives {
    /// Opens the directory, makes it if need be, and sweeps what a crash left half done. Answers the orders of
    /// [`Archives::want`] too. Blocks.
    pub(crate) fn open(state: &Path) -> io::Result<(Self, mpsc::Receiver<Wanted>)> {
        let dir = state.join("archives");
        DirBuilder::new().recursive(true).mode(0o755).create(&dir)?;
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        let (wanted, orders) = mpsc::channel(WAITING);
        Ok((Self { dir, wanted, last_start: watch::channel(Instant::now()).0 }, orders))
    }

    /// The directory that holds the archives of `key`, if they are there whole.
    pub(crate) fn find(&self, key: &str) -> Option<PathBuf> {
        Some(self.dir.join(key)).filter(|found| found.is_dir())
    }

    /// Removes archives that fit nothing any more: their bundle went, or the JDK or hearth's jars have changed. What a
    /// running JVM has mapped stays with it. Blocks.
    pub(crate) fn remove_outdated(&self, host: &Host) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with(PARTIAL) || Wanted::fits(host, &name) {
                continue;
            }
            // A crash half way must not leave a damaged directory under a name that may be wanted again.
            let going = self.dir.join(format!("{PARTIAL}{name}"));
            fs::rename(self.dir.join(&name), &going)?;
            fs::remove_dir_all(&going)?;
            tracing::info!(archives = name, "outdated class-data archives removed");
        }
        Ok(())
    }

    /// Has archives made when there is time. Asking again changes nothing.
    pub(crate) fn want(&self, wanted: Wanted) {
        // A full queue or an agent that is stopping: the next worker asks again.
        let _ = self.wanted.try_send(wanted);
    }

    /// Takes note that a worker is starting.
    pub(crate) fn note_start(&self) {
        self.last_start.send_replace(Instant::now());
    }

    /// When a worker was last starting.
    pub(crate) fn starts(&self) -> watch::Receiver<Instant> {
        self.last_start.subscribe()
    }

    /// Takes over finished archives from `made`, a directory of the same file system that nobody writes to any more. The
    /// final name appears when all of it is on the disk. Blocks.
    pub(crate) fn publish(&self, key: &str, made: &Path) -> io::Result<()> {
        let partial = self.dir.join(format!("{PARTIAL}{key}"));
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        DirBuilder::new().mode(0o755).create(&partial)?;
        let own = fs::metadata(&partial)?;
        for kind in [WorkerKind::SparkDriver, WorkerKind::SparkExecutor] {
            let (source, target) = (made.join(archive_file(kind)), partial.join(archive_file(kind)));
            if !fs::symlink_metadata(&source)?.is_file() {
                return Err(io::Error::other(format!("{} is no file", source.display())));
            }
            fs::rename(source, &target)?;
            chown(&target, Some(own.uid()), Some(own.gid()))?;
            fs::set_permissions(&target, Permissions::from_mode(0o444))?;
            File::open(&target)?.sync_all()?;
        }
        File::open(&partial)?.sync_all()?;
        fs::rename(&partial, self.dir.join(key))?;
        File::open(&self.dir)?.sync_all()
    }
}

/// Name of the archive for workers of a kind.
pub(crate) fn archive_file(kind: WorkerKind) -> &'static str {
    match kind {
        WorkerKind::SparkDriver => "driver.jsa",
        WorkerKind::SparkExecutor => "executor.jsa",
    }
}

impl Wanted {
    /// Whether the archives of a key are what a worker of this host would look for.
    fn fits(host: &Host, key: &str) -> bool {
        let mut parts = key.split('-');
        let (Some(Ok(bundle)), Some(Ok(major))) =
            (parts.next().map(str::parse::<BundleId>), parts.next().map(str::parse))
        else {
            return false;
        };
        let tree = host.bundles.path(&bundle);
        let Some(java) = host.java(major).filter(|_| tree.is_dir()) else { return false };
        let paths =
            HostPaths { worker: PathBuf::new(), bundle: tree, jvm: host.jvm_dir.clone(), archives: None };
        Self::new(host, bundle, java, None, &View::new(host.isolation, &paths)).key == key
    }

    /// What fits a worker that runs `bundle` on `java` in `view`: the JVM checks names, sizes and times of the JDK's own
    /// classes and of everything on the class path, and a bundle never changes. Blocks for a few looks at files.
    pub(crate) fn new(
        host: &Host,
        bundle: BundleId,
        java: &JavaInstall,
        python: Option<PathBuf>,
        view: &View,
    ) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(class_path(view));
        hasher.update([0]);
        hasher.update(java.home.to_string_lossy().as_bytes());
        let files = [
            java.home.join("lib/modules"),
            java.home.join("release"),
            host.jvm_dir.join("hearth-launcher.jar"),
            host.jvm_dir.join("hearth-spark.jar"),
        ];
        for file in files {
            // One that is not there has no size either, and its JVM will say so.
            let (size, seconds, nanoseconds) = fs::metadata(&file)
                .map_or((0, 0, 0), |found| (found.size(), found.mtime(), found.mtime_nsec()));
            hasher.update(size.to_le_bytes());
            hasher.update(seconds.to_le_bytes());
            hasher.update(nanoseconds.to_le_bytes());
        }
        let digest: String = hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let key = format!("{bundle}-{}-{digest}", java.major);
        Self { key, bundle, java: java.home.clone(), python }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_appear_whole_or_not_at_all() {
        let state = tempfile::tempdir().unwrap();
        let (archives, _orders) = Archives::open(state.path()).unwrap();
        let made = state.path().join("made");
        fs::create_dir(&made).unwrap();
        fs::write(made.join("driver.jsa"), "d").unwrap();
        assert!(archives.publish("k", &made).is_err());
        assert_eq!(archives.find("k"), None);
        let (archives, _orders) = Archives::open(state.path()).unwrap();
        assert_eq!(fs::read_dir(state.path().join("archives")).unwrap().count(), 0, "leftovers are swept");
        fs::write(made.join("driver.jsa"), "d").unwrap();
        fs::write(made.join("executor.jsa"), "e").unwrap();
        archives.publish("k", &made).unwrap();
        let found = archives.find("k").unwrap();
        let mode = fs::metadata(found.join("executor.jsa")).unwrap().permissions().mode();
        assert_eq!(
            (fs::read_to_string(found.join("driver.jsa")).unwrap().as_str(), mode & 0o777),
            ("d", 0o444)
        );
    }
}
