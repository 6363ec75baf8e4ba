//! How long job runs wait in QUEUED, when that is too long (guide:2094-2155), and how many may.

use crate::job_run::{JobRun, RunPhase};
use hearth_types::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Job runs that may be queued for the account unless its quota says otherwise (guide:2154).
pub const QUEUED_JOB_RUNS: usize = 2000;

/// How long a job run waited in QUEUED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Queueing {
    /// Since when it is there, while it is.
    pub since: Option<Timestamp>,
    /// Milliseconds that the current attempt was there before.
    pub millis: u64,
    /// Milliseconds that earlier attempts were there.
    pub earlier_millis: u64,
}

impl Queueing {
    /// As of a phase that its job run is in from now on, or still is.
    pub(crate) fn in_phase(self, phase: &RunPhase, now: Timestamp) -> Self {
        match (phase, self.since) {
            (RunPhase::Queued, None) => Self { since: Some(now), ..self },
            (RunPhase::Queued, Some(_)) => self,
            (
                RunPhase::Submitted
                | RunPhase::Pending
                | RunPhase::Scheduled { .. }
                | RunPhase::Running { .. }
                | RunPhase::Cancelling { .. }
                | RunPhase::Ended { .. },
                since,
            ) => Self {
                since: None,
                millis: self.millis + since.map_or(0, |at| millis(now.since(at))),
                ..self
            },
        }
    }

    /// As of an attempt that follows: it may wait as long as the one before.
    pub(crate) const fn of_next_attempt(self) -> Self {
        Self { since: None, millis: 0, earlier_millis: self.earlier_millis + self.millis }
    }

    /// How long it waited there in all.
    pub fn total(&self, now: Timestamp) -> Duration {
        let present = self.since.map_or(Duration::ZERO, |since| now.since(since));
        Duration::from_millis(self.earlier_millis + self.millis) + present
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Since when a job run that waits would be in QUEUED, had its present attempt never left it. What is later by its
/// application's present limit is too long, so that a limit that was meant too short can be mended while job runs wait.
pub(crate) fn as_if_since(run: &JobRun) -> Option<Timestamp> {
    let before = i64::try_from(run.queueing.millis).unwrap_or(i64::MAX);
    let since = run.queueing.since.filter(|_| run.waits_for_driver())?;
    Some(Timestamp::from_millis(since.as_millis().saturating_sub(before)))
}
