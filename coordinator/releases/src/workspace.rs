//! The directory a build works in: one build at a time, and nothing left of a build that was killed.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::command::Cancel;
use crate::error::{Error, Result};
use crate::progress::{Phase, Progress};

/// What the names of scratch directories begin with, inside the work directory.
const SCRATCH: &str = "building-";

/// An exclusive right to build in a work directory, with an empty scratch directory; dropped, the scratch is removed.
#[derive(Debug)]
pub(crate) struct Workspace {
    scratch: PathBuf,
    // The kernel frees the lock when the process ends, however it ends.
    _lock: File,
}

impl Workspace {
    /// Waits for the lock of `work_dir` (made if absent) and sweeps what a killed build has left there.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Cancelled`] while waiting.
    pub(crate) fn enter(work_dir: &Path, progress: &dyn Progress, cancel: &Cancel) -> Result<Self> {
        fs::create_dir_all(work_dir).map_err(Error::io("create", work_dir))?;
        let path = work_dir.join("lock");
        let lock = File::create(&path).map_err(Error::io("create", &path))?;
        let mut told = false;
        loop {
            cancel.check()?;
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        progress.begin(Phase::Waiting, None);
                        told = true;
                    }
                    thread::sleep(Duration::from_millis(200));
                }
                Err(TryLockError::Error(source)) => return Err(Error::io("lock", &path)(source)),
            }
        }
        sweep(work_dir)?;
        // Never a name used before: a pip or Maven that outlived a killed build may still write into its old one.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let scratch = work_dir.join(format!("{SCRATCH}{}-{now}", process::id()));
        fs::create_dir(&scratch).map_err(Error::io("create", &scratch))?;
        // pip and Maven run in their own folders under it, so the path must not depend on ours.
        let scratch = scratch.canonicalize().map_err(Error::io("resolve", &scratch))?;
        Ok(Self { scratch, _lock: lock })
    }

    /// The scratch directory, absolute.
    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Makes a folder of the scratch directory.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.scratch.join(name);
        fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        Ok(path)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // Our own, and what an orphaned program of a killed build wrote after the first sweep. The next build removes
        // what stays now.
        if let Some(work_dir) = self.scratch.parent() {
            let _ = sweep(work_dir);
        }
    }
}

/// Removes what killed builds have left.
fn sweep(work_dir: &Path) -> Result<()> {
    for entry in fs::read_dir(work_dir).map_err(Error::io("read", work_dir))? {
        let entry = entry.map_err(Error::io("read", work_dir))?;
        if entry.file_name().to_string_lossy().starts_with(SCRATCH) {
            // It can fail while an orphaned program still writes there; then the next build removes it.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    #[test]
    fn what_a_killed_build_left_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("building-1-1/half")).unwrap();
        let workspace = Workspace::enter(dir.path(), &Silent, &Cancel::default()).unwrap();
        assert_eq!(fs::read_dir(workspace.scratch()).unwrap().count(), 0);
        drop(workspace);
        let left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["lock"]);
    }

    #[test]
    fn a_second_build_waits_and_can_be_cancelled() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Workspace::enter(dir.path(), &Silent, &Cancel::default()).unwrap();
        let cancel = Cancel::default();
        cancel.cancel();
        assert!(matches!(Workspace::enter(dir.path(), &Silent, &cancel), Err(Error::Cancelled)));
    }
}
