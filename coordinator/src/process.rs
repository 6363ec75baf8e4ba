//! Knowing a process again. An id alone could be another process's by now; its start time makes it one process's for good.

use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A process of this host, as written down in `up.pid`, or found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Process id.
    pub(crate) pid: i32,
    /// When it started, in the kernel's ticks since boot.
    pub(crate) start_ticks: u64,
}

impl Process {
    /// The living process with this id; `None` if there is none (a zombie lives no more).
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self { pid: i32::try_from(pid).ok()?, start_ticks: start_of_the_living(&stat)? })
    }

    /// This very process.
    pub(crate) fn own() -> Self {
        Self::of(std::process::id()).expect("/proc shows the process that reads it")
    }

    /// Whether that very process still runs.
    pub(crate) fn is_alive(self) -> bool {
        u32::try_from(self.pid).ok().and_then(Self::of) == Some(self)
    }

    /// Whether it runs this very file: not another version, nor one that was since replaced by another.
    pub(crate) fn runs(self, program: &Path) -> bool {
        let file = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino()));
        match (file(Path::new(&format!("/proc/{}/exe", self.pid))), file(program)) {
            (Ok(its), Ok(wanted)) => its == wanted,
            _ => false,
        }
    }
}

/// The start time in `/proc/<pid>/stat`; `None` for a zombie.
fn start_of_the_living(stat: &str) -> Option<u64> {
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
        let own = Process::own();
        assert!(own.is_alive());
        assert!(!Process { start_ticks: own.start_ticks + 1, ..own }.is_alive());
    }

    #[test]
    fn a_program_is_the_file_and_not_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        let own = std::env::current_exe().unwrap();
        // Another name of the same file, and then another file of the same name, as an upgrade leaves it.
        std::os::unix::fs::symlink(&own, &program).unwrap();
        assert!(Process::own().runs(&own) && Process::own().runs(&program));
        std::fs::remove_file(&program).unwrap();
        assert!(!Process::own().runs(&program));
        std::fs::write(&program, "newer").unwrap();
        assert!(!Process::own().runs(&program));
    }

    #[test]
    fn a_zombie_lives_no_more_whatever_its_name() {
        let stat = |state: &str| format!("7 (a) Z (b) {state} 1{} 4711 0", " 0".repeat(17));
        assert_eq!(start_of_the_living(&stat("S")), Some(4711));
        assert_eq!(start_of_the_living(&stat("Z")), None);
    }
}
