//! The record of the `hearth up` that runs on a data directory, and finding its process again.

use super::error::CliError;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// Which process it is. An id alone could be another process's by now; its start time makes it one process's for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UpPid {
    /// Process id.
    pub pid: i32,
    /// When the process started, in the kernel's ticks since boot.
    pub start_ticks: u64,
}

impl UpPid {
    /// The record in `data_dir`, if there is one.
    pub(super) fn read(data_dir: &Path) -> Result<Option<Self>, CliError> {
        let path = data_dir.join("up.pid");
        match std::fs::read_to_string(&path) {
            // A record that cannot be read is that of a crash in the middle of writing it: none.
            Ok(text) => Ok(serde_json::from_str(&text).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CliError::File { action: "reading", path, source }),
        }
    }

    /// Whether that very process still runs (a zombie does not).
    pub(super) fn is_alive(self) -> bool {
        alive_since(self.pid) == Some(self.start_ticks)
    }
}

/// When the living process `pid` started; `None` if there is none.
fn alive_since(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, blanks and parentheses too.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    // Field 22 of proc(5); the state was the third.
    (state != "Z").then(|| fields.nth(18)?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start_not_by_its_id_alone() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let start_ticks = alive_since(pid).unwrap();
        assert!(UpPid { pid, start_ticks }.is_alive());
        assert!(!UpPid { pid, start_ticks: start_ticks + 1 }.is_alive());
    }

    #[test]
    fn no_record_and_half_a_record_are_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(UpPid::read(dir.path()).unwrap(), None);
        std::fs::write(dir.path().join("up.pid"), "{\"pid\":").unwrap();
        assert_eq!(UpPid::read(dir.path()).unwrap(), None);
        std::fs::write(dir.path().join("up.pid"), r#"{"pid":7,"start_ticks":9}"#).unwrap();
        assert_eq!(UpPid::read(dir.path()).unwrap(), Some(UpPid { pid: 7, start_ticks: 9 }));
    }
}
