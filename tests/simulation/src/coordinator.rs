//! The simulated coordinator: the core's turns as `coordinator/engine/src/turn.rs` takes them, around a store whose
//! commits take time, fail, and get lost in a crash.
//!
//! The decisions of a turn are the engine's own ([`Turn::take`]); what is mirrored here is the order of things around
//! them: one commit at a time, answers and effects after it, and the world read again after a failure.

use crate::checker::Promise;
use crate::cluster::Cluster;
use crate::event::{Coordinator as Event, Event as Any, Heard, Request as Asked, StreamId};
use crate::mutation::Mutation;
use crate::queue::{MS, S, Time};
use crate::store::Rows;
use crate::stream::agent_id;
use hearth_coordinator_core::command::{Change, Command, Effect, Refusal, Reply};
use hearth_coordinator_core::decide::{decide, owed_effects};
use hearth_coordinator_core::release::{Release, ReleaseState};
use hearth_coordinator_core::turn::{Planner, Turn};
use hearth_coordinator_core::worker::WorkerState;
use hearth_coordinator_core::world::World;
use hearth_types::{Moment, Now, ReleaseLabel, Timestamp, WorkerId};
use std::collections::VecDeque;
use std::time::Duration;

/// Commands decided in one turn at the most (`turn.rs`).
const BATCH: usize = 256;
/// How long the engine waits after the store failed before it tries again (`turn.rs`).
const STORE_PAUSE: Time = 500 * MS;
/// The wall clock at the beginning, in milliseconds.
const WALL_BEGIN_MS: i64 = 1_700_000_000_000;

/// The one release.
pub(crate) fn release() -> ReleaseLabel {
    ReleaseLabel::new("spark-3.5").expect("a label")
}

/// Who asked for a command.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asker {
    Client(Asked),
    Stream(StreamId),
    /// The daemon, which is about to stop in good order and has leases extended to this moment.
    Leaving(Moment),
    /// The performer, about a worker on this host.
    Performer(usize),
    /// A part of the coordinator that does not wait.
    Nobody,
}

/// What the engine is asked.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) command: Command,
    pub(crate) asker: Asker,
}

/// The coordinator's host: what is durable, and the process if it runs.
pub(crate) struct Coordinator {
    pub(crate) rows: Rows,
    pub(crate) running: Option<Running>,
    terms: u64,
    workers_made: u64,
    pub(crate) paused_until: Time,
    pub(crate) wall_offset_ms: i64,
    pub(crate) store_trouble_until: Time,
    pub(crate) supply_trouble_until: Time,
}

/// The process.
pub(crate) struct Running {
    pub(crate) term: u64,
    began: Time,
    pub(crate) epoch: u64,
    pub(crate) world: World,
    planner: Planner,
    pub(crate) queue: VecDeque<Request>,
    state: State,
    rest_until: Time,
    deadline: u64,
    wakes_at: Option<Time>,
    pub(crate) effects: VecDeque<Effect>,
    is_performing: bool,
    /// Whether it opens no stream any more.
    pub(crate) is_closed: bool,
    /// The latest stream of each host's agent, and whether it is open.
    pub(crate) latest: Vec<Option<(StreamId, bool)>>,
}

impl Running {
    /// Whether nothing is on its way to the store or to a decision.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle) && self.queue.is_empty()
    }
}

enum State {
    Idle,
    Committing(InFlight),
    ReadingAgain,
}

struct InFlight {
    changes: Vec<Change>,
    effects: Vec<Effect>,
    answers: Vec<(Asker, Result<Reply, Refusal>)>,
}

impl Coordinator {
    pub(crate) fn new() -> Self {
        Self {
            rows: Rows::default(),
            running: None,
            terms: 0,
            workers_made: 0,
            paused_until: 0,
            wall_offset_ms: 0,
            store_trouble_until: 0,
            supply_trouble_until: 0,
        }
    }

    /// The term of the running process.
    pub(crate) fn term(&self) -> Option<u64> {
        self.running.as_ref().map(|running| running.term)
    }

    /// Whether an event is of a process that is gone, or a deadline that was set anew.
    pub(crate) fn is_outdated(&self, term: u64, event: &Event) -> bool {
        self.running.as_ref().is_none_or(|running| {
            running.term != term || matches!(event, Event::Due(number) if *number != running.deadline)
        })
    }
}

impl Cluster {
    /// The coordinator's wall clock.
    pub(crate) fn wall(&self) -> Timestamp {
        let elapsed = i64::try_from(self.now / MS).unwrap_or(i64::MAX);
        Timestamp::from_millis(WALL_BEGIN_MS + elapsed + self.coordinator.wall_offset_ms)
    }

    /// Both clocks of the running coordinator.
    fn clock(&self) -> Now {
        let began = self.coordinator.running.as_ref().map_or(self.now, |running| running.began);
        Now { at: self.wall(), moment: Moment::from_millis((self.now - began) / MS) }
    }

    /// The steady clock of the running coordinator.
    pub(crate) fn moment(&self) -> Moment {
        self.clock().moment
    }

    /// `Engine::start` and the daemon around it.
    pub(crate) fn coordinator_starts(&mut self) {
        if self.coordinator.running.is_some() {
            return;
        }
        self.coordinator.terms += 1;
        self.coordinator.rows.epoch += 1;
        let mut world = self.coordinator.rows.world();
        let begun = decide(&mut world, Command::TermBegan, self.clock()).expect("a term is never refused");
        self.make_durable(&begun.changes);
        self.coordinator.running = Some(Running {
            term: self.coordinator.terms,
            began: self.now,
            epoch: self.coordinator.rows.epoch,
            effects: VecDeque::new(),
            world,
            planner: Planner::default(),
            queue: VecDeque::new(),
            state: State::Idle,
            rest_until: 0,
            deadline: 0,
            wakes_at: None,
            is_performing: false,
            is_closed: false,
            latest: vec![None; self.hosts.len()],
        });
        self.owe();
        self.wake_engine();
    }

    /// `kill -9`. What was on its way to the disk may have reached it.
    pub(crate) fn coordinator_crashes(&mut self) {
        let Some(running) = self.coordinator.running.take() else { return };
        if let State::Committing(in_flight) = running.state
            && self.disk.percent(50)
        {
            self.make_durable(&in_flight.changes);
        }
        self.coordinator.paused_until = 0;
        self.all_streams_lose_coordinator();
    }

    pub(crate) fn in_coordinator(&mut self, term: u64, event: Event) {
        debug_assert_eq!(self.coordinator.term(), Some(term), "an outdated event");
        match event {
            Event::Wakes => {
                self.running().wakes_at = None;
                self.turn();
            }
            Event::Due(_) => self.turn(),
            Event::Committed => self.committed(),
            Event::ReadsAgain => self.read_again(),
            Event::Performs => self.perform_next(),
            Event::Built => self.built(),
            Event::Patience(stream) => self.patience(stream),
            Event::DetachesAgain(stream) => self.detach(stream),
        }
    }

    pub(crate) fn running(&mut self) -> &mut Running {
        self.coordinator.running.as_mut().expect("only asked of a running coordinator")
    }

    /// `Engine::ask`.
    pub(crate) fn ask(&mut self, command: Command, asker: Asker) {
        let running = self.running();
        if let State::ReadingAgain = running.state {
            return self.answer_failed(asker);
        }
        running.queue.push_back(Request { command, asker });
        self.wake_engine();
    }

    fn wake_engine(&mut self) {
        let at = self.now + self.disk.below(200);
        let running = self.running();
        if running.queue.is_empty() {
            return self.sleep_until_deadline();
        }
        if running.wakes_at.is_none() && matches!(running.state, State::Idle) {
            running.wakes_at = Some(at);
            let term = running.term;
            self.queue.at(at, Any::Coordinator(term, Event::Wakes));
        }
    }

    fn turn(&mut self) {
        let (now, clock) = (self.now, self.clock());
        let mutation = self.mutation;
        let Coordinator { running: Some(running), workers_made, .. } = &mut self.coordinator else { return };
        if !matches!(running.state, State::Idle) {
            return;
        }
        let is_due = running.world.due_in(clock) == Some(Duration::ZERO) && running.rest_until <= now;
        if running.queue.is_empty() && !is_due {
            return self.sleep_until_deadline();
        }
        running.deadline += 1;
        let count = running.queue.len().min(BATCH);
        let (commands, askers): (Vec<Command>, Vec<Asker>) =
            running.queue.drain(..count).map(|request| (request.command, request.asker)).unzip();
        running.rest_until = 0;
        let attaches = commands.iter().any(|command| matches!(command, Command::AgentAttached { .. }));
        let owes = mutation != Mutation::OweNothing || !attaches;
        let mut turn = Turn::take(&mut running.world, &mut running.planner, commands, clock, || {
            *workers_made += 1;
            WorkerId::new(format!("w{workers_made}")).expect("an id")
        });
        if mutation == Mutation::ReleaseBookingAtStop {
            release_at_stop(&mut running.world, &mut turn.changes, clock.at);
        }
        if !owes {
            turn.effects.clear();
        }
        self.check_bookings();
        self.check_plan();
        let mut in_flight = InFlight {
            changes: turn.changes,
            effects: turn.effects,
            answers: askers.into_iter().zip(turn.answers).collect(),
        };
        if in_flight.changes.is_empty() {
            self.settle_turn(in_flight);
            self.wake_engine();
            return;
        }
        if mutation == Mutation::AnswerBeforeCommit {
            self.answer_all(std::mem::take(&mut in_flight.answers));
        }
        if mutation == Mutation::PerformBeforeCommit {
            let effects = std::mem::take(&mut in_flight.effects);
            self.perform(effects);
        }
        let takes =
            if self.disk.percent(3) { self.disk.below(2 * S) } else { self.disk.between(MS, 15 * MS) };
        let running = self.running();
        running.state = State::Committing(in_flight);
        let term = running.term;
        self.queue.at(now + takes, Any::Coordinator(term, Event::Committed));
    }

    /// In steps of ten seconds, as the wall clock may jump.
    fn sleep_until_deadline(&mut self) {
        let (now, clock) = (self.now, self.clock());
        let running = self.running();
        running.deadline += 1;
        let Some(left) = running.world.due_in(clock) else { return };
        // Clocks are read in whole milliseconds, so a deadline is met a little late.
        let left = (u64::try_from(left.as_micros()).unwrap_or(u64::MAX) + MS).min(10 * S);
        let (term, number) = (running.term, running.deadline);
        let at = (now + left).max(running.rest_until);
        self.queue.at(at, Any::Coordinator(term, Event::Due(number)));
    }

    fn committed(&mut self) {
        let has_trouble = self.coordinator.store_trouble_until > self.now;
        let fails = if has_trouble { self.disk.percent(80) } else { self.disk.below(2_000) == 0 };
        let running = self.running();
        let State::Committing(in_flight) = std::mem::replace(&mut running.state, State::Idle) else { return };
        if !fails {
            self.make_durable(&in_flight.changes);
            self.settle_turn(in_flight);
            self.wake_engine();
            return;
        }
        // Whether it was made durable is unknown.
        if self.disk.percent(50) {
            self.make_durable(&in_flight.changes);
        }
        for (asker, _) in in_flight.answers {
            self.answer_failed(asker);
        }
        if self.mutation == Mutation::KeepWorldAfterFailure {
            return self.wake_engine();
        }
        self.running().state = State::ReadingAgain;
        self.read_again();
    }

    fn read_again(&mut self) {
        let (now, term) = (self.now, self.running().term);
        // Those who asked meanwhile are told of the failure.
        let waiting: Vec<Request> = self.running().queue.drain(..).collect();
        for request in waiting {
            self.answer_failed(request.asker);
        }
        if self.coordinator.store_trouble_until > now && self.disk.percent(60) {
            self.queue.at(now + STORE_PAUSE, Any::Coordinator(term, Event::ReadsAgain));
            return;
        }
        let world = self.coordinator.rows.world();
        let running = self.running();
        running.world = world;
        running.planner = Planner::default();
        running.state = State::Idle;
        running.rest_until = now + STORE_PAUSE;
        self.owe();
        self.wake_engine();
    }

    /// Performs what may not have been performed.
    fn owe(&mut self) {
        if self.mutation != Mutation::OweNothing {
            let owed = owed_effects(&self.running().world);
            self.perform(owed);
        }
    }

    fn settle_turn(&mut self, in_flight: InFlight) {
        self.answer_all(in_flight.answers);
        self.perform(in_flight.effects);
    }

    fn answer_all(&mut self, answers: Vec<(Asker, Result<Reply, Refusal>)>) {
        for (asker, result) in answers {
            match asker {
                Asker::Client(request) => self.answer_client(request, &result),
                Asker::Stream(stream) => self.stream_answered(stream, true),
                Asker::Leaving(end) => self.extend_leases(end),
                Asker::Performer(_) | Asker::Nobody => {}
            }
        }
    }

    fn answer_failed(&mut self, asker: Asker) {
        match asker {
            Asker::Client(request) => self.tell_client(request, Heard::Failed),
            Asker::Stream(stream) => self.stream_answered(stream, false),
            Asker::Performer(host) => self.cut(&agent_id(host)),
            Asker::Leaving(_) | Asker::Nobody => {}
        }
    }

    /// One transaction.
    pub(crate) fn make_durable(&mut self, changes: &[Change]) {
        for change in changes {
            self.check_change(change);
            if let Err(what) = self.coordinator.rows.keep(change) {
                self.violate(Promise::OneResourcePerToken, what);
            }
        }
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        let running = self.running();
        running.effects.extend(effects);
        self.perform_soon();
    }

    fn perform_soon(&mut self) {
        let delay = if self.net.percent(2) { self.net.below(500 * MS) } else { self.net.below(300) };
        let at = self.now + delay;
        let running = self.running();
        if !running.is_performing && !running.effects.is_empty() {
            running.is_performing = true;
            let term = running.term;
            self.queue.at(at, Any::Coordinator(term, Event::Performs));
        }
    }

    fn perform_next(&mut self) {
        self.running().is_performing = false;
        if let Some(effect) = self.running().effects.pop_front() {
            if let Effect::BuildRelease(_) = effect {
                let at = self.now + self.work.between(MS, 20 * S);
                let term = self.running().term;
                self.queue.at(at, Any::Coordinator(term, Event::Built));
            } else {
                self.perform_effect(effect);
            }
        }
        self.perform_soon();
    }

    fn built(&mut self) {
        let state = if self.work.percent(5) && self.now < self.plan.calm_at {
            ReleaseState::Failed { reason: "no network".to_owned() }
        } else {
            ReleaseState::Ready { sha256: "00".to_owned(), java_major: 17, java_module_options: Vec::new() }
        };
        self.ask(Command::ReleaseIs(Release { label: release(), state }), Asker::Nobody);
    }
}

/// The mutation [`Mutation::ReleaseBookingAtStop`].
fn release_at_stop(world: &mut World, changes: &mut [Change], at: Timestamp) {
    for change in changes {
        if let Change::Worker(worker) = change
            && let WorkerState::Stopping { .. } = worker.state
        {
            worker.state = WorkerState::Ended { at, ran: None };
            world.apply(change);
        }
    }
}
