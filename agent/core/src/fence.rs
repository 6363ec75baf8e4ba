//! Which orders count: senders by their epoch, drivers by their launch (design §4).
//!
//! The epoch fences *senders* cluster-wide; it never outdates a driver. The launch, compared within one job run,
//! identifies a *driver*: a newer one outdates every worker of an older one. What was forgotten stays known by name for
//! a while, so that an order that travelled slowly cannot bring it back.

use hearth_types::{Epoch, JobRunId, Launch, WorkerId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// How many forgotten workers, and how many job runs' newest launches, are remembered. Orders travel on one ordered
/// stream per coordinator, so only those of a few seconds can be late.
const REMEMBERED: usize = 1_000;

/// What an agent has seen, persisted before it acts on it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fence {
    epoch: Epoch,
    newest: BTreeMap<JobRunId, Launch>,
    /// Keys of `newest`, the one longest without an order first.
    job_runs: VecDeque<JobRunId>,
    forgotten: VecDeque<WorkerId>,
}

/// An order from a coordinator that another has replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("order of epoch {} refused: epoch {} has been seen", .order.0, .seen.0)]
pub struct StaleSender {
    /// The order's epoch.
    pub order: Epoch,
    /// The highest seen.
    pub seen: Epoch,
}

/// What an order to start a worker means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Start it, and stop every worker of the same job run with an older launch.
    New,
    /// It is here already: answer with its report.
    Known,
    /// It was here and is gone: it must not run again.
    Forgotten,
    /// A newer launch of its job run has been seen: it must not run at all.
    Outdated {
        /// The newest launch seen.
        newest: Launch,
    },
}

impl Fence {
    /// The highest epoch seen.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Takes note of a sender.
    ///
    /// # Errors
    /// When a higher epoch has been seen.
    pub fn admit(&mut self, order: Epoch) -> Result<(), StaleSender> {
        if order < self.epoch {
            return Err(StaleSender { order, seen: self.epoch });
        }
        self.epoch = order;
        Ok(())
    }

    /// Decides about an order to start `worker` and takes note of its launch. `is_here` says whether this agent holds it.
    pub fn start(&mut self, worker: &WorkerId, job_run: &JobRunId, launch: Launch, is_here: bool) -> Start {
        // What is just being removed is still here, but must not be waited for.
        if self.forgotten.contains(worker) {
            return Start::Forgotten;
        }
        if is_here {
            return Start::Known;
        }
        match self.newest.get(job_run) {
            Some(newest) if *newest > launch => Start::Outdated { newest: *newest },
            _ => {
                self.note_launch(job_run, launch);
                Start::New
            }
        }
    }

    /// Whether a worker of `launch` has been outdated.
    pub fn is_outdated(&self, job_run: &JobRunId, launch: Launch) -> bool {
        self.newest.get(job_run).is_some_and(|newest| *newest > launch)
    }

    /// Remembers that nothing of `worker` is left.
    pub fn forget(&mut self, worker: WorkerId) {
        if !self.forgotten.contains(&worker) {
            self.forgotten.push_back(worker);
            if self.forgotten.len() > REMEMBERED {
                self.forgotten.pop_front();
            }
        }
    }

    fn note_launch(&mut self, job_run: &JobRunId, launch: Launch) {
        self.newest.insert(job_run.clone(), launch);
        self.job_runs.retain(|known| known != job_run);
        self.job_runs.push_back(job_run.clone());
        if self.job_runs.len() > REMEMBERED
            && let Some(oldest) = self.job_runs.pop_front()
        {
            self.newest.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str) -> WorkerId {
        name.parse().unwrap()
    }

    fn job() -> JobRunId {
        "j".parse().unwrap()
    }

    #[test]
    fn a_lower_epoch_is_refused_and_an_equal_one_is_not() {
        let mut fence = Fence::default();
        fence.admit(Epoch(3)).unwrap();
        fence.admit(Epoch(3)).unwrap();
        assert_eq!(fence.admit(Epoch(2)), Err(StaleSender { order: Epoch(2), seen: Epoch(3) }));
        assert_eq!(fence.epoch(), Epoch(3));
    }

    #[test]
    fn a_newer_launch_outdates_older_ones_of_its_job_run_alone() {
        let (first, second) = (Launch::FIRST, Launch { attempt: 1, launch: 2 });
        let mut fence = Fence::default();
        assert_eq!(fence.start(&worker("a"), &job(), second, false), Start::New);
        assert_eq!(fence.start(&worker("b"), &job(), first, false), Start::Outdated { newest: second });
        assert!(fence.is_outdated(&job(), first) && !fence.is_outdated(&job(), second));
        assert_eq!(fence.start(&worker("c"), &"other".parse().unwrap(), first, false), Start::New);
    }

    #[test]
    fn what_is_here_is_known_and_what_was_here_never_comes_back() {
        let mut fence = Fence::default();
        assert_eq!(fence.start(&worker("a"), &job(), Launch::FIRST, true), Start::Known);
        fence.forget(worker("a"));
        for is_here in [true, false] {
            assert_eq!(fence.start(&worker("a"), &job(), Launch::FIRST, is_here), Start::Forgotten);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut fence = Fence::default();
        for number in 0..2 * REMEMBERED {
            let job_run = format!("j{number}").parse().unwrap();
            fence.start(&worker(&format!("w{number}")), &job_run, Launch::FIRST, false);
            fence.forget(worker(&format!("w{number}")));
        }
        assert_eq!((fence.newest.len(), fence.forgotten.len()), (REMEMBERED, REMEMBERED));
    }
}
