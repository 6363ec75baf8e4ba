//! The limits of a worker and how each cgroup version is told.

use std::path::Path;

use crate::CgroupError;
use crate::files::write;

/// Length of the interval over which CPU time is rationed, in microseconds.
const CPU_PERIOD_USEC: u64 = 100_000;
/// The kernel's smallest quota, in microseconds a period.
const SMALLEST_CPU_QUOTA_USEC: u64 = 1_000;

/// The most a worker can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Processor time in thousandths of one CPU.
    pub cpu_millis: u64,
    /// Memory in bytes; swap counts in, so a worker cannot escape into it.
    pub memory_bytes: u64,
    /// Processes and threads together.
    pub pids: u64,
    /// What it gets when others want the processors too.
    pub share: Share,
}

/// A worker's part of the processors when there are not enough for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// In proportion to its [`Limits::cpu_millis`].
    Proportional,
    /// What others leave: the smallest the kernel knows.
    Leftover,
}

impl Limits {
    pub(crate) fn quota_usec(&self) -> u64 {
        (self.cpu_millis.saturating_mul(CPU_PERIOD_USEC) / 1000).max(SMALLEST_CPU_QUOTA_USEC)
    }

    /// The share under contention on v1, where one CPU is 1024.
    fn shares(&self) -> u64 {
        match self.share {
            Share::Proportional => (self.cpu_millis.saturating_mul(1024) / 1000).clamp(2, 262_144),
            Share::Leftover => 2,
        }
    }

    /// The share under contention on v2, where one CPU is the default 100.
    fn weight(&self) -> u64 {
        match self.share {
            Share::Proportional => (self.cpu_millis / 10).clamp(1, 10_000),
            Share::Leftover => 1,
        }
    }

    /// Sets the limit of one v1 controller on `directory`; controllers without limits are left alone.
    pub(crate) fn set_v1(&self, controller: &str, directory: &Path) -> Result<(), CgroupError> {
        match controller {
            "cpu" => {
                write(&directory.join("cpu.shares"), self.shares())?;
                write(&directory.join("cpu.cfs_period_us"), CPU_PERIOD_USEC)?;
                write(&directory.join("cpu.cfs_quota_us"), self.quota_usec())
            }
            "memory" => set_memory_v1(directory, self.memory_bytes),
            "pids" => write(&directory.join("pids.max"), self.pids),
            _ => Ok(()),
        }
    }

    /// Sets the limit of one v2 controller on `directory`.
    pub(crate) fn set_v2(&self, controller: &str, directory: &Path) -> Result<(), CgroupError> {
        match controller {
            "cpu" => {
                write(&directory.join("cpu.weight"), self.weight())?;
                write(&directory.join("cpu.max"), format!("{} {CPU_PERIOD_USEC}", self.quota_usec()))
            }
            "memory" => set_memory_v2(directory, self.memory_bytes),
            "pids" => write(&directory.join("pids.max"), self.pids),
            _ => Ok(()),
        }
    }
}

/// Limits memory, and memory with swap to the same, on v1.
pub(crate) fn set_memory_v1(directory: &Path, bytes: u64) -> Result<(), CgroupError> {
    let (memory, with_swap) =
        (directory.join("memory.limit_in_bytes"), directory.join("memory.memsw.limit_in_bytes"));
    if !with_swap.exists() {
        return write(&memory, bytes);
    }
    // The sum may never be below its part: lower the part first, raise the sum first.
    if write(&memory, bytes).is_err() {
        write(&with_swap, bytes)?;
        return write(&memory, bytes);
    }
    write(&with_swap, bytes)
}

/// Limits memory and forbids swap on v2.
pub(crate) fn set_memory_v2(directory: &Path, bytes: u64) -> Result<(), CgroupError> {
    let swap = directory.join("memory.swap.max");
    if swap.exists() {
        write(&swap, 0)?;
    }
    write(&directory.join("memory.max"), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_rationed_in_proportion() {
        for (millis, quota, shares, weight) in [
            (1000, 100_000, 1024, 100),
            (2500, 250_000, 2560, 250),
            (1, 1_000, 2, 1),
            (16_000, 1_600_000, 16_384, 1600),
        ] {
            let limits = Limits { cpu_millis: millis, memory_bytes: 0, pids: 0, share: Share::Proportional };
            assert_eq!(
                (limits.quota_usec(), limits.shares(), limits.weight()),
                (quota, shares, weight),
                "{millis}"
            );
            let leftover = Limits { share: Share::Leftover, ..limits };
            assert_eq!((leftover.quota_usec(), leftover.shares(), leftover.weight()), (quota, 2, 1));
        }
    }
}
