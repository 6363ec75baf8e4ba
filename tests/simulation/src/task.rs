//! The task of one worker on its host: performs what its [`Life`] calls for, as `agent/src/worker/task.rs` does. A state
//! is on disk before anything rests on it; commands are obeyed while a deed waits.

use crate::agent::Write;
use crate::cluster::Cluster;
use crate::event::{Agent as InAgent, Event};
use crate::host::Stage;
use crate::mutation::Mutation;
use crate::plan::DriverPlan;
use crate::queue::{MS, S, Time};
use crate::wire::{self, Order, Word};
use hearth_agent_core::life::{
    Adoption, AgentCause, Deed, Event as Happening, Finished, Life, Outcome, Phase, Step, Stop,
};
use hearth_types::WorkerId;
use std::collections::VecDeque;

/// How often processes that did not die of it are killed again (`task.rs`).
const KILL_AGAIN: Time = 5 * S;
/// How often a bundle is tried to be fetched (`fetch.rs`).
const FETCH_TRIES: u32 = 12;

/// A worker's task.
pub(crate) struct Task {
    pub(crate) spec: Order,
    pub(crate) life: Life,
    pub(crate) commands: VecDeque<Command>,
    /// The write that it waits for.
    writing: Option<u64>,
    doing: Option<Doing>,
    is_to_adopt: bool,
    /// Whether it listens to the JVM.
    has_control: bool,
    is_forgotten: bool,
    /// Whether the coordinator in touch has said, or is known to think, that it is current.
    pub(crate) is_judged: bool,
    /// Whether its lease may be renewed.
    pub(crate) has_standing: bool,
    /// Whether it keeps the lease of a running worker current, and has done so once.
    pub(crate) renewal: Option<Renewal>,
}

/// How far the renewal of a lease has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    New,
    Known,
}

/// What a task is told.
#[derive(Debug)]
pub(crate) enum Command {
    Run,
    Stop(Stop),
    Forget,
}

/// A deed under way.
struct Doing {
    deed: Deed,
    number: u64,
    /// Whether its time has come.
    is_due: bool,
    tries: u32,
}

impl Task {
    pub(crate) fn new(spec: Order, life: Life, is_adopted: bool) -> Self {
        let is_to_adopt = is_adopted && matches!(life.phase, Phase::Launching | Phase::Running { .. });
        Self {
            spec,
            life,
            commands: VecDeque::new(),
            writing: None,
            doing: None,
            is_to_adopt,
            has_control: false,
            is_forgotten: false,
            is_judged: true,
            has_standing: true,
            renewal: None,
        }
    }

    /// Whether its worker is prepared but for a lease that holds.
    pub(crate) fn awaits_lease(&self) -> bool {
        self.life.deed() == Deed::Prepare(Step::AwaitLease)
    }

    /// Whether it waits for this deed.
    pub(crate) fn awaits(&self, number: u64) -> bool {
        self.doing.as_ref().is_some_and(|doing| doing.number == number)
    }

    fn is_doing(&self, deed: &Deed) -> bool {
        self.doing.as_ref().is_some_and(|doing| doing.deed == *deed)
    }
}

/// Whether a task goes on at once.
#[derive(PartialEq, Eq)]
enum Goes {
    On,
    Waits,
}

impl Cluster {
    fn unix_ms(&self) -> i64 {
        i64::try_from(self.now / MS).unwrap_or(i64::MAX)
    }

    fn task(&mut self, host: usize, worker: &WorkerId) -> Option<&mut Task> {
        self.agent(host).tasks.get_mut(worker)
    }

    /// Lets a task go on as far as it can.
    pub(crate) fn drive(&mut self, host: usize, worker: &WorkerId) {
        while self.task(host, worker).is_some_and(|task| task.writing.is_none()) {
            if self.drive_once(host, worker) == Goes::Waits {
                return;
            }
        }
    }

    pub(crate) fn task_written(&mut self, host: usize, worker: &WorkerId, number: u64) {
        let Some(task) = self.task(host, worker) else { return };
        if task.writing != Some(number) {
            return;
        }
        task.writing = None;
        let (launch, said) = (task.spec.launch, task.life.report());
        let said = said.map(|report| wire::said(worker, launch, &report));
        match said {
            Some(said) => self.agent(host).outbox.report(said),
            None => self.agent(host).outbox.remove(worker),
        }
        self.drive(host, worker);
    }

    pub(crate) fn deed_is_due(&mut self, host: usize, worker: &WorkerId, number: u64) {
        let Some(task) = self.task(host, worker) else { return };
        if let Some(doing) = task.doing.as_mut().filter(|doing| doing.number == number) {
            doing.is_due = true;
            self.drive(host, worker);
        }
    }

    /// The roster has made sure that the worker will not come back.
    pub(crate) fn is_forgotten(&mut self, host: usize, worker: &WorkerId) {
        if let Some(task) = self.task(host, worker) {
            task.is_forgotten = true;
            self.drive(host, worker);
        }
    }

    fn drive_once(&mut self, host: usize, worker: &WorkerId) -> Goes {
        let mutation = self.mutation;
        let Some(task) = self.task(host, worker) else { return Goes::Waits };
        if task.is_to_adopt {
            if mutation == Mutation::LaunchAgain && task.life.phase == Phase::Launching {
                task.is_to_adopt = false;
                return Goes::On;
            }
            return self.adopt(host, worker);
        }
        let deed = task.life.deed();
        if !task.is_doing(&deed) {
            task.doing = None;
            return self.begin_deed(host, worker, deed);
        }
        // While a short step is under way commands wait; otherwise they are obeyed at once.
        let waits = [Deed::Prepare(Step::FetchBundle), Deed::Prepare(Step::AwaitLease)];
        let is_short = matches!(deed, Deed::Prepare(_)) && !waits.contains(&deed);
        let is_due = task.doing.as_ref().is_some_and(|doing| doing.is_due);
        if (!is_short || is_due)
            && deed != Deed::Remove
            && let Some(command) = task.commands.pop_front()
        {
            self.obey(host, worker, command);
            return Goes::On;
        }
        match deed {
            Deed::Prepare(Step::FetchBundle) if is_due => self.fetch(host, worker),
            Deed::Prepare(Step::AwaitLease) => self.await_lease(host, worker),
            Deed::Prepare(step) if is_due => self.prepared(host, worker, step),
            Deed::Launch => self.look_at_launch(host, worker),
            Deed::Watch(_) => self.watch(host, worker, is_due),
            Deed::FlushLogs if is_due => {
                self.happens(host, worker, Happening::LogsFlushed { failures: Vec::new() });
                Goes::On
            }
            Deed::Remove => self.remove(host, worker, is_due),
            Deed::Prepare(_) | Deed::FlushLogs | Deed::Report | Deed::Nothing => Goes::Waits,
        }
    }

    fn begin_deed(&mut self, host: usize, worker: &WorkerId, deed: Deed) -> Goes {
        let takes = match &deed {
            Deed::Prepare(Step::FetchBundle) if self.hosts[host].has_bundle => Some(self.work.below(MS)),
            Deed::Prepare(Step::FetchBundle) => Some(self.work.between(100, 4_000) * MS),
            Deed::Prepare(Step::AwaitLease) => None,
            Deed::Prepare(_) => Some(self.work.between(100, 20_000)),
            Deed::FlushLogs => Some(self.work.between(1, 1_500) * MS),
            Deed::Remove => None,
            Deed::Launch => {
                if let Some(dir) = self.hosts[host].dirs.get_mut(worker) {
                    (dir.launch, dir.was_locked) = (true, false);
                }
                self.begin_lease(host, worker);
                self.spawn_keeper(host, worker);
                if let Some(task) = self.task(host, worker) {
                    task.has_control = true;
                }
                None
            }
            Deed::Watch(stop) => stop.map(|stop| self.begin_stop(host, worker, stop)),
            Deed::Report | Deed::Nothing => None,
        };
        let now = self.now;
        let agent = self.agent(host);
        agent.numbers += 1;
        let (number, incarnation) = (agent.numbers, agent.incarnation);
        let doing = Doing { deed: deed.clone(), number, is_due: false, tries: 0 };
        if let Some(task) = agent.tasks.get_mut(worker) {
            task.doing = Some(doing);
        }
        if let Some(takes) = takes {
            self.queue
                .at(now + takes, Event::Agent(host, incarnation, InAgent::Deed(worker.clone(), number)));
        }
        if deed == Deed::Remove {
            self.will_be_gone(host, worker);
        }
        Goes::On
    }

    /// Tells what happened; goes on once the new state is on disk.
    fn happens(&mut self, host: usize, worker: &WorkerId, event: Happening) {
        let now = self.unix_ms();
        let Some(task) = self.task(host, worker) else { return };
        let before = task.life.clone();
        task.life.apply(event, now);
        if task.life == before || task.life.phase == Phase::Removed {
            return;
        }
        let life = task.life.clone();
        let number = self.begin_write(host, Write::State(worker.clone(), life));
        if let Some(task) = self.task(host, worker) {
            task.writing = Some(number);
        }
    }

    fn prepared(&mut self, host: usize, worker: &WorkerId, step: Step) -> Goes {
        let is_full = self.hosts[host].disk_full_until > self.now;
        match step {
            Step::MakeDirectories if is_full => {
                let reason = "no space left".to_owned();
                self.happens(host, worker, Happening::PreparationFailed(reason));
                return Goes::On;
            }
            Step::MakeCgroup => drop(self.hosts[host].cgroups.insert(worker.clone())),
            Step::TakeUid | Step::MakeDirectories | Step::FetchBundle | Step::AwaitLease => {}
        }
        self.happens(host, worker, Happening::StepDone(step));
        Goes::On
    }

    fn fetch(&mut self, host: usize, worker: &WorkerId) -> Goes {
        let is_reachable = self.coordinator.running.is_some() && self.hosts[host].link_down_until <= self.now;
        if is_reachable || self.hosts[host].has_bundle {
            self.hosts[host].has_bundle = true;
            self.happens(host, worker, Happening::StepDone(Step::FetchBundle));
            return Goes::On;
        }
        let now = self.now;
        let incarnation = self.agent(host).incarnation;
        let Some(doing) = self.task(host, worker).and_then(|task| task.doing.as_mut()) else {
            return Goes::Waits;
        };
        doing.is_due = false;
        doing.tries += 1;
        if doing.tries > FETCH_TRIES {
            let reason = "the coordinator is not reachable".to_owned();
            self.happens(host, worker, Happening::PreparationFailed(reason));
            return Goes::On;
        }
        let delay = ((500 * MS) << doing.tries.min(6)).min(30 * S);
        let number = doing.number;
        self.queue.at(now + delay, Event::Agent(host, incarnation, InAgent::Deed(worker.clone(), number)));
        Goes::Waits
    }

    /// Waits for the keeper to have its worker running.
    fn look_at_launch(&mut self, host: usize, worker: &WorkerId) -> Goes {
        let exit = self.hosts[host].dirs.get(worker).and_then(|dir| dir.exit.clone());
        let event = match (exit, self.process_stage(host, worker)) {
            (Some(outcome), _) => {
                self.hear_words(host, worker);
                if self.is_writing(host, worker) {
                    return Goes::On;
                }
                Happening::Exited(outcome)
            }
            (None, Some(Stage::Running | Stage::Ended)) => Happening::Launched { at_unix_ms: self.unix_ms() },
            (None, Some(Stage::Starting)) => return Goes::Waits,
            (None, None) => match self.hosts[host].dirs.get(worker) {
                Some(dir) if dir.keeper.is_some() => Happening::Launched { at_unix_ms: self.unix_ms() },
                // It was killed before it had its worker running.
                Some(dir) if dir.was_locked => {
                    let reason = "the keeper started nothing";
                    Happening::Exited(Outcome::not_launched(AgentCause::NoLaunch, reason, self.unix_ms()))
                }
                _ => return Goes::Waits, // The keeper has not begun.
            },
        };
        if let Happening::Launched { .. } = event {
            self.renew(host, worker);
        }
        self.happens(host, worker, event);
        Goes::On
    }

    /// Waits until its lease holds: `Contacts::may_start`.
    fn await_lease(&mut self, host: usize, worker: &WorkerId) -> Goes {
        let now = self.boottime(host);
        let skips = self.mutation == Mutation::StartWithoutContact;
        let agent = self.agent(host);
        let Some(task) = agent.tasks.get(worker) else { return Goes::Waits };
        let may_start = task.spec.lease().is_none_or(|lease| {
            agent.contact.is_some_and(|contact| {
                contact.is_settled() && task.has_standing && now < contact.deadlines(lease, None).first()
            })
        });
        if !may_start && !skips {
            return Goes::Waits;
        }
        self.happens(host, worker, Happening::StepDone(Step::AwaitLease));
        Goes::On
    }

    fn is_writing(&mut self, host: usize, worker: &WorkerId) -> bool {
        self.task(host, worker).is_some_and(|task| task.writing.is_some())
    }

    /// Waits for the worker's end, or brings it about.
    fn watch(&mut self, host: usize, worker: &WorkerId, is_time_to_kill: bool) -> Goes {
        self.hear_words(host, worker);
        if self.is_writing(host, worker) {
            return Goes::On;
        }
        let exit = self.hosts[host].dirs.get(worker).and_then(|dir| dir.exit.clone());
        let stage = self.process_stage(host, worker);
        match (exit, stage) {
            (Some(outcome), _) => self.happens(host, worker, Happening::Exited(outcome)),
            (None, None) => self.happens(host, worker, Happening::Adopted(Adoption::Gone)),
            (None, Some(Stage::Starting | Stage::Running | Stage::Ended)) => {
                if is_time_to_kill {
                    if self.mutation == Mutation::ReportEndAtKill {
                        let outcome = Outcome { signal: Some(9), ..Outcome::default() };
                        self.happens(host, worker, Happening::Exited(outcome));
                        return Goes::On;
                    }
                    self.kill_group(host, worker);
                    let at = self.now + KILL_AGAIN;
                    let incarnation = self.agent(host).incarnation;
                    if let Some(doing) = self.task(host, worker).and_then(|task| task.doing.as_mut()) {
                        doing.is_due = false;
                        let deed = InAgent::Deed(worker.clone(), doing.number);
                        self.queue.at(at, Event::Agent(host, incarnation, deed));
                    }
                }
                return Goes::Waits;
            }
        }
        Goes::On
    }

    /// Asks a driver to end; how long until it is killed.
    fn begin_stop(&mut self, host: usize, worker: &WorkerId, stop: Stop) -> Time {
        let Some(process) = self.hosts[host].processes.get(worker) else { return 0 };
        if !process.order.is_driver() || stop.grace_ms == 0 {
            return 0;
        }
        let DriverPlan { heeds_cancel, .. } = self.driver_plan(&process.order.clone());
        let grace = Time::from(stop.grace_ms) * MS;
        if heeds_cancel {
            let at = self.now + self.work.below(grace);
            let boot = self.hosts[host].boot;
            let end = crate::event::Process::Ends { code: Some(143), signal: None };
            self.queue.at(at, Event::Process(host, boot, worker.clone(), end));
        }
        grace
    }

    fn adopt(&mut self, host: usize, worker: &WorkerId) -> Goes {
        let boot = self.hosts[host].boot;
        let since_unix_ms = self.unix_ms();
        let stage = self.process_stage(host, worker);
        let Some(dir) = self.hosts[host].dirs.get_mut(worker) else { return Goes::Waits };
        let found = if let Some(outcome) = dir.exit.clone() {
            Adoption::Exited(outcome)
        } else if let Some(of_boot) = dir.keeper {
            match stage {
                Some(_) if of_boot == boot => Adoption::Alive { since_unix_ms },
                _ => Adoption::Gone,
            }
        } else if dir.launch && stage.is_some() {
            return Goes::Waits; // A keeper is between its start and its first record.
        } else {
            // A keeper that was started but has not got to its lock will find the file gone.
            dir.launch = false;
            Adoption::NotStarted
        };
        let is_alive = matches!(found, Adoption::Alive { .. });
        if matches!(found, Adoption::Gone | Adoption::NotStarted) {
            self.kill_group(host, worker);
        }
        if let Some(task) = self.task(host, worker) {
            task.is_to_adopt = false;
            task.has_control = is_alive;
        }
        if is_alive {
            self.renew(host, worker);
        }
        self.repeat_run(host, worker);
        self.happens(host, worker, Happening::Adopted(found));
        Goes::On
    }

    fn remove(&mut self, host: usize, worker: &WorkerId, is_due: bool) -> Goes {
        let (now, incarnation) = (self.now, self.agent(host).incarnation);
        let takes = self.work.between(1, 50) * MS;
        let Some(task) = self.task(host, worker) else { return Goes::Waits };
        if !task.is_forgotten {
            return Goes::Waits;
        }
        let number = task.doing.as_ref().map_or(0, |doing| doing.number);
        if !is_due {
            task.has_control = false;
            self.queue
                .at(now + takes, Event::Agent(host, incarnation, InAgent::Deed(worker.clone(), number)));
            return Goes::Waits;
        }
        self.kill_group(host, worker);
        let state = &mut self.hosts[host];
        state.cgroups.remove(worker);
        if let Some(dir) = state.dirs.remove(worker) {
            state.removed.push((now, worker.clone(), dir));
        }
        self.happens(host, worker, Happening::Removed);
        self.agent(host).tasks.remove(worker);
        self.agent(host).outbox.remove(worker);
        Goes::Waits
    }

    fn obey(&mut self, host: usize, worker: &WorkerId, command: Command) {
        match command {
            Command::Run => self.be_told_to_run(host, worker),
            Command::Stop(stop) => self.happens(host, worker, Happening::StopOrdered(stop)),
            Command::Forget => self.happens(host, worker, Happening::ForgetOrdered),
        }
    }

    /// What it is to run is on disk first, so that a restarted agent can say it again.
    fn be_told_to_run(&mut self, host: usize, worker: &WorkerId) {
        let Some(task) = self.task(host, worker) else { return };
        let may_run =
            matches!(task.life.phase, Phase::Preparing { .. } | Phase::Launching | Phase::Running { .. });
        if !may_run || !task.spec.is_deferred {
            return;
        }
        task.spec.is_deferred = false;
        let spec = Box::new(task.spec.clone());
        let number = self.begin_write(host, Write::Spec(spec));
        if let Some(task) = self.task(host, worker) {
            task.writing = Some(number);
        }
    }

    /// Tells a JVM that waits what to run, if that is known and it listens.
    fn repeat_run(&mut self, host: usize, worker: &WorkerId) {
        let Some(task) = self.task(host, worker) else { return };
        if task.spec.is_deferred || !task.has_control || task.spec.is_driver() {
            return;
        }
        let Some(process) = self.hosts[host].processes.get_mut(worker) else { return };
        if process.stage == Stage::Running && !process.is_told {
            process.is_told = true;
            self.executor_begins(host, worker);
        }
    }

    /// Takes what the JVM has said, in order; stops where a state must first be written.
    fn hear_words(&mut self, host: usize, worker: &WorkerId) {
        self.repeat_run(host, worker);
        loop {
            let Some(task) = self.task(host, worker) else { return };
            if !task.has_control || task.writing.is_some() {
                return;
            }
            let launch = task.spec.launch;
            let Some(process) = self.hosts[host].processes.get_mut(worker) else { return };
            let Some(word) = process.words.pop_front() else { return };
            self.hear(host, worker, launch, word);
        }
    }

    fn hear(&mut self, host: usize, worker: &WorkerId, launch: hearth_types::Launch, word: Word) {
        if let Word::Finished(exit_code) = word {
            let finished = Finished { exit_code, error_class: None, error_message: None };
            self.happens(host, worker, Happening::Finished(finished));
        } else {
            self.agent(host).outbox.word(worker, launch, word);
        }
    }

    /// What a dead JVM has left in the socket; lost if nobody listens.
    pub(crate) fn finish_words(&mut self, host: usize, worker: &WorkerId, words: VecDeque<Word>) {
        if self.hosts[host].agent.is_none() || self.hosts[host].paused_until > self.now {
            return;
        }
        let Some(task) = self.task(host, worker).filter(|task| task.has_control) else { return };
        let (launch, is_writing) = (task.spec.launch, task.writing.is_some());
        for word in words {
            if !(is_writing && matches!(word, Word::Finished(_))) {
                self.hear(host, worker, launch, word);
            }
        }
        self.tell(host);
    }
}
