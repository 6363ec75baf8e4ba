//! The whole cluster in one thread: takes one event after another and hands it to whom it concerns.

use crate::checker::{Checker, Promise, Violation};
use crate::client::Clients;
use crate::coordinator::{Asker, Coordinator};
use crate::event::{Coordinator as InCoordinator, Event, Process};
use crate::host::Host;
use crate::mutation::Mutation;
use crate::plan::{FaultKind, NEVER, Plan, Selection};
use crate::queue::{MS, Queue, S, Time};
use crate::random::Random;
use crate::stream::{EXTENSION, Stream};
use crate::trace::{Trace, TraceHash};
use hearth_coordinator_core::command::Command;
use std::hash::Hash as _;

/// Long enough, after everything is mended, for every job run to end and every host to be empty.
const PATIENCE: Time = 4 * 3600 * S;
/// How often it is looked whether all is at rest.
const LOOK_EVERY: Time = 5 * S;

/// What a simulation came to.
#[derive(Debug)]
pub struct Report {
    /// Hash of everything that happened.
    pub hash: TraceHash,
    /// Number of events.
    pub events: u64,
    /// The broken promise, if one was.
    pub violation: Option<Violation>,
    /// The last events as text, as many as were asked for.
    pub lines: Vec<String>,
}

/// The cluster.
pub(crate) struct Cluster {
    pub(crate) now: Time,
    pub(crate) queue: Queue<Event>,
    pub(crate) plan: Plan,
    pub(crate) mutation: Mutation,
    pub(crate) coordinator: Coordinator,
    pub(crate) hosts: Vec<Host>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) clients: Clients,
    pub(crate) checker: Checker,
    pub(crate) trace: Trace,
    /// Delays and losses on the way.
    pub(crate) net: Random,
    /// How long the store takes, and what becomes of writes in a crash.
    pub(crate) disk: Random,
    /// What processes on the hosts do.
    pub(crate) work: Random,
}

/// Runs what `selection` stands for. The last `lines` events are kept as text.
pub fn simulate(selection: &Selection, mutation: Mutation, lines: usize) -> Report {
    let mut cluster = Cluster::new(selection, mutation, lines);
    cluster.run();
    Report {
        hash: cluster.trace.hash,
        events: cluster.trace.events,
        violation: cluster.checker.violation,
        lines: cluster.trace.into_lines(),
    }
}

impl Cluster {
    fn new(selection: &Selection, mutation: Mutation, lines: usize) -> Self {
        let plan = Plan::of(selection, mutation.shows_by());
        let hosts: Vec<Host> =
            plan.hosts.iter().enumerate().map(|(number, offered)| Host::new(number, *offered)).collect();
        let mut cluster = Self {
            now: 0,
            queue: Queue::new(),
            mutation,
            coordinator: Coordinator::new(),
            streams: Vec::new(),
            clients: Clients::new(plan.runs.len()),
            checker: Checker::default(),
            trace: Trace::keeping(lines),
            net: Random::stream(selection.seed, "net"),
            disk: Random::stream(selection.seed, "disk"),
            work: Random::stream(selection.seed, "work"),
            hosts,
            plan,
        };
        cluster.queue.at(0, Event::CoordinatorStarts);
        for host in 0..cluster.hosts.len() {
            let at = cluster.work.below(3 * S);
            cluster.queue.at(at, Event::AgentStarts(host));
        }
        cluster.clients_begin();
        for (number, fault) in cluster.plan.faults.iter().enumerate() {
            if fault.at != NEVER {
                cluster.queue.at(fault.at, Event::Fault(number));
            }
        }
        cluster.queue.at(cluster.plan.calm_at + LOOK_EVERY, Event::Rest);
        cluster
    }

    fn run(&mut self) {
        while self.checker.violation.is_none() {
            let Some((at, place, event)) = self.queue.pop() else { break };
            self.now = at;
            if self.is_outdated(&event) {
                continue;
            }
            let until = self.paused_until(&event);
            if until > at {
                self.queue.put_off(until, place, event);
            } else if !self.step(event) {
                break;
            }
        }
    }

    /// Whether an event concerns nobody any more; it is neither taken nor counted.
    fn is_outdated(&self, event: &Event) -> bool {
        match event {
            Event::Coordinator(term, event) => self.coordinator.is_outdated(*term, event),
            Event::Agent(host, incarnation, event) => {
                self.hosts[*host].agent.as_ref().is_none_or(|agent| agent.is_outdated(*incarnation, event))
            }
            Event::Process(host, boot, worker, event) => {
                let host = &self.hosts[*host];
                if let Process::Looks(number) = event
                    && host.processes.get(worker).is_none_or(|process| process.hold.number != *number)
                {
                    return true;
                }
                let is_known = host.dirs.contains_key(worker) || host.processes.contains_key(worker);
                host.boot != *boot || !is_known
            }
            Event::Client(event) => self.clients.is_outdated(event),
            Event::Up(stream, _) | Event::CoordinatorNotices(stream) => {
                self.coordinator_is_done_with(*stream)
            }
            Event::Down(stream, _) | Event::AgentNotices(stream) => {
                self.hosts[self.streams[*stream].host].stream() != Some(*stream)
            }
            Event::CoordinatorStarts
            | Event::CoordinatorStops
            | Event::AgentStarts(_)
            | Event::Fault(_)
            | Event::Rest => false,
        }
    }

    /// Until when the process that an event happens to is stopped.
    fn paused_until(&self, event: &Event) -> Time {
        match event {
            Event::Coordinator(..) | Event::CoordinatorNotices(_) | Event::Up(..) => {
                self.coordinator.paused_until
            }
            Event::Agent(host, ..) => self.hosts[*host].paused_until,
            Event::Down(stream, _) | Event::AgentNotices(stream) => {
                self.hosts[self.streams[*stream].host].paused_until
            }
            Event::Client(_)
            | Event::CoordinatorStarts
            | Event::CoordinatorStops
            | Event::AgentStarts(_)
            | Event::Process(..)
            | Event::Fault(_)
            | Event::Rest => 0,
        }
    }

    /// Whether there is more to come.
    fn step(&mut self, event: Event) -> bool {
        self.trace.events += 1;
        self.trace.hash.word(self.now);
        event.hash(&mut self.trace.hash);
        if self.trace.is_kept() {
            let text = format!("{event:?}");
            self.trace.line(self.now, || text);
        }
        match event {
            Event::Client(event) => self.client(event),
            Event::CoordinatorStarts => self.coordinator_starts(),
            Event::CoordinatorStops => self.coordinator_crashes(),
            Event::Coordinator(term, event) => self.in_coordinator(term, event),
            Event::Up(stream, message) => self.up_arrives(stream, message),
            Event::Down(stream, message) => self.down_arrives(stream, message),
            Event::CoordinatorNotices(stream) => self.coordinator_notices(stream),
            Event::AgentNotices(stream) => self.agent_notices(stream),
            Event::AgentStarts(host) => self.agent_starts(host),
            Event::Agent(host, incarnation, event) => self.in_agent(host, incarnation, event),
            Event::Process(host, boot, worker, event) => self.in_process(host, boot, &worker, event),
            Event::Fault(number) => self.fault(number),
            Event::Rest => return self.keeps_on(),
        }
        true
    }

    fn fault(&mut self, number: usize) {
        let fault = self.plan.faults[number];
        let until = self.now + fault.lasts;
        match fault.kind {
            FaultKind::CoordinatorCrash => {
                self.coordinator_crashes();
                self.queue.at(until + 100 * MS, Event::CoordinatorStarts);
            }
            FaultKind::CoordinatorLeaves => {
                if self.coordinator.running.is_some() {
                    let leaving = Command::Leaving { extension: EXTENSION };
                    let end = self.moment().plus(EXTENSION);
                    self.ask(leaving, Asker::Leaving(end));
                }
                // It closes its streams soon after, whether the store took it or not.
                let at = self.now + self.net.below(S);
                self.queue.at(at, Event::CoordinatorStops);
                self.queue.at(at.max(until) + 100 * MS, Event::CoordinatorStarts);
            }
            FaultKind::CoordinatorPause => {
                self.coordinator.paused_until =
                    self.coordinator.paused_until.max(until.min(self.now + 25 * S));
            }
            FaultKind::WallClockJump(by_ms) => {
                self.coordinator.wall_offset_ms += by_ms;
                if let Some(term) = self.coordinator.term() {
                    self.queue.at(self.now, Event::Coordinator(term, InCoordinator::Wakes));
                }
            }
            FaultKind::StoreTrouble => self.coordinator.store_trouble_until = until.min(self.now + 20 * S),
            FaultKind::SupplyTrouble => self.coordinator.supply_trouble_until = until.min(self.now + 20 * S),
            FaultKind::AgentCrash => {
                self.agent_crashes(fault.host);
                self.queue.at(until + 100 * MS, Event::AgentStarts(fault.host));
            }
            FaultKind::AgentPause => {
                let host = &mut self.hosts[fault.host];
                host.paused_until = host.paused_until.max(until);
            }
            FaultKind::PowerLoss => {
                self.power_loss(fault.host);
                self.queue.at(until + 5 * S, Event::AgentStarts(fault.host));
            }
            FaultKind::CutStream => self.cut_stream(fault.host),
            FaultKind::LinkDown => {
                let host = &mut self.hosts[fault.host];
                host.link_down_until = host.link_down_until.max(until);
            }
            FaultKind::DiskFull => {
                let host = &mut self.hosts[fault.host];
                host.disk_full_until = host.disk_full_until.max(until);
            }
            FaultKind::KeeperKill => self.kill_keeper(fault.host),
            FaultKind::WorkerKill => self.kill_worker(fault.host),
            FaultKind::Repetition => self.repeat_orders(fault.host),
        }
    }

    /// Once everything is mended the cluster must come to rest: then nothing may be left of anything.
    fn keeps_on(&mut self) -> bool {
        let unrest = self.unrest();
        let Some(unrest) = unrest else {
            self.check_nothing_left();
            return false;
        };
        if self.now > self.plan.calm_at + PATIENCE {
            self.violate(Promise::Liveness, format!("no rest after everything was mended: {unrest}"));
            return false;
        }
        self.queue.at(self.now + LOOK_EVERY, Event::Rest);
        true
    }

    pub(crate) fn violate(&mut self, promise: Promise, what: String) {
        let at = self.now;
        self.trace.line(at, || format!("VIOLATION {promise:?}: {what}"));
        self.checker.violation.get_or_insert(Violation { promise, what, at });
    }

    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        self.trace.line(self.now, text);
    }
}
