//! The life of one worker on its host, as a state machine without side effects.
//!
//! A [`Life`] is what `state.json` holds. The agent persists it, then performs the [`Deed`] it calls for, then tells it
//! what came of it; every deed before the launch may be repeated, so a restarted agent goes on where the file says. The
//! launch itself may not: once [`Phase::Launching`] is on disk, only what is found on the host ([`Adoption`]) decides
//! whether the worker runs, ended, or never began and can be launched after all. So a worker runs at most once, whatever
//! dies, and the death of its agent alone costs it nothing.

use serde::{Deserialize, Serialize};

/// One repeatable step of preparation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Taking a user id of its own.
    TakeUid,
    /// Making the worker's directories.
    MakeDirectories,
    /// Bringing the release bundle to this host.
    FetchBundle,
    /// Making the control group with its limits.
    MakeCgroup,
    /// Waiting until its lease holds, if it has one: nothing starts for a coordinator that may have given it up.
    AwaitLease,
}

impl Step {
    /// What users read while the step is under way.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::TakeUid => "taking a user id",
            Self::MakeDirectories => "making directories",
            Self::FetchBundle => "fetching the release bundle",
            Self::MakeCgroup => "setting limits",
            Self::AwaitLease => "waiting for contact with the coordinator",
        }
    }

    const fn next(self) -> Option<Self> {
        match self {
            Self::TakeUid => Some(Self::MakeDirectories),
            Self::MakeDirectories => Some(Self::FetchBundle),
            Self::FetchBundle => Some(Self::MakeCgroup),
            Self::MakeCgroup => Some(Self::AwaitLease),
            Self::AwaitLease => None,
        }
    }
}

/// Why the agent, and not the worker itself, is behind an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum AgentCause {
    /// It is not.
    #[default]
    None,
    /// The coordinator ordered the stop.
    Stopped,
    /// It never ran, and nothing of the job is to blame.
    NoLaunch,
    /// Its process is gone without an outcome: the host was restarted, its keeper was killed, or its lease ended.
    Lost,
    /// A newer launch of the same job run took its place.
    Outdated,
}

impl AgentCause {
    /// The word on the wire (`Ended.agent_cause`); empty for none.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Stopped => "stopped",
            Self::NoLaunch => "no-launch",
            Self::Lost => "lost",
            Self::Outdated => "outdated",
        }
    }
}

/// How a worker ended. Complete, so that it can be reported any number of times.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Exit status of the worker's process.
    pub exit_code: Option<i32>,
    /// Signal that ended it.
    pub signal: Option<i32>,
    /// Whether the kernel killed in its control group for want of memory.
    pub oom_killed: bool,
    /// Why its program was never executed.
    pub launch_error: Option<String>,
    /// Most memory it held, in bytes.
    pub memory_peak_bytes: Option<u64>,
    /// CPU time it used, in microseconds.
    pub cpu_usec: Option<u64>,
    /// Wall clock at its end, in milliseconds since 1970.
    pub at_unix_ms: i64,
    /// How long its process ran, in milliseconds; absent when it never ran, or nobody saw its end.
    #[serde(default)]
    pub ran_ms: Option<u64>,
    /// The agent's part in it.
    pub cause: AgentCause,
}

impl Outcome {
    /// The end of a worker that never ran.
    pub fn not_launched(cause: AgentCause, reason: impl Into<String>, at_unix_ms: i64) -> Self {
        Self { launch_error: Some(reason.into()), cause, at_unix_ms, ..Self::default() }
    }
}

/// What a launcher says last: how the job ended inside its JVM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// Exit status the JVM is about to exit with.
    pub exit_code: i32,
    /// Class of the exception that ended the job.
    pub error_class: Option<String>,
    /// Its message.
    pub error_message: Option<String>,
}

/// An order to end a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// How long it may take to end by itself, in milliseconds; 0 kills at once.
    pub grace_ms: u32,
    /// What its end is put down to.
    pub cause: AgentCause,
}

/// Where a worker is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case")]
pub enum Phase {
    /// `step` is under way; all before it are done.
    Preparing {
        /// The step under way.
        step: Step,
    },
    /// A keeper is being started, or was.
    Launching,
    /// Its process runs.
    Running {
        /// Wall clock at the launch, in milliseconds since 1970.
        since_unix_ms: i64,
    },
    /// Its process is over; its logs are being shipped.
    Ended {
        /// How it ended.
        outcome: Outcome,
        /// Wall clock at its launch, in milliseconds since 1970, if it ran.
        since_unix_ms: Option<i64>,
    },
    /// All is done but to tell the coordinator, until it says that it knows.
    Reporting {
        /// How it ended.
        outcome: Outcome,
        /// Where logs could not be shipped to, each with the reason.
        log_failures: Vec<String>,
    },
    /// What is left of it on the host is being removed.
    Removing,
    /// Nothing of it is left.
    Removed,
}

/// What a restarted agent finds of a worker on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adoption {
    /// No keeper was started, and none can start any more.
    NotStarted,
    /// Keeper and worker run, since then (milliseconds since 1970).
    Alive {
        /// Wall clock at the launch.
        since_unix_ms: i64,
    },
    /// The keeper recorded the end.
    Exited(Outcome),
    /// A keeper ran, but it is gone and recorded no end.
    Gone,
}

/// What happened to a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step of preparation is done.
    StepDone(Step),
    /// Preparation failed for good; the reason is for people.
    PreparationFailed(String),
    /// The keeper reports that the worker's process runs.
    Launched {
        /// Wall clock, in milliseconds since 1970.
        at_unix_ms: i64,
    },
    /// The worker's process is over, or never was.
    Exited(Outcome),
    /// The launcher told how the job ended; the process is about to.
    Finished(Finished),
    /// Somebody wants it to end.
    StopOrdered(Stop),
    /// Logs are where they belong, but for these failures.
    LogsFlushed {
        /// Where logs could not be shipped to, each with the reason.
        failures: Vec<String>,
    },
    /// The coordinator has recorded the end.
    ForgetOrdered,
    /// Nothing of it is left on the host.
    Removed,
    /// The agent was restarted and looked.
    Adopted(Adoption),
}

/// What is to be done next for a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Perform a step of preparation, then tell [`Event::StepDone`].
    Prepare(Step),
    /// Start the keeper, once; then tell [`Event::Launched`] or [`Event::Exited`].
    Launch,
    /// Wait for the end of its process. With a stop, bring it about.
    Watch(Option<Stop>),
    /// Ship its logs, then tell [`Event::LogsFlushed`].
    FlushLogs,
    /// Report its end until the coordinator has recorded it.
    Report,
    /// Remove what is left of it, then tell [`Event::Removed`].
    Remove,
    /// Nothing, ever.
    Nothing,
}

/// One worker's life, as persisted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Where it is.
    #[serde(flatten)]
    pub phase: Phase,
    /// The order to end it, once there is one.
    pub stop: Option<Stop>,
    /// What its launcher said last.
    pub finished: Option<Finished>,
}

/// What the coordinator is told of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report<'a> {
    /// It is being prepared.
    Preparing(&'static str),
    /// It runs.
    Running {
        /// Since then, in milliseconds since 1970.
        since_unix_ms: i64,
    },
    /// It has ended and its logs are shipped.
    Ended {
        /// How.
        outcome: &'a Outcome,
        /// How its job ended, as its launcher told.
        finished: Option<&'a Finished>,
        /// Where logs could not be shipped to.
        log_failures: &'a [String],
    },
}

impl Life {
    /// The life of a worker just accepted.
    pub const fn new() -> Self {
        Self { phase: Phase::Preparing { step: Step::TakeUid }, stop: None, finished: None }
    }

    /// What is to be done next. The life must be on disk before that is begun.
    pub const fn deed(&self) -> Deed {
        match &self.phase {
            Phase::Preparing { step } => Deed::Prepare(*step),
            Phase::Launching => Deed::Launch,
            Phase::Running { .. } => Deed::Watch(self.stop),
            Phase::Ended { .. } => Deed::FlushLogs,
            Phase::Reporting { .. } => Deed::Report,
            Phase::Removing => Deed::Remove,
            Phase::Removed => Deed::Nothing,
        }
    }

    /// What the coordinator is told now; `None` once it has recorded the end.
    pub fn report(&self) -> Option<Report<'_>> {
        match &self.phase {
            Phase::Preparing { step } => Some(Report::Preparing(step.describe())),
            Phase::Launching => Some(Report::Preparing("starting the process")),
            Phase::Running { since_unix_ms } => Some(Report::Running { since_unix_ms: *since_unix_ms }),
            // Not ended for the coordinator before its logs are shipped; and what ran is never again being prepared.
            Phase::Ended { since_unix_ms: Some(since_unix_ms), .. } => {
                Some(Report::Running { since_unix_ms: *since_unix_ms })
            }
            Phase::Ended { since_unix_ms: None, .. } => Some(Report::Preparing("shipping logs")),
            Phase::Reporting { outcome, log_failures } => {
                Some(Report::Ended { outcome, finished: self.finished.as_ref(), log_failures })
            }
            Phase::Removing | Phase::Removed => None,
        }
    }

    /// Moves on by `event` at `now_unix_ms`. An event that comes late or twice changes nothing.
    pub fn apply(&mut self, event: Event, now_unix_ms: i64) {
        match event {
            Event::StepDone(done) => self.step_done(done),
            Event::PreparationFailed(reason) => self.preparation_failed(reason, now_unix_ms),
            Event::Launched { at_unix_ms } => {
                if self.phase == Phase::Launching {
                    self.phase = Phase::Running { since_unix_ms: at_unix_ms };
                }
            }
            Event::Exited(outcome) => self.exited(outcome),
            Event::Finished(finished) => self.finished(finished),
            Event::StopOrdered(stop) => self.stop_ordered(stop, now_unix_ms),
            Event::LogsFlushed { failures } => self.logs_flushed(failures),
            Event::ForgetOrdered => self.forget_ordered(now_unix_ms),
            Event::Removed => {
                if self.phase == Phase::Removing {
                    self.phase = Phase::Removed;
                }
            }
            Event::Adopted(found) => self.adopted(found, now_unix_ms),
        }
    }

    fn step_done(&mut self, done: Step) {
        if self.phase == (Phase::Preparing { step: done }) {
            self.phase = match done.next() {
                Some(step) => Phase::Preparing { step },
                None => Phase::Launching,
            };
        }
    }

    fn preparation_failed(&mut self, reason: String, now_unix_ms: i64) {
        if let Phase::Preparing { .. } = self.phase {
            let outcome = Outcome::not_launched(AgentCause::NoLaunch, reason, now_unix_ms);
            self.phase = Phase::Ended { outcome, since_unix_ms: None };
        }
    }

    fn exited(&mut self, outcome: Outcome) {
        let since_unix_ms = match self.phase {
            Phase::Launching => None,
            Phase::Running { since_unix_ms } => Some(since_unix_ms),
            Phase::Preparing { .. }
            | Phase::Ended { .. }
            | Phase::Reporting { .. }
            | Phase::Removing
            | Phase::Removed => return,
        };
        let cause = match self.stop {
            None => outcome.cause,
            // The job was over, but its process was hurried to death.
            Some(Stop { cause: AgentCause::None, .. }) if outcome.signal.is_some() => AgentCause::Stopped,
            Some(stop) => stop.cause,
        };
        self.phase = Phase::Ended { outcome: Outcome { cause, ..outcome }, since_unix_ms };
    }

    fn finished(&mut self, finished: Finished) {
        if let Phase::Launching | Phase::Running { .. } = self.phase
            && self.finished.is_none()
        {
            self.finished = Some(finished);
        }
    }

    /// A stop before the launch ends the life at once. Of several, the shortest grace counts. After the job has finished,
    /// a stop hurries the process but is not its cause.
    fn stop_ordered(&mut self, stop: Stop, now_unix_ms: i64) {
        match self.phase {
            Phase::Preparing { .. } => {
                let outcome = Outcome::not_launched(stop.cause, "stopped before it was started", now_unix_ms);
                self.stop = Some(stop);
                self.phase = Phase::Ended { outcome, since_unix_ms: None };
            }
            Phase::Launching | Phase::Running { .. } => {
                let cause = match (self.stop, &self.finished) {
                    (Some(earlier), _) => earlier.cause,
                    (None, Some(_)) => AgentCause::None,
                    (None, None) => stop.cause,
                };
                let grace_ms = self.stop.map_or(stop.grace_ms, |earlier| earlier.grace_ms.min(stop.grace_ms));
                self.stop = Some(Stop { grace_ms, cause });
            }
            Phase::Ended { .. } | Phase::Reporting { .. } | Phase::Removing | Phase::Removed => {}
        }
    }

    fn logs_flushed(&mut self, log_failures: Vec<String>) {
        if let Phase::Ended { outcome, .. } = &self.phase {
            self.phase = Phase::Reporting { outcome: outcome.clone(), log_failures };
        }
    }

    fn forget_ordered(&mut self, now_unix_ms: i64) {
        match self.phase {
            Phase::Reporting { .. } => self.phase = Phase::Removing,
            Phase::Removing | Phase::Removed => {}
            Phase::Preparing { .. } | Phase::Launching | Phase::Running { .. } | Phase::Ended { .. } => {
                // The coordinator gave it up, or takes it for what never was here. It must end all the same, and that it is
                // gone must be told: until then no other is placed where it was.
                self.stop_ordered(Stop { grace_ms: 0, cause: AgentCause::Stopped }, now_unix_ms);
            }
        }
    }

    fn adopted(&mut self, found: Adoption, now_unix_ms: i64) {
        match (&self.phase, found) {
            (Phase::Launching, Adoption::NotStarted) => match self.stop {
                // Launched by this agent, then, and not before the lease is known to hold again.
                None => self.phase = Phase::Preparing { step: Step::AwaitLease },
                Some(_) => {
                    let reason = "stopped before it was started";
                    self.exited(Outcome::not_launched(AgentCause::NoLaunch, reason, now_unix_ms));
                }
            },
            (Phase::Launching, Adoption::Alive { since_unix_ms }) => {
                self.phase = Phase::Running { since_unix_ms };
            }
            (Phase::Launching | Phase::Running { .. }, Adoption::Exited(outcome)) => self.exited(outcome),
            (Phase::Launching, Adoption::Gone)
            | (Phase::Running { .. }, Adoption::Gone | Adoption::NotStarted) => {
                let at_unix_ms = now_unix_ms;
                self.exited(Outcome { cause: AgentCause::Lost, at_unix_ms, ..Outcome::default() });
            }
            (Phase::Running { .. }, Adoption::Alive { .. }) => {}
            // Nothing was started before the launch, and nothing is left after the end.
            (
                Phase::Preparing { .. }
                | Phase::Ended { .. }
                | Phase::Reporting { .. }
                | Phase::Removing
                | Phase::Removed,
                _,
            ) => {}
        }
    }
}

impl Default for Life {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared() -> Life {
        let mut life = Life::new();
        let steps =
            [Step::TakeUid, Step::MakeDirectories, Step::FetchBundle, Step::MakeCgroup, Step::AwaitLease];
        for step in steps {
            assert_eq!(life.deed(), Deed::Prepare(step));
            life.apply(Event::StepDone(step), 0);
        }
        assert_eq!(life.deed(), Deed::Launch);
        life
    }

    fn running() -> Life {
        let mut life = prepared();
        life.apply(Event::Launched { at_unix_ms: 5 }, 5);
        assert_eq!(life.deed(), Deed::Watch(None));
        life
    }

    fn stopped(mut life: Life) -> Life {
        life.apply(Event::StopOrdered(Stop { grace_ms: 0, cause: AgentCause::Stopped }), 6);
        life
    }

    fn exit(code: i32) -> Outcome {
        Outcome { exit_code: Some(code), at_unix_ms: 9, ..Outcome::default() }
    }

    fn outcome(life: &Life) -> &Outcome {
        match &life.phase {
            Phase::Ended { outcome, .. } | Phase::Reporting { outcome, .. } => outcome,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_life_without_trouble() {
        let mut life = running();
        life.apply(Event::Exited(exit(0)), 9);
        assert_eq!(life.deed(), Deed::FlushLogs);
        assert_eq!(life.report(), Some(Report::Running { since_unix_ms: 5 }));
        life.apply(Event::LogsFlushed { failures: vec![] }, 10);
        assert!(matches!(life.report(), Some(Report::Ended { .. })));
        life.apply(Event::ForgetOrdered, 11);
        assert_eq!(life.deed(), Deed::Remove);
        life.apply(Event::Removed, 12);
        assert_eq!(life.deed(), Deed::Nothing);
    }

    #[test]
    fn what_a_restarted_agent_finds_decides() {
        for (life, found, cause) in [
            (stopped(prepared()), Adoption::NotStarted, AgentCause::Stopped),
            (prepared(), Adoption::Gone, AgentCause::Lost),
            (running(), Adoption::Gone, AgentCause::Lost),
            (running(), Adoption::NotStarted, AgentCause::Lost),
            (running(), Adoption::Exited(exit(3)), AgentCause::None),
        ] {
            let mut life = life;
            life.apply(Event::Adopted(found.clone()), 20);
            assert_eq!(outcome(&life).cause, cause, "{found:?}");
        }
        for mut life in [prepared(), running()] {
            life.apply(Event::Adopted(Adoption::Alive { since_unix_ms: 5 }), 20);
            assert_eq!(life.phase, Phase::Running { since_unix_ms: 5 });
        }
        let mut never_started = prepared();
        never_started.apply(Event::Adopted(Adoption::NotStarted), 20);
        assert_eq!(
            never_started.deed(),
            Deed::Prepare(Step::AwaitLease),
            "its agent's death costs it nothing"
        );
        let mut preparing = Life::new();
        preparing.apply(Event::Adopted(Adoption::NotStarted), 20);
        assert_eq!(preparing.deed(), Deed::Prepare(Step::TakeUid));
    }

    #[test]
    fn a_stop_is_the_cause_unless_the_job_was_over() {
        let stop = Stop { grace_ms: 10_000, cause: AgentCause::Stopped };
        let mut stopped = running();
        stopped.apply(Event::StopOrdered(stop), 6);
        assert_eq!(stopped.deed(), Deed::Watch(Some(stop)));
        stopped.apply(Event::Exited(exit(143)), 9);
        assert_eq!(outcome(&stopped).cause, AgentCause::Stopped);

        let mut over = running();
        over.apply(Event::Finished(Finished { exit_code: 0, error_class: None, error_message: None }), 6);
        over.apply(Event::StopOrdered(stop), 7);
        let mut hurried = over.clone();
        over.apply(Event::Exited(exit(0)), 9);
        assert_eq!(outcome(&over).cause, AgentCause::None);
        hurried.apply(Event::Exited(Outcome { signal: Some(9), ..Outcome::default() }), 9);
        assert_eq!(outcome(&hurried).cause, AgentCause::Stopped);
    }

    #[test]
    fn a_stop_before_the_launch_prevents_it() {
        let mut life = Life::new();
        life.apply(Event::StopOrdered(Stop { grace_ms: 0, cause: AgentCause::Stopped }), 1);
        life.apply(Event::StepDone(Step::TakeUid), 2);
        assert_eq!(life.deed(), Deed::FlushLogs);
    }

    #[test]
    fn of_several_stops_the_shortest_grace_counts() {
        let mut life = running();
        for (grace_ms, left) in [(5_000, 5_000), (9_000, 5_000), (0, 0)] {
            life.apply(Event::StopOrdered(Stop { grace_ms, cause: AgentCause::Stopped }), 1);
            assert_eq!(life.stop.map(|stop| stop.grace_ms), Some(left));
        }
    }

    #[test]
    fn a_worker_forgotten_while_it_runs_is_ended_and_its_end_told() {
        let mut life = running();
        life.apply(Event::ForgetOrdered, 6);
        assert_eq!(life.deed(), Deed::Watch(Some(Stop { grace_ms: 0, cause: AgentCause::Stopped })));
        life.apply(Event::Exited(exit(137)), 7);
        life.apply(Event::LogsFlushed { failures: vec![] }, 8);
        assert!(matches!(life.report(), Some(Report::Ended { .. })), "{:?}", life.report());
        life.apply(Event::ForgetOrdered, 9);
        assert_eq!((life.deed(), life.report()), (Deed::Remove, None));
    }

    #[test]
    fn a_life_survives_its_file() {
        let mut life = running();
        life.apply(Event::Exited(Outcome { launch_error: Some("no such file".into()), ..exit(1) }), 9);
        let text = serde_json::to_string(&life).unwrap();
        assert_eq!(serde_json::from_str::<Life>(&text).unwrap(), life, "{text}");
    }
}
