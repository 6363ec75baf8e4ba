//! Streams between agents and coordinator, and the coordinator's end of them as `coordinator/agents/src/service.rs`,
//! `sessions.rs` and `performer.rs` have it: one command of an agent at a time, the latest stream counts, and a new one
//! waits for the former's last word.
//!
//! Each direction is ordered. A stream that breaks loses what is under way in a direction, or still delivers it after
//! the other end has dialled anew, so that messages of two streams overtake each other.

use crate::cluster::Cluster;
use crate::coordinator::{Asker, release};
use crate::event::{Coordinator as InCoordinator, Event, StreamId};
use crate::mutation::Mutation;
use crate::queue::{MS, S, Time};
use crate::wire::{self, Down, Order, Up};
use hearth_coordinator_core::agent::{Agent, Contact, Standing};
use hearth_coordinator_core::command::{Command, Effect, News, Report, ReportState, StartOrder};
use hearth_coordinator_core::worker::{Exit, Role};
use hearth_types::{AgentId, Architecture, Moment};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Length of an agent's lease (`coordinator/src/daemon/mod.rs`).
pub(crate) const LEASE: Time = 30 * S;

/// What leases are extended to by a coordinator that stops in good order.
pub(crate) const EXTENSION: Duration = Duration::from_secs(300);
/// How long is waited before something is recorded again that could not be (`service.rs`).
const STORE_PAUSE: Time = 500 * MS;

/// A stream, from its dialling to the end of the simulation.
pub(crate) struct Stream {
    pub(crate) host: usize,
    /// The coordinator it was dialled to.
    pub(crate) term: u64,
    /// When the last message of each direction arrives.
    up_until: Time,
    down_until: Time,
    /// Whether messages still arrive.
    up_is_cut: bool,
    down_is_cut: bool,
    /// Whether nothing new gets through.
    is_blackhole: bool,
    /// Whether the coordinator will find it broken once it has read what is there.
    is_broken: bool,
    /// Whether the coordinator wants it to end.
    is_cut_off: bool,
    coordinator: CoordinatorEnd,
    inbox: VecDeque<Up>,
    last_heard: Time,
    /// When the agent was last answered.
    answered: Moment,
    is_attaching: bool,
    /// The former stream of the same agent, for as long as this one waits for its last word.
    awaits: Option<StreamId>,
}

/// Where the coordinator is with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CoordinatorEnd {
    /// The greeting is not there yet.
    Dialled,
    /// The former stream has not said its last word.
    Waiting,
    /// A command is being decided.
    Asking,
    /// Waits for the next message.
    Listening,
    /// The engine is being told that the agent is detached.
    Detaching,
    Over,
}

/// The identifier of a host's agent.
pub(crate) fn agent_id(host: usize) -> AgentId {
    AgentId::new(format!("a{host}")).expect("an id")
}

fn host_of(agent: &AgentId) -> usize {
    agent.as_str()[1..].parse().expect("made by agent_id")
}

impl Cluster {
    /// An agent's dialling reaches the coordinator, if it can.
    pub(crate) fn dial(&mut self, host: usize) -> Option<StreamId> {
        let term = self.coordinator.term()?;
        if self.hosts[host].link_down_until > self.now {
            return None;
        }
        self.streams.push(Stream {
            host,
            term,
            up_until: self.now,
            down_until: self.now,
            up_is_cut: false,
            down_is_cut: false,
            is_blackhole: false,
            is_broken: false,
            is_cut_off: false,
            coordinator: CoordinatorEnd::Dialled,
            inbox: VecDeque::new(),
            last_heard: self.now,
            answered: Moment::default(),
            is_attaching: false,
            awaits: None,
        });
        Some(self.streams.len() - 1)
    }

    fn delay(&mut self, host: usize, after: Time) -> Time {
        let latency = match self.net.below(100) {
            0..90 => self.net.between(50, 2 * MS),
            90..99 => self.net.below(100 * MS),
            // Lost on the way and sent again, several times over.
            _ => self.net.below(15 * S),
        };
        // What a link that is down holds up is sent again once it is up.
        let sent = self.now.max(self.hosts[host].link_down_until);
        after.max(sent + latency)
    }

    pub(crate) fn send_up(&mut self, stream: StreamId, message: Up) {
        if self.streams[stream].is_blackhole {
            return;
        }
        let (host, after) = (self.streams[stream].host, self.streams[stream].up_until);
        let at = self.delay(host, after);
        self.streams[stream].up_until = at;
        self.queue.at(at, Event::Up(stream, message));
    }

    pub(crate) fn send_down(&mut self, stream: StreamId, message: Down) {
        if self.streams[stream].is_blackhole {
            return;
        }
        let (host, after) = (self.streams[stream].host, self.streams[stream].down_until);
        let at = self.delay(host, after);
        self.streams[stream].down_until = at;
        self.queue.at(at, Event::Down(stream, message));
    }

    /// Whether nothing that comes over a stream concerns the coordinator any more.
    pub(crate) fn coordinator_is_done_with(&self, stream: StreamId) -> bool {
        let stream = &self.streams[stream];
        stream.coordinator == CoordinatorEnd::Over || self.coordinator.term() != Some(stream.term)
    }

    /// Whether a message to the agent still arrives.
    pub(crate) fn arrives_down(&self, stream: StreamId) -> bool {
        !self.streams[stream].down_is_cut
    }

    /// The stream breaks: each end learns of it at once, late, or only by its own patience.
    pub(crate) fn cut_stream(&mut self, host: usize) {
        let Some(stream) = self.hosts[host].stream() else { return };
        self.streams[stream].down_is_cut = self.net.percent(70);
        self.streams[stream].up_is_cut = self.net.percent(70);
        if self.net.percent(70) {
            let at = self.now + self.net.below(2 * S);
            self.queue.at(at, Event::AgentNotices(stream));
        }
        if self.net.percent(70) {
            let at = self.now + self.net.below(2 * S);
            self.queue.at(at, Event::CoordinatorNotices(stream));
        }
        // What is under way may still arrive, but nothing new.
        self.streams[stream].is_blackhole = true;
    }

    /// The coordinator's process is gone, and with it its end of every stream.
    pub(crate) fn all_streams_lose_coordinator(&mut self) {
        for stream in 0..self.streams.len() {
            if self.streams[stream].coordinator == CoordinatorEnd::Over {
                continue;
            }
            self.streams[stream].coordinator = CoordinatorEnd::Over;
            self.streams[stream].up_is_cut = true;
            self.streams[stream].inbox.clear();
            let host = self.streams[stream].host;
            // What it had sent may still arrive, then the end of the stream.
            let at = self.delay(host, self.streams[stream].down_until);
            self.queue.at(at, Event::AgentNotices(stream));
        }
    }

    /// The agent's process is gone, or lets go of the stream.
    pub(crate) fn agent_lets_go(&mut self, stream: StreamId) {
        self.streams[stream].down_is_cut = true;
        if self.streams[stream].is_blackhole {
            return;
        }
        let at = self.delay(self.streams[stream].host, self.streams[stream].up_until);
        self.queue.at(at, Event::CoordinatorNotices(stream));
    }

    pub(crate) fn up_arrives(&mut self, stream: StreamId, message: Up) {
        let now = self.now;
        let state = &mut self.streams[stream];
        if state.up_is_cut || self.coordinator.term() != Some(state.term) {
            return;
        }
        state.last_heard = now;
        match (state.coordinator, &message) {
            (CoordinatorEnd::Dialled, Up::Hello(_)) => {
                state.inbox.push_back(message);
                self.open(stream);
            }
            (CoordinatorEnd::Over | CoordinatorEnd::Detaching | CoordinatorEnd::Dialled, _) => {}
            (CoordinatorEnd::Waiting | CoordinatorEnd::Asking | CoordinatorEnd::Listening, _) => {
                state.inbox.push_back(message);
                self.converse(stream);
            }
        }
    }

    /// `Sessions::open`.
    fn open(&mut self, stream: StreamId) {
        let host = self.streams[stream].host;
        let latest = self.running().latest[host].map(|(latest, _)| latest);
        // Streams are numbered as they are dialled, like the connections below them.
        let is_abandoned = latest.is_some_and(|latest| latest > stream);
        if self.running().is_closed || is_abandoned && self.mutation != Mutation::HeedAbandonedGreetings {
            return self.is_over(stream);
        }
        let epoch = self.running().epoch;
        self.send_down(stream, Down::Welcome { epoch });
        let former = self.running().latest[host].replace((stream, true)).map(|(former, _)| former);
        let awaited = former.filter(|former| self.streams[*former].coordinator != CoordinatorEnd::Over);
        self.streams[stream].awaits = awaited;
        self.streams[stream].coordinator = CoordinatorEnd::Waiting;
        if let Some(former) = awaited {
            self.replaced(former);
        }
        self.begin_if_former_is_over(stream);
    }

    /// A stream that another has taken the place of ends without a word, unless it is just saying its last.
    fn replaced(&mut self, stream: StreamId) {
        match self.streams[stream].coordinator {
            CoordinatorEnd::Asking | CoordinatorEnd::Listening => self.is_over(stream),
            // It looks only once its own former stream is over, and may greet before it looks.
            CoordinatorEnd::Waiting | CoordinatorEnd::Detaching => {}
            CoordinatorEnd::Dialled | CoordinatorEnd::Over => {}
        }
    }

    fn begin_if_former_is_over(&mut self, stream: StreamId) {
        let is_held = self.streams[stream]
            .awaits
            .is_some_and(|former| self.streams[former].coordinator != CoordinatorEnd::Over);
        if is_held || self.streams[stream].coordinator != CoordinatorEnd::Waiting {
            return;
        }
        self.streams[stream].awaits = None;
        self.streams[stream].coordinator = CoordinatorEnd::Listening;
        self.streams[stream].last_heard = self.now;
        self.streams[stream].answered = self.moment();
        self.streams[stream].is_attaching = true;
        let host = self.streams[stream].host;
        let is_latest = self.running().latest[host] == Some((stream, true));
        let is_to_end = !is_latest || self.streams[stream].is_cut_off;
        // Whichever of both it looks at first.
        if !is_to_end || self.net.percent(50) {
            self.converse(stream);
        }
        if is_to_end {
            return self.coordinator_closes(stream);
        }
        self.look_for_silence(stream);
    }

    fn is_over(&mut self, stream: StreamId) {
        self.streams[stream].coordinator = CoordinatorEnd::Over;
        self.streams[stream].inbox.clear();
        let host = self.streams[stream].host;
        if !self.streams[stream].is_blackhole {
            let at = self.delay(host, self.streams[stream].down_until);
            self.queue.at(at, Event::AgentNotices(stream));
        }
        // One that was dialled earlier waits only where abandoned greetings are heeded.
        let waiting = (0..self.streams.len()).rev().find(|other| self.streams[*other].awaits == Some(stream));
        if let Some(waiting) = waiting {
            self.begin_if_former_is_over(waiting);
        }
    }

    /// Takes the next message, if no command is being decided.
    fn converse(&mut self, stream: StreamId) {
        while self.streams[stream].coordinator == CoordinatorEnd::Listening {
            let Some(message) = self.streams[stream].inbox.pop_front() else {
                if self.streams[stream].is_broken {
                    self.coordinator_closes(stream);
                }
                return;
            };
            let host = self.streams[stream].host;
            let agent = agent_id(host);
            let command = match message {
                Up::Beat { sent } => {
                    self.send_down(stream, Down::BeatAnswer { sent });
                    self.streams[stream].answered = self.moment();
                    continue;
                }
                Up::Hello(said) => Command::AgentAttached {
                    agent: self.describe(host),
                    reports: said.into_iter().map(wire::report).collect(),
                    stream: stream as u64,
                },
                Up::Report(said) => Command::WorkerReported { agent, report: wire::report(said) },
                Up::Word { worker, launch, word } => match wire::word(word) {
                    Some(word) => Command::DriverSaid { agent, worker, launch, word },
                    None => continue,
                },
            };
            self.streams[stream].coordinator = CoordinatorEnd::Asking;
            self.ask(command, Asker::Stream(stream));
        }
    }

    fn describe(&self, host: usize) -> Agent {
        Agent {
            id: agent_id(host),
            host_name: format!("host-{host}"),
            architecture: Architecture::X86_64,
            offered: self.hosts[host].offered,
            worker_address: "127.0.0.1".to_owned(),
            java: vec![17],
            contact: Contact::Attached,
            extension: None,
            leftovers: BTreeSet::new(),
            standing: Standing::InService,
        }
    }

    /// The engine has answered the command of a stream.
    pub(crate) fn stream_answered(&mut self, stream: StreamId, is_recorded: bool) {
        match self.streams[stream].coordinator {
            CoordinatorEnd::Asking if is_recorded => {
                if std::mem::take(&mut self.streams[stream].is_attaching) {
                    self.streams[stream].answered = self.moment();
                }
                self.streams[stream].coordinator = CoordinatorEnd::Listening;
                self.streams[stream].last_heard = self.now;
                self.converse(stream);
            }
            // The agent tells all it knows when it attaches again.
            CoordinatorEnd::Asking => self.coordinator_closes(stream),
            CoordinatorEnd::Detaching if is_recorded => self.is_over(stream),
            CoordinatorEnd::Detaching => {
                let term = self.streams[stream].term;
                let at = self.now + STORE_PAUSE;
                self.queue.at(at, Event::Coordinator(term, InCoordinator::DetachesAgain(stream)));
            }
            CoordinatorEnd::Dialled
            | CoordinatorEnd::Waiting
            | CoordinatorEnd::Listening
            | CoordinatorEnd::Over => {}
        }
    }

    fn look_for_silence(&mut self, stream: StreamId) {
        let term = self.streams[stream].term;
        let at = self.streams[stream].last_heard + LEASE;
        self.queue.at(at, Event::Coordinator(term, InCoordinator::Patience(stream)));
    }

    pub(crate) fn patience(&mut self, stream: StreamId) {
        let state = &self.streams[stream];
        match state.coordinator {
            CoordinatorEnd::Listening if state.last_heard + LEASE <= self.now => {
                self.coordinator_closes(stream);
            }
            CoordinatorEnd::Asking | CoordinatorEnd::Listening => {
                self.streams[stream].last_heard = match self.streams[stream].coordinator {
                    CoordinatorEnd::Asking => self.now,
                    _ => self.streams[stream].last_heard,
                };
                self.look_for_silence(stream);
            }
            CoordinatorEnd::Dialled
            | CoordinatorEnd::Waiting
            | CoordinatorEnd::Detaching
            | CoordinatorEnd::Over => {}
        }
    }

    /// The coordinator learns that a stream is broken; it reads what is there first.
    pub(crate) fn coordinator_notices(&mut self, stream: StreamId) {
        if self.coordinator.term() != Some(self.streams[stream].term) {
            return;
        }
        self.streams[stream].is_broken = true;
        self.converse(stream);
    }

    /// The end of `AgentService::serve`.
    fn coordinator_closes(&mut self, stream: StreamId) {
        match self.streams[stream].coordinator {
            CoordinatorEnd::Over | CoordinatorEnd::Detaching | CoordinatorEnd::Dialled => return,
            CoordinatorEnd::Waiting => return self.streams[stream].is_cut_off = true,
            CoordinatorEnd::Asking | CoordinatorEnd::Listening => {}
        }
        let host = self.streams[stream].host;
        self.streams[stream].inbox.clear();
        if self.running().latest[host] == Some((stream, true)) {
            self.running().latest[host] = Some((stream, false));
            self.streams[stream].coordinator = CoordinatorEnd::Detaching;
            if !self.streams[stream].is_blackhole {
                let at = self.delay(host, self.streams[stream].down_until);
                self.queue.at(at, Event::AgentNotices(stream));
            }
            self.detach(stream);
        } else {
            self.is_over(stream);
        }
    }

    /// Until it is durable that a stream is closed the agent's next one has to wait.
    pub(crate) fn detach(&mut self, stream: StreamId) {
        let (agent, answered) = (agent_id(self.streams[stream].host), self.streams[stream].answered);
        self.ask(Command::AgentDetached { agent, answered }, Asker::Stream(stream));
    }

    /// `Coordinator::leave`: what is recorded now may be told, and no welcome takes it back.
    pub(crate) fn extend_leases(&mut self, end: Moment) {
        let tells_all = self.mutation == Mutation::ExtendUnrecorded;
        let running = self.running();
        running.is_closed = true;
        let open = running.latest.iter().flatten().filter(|(_, is_open)| *is_open).map(|(id, _)| *id);
        let open: Vec<StreamId> = open.collect();
        for stream in open {
            let id = agent_id(self.streams[stream].host);
            let is_recorded = self.running().world.agent(&id).is_some_and(|agent| agent.is_extended_to(end));
            if is_recorded || tells_all {
                self.send_down(stream, Down::LeaseExtension { length: EXTENSION });
            }
        }
    }

    /// `Sessions::send`: to the latest stream, if it is open.
    fn send(&mut self, agent: &AgentId, message: Down) {
        if let Some((stream, true)) = self.running().latest[host_of(agent)] {
            self.send_down(stream, message);
        }
    }

    /// `performer.rs`.
    pub(crate) fn perform_effect(&mut self, effect: Effect) {
        let epoch = self.running().epoch;
        match effect {
            Effect::Start(order) => self.start(&order, epoch),
            Effect::Run(order) => {
                if order.app.is_some() && order.worker.role != Role::Driver {
                    let worker = order.worker.id.clone();
                    let launch = order.worker.launch;
                    self.send(&order.worker.agent, Down::Run { epoch, worker, launch });
                }
            }
            Effect::Stop { agent, worker, launch, grace } => {
                let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
                self.send(&agent, Down::Stop { epoch, worker, launch, grace_ms });
            }
            Effect::Forget { agent, worker } => {
                self.send(&agent, Down::Forget { worker });
            }
            Effect::News { agent, driver, launch, news } => {
                let (executor, is_launched) = match news {
                    News::Launched { executor, .. } => (executor, true),
                    News::Exited { executor, .. } => (executor, false),
                };
                self.send(&agent, Down::News { driver, launch, executor, is_launched });
            }
            Effect::Settled { agent, stream, current_drivers } => {
                let stream = usize::try_from(stream).expect("made from one");
                if self.running().latest[host_of(&agent)] == Some((stream, true)) {
                    self.send_down(stream, Down::Settled { current_drivers });
                }
            }
            Effect::Cut(agent) => self.cut(&agent),
            Effect::BuildRelease(label) => debug_assert_eq!(label, release()),
        }
    }

    /// `Sessions::cut`.
    pub(crate) fn cut(&mut self, agent: &AgentId) {
        if let Some((stream, _)) = self.running().latest[host_of(agent)] {
            self.coordinator_closes(stream);
        }
    }

    fn start(&mut self, order: &StartOrder, epoch: u64) {
        let worker = &order.worker;
        if self.coordinator.supply_trouble_until > self.now && self.net.percent(50) {
            if self.net.percent(50) {
                // It attaches again and is told anew.
                return self.cut(&worker.agent);
            }
            let (id, launch, reason) = (worker.id.clone(), worker.launch, "no role".to_owned());
            let command = if self.mutation == Mutation::EndWhatWasToldToStart {
                let state = ReportState::Ended(Exit { launch_error: reason, ..Exit::default() });
                let report = Report { worker: id, launch, state };
                Command::WorkerReported { agent: worker.agent.clone(), report }
            } else {
                Command::CannotStart { worker: id, launch, reason }
            };
            return self.ask(command, Asker::Performer(host_of(&worker.agent)));
        }
        let executor = match worker.role {
            Role::Driver => None,
            Role::Executor { executor, .. } => Some(executor),
        };
        let order = Order {
            epoch,
            worker: worker.id.clone(),
            run: worker.run.clone(),
            launch: worker.launch,
            executor,
            size: worker.size,
            is_deferred: executor.is_some() && order.app.is_none(),
            lease: worker.lease,
        };
        let agent = worker.agent.clone();
        self.send(&agent, Down::Start(Box::new(order)));
    }
}
