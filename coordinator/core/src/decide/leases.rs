//! Decisions about hosts out of contact: at the end of a lease, and when an agent is lost (design §9).

use super::Turn;
use crate::agent::{Agent, Contact};
use crate::job_run::JobRun;
use crate::lease;
use crate::worker::{Exit, Role, StopCause, Worker};
use hearth_types::{FailureCause, WorkerId};
use std::time::Duration;

impl Turn<'_> {
    /// Acts on every lease that is surely over: an executor was killed by its keeper, and a driver is frozen, so that
    /// another attempt may start where one can. Until then, or if contact comes back first, the driver stays the current one.
    pub(super) fn end_leases(&mut self) {
        let over: Vec<Worker> = self
            .world
            .agents()
            .filter(|agent| lease::silent_since(agent).is_some())
            .flat_map(|agent| self.world.workers_on(&agent.id))
            .filter(|worker| lease::over_at(self.world, worker).is_some_and(|at| at <= self.moment))
            .cloned()
            .collect();
        // Drivers first: the executors of one that is replaced are nobody's business any more.
        let is_cut_off = !over.is_empty() && lease::is_cut_off(self.world);
        for driver in over.iter().filter(|worker| worker.role == Role::Driver) {
            if !is_cut_off && lease::may_replace(self.world, driver) {
                self.replace(driver);
            }
        }
        for executor in over.iter().filter(|worker| worker.role != Role::Driver) {
            if let Some(executor) = self.world.worker(&executor.id).cloned() {
                let exit = Exit::lost(self.out_of_contact(&executor));
                self.worker_ended(executor, &exit);
            }
        }
    }

    /// Gives up the attempt of a driver that is surely frozen. What its host holds stays booked there until the host says
    /// that it is gone, or is lost.
    fn replace(&mut self, driver: &Worker) {
        let Some(run) = self.world.run(&driver.run).cloned() else { return };
        let unreachable: Vec<WorkerId> = self
            .world
            .workers_of(&run.id)
            .filter(|worker| !self.world.agent(&worker.agent).is_some_and(Agent::is_in_contact))
            .map(|worker| worker.id.clone())
            .collect();
        for worker in unreachable {
            self.stop_worker(&worker, StopCause::Replaced, Duration::ZERO);
        }
        let why = format!("Job failed because its driver was lost: {}.", self.out_of_contact(driver));
        self.next_attempt(JobRun { cause: Some(FailureCause::HostLost), ..run }, why);
    }

    pub(super) fn lose_agents(&mut self) {
        let now = self.moment;
        let lost: Vec<Agent> = self
            .world
            .agents()
            .filter(|agent| lease::lost_at(self.world, agent).is_some_and(|at| at <= now))
            .cloned()
            .collect();
        for agent in lost {
            let held: Vec<Worker> = self.world.workers_on(&agent.id).cloned().collect();
            let why: Vec<String> = held.iter().map(|worker| self.out_of_contact(worker)).collect();
            self.put_agent(Agent { contact: Contact::Lost, ..agent });
            for (worker, why) in held.into_iter().zip(why) {
                // Read anew each time: the end of a driver earlier in the list changes its executors.
                if let Some(worker) = self.world.worker(&worker.id).cloned() {
                    self.worker_ended(worker, &Exit::lost(why));
                }
            }
        }
    }

    fn out_of_contact(&self, worker: &Worker) -> String {
        let since = self.world.agent(&worker.agent).and_then(lease::silent_since);
        let silent = since.map_or(Duration::ZERO, |since| self.moment.since(since));
        format!("host of agent {} was out of contact for {} s", worker.agent, silent.as_secs())
    }
}
