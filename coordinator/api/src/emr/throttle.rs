//! How often each operation may be asked for (guide:9075-9100).

use super::bucket::{Bucket, Rate};
use super::operation::Operation;
use hearth_types::Timestamp;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The service's limits of an account in a Region: operation, requests a second, requests at once.
const SERVICE: [(Operation, u32, u32); 12] = [
    (Operation::ListApplications, 10, 50),
    (Operation::CreateApplication, 1, 25),
    (Operation::DeleteApplication, 1, 25),
    (Operation::GetApplication, 10, 50),
    (Operation::UpdateApplication, 1, 25),
    (Operation::ListJobRuns, 1, 25),
    (Operation::StartJobRun, 1, 25),
    (Operation::GetDashboardForJobRun, 1, 2),
    (Operation::CancelJobRun, 1, 25),
    (Operation::GetJobRun, 10, 50),
    (Operation::StartApplication, 1, 25),
    (Operation::StopApplication, 1, 25),
];

/// No operation of the service has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no operation of EMR Serverless, such as \"StartJobRun\"")]
pub struct UnknownOperation(pub String);

/// The limits of operations, each over the whole account. An operation that has none is never refused.
#[derive(Default)]
pub struct Throttle {
    limited: BTreeMap<&'static str, Limited>,
}

struct Limited {
    rate: Rate,
    /// Made with the first request.
    bucket: Mutex<Option<Bucket>>,
    refused: AtomicU64,
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rates = self.limited.iter().map(|(name, limited)| (name, limited.rate));
        f.debug_map().entries(rates).finish()
    }
}

impl Throttle {
    /// The limits that the service has by default.
    pub fn as_in_the_service() -> Self {
        let mut throttle = Self::default();
        for (operation, per_second, burst) in SERVICE {
            throttle.set(operation, Rate { per_second, burst });
        }
        throttle
    }

    /// Gives one operation, by the model's name, another limit.
    pub fn limit(&mut self, operation: &str, rate: Rate) -> Result<(), UnknownOperation> {
        let found = Operation::ALL.iter().find(|known| known.name() == operation);
        let found = found.ok_or_else(|| UnknownOperation(operation.to_owned()))?;
        self.set(*found, rate);
        Ok(())
    }

    fn set(&mut self, operation: Operation, rate: Rate) {
        let limited = Limited { rate, bucket: Mutex::default(), refused: AtomicU64::new(0) };
        self.limited.insert(operation.name(), limited);
    }

    /// Lets a request pass, or says when to come again.
    pub(super) fn admit(&self, operation: Operation, now: Timestamp) -> Result<(), Duration> {
        let Some(limited) = self.limited.get(operation.name()) else { return Ok(()) };
        let mut bucket = limited.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = bucket.get_or_insert_with(|| Bucket::full(limited.rate, now)).take(now);
        if taken.is_err() {
            limited.refused.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    /// How many requests were refused so far, by operation; of operations that have a limit.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.limited.iter().map(|(name, limited)| (*name, limited.refused.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_a_limit_of_its_own_and_others_have_none() {
        let mut throttle = Throttle::as_in_the_service();
        throttle.limit("StartJobRun", Rate { per_second: 1, burst: 2 }).expect("an operation");
        let now = Timestamp::from_millis(0);
        let taken = |operation| (0..100).take_while(|_| throttle.admit(operation, now).is_ok()).count();
        assert_eq!(taken(Operation::StartJobRun), 2);
        assert_eq!(taken(Operation::GetJobRun), 50);
        assert_eq!(taken(Operation::ListTagsForResource), 100);
        let refused: Vec<_> = throttle.refusals().filter(|(_, refused)| *refused > 0).collect();
        assert_eq!(refused, [("GetJobRun", 1), ("StartJobRun", 1)]);
        let unknown = throttle.limit("startJobRun", Rate { per_second: 1, burst: 1 });
        assert_eq!(unknown, Err(UnknownOperation("startJobRun".to_owned())));
    }
}
