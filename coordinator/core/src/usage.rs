//! What workers used, and what of it is billed: sums over the durable records of workers, in whole seconds (guide:9130).
//!
//! A worker is counted from the start of its process to its end, as its own host measured it; one whose host could not tell, from
//! when the coordinator heard of the one to when it heard of the other. All arithmetic is on integers, so that a sum is the same in
//! whatever order it is made.

use crate::worker::{Worker, WorkerState};
use hearth_types::Timestamp;
use std::iter::Sum;
use std::ops::Add;
use std::time::Duration;

/// What a worker is billed for at least (guide:9130).
const LEAST_BILLED_SECONDS: u64 = 60;
/// Storage of each worker that is not billed, in GB (guide:9130).
const FREE_DISK_GIB: u64 = 20;
const SECONDS_PER_HOUR: f64 = 3600.0;

/// An amount of capacity over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Thousandths of vCPUs times seconds.
    pub cpu_milli_seconds: u64,
    /// MiB of memory times seconds.
    pub memory_mib_seconds: u64,
    /// GiB of disk times seconds.
    pub disk_gib_seconds: u64,
}

impl Amount {
    /// vCPU hours.
    pub fn vcpu_hours(&self) -> f64 {
        self.cpu_milli_seconds as f64 / 1000.0 / SECONDS_PER_HOUR
    }

    /// GB hours of memory.
    pub fn memory_gb_hours(&self) -> f64 {
        self.memory_mib_seconds as f64 / 1024.0 / SECONDS_PER_HOUR
    }

    /// GB hours of storage.
    pub fn storage_gb_hours(&self) -> f64 {
        self.disk_gib_seconds as f64 / SECONDS_PER_HOUR
    }
}

impl Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            cpu_milli_seconds: self.cpu_milli_seconds.saturating_add(other.cpu_milli_seconds),
            memory_mib_seconds: self.memory_mib_seconds.saturating_add(other.memory_mib_seconds),
            disk_gib_seconds: self.disk_gib_seconds.saturating_add(other.disk_gib_seconds),
        }
    }
}

/// What was used, and what of it is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// All that workers held while they ran.
    pub total: Amount,
    /// With a minute for each worker at least, and without the first 20 GB of each one's storage.
    pub billed: Amount,
}

impl Add for Usage {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { total: self.total + other.total, billed: self.billed + other.billed }
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(each: I) -> Self {
        each.fold(Self::default(), Add::add)
    }
}

/// What one worker used until `now`, or until its end. Nothing, if its process never ran.
pub fn of_worker(worker: &Worker, now: Timestamp) -> Usage {
    let Some(ran) = ran(worker, now) else { return Usage::default() };
    let seconds = u64::try_from(ran.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
    let amount = |seconds: u64, disk_gib: u64| Amount {
        cpu_milli_seconds: worker.size.cpu_millis.saturating_mul(seconds),
        memory_mib_seconds: worker.size.memory_mib.saturating_mul(seconds),
        disk_gib_seconds: disk_gib.saturating_mul(seconds),
    };
    Usage {
        total: amount(seconds, worker.size.disk_gib),
        billed: amount(seconds.max(LEAST_BILLED_SECONDS), worker.size.disk_gib.saturating_sub(FREE_DISK_GIB)),
    }
}

/// How long its process has run; none if it never did.
fn ran(worker: &Worker, now: Timestamp) -> Option<Duration> {
    let until = |end: Timestamp| worker.started_at.map(|started| end.since(started));
    match worker.state {
        WorkerState::Ended { at, ran } => ran.or_else(|| until(at)),
        WorkerState::Assigned
        | WorkerState::Preparing
        | WorkerState::Running
        | WorkerState::Stopping { .. } => until(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::tests::driver;
    use hearth_types::WorkerSize;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn worker(started: Option<i64>, state: WorkerState) -> Worker {
        Worker { size: WorkerSize::new(2, 4096, 25), started_at: started.map(at), state, ..driver() }
    }

    fn ended(ran_ms: Option<u64>) -> WorkerState {
        WorkerState::Ended { at: at(1000), ran: ran_ms.map(Duration::from_millis) }
    }

    #[test]
    fn each_second_that_was_begun_counts_and_a_minute_is_billed_at_least() {
        // Seconds of use, and seconds billed.
        let cases = [
            (worker(Some(0), ended(Some(90_001))), 91, 91),
            (worker(Some(0), ended(Some(90_000))), 90, 90),
            (worker(Some(0), ended(Some(1))), 1, 60),
            // It started and ended while the coordinator was not there.
            (worker(None, ended(Some(61_000))), 61, 61),
            // Its host was lost: it counts until that was known.
            (worker(Some(900), ended(None)), 100, 100),
            (worker(Some(100), WorkerState::Running), 400, 400),
            (
                worker(
                    Some(480),
                    WorkerState::Stopping { cause: crate::worker::StopCause::RunOver, grace_ms: 0 },
                ),
                20,
                60,
            ),
            (worker(None, WorkerState::Preparing), 0, 0),
            (worker(None, ended(None)), 0, 0),
            // The wall clock went back.
            (worker(Some(600), WorkerState::Running), 0, 60),
        ];
        for (worker, used, billed) in cases {
            let usage = of_worker(&worker, at(500));
            let total = Amount {
                cpu_milli_seconds: 2000 * used,
                memory_mib_seconds: 4096 * used,
                disk_gib_seconds: 25 * used,
            };
            assert_eq!(usage.total, total, "{worker:?}");
            let expected = Amount {
                cpu_milli_seconds: 2000 * billed,
                memory_mib_seconds: 4096 * billed,
                disk_gib_seconds: 5 * billed,
            };
            assert_eq!(usage.billed, expected, "{worker:?}");
        }
    }

    #[test]
    fn amounts_are_told_in_hours() {
        let hour = Amount {
            cpu_milli_seconds: 4000 * 3600,
            memory_mib_seconds: 16384 * 1800,
            disk_gib_seconds: 20 * 36,
        };
        assert_eq!((hour.vcpu_hours(), hour.memory_gb_hours(), hour.storage_gb_hours()), (4.0, 8.0, 0.2));
    }
}
