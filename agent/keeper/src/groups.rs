//! The worker's cgroups as the keeper needs them: killing what is left, and what the kernel counted.
//!
//! Works on plain directories, whatever mixture of cgroup versions they come from; each file is used where it exists.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Sends SIGKILL to every member of the groups once. Members that fork meanwhile need another call.
pub fn kill_members(directories: &[PathBuf]) {
    for directory in directories {
        if fs::write(directory.join("cgroup.kill"), "1").is_err() {
            kill_frozen(directory);
        }
    }
}

/// Kills without `cgroup.kill`: frozen processes cannot fork, so where a freezer exists none escapes.
fn kill_frozen(directory: &Path) {
    let state = directory.join("freezer.state");
    // Errors are no reason to stop: the group may lack a freezer, or be gone together with its members.
    let _ = fs::write(&state, "FROZEN");
    for pid in members(directory) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = fs::write(&state, "THAWED");
}

/// Whether no process is left in any of the groups; a group that is gone is empty.
pub fn are_empty(directories: &[PathBuf]) -> bool {
    directories.iter().all(|directory| members(directory).is_empty())
}

fn members(directory: &Path) -> Vec<i32> {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).filter(|&pid| pid > 1).collect()
}

/// What the kernel counted for a worker; `None` where no controller counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Processes killed for want of memory.
    pub oom_kills: Option<u64>,
    /// Most memory ever held, in bytes.
    pub memory_peak_bytes: Option<u64>,
    /// CPU time used, in microseconds.
    pub cpu_usec: Option<u64>,
}

impl Counters {
    /// Reads the counters of the groups whose `cgroup.procs` files are given, taking the first group that has each.
    pub fn read(cgroup_procs: &[PathBuf]) -> Self {
        let directories: Vec<&Path> = cgroup_procs.iter().filter_map(|file| file.parent()).collect();
        let first =
            |read: &dyn Fn(&Path) -> Option<u64>| directories.iter().find_map(|directory| read(directory));
        Self {
            oom_kills: first(&|directory| {
                field(&directory.join("memory.events"), "oom_kill")
                    .or_else(|| field(&directory.join("memory.oom_control"), "oom_kill"))
            }),
            memory_peak_bytes: first(&|directory| {
                number(&directory.join("memory.peak"))
                    .or_else(|| number(&directory.join("memory.max_usage_in_bytes")))
            }),
            cpu_usec: first(&|directory| {
                number(&directory.join("cpuacct.usage"))
                    .map(|nanoseconds| nanoseconds / 1000)
                    .or_else(|| field(&directory.join("cpu.stat"), "usage_usec"))
            }),
        }
    }
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn field(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let words = text.lines().filter_map(|line| line.split_once(' '));
    words.filter(|(key, _)| *key == name).find_map(|(_, value)| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_come_from_either_cgroup_version() {
        let root = tempfile::tempdir().expect("a directory");
        let group = |name: &str, files: &[(&str, &str)]| {
            let directory = root.path().join(name);
            fs::create_dir(&directory).expect("made");
            for (file, text) in files {
                fs::write(directory.join(file), text).expect("written");
            }
            directory.join("cgroup.procs")
        };
        let cpu = group("cpu", &[("cpu.stat", "nr_periods 0\n")]);
        let acct = group("cpuacct", &[("cpuacct.usage", "5000000\n")]);
        let memory = group(
            "memory",
            &[
                ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
                ("memory.max_usage_in_bytes", "4096\n"),
            ],
        );
        let expected = Counters { oom_kills: Some(2), memory_peak_bytes: Some(4096), cpu_usec: Some(5000) };
        assert_eq!(Counters::read(&[cpu, acct, memory]), expected);

        let unified = group(
            "v2",
            &[
                ("memory.events", "low 0\noom 3\noom_kill 1\noom_group_kill 0\n"),
                ("memory.peak", "8192\n"),
                ("cpu.stat", "usage_usec 77\nuser_usec 1\n"),
            ],
        );
        let expected = Counters { oom_kills: Some(1), memory_peak_bytes: Some(8192), cpu_usec: Some(77) };
        assert_eq!(Counters::read(&[unified]), expected);
        assert_eq!(Counters::read(&[]), Counters::default());
    }
}
