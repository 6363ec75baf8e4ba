//! Decisions about workers: what agents report of them and what drivers ask.

use super::outcomes::{self, Fault};
use super::{Turn, start_order, stop_order};
use crate::command::{DriverWord, Effect, News, Reply, Report, ReportState};
use crate::job_run::{ExecutorExit, ExecutorProfile, JobRun, Outcome, RunPhase};
use crate::schedule::{DEFAULT_PROFILE, first_executors};
use crate::triage::Failure;
use crate::worker::{Exit, Role, StopCause, Worker, WorkerState};
use hearth_types::{AgentId, FailureCause, JobRunId, Launch, WorkerId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long the driver of an attempt that is given up may take to end by itself.
const GIVE_UP_GRACE: Duration = Duration::from_secs(5);

impl Turn<'_> {
    pub(super) fn worker_reported(&mut self, agent: &AgentId, report: Report) -> Reply {
        match self.world.worker(&report.worker).cloned() {
            None => self.unknown_worker_reported(agent, report),
            // Only the agent a worker was placed on has a say about it.
            Some(worker) if worker.agent != *agent || worker.launch != report.launch => {}
            Some(worker) => match report.state {
                ReportState::Preparing { step } => self.worker_prepares(worker, &step),
                ReportState::Running => self.worker_runs(worker),
                ReportState::Ended(exit) => self.worker_ended(worker, &exit),
            },
        }
        Self::done()
    }

    /// Its end was recorded before, or it is a leftover of a world that no longer exists.
    fn unknown_worker_reported(&mut self, agent: &AgentId, report: Report) {
        let (id, worker) = (agent.clone(), report.worker);
        let effect = match report.state {
            ReportState::Ended(_) => {
                self.edit_leftovers(agent, |leftovers| leftovers.remove(&worker));
                Effect::Forget { agent: id, worker }
            }
            ReportState::Preparing { .. } | ReportState::Running => {
                self.edit_leftovers(agent, |leftovers| leftovers.insert(worker.clone()));
                Effect::Stop { agent: id, worker, launch: report.launch, grace: Duration::ZERO }
            }
        };
        self.effects.push(effect);
    }

    fn edit_leftovers(&mut self, agent: &AgentId, edit: impl FnOnce(&mut BTreeSet<WorkerId>) -> bool) {
        if let Some(mut agent) = self.world.agent(agent).cloned()
            && edit(&mut agent.leftovers)
        {
            self.put_agent(agent);
        }
    }

    fn worker_prepares(&mut self, mut worker: Worker, step: &str) {
        match worker.state {
            WorkerState::Assigned | WorkerState::Preparing => {
                if worker.role == Role::Driver && !step.is_empty() {
                    let details = format!("Preparing the driver: {step}.");
                    self.edit_run(&worker.run, worker.launch, |run| run.details = details);
                }
                if worker.state == WorkerState::Assigned {
                    worker.state = WorkerState::Preparing;
                    self.put_worker(worker);
                }
            }
            WorkerState::Stopping { grace_ms, .. } => self.owe_stop(&worker, grace_ms),
            WorkerState::Running | WorkerState::Ended { .. } => {}
        }
    }

    fn worker_runs(&mut self, mut worker: Worker) {
        match worker.state {
            WorkerState::Assigned | WorkerState::Preparing => {
                worker.state = WorkerState::Running;
                worker.started_at = Some(self.now);
                self.put_worker(worker.clone());
                match &worker.role {
                    Role::Driver => self.driver_runs(&worker),
                    Role::Executor { executor, .. } => {
                        let host = self
                            .world
                            .agent(&worker.agent)
                            .map_or_else(String::new, |agent| agent.worker_address.clone());
                        self.tell_driver(&worker, News::Launched { executor: *executor, host });
                    }
                }
            }
            WorkerState::Stopping { grace_ms, .. } => self.owe_stop(&worker, grace_ms),
            WorkerState::Running | WorkerState::Ended { .. } => {}
        }
    }

    fn driver_runs(&mut self, worker: &Worker) {
        let (now, driver) = (self.now, worker.id.clone());
        self.edit_run(&worker.run, worker.launch, |run| {
            if let RunPhase::Scheduled { .. } = run.phase {
                run.phase = RunPhase::Running { driver };
                run.details = String::new();
                run.updated_at = now;
                run.started_at.get_or_insert(now);
                run.attempt_started_at = Some(now);
            }
        });
    }

    fn owe_stop(&mut self, worker: &Worker, grace_ms: u32) {
        self.effects.push(stop_order(worker, grace_ms));
    }

    pub(super) fn worker_ended(&mut self, mut worker: Worker, exit: &Exit) {
        let was_told = matches!(worker.state, WorkerState::Stopping { .. });
        worker.state = WorkerState::Ended { at: self.now, ran: exit.ran };
        self.put_worker(worker.clone());
        self.effects.push(Effect::Forget { agent: worker.agent.clone(), worker: worker.id.clone() });
        match &worker.role {
            Role::Driver => self.driver_ended(&worker, exit),
            Role::Executor { executor, .. } => {
                let (fault, reason) = outcomes::of_executor(exit, &worker);
                let ended =
                    ExecutorExit { executor: *executor, code: exit.spark_code(), reason: reason.clone() };
                self.edit_run(&worker.run, worker.launch, |run| {
                    if run.driver().is_some() {
                        run.remember(ended);
                    }
                    if fault == Fault::Launch && exit.host_fault.is_some() {
                        run.avoid(&worker.agent);
                    }
                });
                let news = News::Exited {
                    executor: *executor,
                    code: exit.spark_code(),
                    caused_by_app: fault == Fault::Job && !was_told,
                    reason: reason.clone(),
                };
                self.tell_driver(&worker, news);
                match fault {
                    Fault::Job | Fault::Launch if !was_told => self.executor_failed(&worker, &reason),
                    Fault::Job | Fault::Launch | Fault::Nobody => {}
                }
            }
        }
        self.finish_cancelling(&worker.run);
    }

    /// Counts a failed executor; too many of them end the attempt, since each would be replaced for ever.
    pub(super) fn executor_failed(&mut self, executor: &Worker, why: &str) {
        self.edit_run(&executor.run, executor.launch, |run| run.executors.failed += 1);
        let Some(run) = self.world.run(&executor.run).filter(|run| run.launch == executor.launch) else {
            return;
        };
        let Some(driver) = run.driver().cloned() else { return };
        if run.given_up.is_some() || run.executors.failed < run.executors.limit() {
            return;
        }
        let sentence = format!(
            "Job failed, {} executors failed, which is the limit for {} wanted. The last one: {why}.",
            run.executors.failed, run.executors.most_wanted
        );
        let (id, launch) = (run.id.clone(), run.launch);
        self.edit_run(&id, launch, |run| run.given_up = Some(sentence));
        for executor in self.executors_of(&id, launch, |_| true) {
            self.stop_worker(&executor, StopCause::RunOver, Duration::ZERO);
        }
        self.stop_worker(&driver, StopCause::RunOver, GIVE_UP_GRACE);
    }

    fn driver_ended(&mut self, worker: &Worker, exit: &Exit) {
        let Some(run) = self.world.run(&worker.run).filter(|run| run.launch == worker.launch).cloned() else {
            return; // It drove an attempt that was already replaced or ended.
        };
        match run.phase {
            RunPhase::Scheduled { .. } | RunPhase::Running { .. } => {
                if self.launch_elsewhere(&run, worker, exit) {
                    return;
                }
                // A driver that we ended cannot claim a success, whatever its exit code.
                let (outcome, details, cause) = match &run.given_up {
                    Some(why) => {
                        let failure = Failure::told(why.clone(), FailureCause::NotStarted);
                        (Outcome::Failed, failure.sentence, Some(failure.cause))
                    }
                    None => outcomes::of_driver(exit, worker, &run.spec),
                };
                let run = JobRun { cause, ..run };
                if outcome == Outcome::Failed && run.may_try_again(self.now) {
                    self.next_attempt(run, details);
                } else {
                    self.end_run(run, outcome, details);
                }
            }
            // A driver that had ended well before the wish to cancel reached it still counts as cancelled: the user was told so.
            RunPhase::Cancelling { .. } => self.stop_workers_of(&worker.run, Duration::ZERO),
            RunPhase::Submitted | RunPhase::Queued | RunPhase::Pending | RunPhase::Ended { .. } => {}
        }
    }

    /// Tells the current driver about one of its executors.
    fn tell_driver(&mut self, executor: &Worker, news: News) {
        let Some(run) = self.world.run(&executor.run).filter(|run| run.launch == executor.launch) else {
            return;
        };
        let Some(driver) = run.driver().and_then(|id| self.world.worker(id)) else { return };
        let (agent, driver) = (driver.agent.clone(), driver.id.clone());
        self.effects.push(Effect::News { agent, driver, launch: executor.launch, news });
    }

    /// Tells a driver once more of executors that ended, for the word may have been lost with its agent's stream. Nobody is
    /// blamed this time: a failure that is counted twice could end the job.
    pub(super) fn repeat_exits(&mut self, driver: &WorkerId) {
        let Some(driver) = self.world.worker(driver) else { return };
        let Some(run) = self.world.run(&driver.run).filter(|run| run.driver() == Some(&driver.id)) else {
            return;
        };
        let news = run.exits.iter().map(|exit| Effect::News {
            agent: driver.agent.clone(),
            driver: driver.id.clone(),
            launch: driver.launch,
            news: News::Exited {
                executor: exit.executor,
                code: exit.code,
                caused_by_app: false,
                reason: exit.reason.clone(),
            },
        });
        self.effects.extend(news);
    }

    pub(super) fn driver_said(
        &mut self,
        agent: &AgentId,
        worker: &WorkerId,
        launch: Launch,
        word: DriverWord,
    ) -> Reply {
        let Some(run) = self.driven_by(agent, worker, launch) else { return Self::done() };
        match word {
            DriverWord::Registered(app) => {
                self.edit_run(&run, launch, |run| run.app = Some(app));
                self.start_waiting_executors(&run, launch);
            }
            DriverWord::Wants(targets) => self.edit_run(&run, launch, |run| {
                run.targets = in_full(run, targets);
                let wanted = run.targets.iter().fold(0, |sum: u32, want| sum.saturating_add(want.count));
                run.executors.most_wanted = run.executors.most_wanted.max(wanted);
            }),
            DriverWord::GivesBack(executors) => self.give_back(&run, launch, &executors),
            DriverWord::Unregistered => {
                self.edit_run(&run, launch, |run| run.targets = in_full(run, Vec::new()));
                let all = self.executors_of(&run, launch, |_| true);
                for id in all {
                    self.stop_worker(&id, StopCause::GivenBack, Duration::ZERO);
                }
            }
        }
        Self::done()
    }

    /// The job run that a worker drives: none unless it is the current driver, not told to end, and on this agent.
    fn driven_by(&self, agent: &AgentId, worker: &WorkerId, launch: Launch) -> Option<JobRunId> {
        let driver = self.world.worker(worker).filter(|worker| worker.agent == *agent && worker.serves())?;
        let run = self.world.run(&driver.run).filter(|run| run.driver() == Some(worker))?;
        (run.launch == launch).then(|| run.id.clone())
    }

    /// Executors prepared beside their driver can be told now where it listens.
    fn start_waiting_executors(&mut self, run: &JobRunId, launch: Launch) {
        let waiting: Vec<Worker> = self
            .world
            .workers_of(run)
            .filter(|worker| worker.launch == launch && worker.serves() && worker.role != Role::Driver)
            .cloned()
            .collect();
        for worker in waiting {
            if let Some(order) = start_order(self.world, &worker) {
                self.effects.push(Effect::Run(order));
            }
        }
    }

    fn give_back(&mut self, run: &JobRunId, launch: Launch, executors: &[u32]) {
        for id in self.executors_of(run, launch, |executor| executors.contains(&executor)) {
            self.stop_worker(&id, StopCause::GivenBack, Duration::ZERO);
        }
    }

    fn executors_of(&self, run: &JobRunId, launch: Launch, wanted: impl Fn(u32) -> bool) -> Vec<WorkerId> {
        self.world
            .workers_of(run)
            .filter(|worker| worker.launch == launch)
            .filter(|worker| match worker.role {
                Role::Executor { executor, .. } => wanted(executor),
                Role::Driver => false,
            })
            .map(|worker| worker.id.clone())
            .collect()
    }

    /// Changes the current launch of a job run, if `edit` really changes something.
    pub(super) fn edit_run(&mut self, id: &JobRunId, launch: Launch, edit: impl FnOnce(&mut JobRun)) {
        let Some(before) = self.world.run(id).filter(|run| run.launch == launch) else { return };
        let mut after = before.clone();
        edit(&mut after);
        if after != *before {
            self.put_run(after);
        }
    }
}

/// A driver's wish in full: one entry for each profile, the last word counting, and the default profile always among
/// them, so that wanting nothing differs from having said nothing yet.
fn in_full(run: &JobRun, said: Vec<ExecutorProfile>) -> Vec<ExecutorProfile> {
    let mut targets: BTreeMap<u32, ExecutorProfile> = BTreeMap::new();
    targets.insert(DEFAULT_PROFILE, ExecutorProfile { count: 0, ..first_executors(run) });
    targets.extend(said.into_iter().map(|profile| (profile.profile_id, profile)));
    targets.into_values().collect()
}
