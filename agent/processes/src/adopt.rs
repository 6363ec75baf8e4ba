//! Finding a former agent's workers again.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearth_keeper::LAUNCH_FILE;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use tokio::time::{Instant, sleep};

use crate::exit::{Exit, KeeperRecord, RecordError};
use crate::handle::KeeperHandle;

/// How long a keeper that is just starting its worker is waited for.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks at a keeper that is just starting.
const PAUSE: Duration = Duration::from_millis(5);

/// What a worker directory of a former agent stands for.
#[derive(Debug)]
pub enum Adoption {
    /// The worker runs under its keeper.
    Running(KeeperHandle),
    /// It has ended, as recorded.
    Exited(Exit),
    /// There is no keeper and no outcome: never started, or the host rebooted, or the keeper was killed. No keeper will
    /// start here any more. Processes may be left in the worker's control group if the keeper was killed.
    Gone,
}

/// Why it could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// A record is there but cannot be read.
    #[error("reading what the keeper recorded")]
    Record(#[source] RecordError),
    /// The directory could not be examined.
    #[error("examining worker directory {worker_dir}")]
    Examine {
        /// The worker's directory.
        worker_dir: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A keeper holds the directory but has not got its worker to run.
    #[error("the keeper of {worker_dir} still has no worker after {waited:?}")]
    StillStarting {
        /// The worker's directory.
        worker_dir: PathBuf,
        /// How long it was given.
        waited: Duration,
    },
}

/// Finds out what became of the worker of `worker_dir`. Cancel safe.
///
/// # Errors
/// As the variants of [`AdoptError`] say.
pub async fn adopt(worker_dir: &Path) -> Result<Adoption, AdoptError> {
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        if let Some(adoption) = look(worker_dir)? {
            return Ok(adoption);
        }
        if Instant::now() > deadline {
            return Err(AdoptError::StillStarting {
                worker_dir: worker_dir.to_owned(),
                waited: START_PATIENCE,
            });
        }
        sleep(PAUSE).await;
    }
}

/// Looks once; `None` while a keeper is between its start and its first record.
fn look(worker_dir: &Path) -> Result<Option<Adoption>, AdoptError> {
    let failed = |source| AdoptError::Examine { worker_dir: worker_dir.to_owned(), source };
    if let Some(found) = look_at_records(worker_dir)? {
        return Ok(Some(found));
    }
    let launch = worker_dir.join(LAUNCH_FILE);
    let file = match File::open(&launch) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Adoption::Gone)),
        Err(error) => return Err(failed(error)),
    };
    // A keeper holds this lock for as long as it lives.
    let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => lock,
        Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
        Err((_, errno)) => return Err(failed(errno.into())),
    };
    // It may have ended between the first look and the lock.
    if let Some(found) = look_at_records(worker_dir)? {
        return Ok(Some(found));
    }
    // A keeper that was started but has not got to its lock will find the file gone.
    fs::remove_file(&launch).map_err(failed)?;
    drop(lock);
    Ok(Some(Adoption::Gone))
}

fn look_at_records(worker_dir: &Path) -> Result<Option<Adoption>, AdoptError> {
    let failed = |source| AdoptError::Examine { worker_dir: worker_dir.to_owned(), source };
    if let Some(exit) = Exit::read(worker_dir).map_err(AdoptError::Record)? {
        return Ok(Some(Adoption::Exited(exit)));
    }
    let Some(record) = KeeperRecord::read(worker_dir).map_err(AdoptError::Record)? else { return Ok(None) };
    Ok(KeeperHandle::open(worker_dir, record, None).map_err(failed)?.map(Adoption::Running))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_start_that_never_happened_is_gone_for_good() {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(matches!(adopt(directory.path()).await, Ok(Adoption::Gone)));
        fs::write(directory.path().join(LAUNCH_FILE), "").expect("written");
        assert!(matches!(adopt(directory.path()).await, Ok(Adoption::Gone)));
        assert!(!directory.path().join(LAUNCH_FILE).exists(), "a late keeper finds nothing to start");
    }

    #[test]
    fn a_keeper_that_is_starting_is_not_given_up() {
        let directory = tempfile::tempdir().expect("a directory");
        let launch = directory.path().join(LAUNCH_FILE);
        fs::write(&launch, "").expect("written");
        let file = File::open(&launch).expect("opened");
        let held =
            Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno).expect("free");
        assert!(matches!(look(directory.path()), Ok(None)));
        drop(held);
        assert!(matches!(look(directory.path()), Ok(Some(Adoption::Gone))));
    }
}
