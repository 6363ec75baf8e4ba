//! What must hold after each step, whatever went wrong: promises P1 to P4, P6 and P8 of the design, and that everything
//! comes to its end once all is mended.

use crate::cluster::Cluster;
use crate::queue::Time;
use crate::stream::agent_id;
use crate::wire::Order;
use hearth_coordinator_core::agent::Contact;
use hearth_coordinator_core::command::Change;
use hearth_coordinator_core::job_run::{JobRun, Outcome, RunPhase};
use hearth_coordinator_core::schedule::schedule;
use hearth_coordinator_core::worker::{Worker, WorkerState};
use hearth_types::{JobRunId, Launch, WorkerId, WorkerSize};
use std::collections::{BTreeMap, BTreeSet};

/// A promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// P1.
    AnswerIsDurable,
    /// P2.
    OneResourcePerToken,
    /// P3.
    OneDriver,
    /// P4, and that the final state is the one that its driver earned.
    OneFinalState,
    /// P5: restarts disturb no driver.
    Undisturbed,
    /// P6.
    NothingLeft,
    /// P8.
    Capacity,
    /// Once everything is mended, every job run ends and every booking is released.
    Liveness,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// How.
    pub what: String,
    /// When, in simulated microseconds.
    pub at: Time,
}

/// What the checker knows of the world as it really is, whatever coordinator and agents believe.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    pub(crate) violation: Option<Violation>,
    /// Running workers and the host of each.
    running: BTreeMap<WorkerId, usize>,
    /// Those of them that are frozen.
    frozen: BTreeSet<WorkerId>,
    /// Running drivers of each job run.
    drivers: BTreeMap<JobRunId, Vec<(usize, WorkerId, Launch)>>,
    /// How drivers ended by their own doing or by a signal.
    driver_ends: BTreeMap<(JobRunId, Launch), Option<i32>>,
    /// Workers that were lost with their host or keeper.
    lost: BTreeSet<WorkerId>,
}

impl Checker {
    /// A worker's program is executed.
    pub(crate) fn process_runs(&mut self, host: usize, order: &Order) -> Result<(), (Promise, String)> {
        if let Some(other) = self.running.insert(order.worker.clone(), host) {
            let what = format!("worker {} runs on host {other} and on host {host}", order.worker);
            return Err((Promise::OneDriver, what));
        }
        self.driver_executes(host, order)
    }

    /// A driver executes instructions from now on.
    pub(crate) fn driver_executes(&mut self, host: usize, order: &Order) -> Result<(), (Promise, String)> {
        self.frozen.remove(&order.worker);
        if !order.is_driver() {
            return Ok(());
        }
        let drivers = self.drivers.entry(order.run.clone()).or_default();
        drivers.push((host, order.worker.clone(), order.launch));
        if drivers.len() > 1 {
            return Err((Promise::OneDriver, format!("{} has drivers {drivers:?}", order.run)));
        }
        Ok(())
    }

    /// A driver is frozen.
    pub(crate) fn driver_rests(&mut self, host: usize, order: &Order) {
        self.frozen.insert(order.worker.clone());
        if let Some(drivers) = self.drivers.get_mut(&order.run) {
            drivers.retain(|(on, worker, _)| (*on, worker) != (host, &order.worker));
        }
    }

    /// A worker's process is no more.
    pub(crate) fn process_gone(&mut self, host: usize, order: &Order) {
        self.running.remove(&order.worker);
        self.driver_rests(host, order);
        self.frozen.remove(&order.worker);
    }

    pub(crate) fn loss_of(&mut self, worker: &WorkerId) {
        self.lost.insert(worker.clone());
    }

    pub(crate) fn driver_ended(&mut self, order: &Order, code: Option<i32>) {
        self.driver_ends.insert((order.run.clone(), order.launch), code);
    }

    /// Whether a driver of this launch runs anywhere.
    pub(crate) fn has_driver(&self, run: &JobRunId, launch: Launch) -> bool {
        self.drivers.get(run).is_some_and(|drivers| drivers.iter().any(|(_, _, of)| *of == launch))
    }

    /// What a change must not do to what is durable already.
    fn run_changes(&self, before: Option<&JobRun>, after: &JobRun) -> Result<(), (Promise, String)> {
        let id = &after.id;
        match before.map(|row| &row.phase) {
            Some(RunPhase::Ended { outcome }) => {
                return Err((
                    Promise::OneFinalState,
                    format!("{id} was {outcome:?} and is {:?}", after.phase),
                ));
            }
            Some(RunPhase::Cancelling { .. })
                if !matches!(after.phase, RunPhase::Cancelling { .. } | RunPhase::Ended { .. }) =>
            {
                let what = format!("{id} was being cancelled and is {:?}", after.phase);
                return Err((Promise::AnswerIsDurable, what));
            }
            _ => {}
        }
        let earned = self.driver_ends.get(&(id.clone(), after.launch)).copied().flatten();
        if after.phase == (RunPhase::Ended { outcome: Outcome::Success }) && earned != Some(0) {
            let what = format!("{id} is a success, but its driver ended with {earned:?}");
            return Err((Promise::OneFinalState, what));
        }
        self.loss_is_real(before, after)
    }

    /// A driver that is given up as lost was lost: no restart of a daemon may cost a job run its driver.
    fn loss_is_real(&self, before: Option<&JobRun>, after: &JobRun) -> Result<(), (Promise, String)> {
        let Some(driver) = before.and_then(JobRun::driver) else { return Ok(()) };
        let is_given_up = after.driver().is_none() && after.details.contains("its driver was lost");
        let is_excused =
            ["could not start it", "out of contact"].iter().any(|excuse| after.details.contains(excuse));
        if is_given_up && !is_excused && !self.lost.contains(driver) {
            return Err((Promise::Undisturbed, format!("{}: {}", after.id, after.details)));
        }
        Ok(())
    }
}

impl Cluster {
    /// A change is about to become durable.
    pub(crate) fn check_change(&mut self, change: &Change) {
        let checked = match change {
            Change::JobRun(run) => self.checker.run_changes(self.coordinator.rows.runs.get(&run.id), run),
            Change::Worker(worker) => self.check_worker(worker),
            Change::Application(_)
            | Change::ApplicationDocument { .. }
            | Change::JobRunDocument { .. }
            | Change::Agent(_)
            | Change::Release(_)
            | Change::JobRunForgotten(_)
            | Change::ReleaseForgotten(_)
            | Change::Token { .. } => Ok(()),
        };
        if self.trace.is_kept() {
            let text = match change {
                Change::JobRun(run) => format!("    durable: {} {:?} {}", run.id, run.phase, run.details),
                Change::Worker(worker) => {
                    format!(
                        "    durable: {} of {} on {} {:?}",
                        worker.id, worker.run, worker.agent, worker.state
                    )
                }
                Change::Agent(agent) => format!("    durable: {} {:?}", agent.id, agent.contact),
                other => format!("    durable: {other:?}"),
            };
            self.note(|| text);
        }
        if let Err((promise, what)) = checked {
            self.violate(promise, what);
        }
    }

    /// A booking is released once nothing of the worker runs any more; on a host that was given up it may be frozen.
    fn check_worker(&self, worker: &Worker) -> Result<(), (Promise, String)> {
        let rows = &self.coordinator.rows;
        let is_ended = matches!(worker.state, WorkerState::Ended { .. });
        let is_given_up = rows.agents.get(&worker.agent).is_some_and(|agent| agent.contact == Contact::Lost);
        let is_held = self.checker.running.contains_key(&worker.id)
            && !(is_given_up && self.checker.frozen.contains(&worker.id));
        if is_ended && is_held {
            let what = format!("the booking of {} is released while it runs", worker.id);
            return Err((Promise::Capacity, what));
        }
        let revives =
            rows.workers.get(&worker.id).is_some_and(|before| !before.is_live()) && worker.is_live();
        if revives { Err((Promise::Capacity, format!("{} lives again", worker.id))) } else { Ok(()) }
    }

    /// A worker that runs is booked, durably, where it runs.
    pub(crate) fn check_is_booked(&mut self, host: usize, order: &Order) {
        let agent = agent_id(host);
        let rows = &self.coordinator.rows;
        let is_booked =
            rows.workers.get(&order.worker).is_some_and(|row| row.is_live() && row.agent == agent);
        if !is_booked {
            self.violate(
                Promise::Capacity,
                format!("{} runs on {agent} but is not booked there", order.worker),
            );
        }
    }

    /// The coordinator's bookings are the sums of what is placed, and never more than is offered.
    pub(crate) fn check_bookings(&mut self) {
        let Some(running) = &self.coordinator.running else { return };
        let world = &running.world;
        let mut wrong = None;
        for agent in world.agents() {
            let booked = world.booked(&agent.id);
            let sum = world.workers_on(&agent.id).fold(WorkerSize::default(), |sum, w| sum.plus(&w.size));
            if booked != sum || !booked.fits(&agent.offered) {
                wrong =
                    Some(format!("{}: booked {booked}, placed {sum}, offered {}", agent.id, agent.offered));
            }
        }
        if let Some(what) = wrong {
            self.violate(Promise::Capacity, what);
        }
    }

    /// What a turn left to be planned would wait until something else happens.
    pub(crate) fn check_plan(&mut self) {
        let Some(running) = &self.coordinator.running else { return };
        let left = schedule(&running.world);
        if !left.is_empty() {
            self.violate(Promise::Liveness, format!("a turn left this to be planned: {left:?}"));
        }
    }

    /// Why the cluster is not at rest; nothing if it is.
    pub(crate) fn unrest(&self) -> Option<String> {
        let Some(running) = &self.coordinator.running else { return Some("no coordinator".to_owned()) };
        if !running.is_idle() {
            return Some("the engine is at work".to_owned());
        }
        if let Some(wish) = self.clients.pending() {
            return Some(format!("a client still wants {wish:?}"));
        }
        if let Some(run) = running.world.runs().next() {
            return Some(format!("{} is {:?}: {}", run.id, run.phase, run.details));
        }
        if let Some(worker) = running.world.workers().next() {
            return Some(format!("{} on {} is {:?}", worker.id, worker.agent, worker.state));
        }
        let left = self.hosts.iter().enumerate();
        let mut left =
            left.filter_map(|(number, host)| Some(format!("host {number}: {}", host.leftovers()?)));
        left.next()
    }

    /// At rest, nothing is left and nothing that was told is missing.
    pub(crate) fn check_nothing_left(&mut self) {
        let Some(running) = &self.coordinator.running else { return };
        let rows = &self.coordinator.rows;
        let mut wrong = None;
        if running.world != rows.world() {
            wrong = Some((Promise::AnswerIsDurable, "the world and the store differ at rest".to_owned()));
        }
        for id in self.clients.told() {
            if !rows.runs.get(id).is_some_and(|run| matches!(run.phase, RunPhase::Ended { .. })) {
                wrong = Some((Promise::Liveness, format!("{id} was accepted and has not ended")));
            }
        }
        for number in 0..self.hosts.len() {
            let booked = running.world.booked(&agent_id(number));
            if booked != WorkerSize::default() {
                wrong = Some((Promise::NothingLeft, format!("host {number} is booked for {booked}")));
            }
        }
        if let Some((promise, what)) = wrong {
            self.violate(promise, what);
        }
    }
}
