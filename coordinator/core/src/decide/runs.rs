//! Decisions about job runs: accepting, cancelling, ending.

use super::{Turn, stop_order};
use crate::command::{Change, ClientToken, Effect, Refusal, Reply};
use crate::job_run::{CancelCause, ExecutorTally, JobRun, Outcome, RunPhase, RunSpec};
use crate::queueing::Queueing;
use crate::release::{Release, ReleaseState};
use crate::worker::{StopCause, WorkerState};
use hearth_types::{ApplicationId, FailureCause, JobRunId, Launch, ReleaseLabel, WorkerId};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

impl Turn<'_> {
    pub(super) fn start_job_run(
        &mut self,
        id: JobRunId,
        application: &ApplicationId,
        spec: Arc<RunSpec>,
        document: Value,
        token: ClientToken,
    ) -> Result<Reply, Refusal> {
        if let Some(resource) = self.made_by(&token)? {
            return Ok(Reply::JobRun(JobRunId::new(resource).expect("a stored resource is a job run id")));
        }
        let limit = self.known(application)?.maximum_capacity;
        if let Some(limit) = limit
            && !spec.driver.size.fits(&limit)
        {
            return Err(Refusal::BeyondMaximumCapacity {
                id: application.clone(),
                needed: spec.driver.size.to_string(),
                limit: limit.to_string(),
            });
        }
        let quotas = *self.world.quotas();
        if let Some(limit) = quotas.vcpus.filter(|_| !quotas.allow(spec.driver.size.cpu_millis)) {
            return Err(Refusal::BeyondVcpuQuota { needed: spec.driver.size.to_string(), limit });
        }
        self.check_queue(application)?;
        self.start_for_job_run(application)?;
        self.want_release(&spec.release);
        self.put_run(JobRun {
            id: id.clone(),
            application: application.clone(),
            phase: RunPhase::Submitted,
            details: String::new(),
            cause: None,
            launch: Launch::FIRST,
            spec,
            app: None,
            targets: Vec::new(),
            next_executor: 1,
            executors: ExecutorTally::default(),
            given_up: None,
            exits: Vec::new(),
            avoids: Vec::new(),
            failed_attempts: Vec::new(),
            attempt_started_at: None,
            pause: None,
            queueing: Queueing::default(),
            created_at: self.now,
            updated_at: self.now,
            started_at: None,
            ended_at: None,
        });
        self.change(Change::JobRunDocument { id: id.clone(), document });
        self.change(Change::Token { token, resource: id.to_string() });
        Ok(Reply::JobRun(id))
    }

    /// Whether another job run of an application could wait in QUEUED, should it have to (guide:2154).
    fn check_queue(&self, application: &ApplicationId) -> Result<(), Refusal> {
        let limit = self.world.quotas().queued_job_runs;
        let would_wait = self.known(application)?.concurrency.is_some_and(|runs| {
            self.world.count_of_runs(application) >= usize::try_from(runs).unwrap_or(usize::MAX)
        });
        match would_wait && self.world.count_beyond_concurrency() >= limit {
            true => Err(Refusal::QueueFull { limit }),
            false => Ok(()),
        }
    }

    /// Sees to it that a release's bundle is there or on its way.
    fn want_release(&mut self, label: &ReleaseLabel) {
        let wanted = match self.world.release(label).map(|release| &release.state) {
            Some(ReleaseState::Ready { .. } | ReleaseState::Building { .. }) => false,
            Some(ReleaseState::Failed { .. }) | None => true,
        };
        if wanted {
            let state = ReleaseState::Building { step: "starting".to_owned() };
            self.change(Change::Release(Release { label: label.clone(), state }));
            self.effects.push(Effect::BuildRelease(label.clone()));
        }
    }

    /// Records what became of a release; job runs that wait for one that failed fail with its reason.
    ///
    /// What is ready stays ready: a bundle that is being made anew, even in vain, takes nothing from job runs.
    pub(super) fn release_is(&mut self, release: Release) -> Reply {
        let known = self.world.release(&release.label);
        let is_ready = known.is_some_and(|known| matches!(known.state, ReleaseState::Ready { .. }));
        let becomes_ready = matches!(release.state, ReleaseState::Ready { .. });
        if known == Some(&release) || (is_ready && !becomes_ready) {
            return Self::done();
        }
        if let ReleaseState::Failed { reason } = &release.state {
            let reason = format!("Release {} could not be prepared: {reason}", release.label);
            let waiting: Vec<JobRun> =
                self.world.waiting().filter(|run| run.spec.release == release.label).cloned().collect();
            for run in waiting {
                let cause = Some(FailureCause::ReleaseUnavailable);
                self.end_run(JobRun { cause, ..run }, Outcome::Failed, reason.clone());
            }
        }
        self.change(Change::Release(release));
        Self::done()
    }

    pub(super) fn cancel_job_run(
        &mut self,
        application: &ApplicationId,
        run: &JobRunId,
        cause: CancelCause,
        grace: Duration,
    ) -> Result<Reply, Refusal> {
        let found = self.world.run(run).filter(|found| found.application == *application);
        let run = found.ok_or_else(|| Refusal::NoActiveJobRun(run.clone()))?.clone();
        self.cancel(run, cause, grace);
        Ok(Reply::Done)
    }

    /// Begins to cancel; a job run that holds nothing is cancelled at once. Repeating it changes nothing.
    pub(super) fn cancel(&mut self, mut run: JobRun, cause: CancelCause, grace: Duration) {
        if let RunPhase::Cancelling { .. } = run.phase {
            return;
        }
        run.details = cause.details(run.spec.timeout);
        run.updated_at = self.now;
        run.phase = RunPhase::Cancelling { cause, grace };
        let id = run.id.clone();
        self.put_run(run);
        self.stop_workers_of(&id, grace);
        self.finish_cancelling(&id);
    }

    /// CANCELLED means that every process is gone: it waits for the last worker's confirmed end.
    pub(super) fn finish_cancelling(&mut self, id: &JobRunId) {
        let Some(run) = self.world.run(id) else { return };
        if matches!(run.phase, RunPhase::Cancelling { .. }) && self.world.workers_of(id).next().is_none() {
            let (run, details) = (run.clone(), run.details.clone());
            self.end_run(run, Outcome::Cancelled, details);
        }
    }

    /// Gives a job run its one end and tells its workers to end.
    pub(super) fn end_run(&mut self, mut run: JobRun, outcome: Outcome, details: String) {
        run.phase = RunPhase::Ended { outcome };
        run.details = details;
        run.updated_at = self.now;
        run.ended_at = Some(self.now);
        let (id, application) = (run.id.clone(), run.application.clone());
        self.put_run(run);
        self.stop_workers_of(&id, Duration::ZERO);
        if self.world.runs_of(&application).next().is_none()
            && let Some(mut application) = self.world.application(&application).cloned()
        {
            application.idle_since = self.now;
            self.put_application(application);
        }
    }

    /// Tells every worker of a job run to end: drivers within the grace, executors at once.
    pub(super) fn stop_workers_of(&mut self, run: &JobRunId, grace: Duration) {
        let ids: Vec<WorkerId> = self.world.workers_of(run).map(|worker| worker.id.clone()).collect();
        for id in ids {
            self.stop_worker(&id, StopCause::RunOver, grace);
        }
    }

    /// Tells a worker to end. One that was told before is told again.
    pub(super) fn stop_worker(&mut self, id: &WorkerId, cause: StopCause, grace: Duration) {
        let Some(mut worker) = self.world.worker(id).cloned() else { return };
        let grace = match worker.role {
            crate::worker::Role::Driver => grace,
            crate::worker::Role::Executor { .. } => Duration::ZERO,
        };
        let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        self.effects.push(stop_order(&worker, grace_ms));
        let (cause, grace_ms) = match worker.state {
            // Of several graces the shortest counts, as the agent sees it too.
            WorkerState::Stopping { cause, grace_ms: before } => (cause, grace_ms.min(before)),
            WorkerState::Assigned | WorkerState::Preparing | WorkerState::Running => (cause, grace_ms),
            WorkerState::Ended { .. } => return,
        };
        let state = WorkerState::Stopping { cause, grace_ms };
        if worker.state != state {
            worker.state = state;
            self.put_worker(worker);
        }
    }
}
