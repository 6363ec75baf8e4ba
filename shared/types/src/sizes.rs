//! Sizes of workers and of hosts, and their arithmetic.

use serde::{Deserialize, Serialize};
use std::fmt;

/// CPU, memory and disk of one worker, of a host, or of a sum of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WorkerSize {
    /// Thousandths of a vCPU.
    pub cpu_millis: u64,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Ephemeral disk in GiB.
    pub disk_gib: u64,
}

impl WorkerSize {
    /// A size from whole vCPUs, MiB of memory and GiB of disk.
    pub const fn new(vcpu: u64, memory_mib: u64, disk_gib: u64) -> Self {
        Self { cpu_millis: vcpu * 1000, memory_mib, disk_gib }
    }

    /// Whether a worker of this size fits into `room` in every dimension.
    pub fn fits(&self, room: &Self) -> bool {
        self.cpu_millis <= room.cpu_millis
            && self.memory_mib <= room.memory_mib
            && self.disk_gib <= room.disk_gib
    }

    /// The sum, saturating.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.saturating_add(other.cpu_millis),
            memory_mib: self.memory_mib.saturating_add(other.memory_mib),
            disk_gib: self.disk_gib.saturating_add(other.disk_gib),
        }
    }

    /// The difference, each dimension stopping at zero.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.saturating_sub(other.cpu_millis),
            memory_mib: self.memory_mib.saturating_sub(other.memory_mib),
            disk_gib: self.disk_gib.saturating_sub(other.disk_gib),
        }
    }
}

impl fmt::Display for WorkerSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vcpu = self.cpu_millis as f64 / 1000.0;
        let memory = self.memory_mib as f64 / 1024.0;
        write!(f, "{vcpu} vCPU, {memory} GB memory, {} GB disk", self.disk_gib)
    }
}

/// A processor architecture, named as the API names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
pub enum Architecture {
    /// 64-bit x86 (the service's default).
    #[default]
    #[serde(rename = "X86_64")]
    X86_64,
    /// 64-bit Arm.
    #[serde(rename = "ARM64")]
    Arm64,
}

/// The text named no architecture that workers can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown architecture {0:?}")]
pub struct UnknownArchitecture(String);

impl Architecture {
    /// The API's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "X86_64",
            Self::Arm64 => "ARM64",
        }
    }
}

impl std::str::FromStr for Architecture {
    type Err = UnknownArchitecture;
    fn from_str(text: &str) -> Result<Self, UnknownArchitecture> {
        match text {
            "X86_64" | "x86_64" => Ok(Self::X86_64),
            "ARM64" | "aarch64" => Ok(Self::Arm64),
            other => Err(UnknownArchitecture(other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_fits_only_when_every_dimension_does() {
        let room = WorkerSize::new(4, 8192, 20);
        assert!(WorkerSize::new(4, 8192, 20).fits(&room));
        assert!(!WorkerSize::new(5, 1, 1).fits(&room));
        assert!(!WorkerSize::new(1, 8193, 1).fits(&room));
        assert!(!WorkerSize::new(1, 1, 21).fits(&room));
    }

    #[test]
    fn a_size_reads_as_the_api_speaks() {
        assert_eq!(WorkerSize::new(4, 16384, 20).to_string(), "4 vCPU, 16 GB memory, 20 GB disk");
    }
}
