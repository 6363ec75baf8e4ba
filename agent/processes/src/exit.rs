//! The keeper's records, read.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearth_keeper::{EXIT_FILE, KEEPER_FILE};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// How a worker ended and what it used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The end of its first process.
    pub end: End,
    /// Whether the kernel killed a process of the worker for want of memory.
    pub oom_killed: bool,
    /// Whether the keeper killed it because its lease was ending.
    pub lease_ended: bool,
    /// Most memory it ever held, in bytes; `None` where nothing counts it.
    pub memory_peak_bytes: Option<u64>,
    /// CPU time it used; `None` where nothing counts it.
    pub cpu: Option<Duration>,
    /// `CLOCK_BOOTTIME` at the end.
    pub ended_at_boottime: Duration,
    /// Wall clock at the end, in milliseconds since 1970.
    pub ended_at_unix_ms: u64,
    /// How long its first process ran, by `CLOCK_BOOTTIME`; `None` when it never did.
    pub ran: Option<Duration>,
}

/// The end of a worker's first process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It ended by itself with this status.
    Exited(i32),
    /// This signal killed it.
    Signaled(i32),
    /// The program was never executed, for this reason.
    LaunchFailed(String),
}

/// Why a record of the keeper could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file is there but cannot be read.
    #[error("reading {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The file is not what a keeper writes.
    #[error("parsing {path}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl Exit {
    /// Reads `exit.json` of a worker directory; `None` when the worker has not ended (or its keeper was killed).
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn read(worker_dir: &Path) -> Result<Option<Self>, RecordError> {
        let Some(record) = read_record::<ExitRecord>(&worker_dir.join(EXIT_FILE))? else { return Ok(None) };
        let exit = Self::from(record);
        let ran = match exit.end {
            End::LaunchFailed(_) => None,
            End::Exited(_) | End::Signaled(_) => KeeperRecord::read(worker_dir)?.map(|keeper| {
                exit.ended_at_boottime.saturating_sub(Duration::from_nanos(keeper.started_at_boottime_ns))
            }),
        };
        Ok(Some(Self { ran, ..exit }))
    }
}

/// `exit.json` to the letter. The keeper that wrote it may be older than this agent, for it stays through an upgrade: what was
/// added since has a default.
#[derive(Deserialize)]
struct ExitRecord {
    exit_code: Option<i32>,
    signal: Option<i32>,
    launch_error: Option<String>,
    oom_killed: bool,
    #[serde(default)]
    lease_ended: bool,
    memory_peak_bytes: Option<u64>,
    cpu_usec: Option<u64>,
    ended_at_boottime_ns: u64,
    ended_at_unix_ms: u64,
}

impl From<ExitRecord> for Exit {
    fn from(record: ExitRecord) -> Self {
        let end = match (record.launch_error, record.signal, record.exit_code) {
            (Some(reason), _, _) => End::LaunchFailed(reason),
            (None, Some(signal), _) => End::Signaled(signal),
            (None, None, Some(code)) => End::Exited(code),
            (None, None, None) => End::LaunchFailed("the keeper recorded no reason".to_owned()),
        };
        Self {
            end,
            oom_killed: record.oom_killed,
            lease_ended: record.lease_ended,
            memory_peak_bytes: record.memory_peak_bytes,
            cpu: record.cpu_usec.map(Duration::from_micros),
            ended_at_boottime: Duration::from_nanos(record.ended_at_boottime_ns),
            ended_at_unix_ms: record.ended_at_unix_ms,
            ran: None,
        }
    }
}

/// `keeper.json` to the letter.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct KeeperRecord {
    pub(crate) pid: i32,
    pub(crate) start_ticks: u64,
    pub(crate) child_pid: i32,
    pub(crate) child_start_ticks: u64,
    pub(crate) boot_id: String,
    pub(crate) started_at_boottime_ns: u64,
}

impl KeeperRecord {
    pub(crate) fn read(worker_dir: &Path) -> Result<Option<Self>, RecordError> {
        read_record(&worker_dir.join(KEEPER_FILE))
    }
}

fn read_record<R: DeserializeOwned>(path: &Path) -> Result<Option<R>, RecordError> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| RecordError::Parse { path: path.to_owned(), source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RecordError::Read { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use hearth_keeper::record::{Outcome, Running};

    use super::*;

    #[test]
    fn what_a_keeper_writes_is_read_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let outcome = Outcome {
            launch_error: Some("executing \"/x\"\n: \u{7f}é".to_owned()),
            oom_killed: true,
            lease_ended: true,
            memory_peak_bytes: Some(u64::MAX),
            cpu_usec: Some(1500),
            ended_at_boottime_ns: 7,
            ended_at_unix_ms: 8,
            ..Outcome::default()
        };
        std::fs::write(directory.path().join("exit.json"), outcome.to_json()).expect("written");
        let expected = Exit {
            end: End::LaunchFailed("executing \"/x\"\n: \u{7f}é".to_owned()),
            oom_killed: true,
            lease_ended: true,
            memory_peak_bytes: Some(u64::MAX),
            cpu: Some(Duration::from_micros(1500)),
            ended_at_boottime: Duration::from_nanos(7),
            ended_at_unix_ms: 8,
            ran: None,
        };
        assert_eq!(Exit::read(directory.path()).expect("readable"), Some(expected));

        let running = Running {
            pid: 1,
            start_ticks: 2,
            child_pid: 3,
            child_start_ticks: 4,
            boot_id: "b".to_owned(),
            started_at_boottime_ns: 5,
        };
        std::fs::write(directory.path().join("keeper.json"), running.to_json()).expect("written");
        let record = KeeperRecord::read(directory.path()).expect("readable").expect("there");
        assert_eq!((record.pid, record.start_ticks, record.child_pid), (1, 2, 3));
        assert_eq!((record.child_start_ticks, record.boot_id.as_str()), (4, "b"));

        let ended = Outcome { exit_code: Some(0), ended_at_boottime_ns: 2_000_000_005, ..Outcome::default() };
        std::fs::write(directory.path().join("exit.json"), ended.to_json()).expect("written");
        let exit = Exit::read(directory.path()).expect("readable").expect("there");
        assert_eq!(exit.ran, Some(Duration::from_secs(2)));
    }

    #[test]
    fn what_a_keeper_of_first_light_wrote_is_still_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let written = r#"{"exit_code":0,"signal":null,"launch_error":null,"oom_killed":false,"memory_peak_bytes":1024,
            "cpu_usec":1500,"ended_at_boottime_ns":7,"ended_at_unix_ms":8}"#;
        std::fs::write(directory.path().join("exit.json"), written).expect("written");
        let exit = Exit::read(directory.path()).expect("readable").expect("there");
        assert_eq!((exit.end, exit.lease_ended), (End::Exited(0), false));
    }

    #[test]
    fn a_record_that_is_absent_is_no_error_and_a_broken_one_is() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(Exit::read(directory.path()).expect("readable"), None);
        std::fs::write(directory.path().join("exit.json"), "{").expect("written");
        assert!(matches!(Exit::read(directory.path()), Err(RecordError::Parse { .. })));
    }
}
