//! The table of worker sizes that can be asked for (guide:1324-1332), and how a need is rounded up into it.
//!
//! A "GB" of the table is 2³⁰ bytes here, as it is for the JVM whose heap has to fit.

use hearth_types::WorkerSize;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// MiB in one GB of the table.
const MIB_PER_GIB: u64 = 1024;
/// Smallest disk of a worker in GiB (guide:1341).
const DISK_MINIMUM_GIB: u64 = 20;
/// Largest standard disk of a worker in GiB (guide:1341).
const STANDARD_DISK_MAXIMUM_GIB: u64 = 200;
/// Largest shuffle-optimized disk of a worker in GiB (guide:2446).
const SHUFFLE_DISK_MAXIMUM_GIB: u64 = 2000;

/// The kind of disk a worker has (guide:2439-2446).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum DiskType {
    /// 20 to 200 GB.
    #[default]
    #[serde(rename = "STANDARD")]
    Standard,
    /// 20 to 2,000 GB on the fastest medium of the host.
    #[serde(rename = "SHUFFLE_OPTIMIZED")]
    ShuffleOptimized,
}

impl DiskType {
    /// The API's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::ShuffleOptimized => "SHUFFLE_OPTIMIZED",
        }
    }

    /// Largest disk of this type in GiB.
    pub const fn maximum_gib(self) -> u64 {
        match self {
            Self::Standard => STANDARD_DISK_MAXIMUM_GIB,
            Self::ShuffleOptimized => SHUFFLE_DISK_MAXIMUM_GIB,
        }
    }
}

impl fmt::Display for DiskType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DiskType {
    type Err = UnsupportedSize;

    /// Reads the API's names and the spellings of Spark properties (`shuffle_optimized`, `Standard`), in any case.
    fn from_str(text: &str) -> Result<Self, UnsupportedSize> {
        match text.to_ascii_uppercase().as_str() {
            "STANDARD" => Ok(Self::Standard),
            "SHUFFLE_OPTIMIZED" => Ok(Self::ShuffleOptimized),
            _ => Err(UnsupportedSize::DiskType(text.to_owned())),
        }
    }
}

/// Size and type of a worker's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Disk {
    /// Size in GiB.
    pub gib: u64,
    /// Type, which decides how large the disk may be.
    pub disk_type: DiskType,
}

impl Default for Disk {
    /// 20 GiB, standard: what a worker has when nothing is said (guide:2913-2918).
    fn default() -> Self {
        Self { gib: DISK_MINIMUM_GIB, disk_type: DiskType::Standard }
    }
}

/// One row of the table: the memory a worker with so many vCPUs may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Whole vCPUs.
    pub vcpu: u64,
    /// Least memory in GiB.
    pub minimum_gib: u64,
    /// Most memory in GiB.
    pub maximum_gib: u64,
    /// Memory comes in steps of this many GiB above the minimum.
    pub step_gib: u64,
}

/// Every supported row, by rising vCPUs (guide:1324-1332).
pub const TABLE: [Row; 5] = [
    Row { vcpu: 1, minimum_gib: 2, maximum_gib: 8, step_gib: 1 },
    Row { vcpu: 2, minimum_gib: 4, maximum_gib: 16, step_gib: 1 },
    Row { vcpu: 4, minimum_gib: 8, maximum_gib: 30, step_gib: 1 },
    Row { vcpu: 8, minimum_gib: 16, maximum_gib: 60, step_gib: 4 },
    Row { vcpu: 16, minimum_gib: 32, maximum_gib: 120, step_gib: 8 },
];

/// The wanted size is not one a worker can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedSize {
    /// The number of vCPUs is not in the table.
    #[error("{0} vCPU is not supported: a worker has 1, 2, 4, 8 or 16 vCPU")]
    Vcpu(u64),
    /// More memory than a worker with so many vCPUs can have.
    #[error(
        "{wanted_mib} MiB of memory is more than the {maximum_gib} GB that a worker with {vcpu} vCPU can have"
    )]
    MemoryAboveMaximum {
        /// The worker's vCPUs.
        vcpu: u64,
        /// Wanted memory in MiB, overhead included.
        wanted_mib: u64,
        /// The row's maximum in GiB.
        maximum_gib: u64,
    },
    /// Memory below the row's minimum, or between two steps.
    #[error(
        "{gib} GB of memory is not supported with {} vCPU: it must be {} to {} GB in {} GB increments",
        row.vcpu, row.minimum_gib, row.maximum_gib, row.step_gib
    )]
    Memory {
        /// Wanted memory in GiB.
        gib: u64,
        /// The row it was compared with.
        row: Row,
    },
    /// The disk is too small or too large for its type.
    #[error("{gib} GB of disk is not supported: a {disk_type} disk has 20 to {} GB", disk_type.maximum_gib())]
    Disk {
        /// Wanted size in GiB.
        gib: u64,
        /// Wanted type.
        disk_type: DiskType,
    },
    /// The text names no disk type.
    #[error("disk type {0:?} is not supported: it must be standard or shuffle_optimized")]
    DiskType(String),
    /// The text is not an amount with a unit the API knows.
    #[error("{0:?} is not an amount such as 4vCPU or 16GB")]
    Amount(String),
}

/// The row for `vcpu` whole vCPUs.
///
/// A number between two rows is refused, not rounded: the service lists five values (guide:1334), and silently
/// giving a job more cores than it counted on would change how many tasks run at once.
pub fn row(vcpu: u64) -> Result<Row, UnsupportedSize> {
    TABLE.into_iter().find(|row| row.vcpu == vcpu).ok_or(UnsupportedSize::Vcpu(vcpu))
}

/// The size of exactly `vcpu` and `memory_gib`, as for pre-initialized capacity.
pub fn exact(vcpu: u64, memory_gib: u64, disk: Disk) -> Result<WorkerSize, UnsupportedSize> {
    let row = row(vcpu)?;
    let in_range = (row.minimum_gib..=row.maximum_gib).contains(&memory_gib);
    let on_step = in_range && (memory_gib - row.minimum_gib).is_multiple_of(row.step_gib);
    if !on_step {
        return Err(UnsupportedSize::Memory { gib: memory_gib, row });
    }
    check_disk(disk)?;
    Ok(WorkerSize::new(vcpu, memory_gib * MIB_PER_GIB, disk.gib))
}

/// The smallest supported size with `vcpu` and at least `memory_mib` (heap and overheads together).
///
/// A need below the row's minimum gets the minimum; one above its maximum is refused.
pub fn fitting(vcpu: u64, memory_mib: u64, disk: Disk) -> Result<WorkerSize, UnsupportedSize> {
    let row = row(vcpu)?;
    let wanted_gib = memory_mib.div_ceil(MIB_PER_GIB).max(row.minimum_gib);
    let steps = (wanted_gib - row.minimum_gib).div_ceil(row.step_gib);
    let memory_gib = row.minimum_gib.saturating_add(steps.saturating_mul(row.step_gib));
    if memory_gib > row.maximum_gib {
        return Err(UnsupportedSize::MemoryAboveMaximum {
            vcpu,
            wanted_mib: memory_mib,
            maximum_gib: row.maximum_gib,
        });
    }
    check_disk(disk)?;
    Ok(WorkerSize::new(vcpu, memory_gib * MIB_PER_GIB, disk.gib))
}

/// Reads a worker configuration of the API (`4vCPU`, `16 GB`, `20GB`, `SHUFFLE_OPTIMIZED`) as an exact size.
pub fn from_api(
    cpu: &str,
    memory: &str,
    disk: Option<&str>,
    disk_type: Option<&str>,
) -> Result<WorkerSize, UnsupportedSize> {
    let mut wanted = Disk::default();
    if let Some(text) = disk_type {
        wanted.disk_type = text.parse()?;
    }
    if let Some(text) = disk {
        wanted.gib = amount(text, "gb")?;
    }
    exact(amount(cpu, "vcpu")?, amount(memory, "gb")?, wanted)
}

/// The whole number before an optional `unit` (lower case), with at most one space between.
pub fn amount(text: &str, unit: &str) -> Result<u64, UnsupportedSize> {
    let refused = || UnsupportedSize::Amount(text.to_owned());
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = text.split_at(digits);
    let rest = rest.strip_prefix(char::is_whitespace).unwrap_or(rest).to_ascii_lowercase();
    if !rest.is_empty() && rest != unit {
        return Err(refused());
    }
    number.parse().map_err(|_| refused())
}

fn check_disk(disk: Disk) -> Result<(), UnsupportedSize> {
    if (DISK_MINIMUM_GIB..=disk.disk_type.maximum_gib()).contains(&disk.gib) {
        Ok(())
    } else {
        Err(UnsupportedSize::Disk { gib: disk.gib, disk_type: disk.disk_type })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(vcpu: u64, memory_mib: u64) -> Result<u64, UnsupportedSize> {
        fitting(vcpu, memory_mib, Disk::default()).map(|size| size.memory_mib / MIB_PER_GIB)
    }

    #[test]
    fn a_need_is_rounded_up_into_its_row() {
        for (vcpu, mib, gib) in [
            (1, 1, 2),
            (1, 4505, 5),
            (2, 4096, 4),
            (4, 15_770, 16),
            (4, 22_528, 22),
            (8, 17_000, 20),
            (8, 61_440, 60),
            (16, 33_000, 40),
            (16, 122_880, 120),
        ] {
            assert_eq!(fitted(vcpu, mib), Ok(gib), "{vcpu} vCPU, {mib} MiB");
        }
    }

    #[test]
    fn more_than_the_rows_maximum_is_refused_and_names_it() {
        let refusal = fitted(4, 30 * 1024 + 1).expect_err("too much");
        assert_eq!(
            refusal.to_string(),
            "30721 MiB of memory is more than the 30 GB that a worker with 4 vCPU can have"
        );
        assert_eq!(fitted(3, 4096), Err(UnsupportedSize::Vcpu(3)));
        assert!(fitted(1, u64::MAX).is_err());
    }

    #[test]
    fn an_exact_size_must_be_in_the_table() {
        assert!(from_api("4vCPU", "30 GB", None, None).is_ok());
        assert!(from_api("8", "20", None, None).is_ok());
        for (cpu, memory) in
            [("4vCPU", "31GB"), ("4vCPU", "7GB"), ("8vCPU", "18GB"), ("5 vCPU", "8GB"), ("4GB", "8GB")]
        {
            assert!(from_api(cpu, memory, None, None).is_err(), "{cpu} {memory}");
        }
    }

    #[test]
    fn a_disk_has_the_bounds_of_its_type() {
        assert!(from_api("1vCPU", "2GB", Some("200GB"), None).is_ok());
        assert!(from_api("1vCPU", "2GB", Some("201GB"), None).is_err());
        assert!(from_api("1vCPU", "2GB", Some("19GB"), None).is_err());
        assert!(from_api("1vCPU", "2GB", Some("2000GB"), Some("Shuffle_Optimized")).is_ok());
        assert!(from_api("1vCPU", "2GB", Some("2001GB"), Some("SHUFFLE_OPTIMIZED")).is_err());
        assert!(from_api("1vCPU", "2GB", None, Some("nvme")).is_err());
    }
}
