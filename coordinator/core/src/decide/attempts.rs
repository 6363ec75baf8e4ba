//! Decisions about attempts: what follows one that failed, and after which pause (guide:3198-3303).

use super::Turn;
use crate::job_run::{FailedAttempt, JobRun, Pause, RunPhase};
use crate::lease;
use crate::worker::{Exit, Worker};
use hearth_types::{JobRunId, Launch};
use std::time::Duration;

/// An attempt whose driver ran for less than this failed at once: the next one may well fail the same way.
const AT_ONCE: Duration = Duration::from_secs(60);
/// The pause after the first attempt that failed at once; it doubles with each further one in a row.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Launches of one attempt: a driver that no host can start does not go round for ever.
const LAUNCHES: u32 = 3;
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Turn<'_> {
    /// Lets an attempt fail and another follow. Its driver is not placed before the workers of this one are gone from
    /// every host in contact.
    pub(super) fn next_attempt(&mut self, mut run: JobRun, why: String) {
        let cause = run.cause.take();
        run.remember_failed(FailedAttempt {
            attempt: run.launch.attempt,
            details: why.clone(),
            cause,
            created_at: run.attempt_created_at(),
            started_at: run.attempt_started_at,
            ended_at: self.now,
        });
        run.launch = Launch { attempt: run.launch.attempt + 1, launch: 1 };
        run.phase = RunPhase::Pending;
        run.pause = pause(&run.failed_attempts).map(|length| Pause {
            until: self.moment.plus(length),
            millis: u32::try_from(length.as_millis()).unwrap_or(u32::MAX),
        });
        run.details = match &run.pause {
            Some(pause) => {
                format!("Attempt {} follows in {} s. {why}", run.launch.attempt, pause.millis / 1000)
            }
            None => format!("Attempt {} follows. {why}", run.launch.attempt),
        };
        run.avoids = Vec::new();
        run.queueing = run.queueing.of_next_attempt();
        self.begin_anew(run);
    }

    /// Lets a driver that its host could not start begin on another one: the attempt has not begun, so nothing of it is
    /// used up. Whether there is such a host.
    pub(super) fn launch_elsewhere(&mut self, run: &JobRun, driver: &Worker, exit: &Exit) -> bool {
        let is_the_hosts = exit.host_fault.is_some() && !exit.launch_error.is_empty();
        let may_go_on = run.launch.launch < LAUNCHES
            && run.given_up.is_none()
            && lease::has_other_host(self.world, run, &driver.agent, &driver.size);
        if !is_the_hosts || !may_go_on {
            return false;
        }
        let mut run = run.clone();
        run.avoid(&driver.agent);
        run.launch.launch += 1;
        run.phase = RunPhase::Pending;
        run.details = format!(
            "The driver is started on another host. The one of agent {} could not: {}.",
            driver.agent, exit.launch_error
        );
        self.begin_anew(run);
        true
    }

    /// Puts a job run back among those that wait, with nothing of the launch before.
    fn begin_anew(&mut self, mut run: JobRun) {
        let id = run.id.clone();
        run.attempt_started_at = None;
        run.app = None;
        run.targets = Vec::new();
        run.next_executor = 1;
        run.exits = Vec::new();
        run.given_up = None;
        run.updated_at = self.now;
        self.put_run(run);
        self.stop_workers_of(&id, Duration::ZERO);
    }

    pub(super) fn end_pauses(&mut self) {
        let now = self.moment;
        self.edit_pauses(|pause| (pause.until > now).then_some(pause));
    }

    /// Moments of another term mean nothing: what is left of a pause is not known.
    pub(super) fn begin_pauses_anew(&mut self) {
        let now = self.moment;
        let length = |pause: &Pause| Duration::from_millis(u64::from(pause.millis));
        self.edit_pauses(|pause| Some(Pause { until: now.plus(length(&pause)), ..pause }));
    }

    fn edit_pauses(&mut self, edit: impl Fn(Pause) -> Option<Pause>) {
        let paused: Vec<(JobRunId, Pause)> =
            self.world.paused().filter_map(|run| Some((run.id.clone(), run.pause?))).collect();
        for (id, before) in paused {
            let after = edit(before);
            if let Some(run) = self.world.run(&id).filter(|_| after != Some(before)) {
                let run = JobRun { pause: after, ..run.clone() };
                self.put_run(run);
            }
        }
    }
}

/// The pause after the last of these attempts; none after one that ran for a while.
fn pause(failed: &[FailedAttempt]) -> Option<Duration> {
    let at_once = |attempt: &&FailedAttempt| {
        attempt.started_at.is_none_or(|started| attempt.ended_at.since(started) < AT_ONCE)
    };
    let in_a_row = u32::try_from(failed.iter().rev().take_while(at_once).count()).unwrap_or(u32::MAX);
    let doublings = in_a_row.checked_sub(1)?;
    Some(FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_types::Timestamp;

    fn failed(ran: Option<i64>) -> FailedAttempt {
        let at = Timestamp::from_millis;
        FailedAttempt {
            attempt: 1,
            details: String::new(),
            cause: None,
            created_at: at(0),
            started_at: ran.map(|_| at(1_000_000)),
            ended_at: at(1_000_000 + ran.unwrap_or(0) * 1000),
        }
    }

    #[test]
    fn pauses_grow_while_attempts_fail_at_once_and_are_bounded() {
        let cases = [
            (vec![Some(59)], Some(1)),
            (vec![Some(60)], None),
            (vec![None], Some(1)),
            (vec![Some(1), Some(1), None], Some(4)),
            (vec![Some(1), Some(3600), Some(1)], Some(1)),
            (vec![Some(1), Some(3600)], None),
            (vec![Some(1); 7], Some(60)),
            (vec![Some(1); 90], Some(60)),
            // The wall clock jumped back while it ran.
            (vec![Some(-7200)], Some(1)),
        ];
        for (ran, seconds) in cases {
            let attempts: Vec<FailedAttempt> = ran.iter().copied().map(failed).collect();
            assert_eq!(pause(&attempts), seconds.map(Duration::from_secs), "{ran:?}");
        }
    }
}
