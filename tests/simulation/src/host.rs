//! A host: what is on its disk, its control groups, its keepers and workers, and the agent's process if it runs.
//!
//! Processes and control groups are gone after a power loss, and so is what was not synced. The agent's crash leaves
//! both alone; of its writes under way each may have been done.

use crate::agent::Agent;
use crate::checker::Promise;
use crate::cluster::Cluster;
use crate::event::{Agent as InAgent, Event, Process as InProcess, StreamId};
use crate::leash::Hold;
use crate::mutation::Mutation;
use crate::plan::{DriverEnd, DriverPlan};
use crate::queue::{MS, S, Time};
use crate::wire::{Down, Order, Word};
use hearth_agent_core::fence::Fence;
use hearth_agent_core::life::{AgentCause, Life, Outcome};
use hearth_lease::Deadlines;
use hearth_types::{WorkerId, WorkerSize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How long the removal or making of a directory may take to be safe from a power loss; nobody waits for it.
const UNSYNCED_FOR: Time = 5 * S;

/// A host.
pub(crate) struct Host {
    pub(crate) offered: WorkerSize,
    pub(crate) boot: u64,
    pub(crate) booted_at: Time,
    pub(crate) fence: Fence,
    /// The workers' directories.
    pub(crate) dirs: BTreeMap<WorkerId, Dir>,
    /// Directories removed lately: a power loss may bring them back.
    pub(crate) removed: Vec<(Time, WorkerId, Dir)>,
    pub(crate) cgroups: BTreeSet<WorkerId>,
    pub(crate) processes: BTreeMap<WorkerId, Process>,
    pub(crate) has_bundle: bool,
    pub(crate) agent: Option<Agent>,
    pub(crate) incarnations: u64,
    /// The host has no power until then.
    off_until: Time,
    pub(crate) paused_until: Time,
    pub(crate) link_down_until: Time,
    pub(crate) disk_full_until: Time,
    /// Orders that came over each stream, to be repeated by a fault.
    pub(crate) past_orders: Vec<(StreamId, Down)>,
}

/// A worker's directory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dir {
    pub(crate) made_at: Time,
    pub(crate) spec: Option<Order>,
    pub(crate) state: Option<Life>,
    /// The keeper's instructions.
    pub(crate) launch: bool,
    /// Whether a keeper has ever taken the lock on its instructions.
    pub(crate) was_locked: bool,
    /// The keeper's record that the worker runs, with the boot it belongs to.
    pub(crate) keeper: Option<u64>,
    /// Until when it may run without contact, as the agent keeps it for the keeper.
    pub(crate) lease: Option<Deadlines>,
    /// The keeper's record of the end.
    pub(crate) exit: Option<Outcome>,
}

/// A keeper with its worker.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) order: Order,
    pub(crate) stage: Stage,
    /// What its JVM has said and the agent has not taken yet.
    pub(crate) words: VecDeque<Word>,
    /// Whether it knows what to run; a deferred executor is told.
    pub(crate) is_told: bool,
    ends_code: Option<i32>,
    ends_signal: Option<i32>,
    /// Whether its lease was over before its program was executed.
    came_too_late: bool,
    pub(crate) hold: Hold,
}

/// Where a keeper is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It holds the lock and prepares.
    Starting,
    /// The worker runs.
    Running,
    /// The worker is over; the end is to be recorded.
    Ended,
}

impl Host {
    pub(crate) fn new(_number: usize, offered: WorkerSize) -> Self {
        Self {
            offered,
            boot: 1,
            booted_at: 0,
            fence: Fence::default(),
            dirs: BTreeMap::new(),
            removed: Vec::new(),
            cgroups: BTreeSet::new(),
            processes: BTreeMap::new(),
            has_bundle: false,
            agent: None,
            incarnations: 0,
            off_until: 0,
            paused_until: 0,
            link_down_until: 0,
            disk_full_until: 0,
            past_orders: Vec::new(),
        }
    }

    /// The agent's present stream.
    pub(crate) fn stream(&self) -> Option<StreamId> {
        self.agent.as_ref()?.stream()
    }

    pub(crate) const fn is_off(&self, now: Time) -> bool {
        self.off_until > now
    }

    /// What is left of workers here.
    pub(crate) fn leftovers(&self) -> Option<String> {
        if let Some(worker) = self.processes.keys().next() {
            return Some(format!("process of {worker}"));
        }
        if let Some(worker) = self.cgroups.iter().next() {
            return Some(format!("control group of {worker}"));
        }
        if let Some(worker) = self.dirs.keys().next() {
            return Some(format!("directory of {worker}"));
        }
        let agent = self.agent.as_ref()?;
        if let Some(worker) = agent.tasks.keys().next() {
            return Some(format!("task of {worker}"));
        }
        (!agent.outbox.is_empty()).then(|| "something to tell".to_owned())
    }
}

impl Cluster {
    pub(crate) fn power_loss(&mut self, number: usize) {
        self.agent_process_dies(number);
        let now = self.now;
        let host = &mut self.hosts[number];
        host.boot += 1;
        host.booted_at = now + 5 * S;
        host.paused_until = 0;
        host.off_until = now + 5 * S;
        host.cgroups.clear();
        let processes = std::mem::take(&mut host.processes);
        host.dirs.keys().for_each(|worker| self.checker.loss_of(worker));
        // A directory that was just made or removed may be as it was before.
        let made: Vec<WorkerId> = host
            .dirs
            .iter()
            .filter(|(_, dir)| dir.made_at + UNSYNCED_FOR > now)
            .map(|(worker, _)| worker.clone())
            .collect();
        for worker in made {
            if self.disk.percent(30) {
                self.hosts[number].dirs.remove(&worker);
            }
        }
        for (at, worker, dir) in std::mem::take(&mut self.hosts[number].removed) {
            if at + UNSYNCED_FOR > now && self.disk.percent(50) {
                self.hosts[number].dirs.insert(worker, dir);
            }
        }
        for process in processes.into_values() {
            self.check_process_gone(number, &process.order, process.stage, true);
        }
    }

    /// Starts the keeper of a worker; it outlives whoever started it.
    pub(crate) fn spawn_keeper(&mut self, host: usize, worker: &WorkerId) {
        let at = self.now + self.work.between(5, 100) * MS;
        let boot = self.hosts[host].boot;
        self.queue.at(at, Event::Process(host, boot, worker.clone(), InProcess::Begins));
    }

    pub(crate) fn in_process(&mut self, host: usize, boot: u64, worker: &WorkerId, event: InProcess) {
        if self.hosts[host].boot != boot {
            return;
        }
        match event {
            InProcess::Says(_) | InProcess::Ends { .. } if self.is_frozen(host, worker) => {
                self.hold_back(host, worker, event);
            }
            InProcess::Begins => self.keeper_begins(host, worker),
            InProcess::Looks(_) => self.keeper_looks(host, worker),
            InProcess::Executes => self.worker_executes(host, worker),
            InProcess::Says(number) => self.driver_says(host, worker, number),
            InProcess::Ends { code, signal } => self.process_ends(host, worker, code, signal),
            InProcess::Records => self.keeper_records(host, worker),
        }
    }

    /// `agent/keeper/src/supervise.rs`: takes the lock, unless the start was given up or the directory was used before.
    fn keeper_begins(&mut self, host: usize, worker: &WorkerId) {
        let Some(dir) = self.hosts[host].dirs.get(worker) else { return };
        let is_used = dir.keeper.is_some() || dir.exit.is_some();
        let may_start = dir.launch
            && (!is_used || self.mutation == Mutation::LaunchAgain)
            && !self.hosts[host].processes.contains_key(worker);
        let Some(order) = dir.spec.clone().filter(|_| may_start) else { return };
        if let Some(dir) = self.hosts[host].dirs.get_mut(worker) {
            dir.was_locked = true;
        }
        let process = Process {
            is_told: !order.is_deferred,
            order,
            stage: Stage::Starting,
            words: VecDeque::new(),
            ends_code: None,
            ends_signal: None,
            came_too_late: false,
            hold: Hold::default(),
        };
        self.hosts[host].processes.insert(worker.clone(), process);
        let at = self.now + self.work.between(50, 900) * MS;
        let boot = self.hosts[host].boot;
        self.queue.at(at, Event::Process(host, boot, worker.clone(), InProcess::Executes));
    }

    fn worker_executes(&mut self, host: usize, worker: &WorkerId) {
        let (boot, boottime) = (self.hosts[host].boot, self.boottime(host));
        let executes_on_time = self.mutation != Mutation::ExecuteTooLate;
        let lease = self.hosts[host].dirs.get(worker).and_then(|dir| dir.lease);
        let Some(process) = self.hosts[host].processes.get_mut(worker) else { return };
        if process.stage != Stage::Starting {
            return;
        }
        let is_over = lease.is_some_and(|deadlines| deadlines.first() <= boottime);
        if is_over && executes_on_time {
            process.came_too_late = true;
            return self.process_ends(host, worker, None, None);
        }
        process.stage = Stage::Running;
        let (order, is_told) = (process.order.clone(), process.is_told);
        if let Some(dir) = self.hosts[host].dirs.get_mut(worker) {
            dir.keeper = Some(boot);
        }
        self.check_process_runs(host, &order);
        self.poke(host, worker);
        self.keeper_looks(host, worker);
        if order.is_driver() {
            self.driver_begins(host, &order);
        } else if is_told {
            self.executor_begins(host, worker);
        }
    }

    /// Arranges what a driver will say and how it ends.
    fn driver_begins(&mut self, host: usize, order: &Order) {
        let plan = self.driver_plan(order);
        let boot = self.hosts[host].boot;
        let up = self.now + plan.registers_after;
        let says = |number: usize| InProcess::Says(u32::try_from(number).expect("few"));
        let words = driver_words(&plan);
        for (number, (after, _)) in words.iter().enumerate() {
            self.queue.at(up + after, Event::Process(host, boot, order.worker.clone(), says(number)));
        }
        let end = match plan.end {
            DriverEnd::Finishes(code) | DriverEnd::Exits(code) => {
                InProcess::Ends { code: Some(code), signal: None }
            }
            DriverEnd::Dies(signal) => InProcess::Ends { code: None, signal: Some(signal) },
            DriverEnd::Hangs => return,
        };
        let at = up + plan.works_for + self.work.below(20 * MS);
        self.queue.at(at, Event::Process(host, boot, order.worker.clone(), end));
    }

    pub(crate) fn driver_plan(&self, order: &Order) -> DriverPlan {
        let run = &self.plan.runs[self.clients.run_number(&order.run)];
        let attempt = usize::try_from(order.launch.attempt).expect("few") - 1;
        run.drivers[attempt.min(run.drivers.len() - 1)].clone()
    }

    fn driver_says(&mut self, host: usize, worker: &WorkerId, number: u32) {
        let Some(process) = self.hosts[host].processes.get(worker) else { return };
        if process.stage != Stage::Running {
            return;
        }
        let plan = self.driver_plan(&process.order);
        let (_, word) = driver_words(&plan).swap_remove(usize::try_from(number).expect("few"));
        let process = self.hosts[host].processes.get_mut(worker).expect("just seen");
        process.words.push_back(word);
        self.poke(host, worker);
    }

    /// An executor has been told where its driver is; it may end by itself one day.
    pub(crate) fn executor_begins(&mut self, host: usize, worker: &WorkerId) {
        let Some(process) = self.hosts[host].processes.get(worker) else { return };
        let run = process.order.run.clone();
        let launch = process.order.launch;
        let failures = self.plan.runs[self.clients.run_number(&run)].executor_failures;
        let boot = self.hosts[host].boot;
        if self.work.percent(failures) {
            let at = self.now + self.work.between(100, 30_000) * MS;
            let (code, signal) =
                self.work.pick(&[(Some(0), None), (Some(1), None), (Some(52), None), (None, Some(9))]);
            self.queue.at(at, Event::Process(host, boot, worker.clone(), InProcess::Ends { code, signal }));
        } else if !self.checker.has_driver(&run, launch) {
            self.executor_misses_driver(host, worker);
        }
    }

    /// Without its driver an executor ends by itself.
    fn executor_misses_driver(&mut self, host: usize, worker: &WorkerId) {
        let at = self.now + self.work.between(500, 60_000) * MS;
        let boot = self.hosts[host].boot;
        let end = InProcess::Ends { code: Some(1), signal: None };
        self.queue.at(at, Event::Process(host, boot, worker.clone(), end));
    }

    /// The worker's process ends, by itself or by a signal.
    pub(crate) fn process_ends(
        &mut self,
        host: usize,
        worker: &WorkerId,
        code: Option<i32>,
        signal: Option<i32>,
    ) {
        let at = self.now + self.work.between(1, 30) * MS;
        let boot = self.hosts[host].boot;
        let Some(process) = self.hosts[host].processes.get_mut(worker) else { return };
        if process.stage == Stage::Ended {
            return;
        }
        let (order, stage) = (process.order.clone(), process.stage);
        process.stage = Stage::Ended;
        process.ends_code = code;
        process.ends_signal = signal;
        self.check_process_gone(host, &order, stage, false);
        if stage == Stage::Running && order.is_driver() {
            self.checker.driver_ended(&order, code);
            self.driver_is_missed(&order);
        }
        self.queue.at(at, Event::Process(host, boot, worker.clone(), InProcess::Records));
    }

    fn driver_is_missed(&mut self, driver: &Order) {
        for host in 0..self.hosts.len() {
            let processes = self.hosts[host].processes.values();
            let executors: Vec<WorkerId> = processes
                .filter(|process| process.order.run == driver.run && process.order.launch == driver.launch)
                .filter(|process| !process.order.is_driver() && process.is_told)
                .map(|process| process.order.worker.clone())
                .collect();
            for executor in executors {
                self.executor_misses_driver(host, &executor);
            }
        }
    }

    fn keeper_records(&mut self, host: usize, worker: &WorkerId) {
        let full_until = self.hosts[host].disk_full_until;
        if full_until > self.now {
            let boot = self.hosts[host].boot;
            let event = Event::Process(host, boot, worker.clone(), InProcess::Records);
            return self.queue.at(full_until + S, event);
        }
        let Some(process) = self.hosts[host].processes.remove(worker) else { return };
        let at_unix_ms = i64::try_from(self.now / MS).unwrap_or(i64::MAX);
        if let Some(dir) = self.hosts[host].dirs.get_mut(worker) {
            dir.exit = Some(if process.came_too_late {
                Outcome::not_launched(AgentCause::NoLaunch, "its lease was over", at_unix_ms)
            } else {
                Outcome {
                    exit_code: process.ends_code,
                    signal: process.ends_signal,
                    at_unix_ms,
                    ..Outcome::default()
                }
            });
        }
        self.finish_words(host, worker, process.words);
        self.poke(host, worker);
    }

    /// Kills all of a worker's processes by its control group; the keeper records the end.
    pub(crate) fn kill_group(&mut self, host: usize, worker: &WorkerId) {
        self.process_ends(host, worker, None, Some(9));
    }

    /// A keeper dies of `kill -9`, and its worker with it: nobody records the end.
    pub(crate) fn kill_keeper(&mut self, host: usize) {
        let Some(worker) = self.any_process(host) else { return };
        let Some(process) = self.hosts[host].processes.remove(&worker) else { return };
        self.check_process_gone(host, &process.order, process.stage, true);
        if process.stage == Stage::Running && process.order.is_driver() {
            self.driver_is_missed(&process.order);
        }
        self.poke(host, &worker);
    }

    pub(crate) fn kill_worker(&mut self, host: usize) {
        if let Some(worker) = self.any_process(host) {
            self.process_ends(host, &worker, None, Some(9));
        }
    }

    fn any_process(&mut self, host: usize) -> Option<WorkerId> {
        let count = self.hosts[host].processes.len();
        if count == 0 {
            return None;
        }
        let chosen = self.work.index(count);
        self.hosts[host].processes.keys().nth(chosen).cloned()
    }

    /// Tells the agent's task of a worker to look.
    pub(crate) fn poke(&mut self, host: usize, worker: &WorkerId) {
        if let Some(agent) = &self.hosts[host].agent
            && agent.tasks.contains_key(worker)
        {
            let incarnation = agent.incarnation;
            let at = self.now + self.work.below(2 * MS);
            self.queue.at(at, Event::Agent(host, incarnation, InAgent::Poke(worker.clone())));
        }
    }

    pub(crate) fn check_process_gone(&mut self, host: usize, order: &Order, stage: Stage, is_lost: bool) {
        if stage == Stage::Running {
            self.checker.process_gone(host, order);
        }
        if is_lost {
            self.checker.loss_of(&order.worker);
        }
    }

    /// A worker comes to run: promises P3 and P8 on the host itself.
    pub(crate) fn check_process_runs(&mut self, host: usize, order: &Order) {
        if let Err((promise, what)) = self.checker.process_runs(host, order) {
            self.violate(promise, what);
        }
        let running = self.hosts[host].processes.values().filter(|process| process.stage == Stage::Running);
        let sum = running.fold(WorkerSize::default(), |sum, process| sum.plus(&process.order.size));
        if !sum.fits(&self.hosts[host].offered) {
            let offered = self.hosts[host].offered;
            self.violate(Promise::Capacity, format!("host {host} runs {sum} but offers {offered}"));
        }
        self.check_is_booked(host, order);
    }
}

/// All that a driver says, by the time after its registration.
fn driver_words(plan: &DriverPlan) -> Vec<(Time, Word)> {
    let mut words = vec![(0, Word::Registered)];
    words.extend(plan.wants.iter().map(|(after, count)| (*after, Word::Wants(*count))));
    words.extend(plan.gives_back.iter().map(|(after, executor)| (*after, Word::GivesBack(vec![*executor]))));
    if let DriverEnd::Finishes(code) = plan.end {
        words.push((plan.works_for, Word::Unregistered));
        words.push((plan.works_for, Word::Finished(code)));
    }
    words
}
