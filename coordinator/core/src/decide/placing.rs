//! Carries out a plan as far as it still holds: each placement is checked against the world as it is now.

use super::Turn;
use crate::command::{Effect, Reply};
use crate::job_run::{JobRun, RunPhase};
use crate::schedule::{Placement, Plan, PlannedRole, Waiting, wanted_executors};
use crate::worker::{Role, StopCause, Worker, WorkerState};
use hearth_types::WorkerId;
use std::time::Duration;

impl Turn<'_> {
    pub(super) fn place(&mut self, plan: Plan, ids: Vec<WorkerId>) -> Reply {
        for id in plan.surplus {
            if self.world.worker(&id).is_some_and(|worker| worker.started_at.is_none()) {
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
        if !self.has_room(&placement, &run) {
            return;
        }
        let (role, run) = match &placement.role {
            PlannedRole::Driver if run.waits_for_driver() => (Role::Driver, with_driver(run, &id)),
            PlannedRole::Executor(profile) if self.wants_one_more(&run, profile.profile_id) => {
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
        let run = JobRun { updated_at: if role == Role::Driver { self.now } else { run.updated_at }, ..run };
        let worker = Worker {
            id,
            agent: placement.agent,
            application: run.application.clone(),
            run: run.id.clone(),
            launch: run.launch,
            role,
            size: placement.size,
            state: WorkerState::Assigned,
            created_at: self.now,
            started_at: None,
        };
        self.put_run(run);
        self.put_worker(worker.clone());
        if let Some(order) = self.start_order(&worker) {
            self.effects.push(Effect::Start(order));
        }
    }

    fn has_room(&self, placement: &Placement, run: &JobRun) -> bool {
        let Some(agent) = self.world.agent(&placement.agent).filter(|agent| agent.takes_workers()) else {
            return false;
        };
        let Some(application) = self.world.application(&run.application) else { return false };
        let within = application
            .maximum_capacity
            .is_none_or(|limit| self.world.held_by(&application.id).plus(&placement.size).fits(&limit));
        within && placement.size.fits(&agent.offered.minus(&self.world.booked(&agent.id)))
    }

    fn wants_one_more(&self, run: &JobRun, profile: u32) -> bool {
        let wanted =
            wanted_executors(run).iter().find(|want| want.profile_id == profile).map_or(0, |want| want.count);
        let have = self
            .world
            .workers_of(&run.id)
            .filter(|worker| worker.launch == run.launch && worker.serves())
            .filter(|worker| matches!(worker.role, Role::Executor { profile: of, .. } if of == profile))
            .count();
        have < wanted as usize
    }

    fn keep_waiting(&mut self, waiting: Waiting) {
        let Some(run) = self.world.run(&waiting.run).filter(|run| run.waits_for_driver()).cloned() else {
            return;
        };
        let phase = if waiting.queued { RunPhase::Queued } else { RunPhase::Pending };
        self.put_run(JobRun { phase, details: waiting.reason, updated_at: self.now, ..run });
    }
}

fn with_driver(run: JobRun, driver: &WorkerId) -> JobRun {
    JobRun {
        phase: RunPhase::Scheduled { driver: driver.clone() },
        details: "Preparing the driver.".to_owned(),
        ..run
    }
}
