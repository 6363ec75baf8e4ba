//! One worker's group: killing, freezing, counting and removing it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::CgroupError;
use crate::files::{field, members, number, read, subdirectories, write};

/// How long killed processes, busy directories and freezing groups are waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two looks at something the kernel is busy with.
const PAUSE: Duration = Duration::from_millis(1);

/// The control group of one worker: the same name in every tree of the host.
///
/// Holds paths only; dropping it changes nothing. On a host without control groups it has no directory, and every
/// call succeeds without effect except [`WorkerGroup::freeze`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerGroup {
    directories: Vec<PathBuf>,
}

/// What a group has used so far; `None` where nothing counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// CPU time in microseconds.
    pub cpu_usec: Option<u64>,
    /// Memory held now, in bytes (page cache included).
    pub memory_bytes: Option<u64>,
    /// Most memory ever held, in bytes.
    pub memory_peak_bytes: Option<u64>,
    /// Processes that the kernel killed for want of memory.
    pub oom_kills: Option<u64>,
    /// Processes and threads now.
    pub pids: Option<u64>,
}

impl WorkerGroup {
    pub(crate) fn new(directories: Vec<PathBuf>) -> Self {
        Self { directories }
    }

    /// The group's directory in each tree.
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// The files a process id is written to in order to join the group everywhere.
    pub fn procs_files(&self) -> Vec<PathBuf> {
        self.directories.iter().map(|directory| directory.join("cgroup.procs")).collect()
    }

    /// The directories through which the group can be killed: one with `cgroup.kill`, else the freezer's, else any
    /// one. Together with their members nothing of the worker is left.
    pub fn kill_directories(&self) -> Vec<PathBuf> {
        let with = |file: &str| self.directories.iter().find(|directory| directory.join(file).exists());
        with("cgroup.kill")
            .or_else(|| with("freezer.state"))
            .or_else(|| self.directories.first())
            .map(|directory| vec![directory.clone()])
            .unwrap_or_default()
    }

    /// The directory through which the group can be frozen: one with `cgroup.freeze`, else the v1 freezer's.
    pub fn freeze_directory(&self) -> Option<PathBuf> {
        self.freezer().map(|freezer| freezer.directory)
    }

    /// Kills every process of the group with SIGKILL and waits until they are gone, for at most 5 s. Blocks.
    ///
    /// A frozen group dies too, and no instruction of it runs between. Zombies whose parent is outside do not count.
    ///
    /// # Errors
    /// [`CgroupError::StillAlive`] when processes hang in the kernel.
    pub fn kill(&self) -> Result<(), CgroupError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.kill_once();
            if self.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let path = self.directories.first().cloned().unwrap_or_default();
                return Err(CgroupError::StillAlive { path, left: self.members().len(), waited: PATIENCE });
            }
            sleep(PAUSE);
        }
    }

    fn kill_once(&self) {
        let freezer = self.file("freezer.state");
        // Killing while frozen by v1: signals are delivered at the thaw, before any other instruction.
        let whole = self.file("cgroup.kill").is_some_and(|file| fs::write(file, "1").is_ok());
        if !whole {
            if let Some(state) = &freezer {
                // Unfinished freezing is fine: the next round sees whoever was forked meanwhile.
                let _ = fs::write(state, "FROZEN");
            }
            for pid in self.members() {
                let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
            }
        }
        if let Some(state) = freezer {
            let _ = fs::write(state, "THAWED");
        }
    }

    /// Stops every process of the group without their cooperation and waits until they rest, for at most 5 s. Blocks.
    ///
    /// # Errors
    /// [`CgroupError::CannotFreeze`] without freezer; [`CgroupError::NotFrozen`] when a process hangs in the kernel.
    pub fn freeze(&self) -> Result<(), CgroupError> {
        let freezer = self.freezer().ok_or(CgroupError::CannotFreeze)?;
        let deadline = Instant::now() + PATIENCE;
        freezer.set(State::Frozen)?;
        while freezer.state()? != State::Frozen {
            if Instant::now() > deadline {
                return Err(CgroupError::NotFrozen { path: freezer.directory, waited: PATIENCE });
            }
            sleep(PAUSE);
        }
        Ok(())
    }

    /// Lets a frozen group go on; one that is not frozen, or cannot be, is left alone.
    ///
    /// # Errors
    /// [`CgroupError::Write`].
    pub fn thaw(&self) -> Result<(), CgroupError> {
        self.freezer().map_or(Ok(()), |freezer| freezer.set(State::Running))
    }

    /// Whether the group rests, frozen by whomever.
    ///
    /// # Errors
    /// [`CgroupError::Read`].
    pub fn is_frozen(&self) -> Result<bool, CgroupError> {
        self.freezer().map_or(Ok(false), |freezer| Ok(freezer.state()? == State::Frozen))
    }

    fn freezer(&self) -> Option<Freezer> {
        let in_tree = |file: &str, version| {
            let directory = self.directories.iter().find(|directory| directory.join(file).exists())?;
            Some(Freezer { directory: directory.clone(), version })
        };
        // The v2 freezer where there is one: what it froze can still be killed.
        in_tree("cgroup.freeze", Version::V2).or_else(|| in_tree("freezer.state", Version::V1))
    }

    /// Lists the processes in any of the group's directories, in order of their ids.
    pub fn members(&self) -> BTreeSet<u32> {
        self.directories.iter().flat_map(|directory| members(directory)).collect()
    }

    /// Whether no process is left; true for a group that does not exist.
    pub fn is_empty(&self) -> bool {
        self.directories.iter().all(|directory| members(directory).is_empty())
    }

    /// Reads what the group has used.
    pub fn usage(&self) -> Usage {
        let read_number = |name: &str| number(&self.file(name)?);
        let read_field = |file: &str, name: &str| {
            self.directories.iter().find_map(|directory| field(&directory.join(file), name))
        };
        Usage {
            cpu_usec: read_number("cpuacct.usage")
                .map(|nanoseconds| nanoseconds / 1000)
                .or_else(|| read_field("cpu.stat", "usage_usec")),
            memory_bytes: read_number("memory.current").or_else(|| read_number("memory.usage_in_bytes")),
            memory_peak_bytes: read_number("memory.peak")
                .or_else(|| read_number("memory.max_usage_in_bytes")),
            oom_kills: read_field("memory.events", "oom_kill")
                .or_else(|| read_field("memory.oom_control", "oom_kill")),
            pids: read_number("pids.current"),
        }
    }

    /// Removes the group and its sub-groups from every tree; one that is gone is fine. Blocks for at most 5 s a tree.
    ///
    /// # Errors
    /// [`CgroupError::Remove`], with `EBUSY` while a process is left in it.
    pub fn remove(&self) -> Result<(), CgroupError> {
        self.directories.iter().try_for_each(|directory| remove_directory(directory))
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        self.directories.iter().map(|directory| directory.join(name)).find(|path| path.exists())
    }
}

/// Removes a group's directory with those below, waiting for processes that are just ending.
pub(crate) fn remove_directory(directory: &Path) -> Result<(), CgroupError> {
    for below in subdirectories(directory) {
        remove_directory(&below)?;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match fs::remove_dir(directory) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // Only what is about to end is worth waiting for.
            Err(error)
                if error.kind() == io::ErrorKind::ResourceBusy
                    && subdirectories(directory).is_empty()
                    && Instant::now() < deadline =>
            {
                sleep(PAUSE);
            }
            Err(source) => return Err(CgroupError::Remove { path: directory.to_owned(), source }),
        }
    }
}

/// The one directory through which a group is frozen.
struct Freezer {
    directory: PathBuf,
    version: Version,
}

#[derive(Clone, Copy)]
enum Version {
    V1,
    V2,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Frozen,
}

impl Freezer {
    fn set(&self, state: State) -> Result<(), CgroupError> {
        let (file, value) = match (self.version, state) {
            (Version::V1, State::Frozen) => ("freezer.state", "FROZEN"),
            (Version::V1, State::Running) => ("freezer.state", "THAWED"),
            (Version::V2, State::Frozen) => ("cgroup.freeze", "1"),
            (Version::V2, State::Running) => ("cgroup.freeze", "0"),
        };
        write(&self.directory.join(file), value)
    }

    fn state(&self) -> Result<State, CgroupError> {
        let is_frozen = match self.version {
            Version::V1 => read(&self.directory.join("freezer.state"))?.trim() == "FROZEN",
            Version::V2 => {
                read(&self.directory.join("cgroup.events"))?.lines().any(|line| line == "frozen 1")
            }
        };
        Ok(if is_frozen { State::Frozen } else { State::Running })
    }
}
