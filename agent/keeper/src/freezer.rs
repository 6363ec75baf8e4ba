//! Bringing a worker to rest without its cooperation, and letting it go on.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::descendants;

/// How this host stops a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Freezer {
    /// Through the cgroup v2 directory.
    Unified(PathBuf),
    /// Through the directory in the v1 freezer's tree. What it froze dies of a signal only once thawed.
    V1(PathBuf),
    /// Process by process, where there are no cgroups. Advisory: whoever shares the worker's user can let it go on.
    Signals,
}

impl Freezer {
    /// Chooses by what the directory offers.
    pub(crate) fn new(directory: Option<&Path>) -> Self {
        match directory {
            Some(directory) if directory.join("cgroup.freeze").exists() => {
                Self::Unified(directory.to_owned())
            }
            Some(directory) if directory.join("freezer.state").exists() => Self::V1(directory.to_owned()),
            Some(_) | None => Self::Signals,
        }
    }

    /// Begins to stop every task. What cannot be written shows in [`Freezer::is_at_rest`], and in the end as a kill.
    pub(crate) fn freeze(&self) {
        match self {
            Self::Unified(directory) => drop(fs::write(directory.join("cgroup.freeze"), "1")),
            Self::V1(directory) => drop(fs::write(directory.join("freezer.state"), "FROZEN")),
            Self::Signals => descendants::signal_all(Signal::SIGSTOP),
        }
    }

    /// Lets every task go on.
    pub(crate) fn thaw(&self) {
        match self {
            Self::Unified(directory) => drop(fs::write(directory.join("cgroup.freeze"), "0")),
            Self::V1(directory) => drop(fs::write(directory.join("freezer.state"), "THAWED")),
            Self::Signals => descendants::signal_all(Signal::SIGCONT),
        }
    }

    /// Whether no task runs.
    pub(crate) fn is_at_rest(&self) -> bool {
        let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
        match self {
            Self::Unified(directory) => {
                read(directory.join("cgroup.events")).lines().any(|line| line == "frozen 1")
            }
            Self::V1(directory) => read(directory.join("freezer.state")).trim() == "FROZEN",
            Self::Signals => descendants::are_stopped(),
        }
    }
}
