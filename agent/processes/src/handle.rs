//! A running keeper, held by file descriptors that can mean no other process.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hearth_keeper::system;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::Child;

use crate::exit::{Exit, KeeperRecord, RecordError};

/// A keeper that was running when the handle was made, started by this agent or a former one.
///
/// Dropping it leaves keeper and worker alone; they can be adopted again.
#[derive(Debug)]
pub struct KeeperHandle {
    worker_dir: PathBuf,
    record: KeeperRecord,
    keeper: AsyncFd<OwnedFd>,
    /// The worker's first process; `None` when it was gone already.
    worker: Option<OwnedFd>,
    /// The keeper as this process's child, to be reaped; `None` for an adopted one.
    child: Mutex<Option<Child>>,
}

/// What a worker's first process can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerSignal {
    /// SIGTERM: end in an orderly way.
    Terminate,
    /// SIGKILL. Its descendants follow, killed by the keeper.
    Kill,
}

/// Why no outcome was waited for.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The keeper was killed and left no outcome. Its worker's first process dies with it; descendants may be left, so
    /// the worker's control group has to be killed.
    #[error("keeper {pid} ended without recording an outcome")]
    KeeperLost {
        /// Process id of the keeper.
        pid: i32,
    },
    /// The keeper could not be watched.
    #[error("watching keeper {pid}")]
    Watch {
        /// Process id of the keeper.
        pid: i32,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The outcome is there but cannot be read.
    #[error("reading the outcome of a worker")]
    Record(#[source] RecordError),
}

impl KeeperHandle {
    /// Takes hold of the process in `record` if it still is that process: same boot, same start. `None` if it is gone.
    pub(crate) fn open(
        worker_dir: &Path,
        record: KeeperRecord,
        child: Option<Child>,
    ) -> io::Result<Option<Self>> {
        if record.boot_id != system::boot_id()? {
            return Ok(None);
        }
        let Some(keeper) = open_process(record.pid, record.start_ticks)? else { return Ok(None) };
        let worker = open_process(record.child_pid, record.child_start_ticks)?;
        let keeper = watch(keeper)?;
        let child = Mutex::new(child);
        Ok(Some(Self { worker_dir: worker_dir.to_owned(), record, keeper, worker, child }))
    }

    /// The worker's directory.
    pub fn worker_dir(&self) -> &Path {
        &self.worker_dir
    }

    /// Process id of the keeper, for logs; not to be signalled by it.
    pub fn keeper_pid(&self) -> i32 {
        self.record.pid
    }

    /// Process id of the worker's first process, for logs and for recognising it as a socket's peer.
    pub fn worker_pid(&self) -> i32 {
        self.record.child_pid
    }

    /// `CLOCK_BOOTTIME` when the worker was started.
    pub fn started_at_boottime(&self) -> Duration {
        Duration::from_nanos(self.record.started_at_boottime_ns)
    }

    /// Waits until the keeper has ended and reads what it recorded. Cancel safe; may be called again, and by several
    /// tasks at once.
    ///
    /// # Errors
    /// [`WaitError::KeeperLost`] if there is no record, else as the variants say.
    pub async fn wait(&self) -> Result<Exit, WaitError> {
        let pid = self.record.pid;
        let mut ready = self.keeper.readable().await.map_err(|source| WaitError::Watch { pid, source })?;
        // A pidfd stays readable once its process has ended.
        ready.retain_ready();
        self.reap();
        match Exit::read(&self.worker_dir) {
            Ok(Some(exit)) => Ok(exit),
            Ok(None) => Err(WaitError::KeeperLost { pid }),
            Err(error) => Err(WaitError::Record(error)),
        }
    }

    fn reap(&self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keeper) = child.as_mut() {
            // Its status says nothing that the record does not; the runtime reaps a dropped child too.
            let _ = keeper.try_wait();
            *child = None;
        }
    }

    /// Tells the keeper that the deadlines in the lease file have been moved; one that has ended is fine.
    ///
    /// # Errors
    /// The system's own.
    pub fn nudge(&self) -> io::Result<()> {
        match pidfd_send_signal(self.keeper.get_ref(), Signal::USR1) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            sent => Ok(sent?),
        }
    }

    /// Sends a signal to the worker's first process; one that has ended is fine.
    ///
    /// # Errors
    /// The system's own: a worker of another user when this agent is an ordinary one.
    pub fn signal_worker(&self, signal: WorkerSignal) -> io::Result<()> {
        let Some(worker) = &self.worker else { return Ok(()) };
        let signal = match signal {
            WorkerSignal::Terminate => Signal::TERM,
            WorkerSignal::Kill => Signal::KILL,
        };
        match pidfd_send_signal(worker, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            sent => Ok(sent?),
        }
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe for the sake of types that change descriptors; an OwnedFd does not"
)]
fn watch(process: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(process, Interest::READABLE)
}

/// Opens a process by id and verifies its start time afterwards, when the descriptor can no longer change its meaning.
fn open_process(pid: i32, start_ticks: u64) -> io::Result<Option<OwnedFd>> {
    let Some(raw) = Pid::from_raw(pid) else { return Ok(None) };
    let opened = match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(opened) => opened,
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    match system::start_ticks(pid) {
        Ok(ticks) if ticks == start_ticks => Ok(Some(opened)),
        Ok(_) => Ok(None),
        // Gone between the two calls: reading /proc then says one or the other.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_with_the_same_id_is_not_taken() {
        let pid = std::process::id().cast_signed();
        let ticks = system::start_ticks(pid).expect("own start");
        assert!(open_process(pid, ticks).expect("opened").is_some());
        assert!(open_process(pid, ticks + 1).expect("looked at").is_none());
        assert!(open_process(i32::MAX, ticks).expect("looked at").is_none());
    }

    #[tokio::test]
    async fn a_record_of_another_boot_is_not_taken() {
        let pid = std::process::id().cast_signed();
        let ticks = system::start_ticks(pid).expect("own start");
        let record = |boot_id: String| KeeperRecord {
            pid,
            start_ticks: ticks,
            child_pid: pid,
            child_start_ticks: ticks,
            boot_id,
            started_at_boottime_ns: 0,
        };
        let open = |boot| KeeperHandle::open(Path::new("/"), record(boot), None).expect("looked at");
        assert!(open("another".to_owned()).is_none());
        assert!(open(system::boot_id().expect("a boot id")).is_some());
    }
}
