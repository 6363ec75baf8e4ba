//! Carries out a plan as far as it still holds: each placement is checked against the world as it is now.

use super::{Turn, start_order};
use crate::command::{Effect, Reply};
use crate::job_run::{ExecutorProfile, ExecutorTally, JobRun, RunPhase};
use crate::lease;
use crate::schedule::{
    Placement, Plan, PlannedRole, Waiting, first_executors, follows_closely, serving, suits, under_way,
    wanted_executors,
};
use crate::worker::{Role, StopCause, Worker, WorkerState};
use hearth_types::{ApplicationState, WorkerId};
use std::time::Duration;

impl Turn<'_> {
    pub(super) fn place(&mut self, plan: Plan, ids: Vec<WorkerId>) -> Reply {
        for id in plan.surplus {
            if self.world.worker(&id).is_some_and(|worker| self.is_surplus(worker)) {
                self.stop_worker(&id, StopCause::GivenBack, Duration::ZERO);
            }
        }
        for (placement, id) in plan.placements.into_iter().zip(ids) {
            self.place_worker(placement, id);
        }
        for waiting in plan.waiting {
            self.keep_waiting(waiting);
        }
        Self::done()
    }

    fn place_worker(&mut self, placement: Placement, id: WorkerId) {
        let Some(run) = self.world.run(&placement.run).cloned() else { return };
        if !self.may_hold(&placement, &run) {
            return;
        }
        let (role, run) = match &placement.role {
            PlannedRole::Driver if self.may_drive(&run) => (Role::Driver, self.with_driver(run, &id)),
            PlannedRole::Executor(profile) if self.wants_one_more(&run, profile) => {
                let role = Role::Executor {
                    executor: run.next_executor,
                    profile: profile.profile_id,
                    cores: profile.cores,
                    heap_mib: profile.heap_mib,
                };
                (role, JobRun { next_executor: run.next_executor + 1, ..run })
            }
            PlannedRole::Driver | PlannedRole::Executor(_) => return,
        };
        let lease = lease::for_new_worker(self.world, &run, &placement.agent, &role);
        let worker = Worker {
            id,
            agent: placement.agent,
            application: run.application.clone(),
            run: run.id.clone(),
            launch: run.launch,
            role,
            size: placement.size,
            lease: Some(lease),
            state: WorkerState::Assigned,
            created_at: self.now,
            started_at: None,
        };
        self.put_run(run);
        self.put_worker(worker.clone());
        if let Some(order) = start_order(self.world, &worker) {
            self.effects.push(Effect::Start(order));
        }
    }

    /// Whether the agent can run the worker and has room for it, and application and account may hold it (promise P8).
    fn may_hold(&self, placement: &Placement, run: &JobRun) -> bool {
        let Some(agent) = self.world.agent(&placement.agent).filter(|agent| agent.takes_workers()) else {
            return false;
        };
        let Some(application) = self.world.application(&run.application) else { return false };
        let within = application
            .maximum_capacity
            .is_none_or(|limit| self.world.held_by(&application.id).plus(&placement.size).fits(&limit));
        within
            && self.world.quotas().allow(self.world.cpu_millis_held() + placement.size.cpu_millis)
            && suits(agent, run, self.world)
            && placement.size.fits(&agent.offered.minus(&self.world.booked(&agent.id)))
    }

    /// Whether a job run waits for its driver and its application lets one more run.
    fn may_drive(&self, run: &JobRun) -> bool {
        let Some(application) = self.world.application(&run.application) else { return false };
        run.waits_for_driver()
            && !follows_closely(self.world, run)
            && application.state == ApplicationState::Started
            && application.concurrency.is_none_or(|limit| under_way(self.world, &application.id) < limit)
    }

    /// Whether the driver still wants such an executor. A profile may have changed since the plan was made.
    fn wants_one_more(&self, run: &JobRun, profile: &ExecutorProfile) -> bool {
        let wanted = wanted_executors(run).into_iter().find(|want| want.profile_id == profile.profile_id);
        wanted.is_some_and(|want| {
            let is_the_same = ExecutorProfile { count: profile.count, ..want } == *profile;
            is_the_same && serving(self.world, run, profile.profile_id).len() < want.count as usize
        })
    }

    /// Whether an executor that does not run yet is one more than its driver wants.
    fn is_surplus(&self, worker: &Worker) -> bool {
        let Role::Executor { profile, .. } = worker.role else { return false };
        let Some(run) = self.world.run(&worker.run) else { return false };
        let wanted =
            wanted_executors(run).iter().find(|want| want.profile_id == profile).map_or(0, |want| want.count);
        worker.started_at.is_none() && serving(self.world, run, profile).len() > wanted as usize
    }

    fn keep_waiting(&mut self, waiting: Waiting) {
        let Some(run) = self.world.run(&waiting.run).filter(|run| run.waits_for_driver()).cloned() else {
            return;
        };
        let phase = if waiting.queued { RunPhase::Queued } else { RunPhase::Pending };
        if run.phase == phase && run.details == waiting.reason {
            return;
        }
        let updated_at = if run.phase == phase { run.updated_at } else { self.now };
        self.put_run(JobRun { phase, details: waiting.reason, updated_at, ..run });
    }

    fn with_driver(&self, run: JobRun, driver: &WorkerId) -> JobRun {
        JobRun {
            phase: RunPhase::Scheduled { driver: driver.clone() },
            details: "Preparing the driver.".to_owned(),
            executors: ExecutorTally { failed: 0, most_wanted: first_executors(&run).count },
            updated_at: self.now,
            ..run
        }
    }
}
