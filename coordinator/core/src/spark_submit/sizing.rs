//! From effective settings to the worker that a driver or an executor needs (guide:1334-1341).
//!
//! Memory is the heap plus its overhead, plus off-heap and Python memory for executors, as Spark's own resource
//! managers count it; the sum is rounded up into the table of worker sizes.

use super::Fault;
use super::entry_point::EntryKind;
use super::memory::{self, MIB_RULE};
use crate::worker_size::{self, Disk, DiskType};
use hearth_types::WorkerSize;
use std::collections::BTreeMap;
use std::fmt;

/// Least memory beside the heap in MiB (guide:1335).
const OVERHEAD_MINIMUM_MIB: u64 = 384;
/// Share of the heap that is added beside it, unless a setting says otherwise (guide:2917).
const OVERHEAD_FACTOR: f64 = 0.1;

/// Which of a job's processes a size is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The driver.
    Driver,
    /// An executor of the default resource profile.
    Executor,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Role {
    /// The word Spark's settings use.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Driver => "driver",
            Self::Executor => "executor",
        }
    }
}

/// What one driver or executor asks for, and the worker that satisfies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessSize {
    /// The worker's size, from the table.
    pub worker: WorkerSize,
    /// The worker's disk type.
    pub disk_type: DiskType,
    /// Task slots: Spark's cores.
    pub cores: u64,
    /// Java heap in MiB.
    pub heap_mib: u64,
    /// Memory beside the heap in MiB.
    pub overhead_mib: u64,
    /// Spark's off-heap memory in MiB, executors only.
    pub off_heap_mib: u64,
    /// Python's memory in MiB, executors of Python jobs only.
    pub pyspark_mib: u64,
}

/// The size of the process in `role` under the effective `settings`, which must hold cores and memory.
pub fn size(
    role: Role,
    settings: &BTreeMap<String, String>,
    entry: EntryKind,
) -> Result<ProcessSize, Vec<Fault>> {
    let mut reader = Reader { settings, faults: Vec::new() };
    let name = role.as_str();
    let cores = reader.whole(&format!("spark.{name}.cores"));
    let heap_mib = reader.mib(&format!("spark.{name}.memory")).unwrap_or(0);
    let factor = reader
        .factor(&format!("spark.{name}.memoryOverheadFactor"))
        .or_else(|| reader.factor("spark.emr-serverless.memoryOverheadFactor"))
        .unwrap_or(OVERHEAD_FACTOR);
    let overhead_mib = reader
        .mib_or_zero(&format!("spark.{name}.memoryOverhead"))
        .unwrap_or_else(|| ((heap_mib as f64 * factor) as u64).max(OVERHEAD_MINIMUM_MIB));
    let (off_heap_mib, pyspark_mib) = match role {
        Role::Driver => (0, 0),
        Role::Executor => (reader.off_heap_mib(), reader.pyspark_mib(entry)),
    };
    let disk = reader.disk(name);
    if !reader.faults.is_empty() {
        return Err(reader.faults);
    }
    let total =
        heap_mib.saturating_add(overhead_mib).saturating_add(off_heap_mib).saturating_add(pyspark_mib);
    let worker =
        worker_size::fitting(cores, total, disk).map_err(|source| vec![Fault::Size { role, source }])?;
    Ok(ProcessSize {
        worker,
        disk_type: disk.disk_type,
        cores,
        heap_mib,
        overhead_mib,
        off_heap_mib,
        pyspark_mib,
    })
}

/// Reads settings and collects what is wrong with them.
struct Reader<'a> {
    settings: &'a BTreeMap<String, String>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    /// The setting read by `parse`; absent or faulty gives `None`.
    fn read<T>(&mut self, key: &str, rule: &'static str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.settings.get(key)?;
        let value = parse(text);
        if value.is_none() {
            self.faults.push(Fault::Value { key: key.to_owned(), value: text.clone(), rule });
        }
        value
    }

    fn mib(&mut self, key: &str) -> Option<u64> {
        self.read(key, MIB_RULE, memory::mib)
    }

    /// As [`Self::mib`] where zero is an answer.
    fn mib_or_zero(&mut self, key: &str) -> Option<u64> {
        self.read(key, MIB_RULE, |text| memory::bytes(text, memory::Unit::Mib).map(|bytes| bytes >> 20))
    }

    fn whole(&mut self, key: &str) -> u64 {
        let parse =
            |text: &str| text.parse::<i32>().ok().and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
        self.read(key, "a positive whole number", parse).unwrap_or(1)
    }

    fn factor(&mut self, key: &str) -> Option<f64> {
        let parse = |text: &str| text.trim().parse::<f64>().ok().filter(|f| f.is_finite() && *f > 0.0);
        self.read(key, "a positive number such as 0.1", parse)
    }

    /// Spark counts off-heap memory only when it is switched on.
    fn off_heap_mib(&mut self) -> u64 {
        let on = self
            .settings
            .get("spark.memory.offHeap.enabled")
            .is_some_and(|on| on.eq_ignore_ascii_case("true"));
        // Without a unit this one setting is in bytes (`MEMORY_OFFHEAP_SIZE`).
        let parse = |text: &str| match text.trim().parse::<u64>() {
            Ok(bytes) => Some(bytes.div_ceil(1 << 20)),
            Err(_) => memory::bytes(text, memory::Unit::Mib).map(|bytes| bytes.div_ceil(1 << 20)),
        };
        if on { self.read("spark.memory.offHeap.size", MIB_RULE, parse).unwrap_or(0) } else { 0 }
    }

    fn pyspark_mib(&mut self, entry: EntryKind) -> u64 {
        match entry {
            EntryKind::Python => self.mib_or_zero("spark.executor.pyspark.memory").unwrap_or(0),
            EntryKind::Jar | EntryKind::Sql => 0,
        }
    }

    fn disk(&mut self, name: &str) -> Disk {
        let gib =
            self.read(&format!("spark.emr-serverless.{name}.disk"), "a whole size such as 20G", memory::gib);
        let disk_type = self.read(
            &format!("spark.emr-serverless.{name}.disk.type"),
            "standard or shuffle_optimized",
            |text| text.parse().ok(),
        );
        let default = Disk::default();
        Disk { gib: gib.unwrap_or(default.gib), disk_type: disk_type.unwrap_or(default.disk_type) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executor(pairs: &[(&str, &str)], entry: EntryKind) -> Result<ProcessSize, Vec<Fault>> {
        let settings = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        size(Role::Executor, &settings, entry)
    }

    #[test]
    fn the_guides_own_examples_fit() {
        for (cores, memory, gib) in [
            ("1", "4g", 5),
            ("4", "20g", 22),
            ("4", "8g", 9),
            ("4", "14G", 16),
            ("4", "16g", 18),
            ("1", "3g", 4),
            ("2", "8G", 9),
            ("1", "1g", 2),
            ("4", "27g", 30),
        ] {
            let size = executor(
                &[("spark.executor.cores", cores), ("spark.executor.memory", memory)],
                EntryKind::Jar,
            );
            assert_eq!(size.expect(memory).worker.memory_mib, gib * 1024, "{cores} cores, {memory}");
        }
    }

    #[test]
    fn every_part_of_memory_is_counted() {
        let pairs = [
            ("spark.executor.cores", "4"),
            ("spark.executor.memory", "10g"),
            ("spark.executor.memoryOverhead", "1g"),
            ("spark.memory.offHeap.enabled", "true"),
            ("spark.memory.offHeap.size", "2147483648"),
            ("spark.executor.pyspark.memory", "3g"),
            ("spark.emr-serverless.memoryOverheadFactor", "0.5"),
        ];
        let python = executor(&pairs, EntryKind::Python).expect("fits");
        assert_eq!((python.overhead_mib, python.off_heap_mib, python.pyspark_mib), (1024, 2048, 3072));
        assert_eq!(python.worker.memory_mib, 16 * 1024);
        assert_eq!(executor(&pairs, EntryKind::Jar).expect("fits").worker.memory_mib, 13 * 1024);
    }

    #[test]
    fn the_narrower_overhead_factor_wins() {
        let pairs = [
            ("spark.executor.cores", "4"),
            ("spark.executor.memory", "10g"),
            ("spark.emr-serverless.memoryOverheadFactor", "0.5"),
            ("spark.executor.memoryOverheadFactor", "0.2"),
        ];
        assert_eq!(executor(&pairs, EntryKind::Jar).expect("fits").overhead_mib, 2048);
        assert_eq!(executor(&pairs[..3], EntryKind::Jar).expect("fits").overhead_mib, 5120);
    }

    #[test]
    fn faults_are_found_together() {
        let faults = executor(
            &[
                ("spark.executor.cores", "0"),
                ("spark.executor.memory", "1.5g"),
                ("spark.emr-serverless.executor.disk", "lots"),
                ("spark.emr-serverless.executor.disk.type", "nvme"),
            ],
            EntryKind::Jar,
        );
        assert_eq!(faults.expect_err("faulty").len(), 4);
    }

    #[test]
    fn a_size_outside_the_table_is_refused_with_its_role() {
        let faults =
            executor(&[("spark.executor.cores", "4"), ("spark.executor.memory", "28g")], EntryKind::Jar)
                .expect_err("too large");
        assert_eq!(
            faults[0].to_string(),
            "the executor needs an unsupported worker size: 31539 MiB of memory is more than the 30 GB that a worker \
             with 4 vCPU can have"
        );
        let disk = [
            ("spark.executor.cores", "4"),
            ("spark.executor.memory", "8g"),
            ("spark.emr-serverless.executor.disk", "500G"),
        ];
        assert!(executor(&disk, EntryKind::Jar).is_err());
        let fast =
            [disk[0], disk[1], disk[2], ("spark.emr-serverless.executor.disk.type", "shuffle_optimized")];
        assert_eq!(executor(&fast, EntryKind::Jar).expect("fits").worker.disk_gib, 500);
    }
}
