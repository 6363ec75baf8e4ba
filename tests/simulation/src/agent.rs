//! The agent's process: its session with the coordinator and its roster of workers, as `agent/src/{session,roster}.rs`
//! have them around the core's fence and lives. Orders are taken one at a time, and nothing goes on before it is on disk.

use crate::cluster::Cluster;
use crate::event::{Agent as Event, Event as Any, StreamId};
use crate::host::{Dir, Stage};
use crate::mutation::Mutation;
use crate::outbox::Outbox;
use crate::queue::{MS, S, Time};
use crate::stream::LEASE;
use crate::task::{Command, Task};
use crate::wire::{self, Down, Order, Up};
use hearth_agent_core::fence::{Fence, Start};
use hearth_agent_core::life::{AgentCause, Life, Outcome, Report, Stop};
use hearth_lease::Contact;
use hearth_types::{Epoch, Launch, WorkerId};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How long the coordinator may take to answer the greeting (`session.rs`).
const WELCOME_WITHIN: Time = 10 * S;
/// Time between heartbeats (`coordinator/src/daemon/mod.rs`).
const HEARTBEAT: Time = 5 * S;
const FIRST_DELAY: Time = 200 * MS;
const LONGEST_DELAY: Time = 10 * S;

/// The process.
pub(crate) struct Agent {
    pub(crate) incarnation: u64,
    pub(crate) fence: Fence,
    pub(crate) tasks: BTreeMap<WorkerId, Task>,
    pub(crate) outbox: Outbox,
    session: Session,
    /// What workers' leases rest on.
    pub(crate) contact: Option<Contact>,
    delay: Time,
    /// Whether it is to dial once the roster has carried out what waits.
    dials_when_settled: bool,
    /// Waiting for the roster.
    messages: VecDeque<Message>,
    /// The write that the roster waits for, and what then follows.
    busy: Option<(u64, Then)>,
    /// Writes under way.
    writes: BTreeMap<u64, Write>,
    pub(crate) numbers: u64,
}

/// What the roster is told.
#[derive(Debug)]
enum Message {
    Admit(StreamId, u64),
    Settle(StreamId, Vec<WorkerId>),
    Order(Down),
    WillBeGone(WorkerId),
}

/// What follows a write of the roster's.
#[derive(Debug)]
enum Then {
    Admitted(StreamId),
    Started(Box<Order>, Start),
    Recorded(Box<Order>),
    NeverStarts(WorkerId, Launch),
    IsForgotten(WorkerId),
    Nothing,
}

/// What is being written.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    Fence(Fence),
    /// Spec and state of a worker that was accepted.
    Accepted(Box<Order>),
    State(WorkerId, Life),
    Spec(Box<Order>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Session {
    Away,
    /// The greeting is under way.
    Greeting {
        stream: StreamId,
        greeted: Duration,
    },
    Attached {
        stream: StreamId,
        answered_at: Time,
    },
}

impl Agent {
    /// The present stream.
    pub(crate) const fn stream(&self) -> Option<StreamId> {
        match self.session {
            Session::Away => None,
            Session::Greeting { stream, .. } | Session::Attached { stream, .. } => Some(stream),
        }
    }

    /// Whether an event is of a process that is gone, or concerns what is over.
    pub(crate) fn is_outdated(&self, incarnation: u64, event: &Event) -> bool {
        self.incarnation != incarnation
            || match event {
                Event::Dials => self.session != Session::Away,
                Event::NoWelcome(awaited) => {
                    !matches!(self.session, Session::Greeting { stream, .. } if stream == *awaited)
                }
                Event::Beats(stream) => !self.is_attached_to(*stream),
                Event::Written(number) => !self.writes.contains_key(number),
                Event::Deed(worker, number) => {
                    self.tasks.get(worker).is_none_or(|task| !task.awaits(*number))
                }
                Event::Poke(worker) => !self.tasks.contains_key(worker),
            }
    }

    const fn is_attached_to(&self, stream: StreamId) -> bool {
        matches!(self.session, Session::Attached { stream: present, .. } if present == stream)
    }
}

impl Cluster {
    /// `Roster::open` and the daemon around it.
    pub(crate) fn agent_starts(&mut self, host: usize) {
        let now = self.now;
        let state = &mut self.hosts[host];
        if state.agent.is_some() || state.is_off(now) {
            return;
        }
        state.incarnations += 1;
        let incarnation = state.incarnations;
        state.agent = Some(Agent {
            incarnation,
            fence: state.fence.clone(),
            tasks: BTreeMap::new(),
            outbox: Outbox::default(),
            session: Session::Away,
            contact: None,
            delay: FIRST_DELAY,
            dials_when_settled: false,
            messages: VecDeque::new(),
            busy: None,
            writes: BTreeMap::new(),
            numbers: 0,
        });
        if self.mutation != Mutation::ForgetWorkers {
            self.take_up_workers(host);
        }
        let at = now + self.work.below(50 * MS);
        self.queue.at(at, Any::Agent(host, incarnation, Event::Dials));
    }

    fn take_up_workers(&mut self, host: usize) {
        let found: Vec<WorkerId> = self.hosts[host].dirs.keys().cloned().collect();
        for worker in found {
            let dir = &self.hosts[host].dirs[&worker];
            match (dir.spec.clone(), dir.state.clone()) {
                (Some(spec), Some(state)) => self.begin_task(host, spec, state, true),
                _ => self.sweep(host, &worker),
            }
        }
        let agent = self.agent(host);
        let known: Vec<WorkerId> = agent.tasks.keys().cloned().collect();
        let strays: Vec<WorkerId> =
            self.hosts[host].cgroups.iter().filter(|worker| !known.contains(worker)).cloned().collect();
        for stray in strays {
            self.sweep(host, &stray);
        }
    }

    /// Ends and removes what cannot be adopted.
    fn sweep(&mut self, host: usize, worker: &WorkerId) {
        self.kill_group(host, worker);
        self.hosts[host].cgroups.remove(worker);
        self.hosts[host].dirs.remove(worker);
    }

    /// `kill -9` of the agent; a power loss too, as far as the agent is concerned.
    pub(crate) fn agent_process_dies(&mut self, host: usize) {
        let Some(agent) = self.hosts[host].agent.take() else { return };
        if let Some(stream) = agent.stream() {
            self.agent_lets_go(stream);
        }
        for write in agent.writes.into_values() {
            if self.disk.percent(50) {
                self.write(host, write);
            }
        }
    }

    pub(crate) fn agent_crashes(&mut self, host: usize) {
        self.agent_process_dies(host);
        self.hosts[host].paused_until = 0;
    }

    pub(crate) fn agent(&mut self, host: usize) -> &mut Agent {
        self.hosts[host].agent.as_mut().expect("only asked of a running agent")
    }

    pub(crate) fn in_agent(&mut self, host: usize, incarnation: u64, event: Event) {
        debug_assert_eq!(self.agent(host).incarnation, incarnation, "an outdated event");
        match event {
            Event::Dials => self.dials(host),
            Event::NoWelcome(stream) => self.session_ends(host, stream),
            Event::Beats(stream) => self.beats(host, stream),
            Event::Written(number) => self.written(host, number),
            Event::Deed(worker, number) => self.deed_is_due(host, &worker, number),
            Event::Poke(worker) => self.drive(host, &worker),
        }
        self.tell(host);
    }

    fn dials(&mut self, host: usize) {
        let greets_late = self.mutation != Mutation::GreetWhileOrdersWait;
        if self.agent(host).session != Session::Away {
            return;
        }
        // Orders of the former stream are carried out before the greeting says who is here.
        let agent = self.agent(host);
        if (agent.busy.is_some() || !agent.messages.is_empty()) && greets_late {
            agent.dials_when_settled = true;
            return;
        }
        let Some(stream) = self.dial(host) else { return self.dial_later(host) };
        let greeted = self.boottime(host);
        let agent = self.agent(host);
        agent.session = Session::Greeting { stream, greeted };
        let incarnation = agent.incarnation;
        let hello = agent.outbox.begin();
        self.send_up(stream, Up::Hello(hello));
        let at = self.now + WELCOME_WITHIN;
        self.queue.at(at, Any::Agent(host, incarnation, Event::NoWelcome(stream)));
    }

    fn dial_later(&mut self, host: usize) {
        let delay = self.agent(host).delay;
        let at = self.now + delay + self.net.below(delay);
        let agent = self.agent(host);
        agent.delay = (delay * 2).min(LONGEST_DELAY);
        let incarnation = agent.incarnation;
        self.queue.at(at, Any::Agent(host, incarnation, Event::Dials));
    }

    fn session_ends(&mut self, host: usize, stream: StreamId) {
        if self.agent(host).stream() != Some(stream) {
            return;
        }
        if self.agent(host).is_attached_to(stream) {
            self.agent(host).delay = FIRST_DELAY;
        }
        self.agent(host).session = Session::Away;
        self.agent_lets_go(stream);
        self.dial_later(host);
    }

    pub(crate) fn agent_notices(&mut self, stream: StreamId) {
        let host = self.streams[stream].host;
        if self.hosts[host].agent.is_some() {
            self.session_ends(host, stream);
        }
    }

    pub(crate) fn down_arrives(&mut self, stream: StreamId, message: Down) {
        let host = self.streams[stream].host;
        let is_present = self.hosts[host].stream() == Some(stream) && self.arrives_down(stream);
        if !is_present {
            return;
        }
        if matches!(message, Down::Start(_) | Down::Run { .. } | Down::Stop { .. } | Down::Forget { .. }) {
            self.hosts[host].past_orders.push((stream, message.clone()));
        }
        let now = self.now;
        let agent = self.agent(host);
        match (agent.session, message) {
            (Session::Greeting { .. }, Down::Welcome { epoch }) => {
                agent.messages.push_back(Message::Admit(stream, epoch));
            }
            (Session::Attached { .. }, Down::BeatAnswer { sent }) => {
                agent.session = Session::Attached { stream, answered_at: now };
                self.change_contact(host, |contact| contact.answer(sent));
            }
            (Session::Attached { .. }, Down::LeaseExtension { length }) => {
                let counts_late = self.mutation == Mutation::ExtendFromHearing;
                let late = self.boottime(host);
                self.change_contact(host, |contact| {
                    if counts_late {
                        contact.answer(late);
                    }
                    contact.extend(length);
                });
            }
            (_, Down::Settled { current_drivers }) => {
                agent.messages.push_back(Message::Settle(stream, current_drivers));
            }
            // Orders behind the welcome wait until the epoch is admitted.
            (_, message) => agent.messages.push_back(Message::Order(message)),
        }
        self.serve_roster(host);
        self.tell(host);
    }

    fn beats(&mut self, host: usize, stream: StreamId) {
        let Session::Attached { stream: present, answered_at } = self.agent(host).session else { return };
        if present != stream {
            return;
        }
        if self.now - answered_at > LEASE {
            return self.session_ends(host, stream);
        }
        let sent = self.boottime(host);
        self.send_up(stream, Up::Beat { sent });
        let incarnation = self.agent(host).incarnation;
        self.queue.at(self.now + HEARTBEAT, Any::Agent(host, incarnation, Event::Beats(stream)));
    }

    /// Tells what is new over the present stream.
    pub(crate) fn tell(&mut self, host: usize) {
        let Some(agent) = &mut self.hosts[host].agent else { return };
        let Session::Attached { stream, .. } = agent.session else { return };
        for message in agent.outbox.take() {
            self.send_up(stream, message);
        }
    }

    /// Begins a write; its number.
    pub(crate) fn begin_write(&mut self, host: usize, write: Write) -> u64 {
        let takes = if self.disk.percent(2) { self.disk.below(S) } else { self.disk.between(200, 6 * MS) };
        let full_until = self.hosts[host].disk_full_until;
        // A full disk is tried again every second until it takes the write.
        let at = if full_until > self.now { full_until + S } else { self.now + takes };
        let agent = self.agent(host);
        agent.numbers += 1;
        let (number, incarnation) = (agent.numbers, agent.incarnation);
        agent.writes.insert(number, write);
        self.queue.at(at, Any::Agent(host, incarnation, Event::Written(number)));
        number
    }

    fn write(&mut self, host: usize, write: Write) {
        let now = self.now;
        let host = &mut self.hosts[host];
        match write {
            Write::Fence(fence) => host.fence = fence,
            Write::Accepted(spec) => {
                let worker = spec.worker.clone();
                let dir = Dir { made_at: now, spec: Some(*spec), state: Some(Life::new()), ..Dir::default() };
                host.dirs.insert(worker, dir);
            }
            Write::State(worker, life) => {
                if let Some(dir) = host.dirs.get_mut(&worker) {
                    dir.state = Some(life);
                }
            }
            Write::Spec(spec) => {
                if let Some(dir) = host.dirs.get_mut(&spec.worker) {
                    dir.spec = Some(*spec);
                }
            }
        }
    }

    fn written(&mut self, host: usize, number: u64) {
        let Some(write) = self.agent(host).writes.remove(&number) else { return };
        let worker = match &write {
            Write::State(worker, _) => Some(worker.clone()),
            Write::Spec(spec) => Some(spec.worker.clone()),
            Write::Fence(_) | Write::Accepted(_) => None,
        };
        self.write(host, write);
        if let Some(worker) = worker {
            return self.task_written(host, &worker, number);
        }
        if let Some((_, then)) = self.agent(host).busy.take_if(|(busy, _)| *busy == number) {
            self.follow(host, then);
            self.serve_roster(host);
        }
        let agent = self.agent(host);
        if agent.busy.is_none() && std::mem::take(&mut agent.dials_when_settled) {
            self.dials(host);
        }
    }

    /// Handles what the roster is told, one message at a time.
    fn serve_roster(&mut self, host: usize) {
        while self.agent(host).busy.is_none() {
            let Some(message) = self.agent(host).messages.pop_front() else { return };
            let before = self.agent(host).fence.clone();
            let then = match message {
                Message::Admit(stream, epoch) => {
                    if self.agent(host).fence.admit(Epoch(epoch)).is_err() {
                        self.session_ends(host, stream);
                        continue;
                    }
                    Then::Admitted(stream)
                }
                Message::Settle(stream, current) => {
                    self.settle(host, stream, &current);
                    continue;
                }
                Message::WillBeGone(worker) => {
                    self.agent(host).fence.forget(worker.clone());
                    Then::IsForgotten(worker)
                }
                Message::Order(order) => self.order(host, order),
            };
            let agent = self.agent(host);
            if agent.fence == before {
                self.follow(host, then);
            } else {
                let fence = agent.fence.clone();
                let number = self.begin_write(host, Write::Fence(fence));
                self.agent(host).busy = Some((number, then));
            }
        }
    }

    fn follow(&mut self, host: usize, then: Then) {
        match then {
            Then::Admitted(stream) => self.admitted(host, stream),
            Then::Started(order, decision) => self.started(host, order, decision),
            Then::Recorded(order) => self.begin_task(host, *order, Life::new(), false),
            Then::IsForgotten(worker) => self.is_forgotten(host, &worker),
            // `Roster::never_start`.
            Then::NeverStarts(worker, launch) => {
                self.agent(host).fence.forget(worker.clone());
                self.refuse(host, &worker, launch, AgentCause::NoLaunch, "stopped before it came");
            }
            Then::Nothing => {}
        }
    }

    fn admitted(&mut self, host: usize, stream: StreamId) {
        let now = self.now;
        let agent = self.agent(host);
        // Who was here at the greeting is to be judged anew.
        agent.tasks.values_mut().for_each(|task| task.is_judged = false);
        if let Session::Greeting { stream: of, greeted } = agent.session
            && of == stream
        {
            agent.session = Session::Attached { stream, answered_at: now };
            agent.contact = Some(Contact::new(greeted));
            let incarnation = agent.incarnation;
            self.queue.at(now, Any::Agent(host, incarnation, Event::Beats(stream)));
            self.follow_contact(host);
        }
    }

    /// `Roster::order`.
    fn order(&mut self, host: usize, order: Down) -> Then {
        let skips_fence = self.mutation == Mutation::SkipFence;
        let ignores_stops = self.mutation == Mutation::IgnoreStopOfUnknown;
        let agent = self.agent(host);
        match order {
            Down::Start(order) => {
                if agent.fence.admit(Epoch(order.epoch)).is_err() && !skips_fence {
                    return Then::Nothing;
                }
                let is_here = agent.tasks.contains_key(&order.worker);
                let decision = agent.fence.start(&order.worker, &order.run, order.launch, is_here);
                let decision = if skips_fence && !is_here { Start::New } else { decision };
                return Then::Started(order, decision);
            }
            Down::Run { epoch, worker, launch } => {
                if agent.fence.admit(Epoch(epoch)).is_ok() {
                    self.command(host, &worker, |task| task.spec.launch == launch, Command::Run);
                }
            }
            Down::Stop { epoch, worker, launch, grace_ms } => {
                if agent.fence.admit(Epoch(epoch)).is_ok() {
                    if !agent.tasks.contains_key(&worker) && !ignores_stops {
                        return Then::NeverStarts(worker, launch);
                    }
                    let stop = Stop { grace_ms, cause: AgentCause::Stopped };
                    self.command(host, &worker, |task| task.spec.launch == launch, Command::Stop(stop));
                }
            }
            Down::Forget { worker } => {
                if agent.tasks.contains_key(&worker) {
                    self.command(host, &worker, |_| true, Command::Forget);
                } else {
                    agent.outbox.remove(&worker);
                }
            }
            // A driver's plan does not depend on what it is told.
            Down::News { .. }
            | Down::Welcome { .. }
            | Down::BeatAnswer { .. }
            | Down::Settled { .. }
            | Down::LeaseExtension { .. } => {}
        }
        Then::Nothing
    }

    fn started(&mut self, host: usize, order: Box<Order>, decision: Start) {
        match decision {
            Start::Known => self.agent(host).outbox.repeat(&order.worker),
            Start::Forgotten => {
                self.refuse(host, &order.worker, order.launch, AgentCause::NoLaunch, "was here before");
            }
            Start::Outdated { .. } => {
                self.refuse(host, &order.worker, order.launch, AgentCause::Outdated, "outdated");
            }
            Start::New => {
                self.stop_outdated(host, &order);
                if self.hosts[host].disk_full_until > self.now {
                    self.agent(host).fence.forget(order.worker.clone());
                    let (worker, launch) = (&order.worker, order.launch);
                    return self.refuse(host, worker, launch, AgentCause::NoLaunch, "recording the order");
                }
                let number = self.begin_write(host, Write::Accepted(order.clone()));
                self.agent(host).busy = Some((number, Then::Recorded(order)));
            }
        }
    }

    fn refuse(&mut self, host: usize, worker: &WorkerId, launch: Launch, cause: AgentCause, reason: &str) {
        let now = i64::try_from(self.now / MS).unwrap_or(i64::MAX);
        let outcome = Outcome::not_launched(cause, reason, now);
        let report = Report::Ended { outcome: &outcome, finished: None, log_failures: &[] };
        let said = wire::said(worker, launch, &report);
        self.agent(host).outbox.report(said);
    }

    fn stop_outdated(&mut self, host: usize, order: &Order) {
        let agent = self.agent(host);
        let outdated: Vec<WorkerId> = agent
            .tasks
            .iter()
            .filter(|(_, task)| task.spec.run == order.run)
            .filter(|(_, task)| agent.fence.is_outdated(&order.run, task.spec.launch))
            .map(|(worker, _)| worker.clone())
            .collect();
        for worker in outdated {
            if let Some(task) = self.agent(host).tasks.get_mut(&worker) {
                task.has_standing = false;
            }
            let stop = Stop { grace_ms: 0, cause: AgentCause::Outdated };
            self.command(host, &worker, |_| true, Command::Stop(stop));
        }
    }

    /// `Roster::settle`: ends the drivers that the coordinator no longer counts on, before any lease is renewed.
    fn settle(&mut self, host: usize, stream: StreamId, current: &[WorkerId]) {
        let keeps_outdated = self.mutation == Mutation::ThawOutdated;
        let mut outdated = Vec::new();
        for (worker, task) in &mut self.agent(host).tasks {
            let is_judged = std::mem::replace(&mut task.is_judged, true);
            let is_current = !task.spec.is_driver() || current.contains(worker) || keeps_outdated;
            if !is_judged && !is_current {
                task.has_standing = false;
                outdated.push(worker.clone());
            }
        }
        for worker in outdated {
            let stop = Stop { grace_ms: 0, cause: AgentCause::Outdated };
            self.command(host, &worker, |_| true, Command::Stop(stop));
        }
        self.change_contact(host, Contact::settle);
        if self.agent(host).is_attached_to(stream) {
            self.beats(host, stream);
        }
    }

    fn command(
        &mut self,
        host: usize,
        worker: &WorkerId,
        concerns: impl Fn(&Task) -> bool,
        command: Command,
    ) {
        if let Some(task) = self.agent(host).tasks.get_mut(worker).filter(|task| concerns(task)) {
            task.commands.push_back(command);
            self.drive(host, worker);
        }
    }

    /// A task asks the roster to remember that its worker must not come back.
    pub(crate) fn will_be_gone(&mut self, host: usize, worker: &WorkerId) {
        self.agent(host).messages.push_back(Message::WillBeGone(worker.clone()));
        self.serve_roster(host);
    }

    fn begin_task(&mut self, host: usize, spec: Order, life: Life, is_adopted: bool) {
        let worker = spec.worker.clone();
        if let Some(report) = life.report() {
            let said = wire::said(&worker, spec.launch, &report);
            self.agent(host).outbox.report(said);
        }
        self.agent(host).tasks.insert(worker.clone(), Task::new(spec, life, is_adopted));
        self.drive(host, &worker);
    }

    /// Orders that the agent got over its present stream come again.
    pub(crate) fn repeat_orders(&mut self, host: usize) {
        let Some(stream) = self.hosts[host].stream() else { return };
        self.hosts[host].past_orders.retain(|(of, _)| *of == stream);
        let count = self.hosts[host].past_orders.len();
        if count == 0 {
            return;
        }
        for _ in 0..self.net.between(1, 6) {
            let chosen = self.net.index(count);
            let (_, order) = self.hosts[host].past_orders[chosen].clone();
            self.send_down(stream, order);
        }
    }

    /// Whether a worker's process runs on a host, or is about to.
    pub(crate) fn process_stage(&self, host: usize, worker: &WorkerId) -> Option<Stage> {
        self.hosts[host].processes.get(worker).map(|process| process.stage)
    }
}
