//! Decisions about agents: contact, loss, and what is owed when one comes back; and every deadline.

use super::{Turn, start_order};
use crate::agent::{Agent, Contact, Extension, Standing};
use crate::command::{Change, Effect, Refusal, Reply, Report};
use crate::job_run::{CancelCause, JobRun};
use crate::lease;
use crate::worker::{Exit, Role, Worker, WorkerState};
use hearth_types::{AgentId, ApplicationId, Launch, Moment, WorkerId};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a timed-out driver may take to end by itself.
const TIMEOUT_GRACE: Duration = Duration::from_secs(5);

impl Turn<'_> {
    /// It says what its host is; what an operator wants of it stays as it was.
    pub(super) fn agent_attached(
        &mut self,
        agent: Agent,
        reports: Vec<Report>,
        stream: u64,
    ) -> Result<Reply, Refusal> {
        let id = agent.id.clone();
        let known = self.world.agent(&id);
        let standing = known.map(|known| known.standing).unwrap_or_default();
        let extension = known
            .filter(|known| lease::extended_until(self.world, known).is_some_and(|end| self.moment < end))
            .and_then(|known| known.extension);
        if standing == Standing::Revoked {
            return Err(Refusal::AgentRevoked(id));
        }
        // It says below what it still holds.
        let leftovers = BTreeSet::new();
        self.put_agent(Agent { contact: Contact::Attached, standing, extension, leftovers, ..agent });
        let reported: BTreeSet<(WorkerId, Launch)> =
            reports.iter().map(|report| (report.worker.clone(), report.launch)).collect();
        for report in reports {
            self.worker_reported(&id, report);
        }
        let on_agent: Vec<WorkerId> = self.world.workers_on(&id).map(|worker| worker.id.clone()).collect();
        for worker in on_agent {
            // Read anew each time: the end of a driver earlier in the list changes what its executors are owed.
            let Some(worker) = self.world.worker(&worker).cloned() else { continue };
            if !reported.contains(&(worker.id.clone(), worker.launch)) {
                self.unreported(worker);
            }
        }
        self.repeat_run_orders(&id);
        let current_drivers = self.current_drivers(&id);
        for driver in &current_drivers {
            self.repeat_exits(driver);
        }
        self.effects.push(Effect::Settled { agent: id, stream, current_drivers });
        Ok(Self::done())
    }

    /// Drivers on an agent that no later launch has outdated, those that are ending included.
    fn current_drivers(&self, agent: &AgentId) -> Vec<WorkerId> {
        let is_current = |worker: &&Worker| {
            worker.role == Role::Driver
                && self.world.run(&worker.run).is_some_and(|run| run.launch == worker.launch)
        };
        self.world.workers_on(agent).filter(is_current).map(|worker| worker.id.clone()).collect()
    }

    /// An agent attached without a word about a worker placed on it.
    fn unreported(&mut self, worker: Worker) {
        match worker.state {
            WorkerState::Assigned => {
                if let Some(order) = start_order(self.world, &worker) {
                    self.effects.push(Effect::Start(order));
                } else {
                    self.worker_ended(worker, &Exit::lost("it was no longer wanted"));
                }
            }
            WorkerState::Preparing | WorkerState::Running | WorkerState::Stopping { .. } => {
                let reason = format!("agent {} no longer knows the worker", worker.agent);
                self.worker_ended(worker, &Exit::lost(reason));
            }
            WorkerState::Ended { .. } => {}
        }
    }

    /// An executor's agent may have missed that its driver registered.
    fn repeat_run_orders(&mut self, agent: &AgentId) {
        let executors: Vec<Worker> = self
            .world
            .workers_on(agent)
            .filter(|worker| worker.serves() && worker.role != Role::Driver)
            .filter(|worker| self.world.run(&worker.run).is_some_and(|run| run.app.is_some()))
            .cloned()
            .collect();
        for worker in executors {
            if let Some(order) = start_order(self.world, &worker) {
                self.effects.push(Effect::Run(order));
            }
        }
    }

    pub(super) fn agent_detached(&mut self, id: &AgentId, answered: Moment) -> Reply {
        if let Some(agent) = self.world.agent(id)
            && agent.contact == Contact::Attached
        {
            let contact = Contact::Detached { since: answered.min(self.moment) };
            self.put_agent(Agent { contact, ..agent.clone() });
        }
        Self::done()
    }

    pub(super) fn term_began(&mut self) -> Reply {
        let agents: Vec<Agent> =
            self.world.agents().filter(|agent| agent.contact != Contact::Lost).cloned().collect();
        for agent in agents {
            let from = self.moment;
            let extension = agent.extension.map(|told| Extension { from, ..told });
            self.put_agent(Agent { contact: Contact::Detached { since: from }, extension, ..agent });
        }
        self.begin_pauses_anew();
        Self::done()
    }

    /// Records that the leases of every agent in contact are extended.
    pub(super) fn leaving(&mut self, length: Duration) -> Reply {
        let told = Extension { length, from: self.moment };
        let attached: Vec<Agent> =
            self.world.agents().filter(|agent| agent.is_in_contact()).cloned().collect();
        for agent in attached {
            let later = |known: &Extension| known.from.plus(known.length) > told.from.plus(told.length);
            let extension = Some(agent.extension.filter(later).unwrap_or(told));
            self.put_agent(Agent { extension, ..agent });
        }
        Self::done()
    }

    pub(super) fn put_agent(&mut self, agent: Agent) {
        if self.world.agent(&agent.id) != Some(&agent) {
            self.change(Change::Agent(agent));
        }
    }

    pub(super) fn time_passed(&mut self) -> Reply {
        // Lost agents first: they no longer count among those that may be out of contact because we are.
        self.lose_agents();
        self.end_leases();
        self.end_pauses();
        self.time_out_runs();
        self.time_out_queued();
        self.stop_idle_applications();
        Self::done()
    }

    fn time_out_runs(&mut self) {
        let due: Vec<JobRun> = self.world.timed_out(self.now).cloned().collect();
        for run in due {
            self.cancel(run, CancelCause::TimedOut, TIMEOUT_GRACE);
        }
    }

    fn time_out_queued(&mut self) {
        let (world, now) = (&self.world, self.now);
        let due: Vec<(JobRun, Duration)> = world
            .applications()
            .filter_map(|application| Some((application, application.queue_timeout?)))
            .flat_map(|(of, timeout)| world.queued_too_long(of, now).map(move |run| (run.clone(), timeout)))
            .collect();
        for (run, timeout) in due {
            self.cancel(run, CancelCause::QueueTimedOut { timeout }, Duration::ZERO);
        }
    }

    fn stop_idle_applications(&mut self) {
        let now = self.now;
        let idle: Vec<ApplicationId> = self
            .world
            .applications()
            .filter(|application| application.auto_stop_at().is_some_and(|at| at <= now))
            .filter(|application| self.world.runs_of(&application.id).next().is_none())
            .map(|application| application.id.clone())
            .collect();
        for id in idle {
            self.auto_stop(&id);
        }
    }
}
