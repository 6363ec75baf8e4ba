//! What can go wrong with a control group.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a call on control groups failed.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// A group's directory could not be made.
    #[error("creating control group {path}")]
    Create {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A limit or another control file could not be written.
    #[error("writing {value} to {path}")]
    Write {
        /// The control file.
        path: PathBuf,
        /// What was to be written.
        value: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A control file or directory could not be read.
    #[error("reading {path}")]
    Read {
        /// The control file or directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A group's directory could not be removed, in spite of several tries.
    #[error("removing control group {path}")]
    Remove {
        /// The directory.
        path: PathBuf,
        /// The system's reason; `EBUSY` while a process is left.
        #[source]
        source: io::Error,
    },
    /// Processes survived SIGKILL for this long (they hang in the kernel).
    #[error("{left} processes of control group {path} still there after {waited:?}")]
    StillAlive {
        /// One directory of the group.
        path: PathBuf,
        /// How many are left.
        left: usize,
        /// How long they were given.
        waited: Duration,
    },
    /// A group did not come to rest.
    #[error("control group {path} not frozen after {waited:?}")]
    NotFrozen {
        /// The directory.
        path: PathBuf,
        /// How long it was given.
        waited: Duration,
    },
    /// The host offers no way to stop a group's processes.
    #[error("this host cannot freeze processes")]
    CannotFreeze,
    /// A name cannot be a group's: only ASCII letters, digits, `-`, `_` and inner dots can.
    #[error("{name:?} cannot name a control group")]
    BadName {
        /// The name.
        name: String,
    },
}
