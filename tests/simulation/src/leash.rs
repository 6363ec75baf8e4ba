//! Leases on the host: the agent turns its contact into deadlines on disk (`agent/src/leases.rs`), the keeper freezes,
//! kills and thaws by them (`agent/keeper/src/hold.rs`), whether the agent lives or not. What each decides is the
//! arithmetic of `agent/lease`.

use crate::cluster::Cluster;
use crate::event::{Agent as InAgent, Event, Process as InProcess};
use crate::host::Stage;
use crate::mutation::Mutation;
use crate::queue::{MS, Time};
use crate::task::Renewal;
use hearth_lease::{Act, Contact, Leash};
use hearth_types::WorkerId;
use std::time::Duration;

/// A keeper's hold on its worker.
#[derive(Debug)]
pub(crate) struct Hold {
    leash: Leash,
    /// The look that is arranged.
    pub(crate) number: u64,
    /// When the last of its tasks comes to rest, while it is freezing.
    rests_at: Option<Time>,
    is_frozen: bool,
    /// What the worker would have done while it was frozen.
    held_back: Vec<InProcess>,
}

impl Default for Hold {
    fn default() -> Self {
        Self { leash: Leash::Free, number: 0, rests_at: None, is_frozen: false, held_back: Vec::new() }
    }
}

impl Cluster {
    /// `CLOCK_BOOTTIME` of a host.
    pub(crate) fn boottime(&self, host: usize) -> Duration {
        Duration::from_micros(self.now.saturating_sub(self.hosts[host].booted_at))
    }

    pub(crate) fn is_frozen(&self, host: usize, worker: &WorkerId) -> bool {
        self.hosts[host].processes.get(worker).is_some_and(|process| process.hold.is_frozen)
    }

    pub(crate) fn hold_back(&mut self, host: usize, worker: &WorkerId, event: InProcess) {
        if let Some(process) = self.hosts[host].processes.get_mut(worker) {
            process.hold.held_back.push(event);
        }
    }

    /// `Hold::tend`.
    pub(crate) fn keeper_looks(&mut self, host: usize, worker: &WorkerId) {
        if self.mutation == Mutation::NeverFreeze {
            return;
        }
        let (now, boottime, takes) = (self.now, self.boottime(host), self.work.below(1_500 * MS));
        let state = &mut self.hosts[host];
        let Some(deadlines) = state.dirs.get(worker).and_then(|dir| dir.lease) else { return };
        let Some(process) = state.processes.get_mut(worker) else { return };
        if process.stage != Stage::Running {
            return;
        }
        let hold = &mut process.hold;
        let rests_at = hold.rests_at;
        let look = hold.leash.look(boottime, deadlines, || rests_at.is_some_and(|at| at <= now));
        hold.number += 1;
        let number = hold.number;
        match look.act {
            Act::Wait => {}
            Act::Freeze => {
                hold.rests_at.get_or_insert(now + takes);
            }
            Act::Thaw => self.thaw(host, worker),
            Act::Kill => return self.process_ends(host, worker, None, Some(9)),
        }
        self.note_frozen(host, worker);
        if let Some(again_at) = look.again_at {
            let boot = self.hosts[host].boot;
            let span = Time::try_from(again_at.as_micros()).unwrap_or(Time::MAX / 2);
            let at = (self.hosts[host].booted_at + span).max(now + MS);
            self.queue.at(at, Event::Process(host, boot, worker.clone(), InProcess::Looks(number)));
        }
    }

    /// A worker that has come to rest executes nothing any more.
    fn note_frozen(&mut self, host: usize, worker: &WorkerId) {
        let Some(process) = self.hosts[host].processes.get_mut(worker) else { return };
        if process.hold.leash == Leash::Frozen && !process.hold.is_frozen {
            process.hold.is_frozen = true;
            let order = process.order.clone();
            self.checker.driver_rests(host, &order);
            self.note(|| format!("    {} is frozen", order.worker));
        }
    }

    fn thaw(&mut self, host: usize, worker: &WorkerId) {
        let (now, boot) = (self.now, self.hosts[host].boot);
        let Some(process) = self.hosts[host].processes.get_mut(worker) else { return };
        process.hold.rests_at = None;
        if !std::mem::take(&mut process.hold.is_frozen) {
            return;
        }
        let order = process.order.clone();
        for event in std::mem::take(&mut process.hold.held_back) {
            self.queue.at(now, Event::Process(host, boot, worker.clone(), event));
        }
        if let Err((promise, what)) = self.checker.driver_executes(host, &order) {
            self.violate(promise, what);
        }
        self.note(|| format!("    {} is thawed", order.worker));
    }

    /// Writes the first deadlines, before the keeper is started: `Tenancy::begin`.
    pub(crate) fn begin_lease(&mut self, host: usize, worker: &WorkerId) {
        let agent = self.agent(host);
        let contact = agent.contact;
        let Some(lease) = agent.tasks.get(worker).and_then(|task| task.spec.lease()) else { return };
        let deadlines =
            contact.map_or(lease.deadlines(Duration::ZERO), |contact| contact.deadlines(lease, None));
        if let Some(dir) = self.hosts[host].dirs.get_mut(worker) {
            dir.lease = Some(deadlines);
        }
    }

    /// Begins to keep a running worker's lease current: `Tenancy::keep`.
    pub(crate) fn renew(&mut self, host: usize, worker: &WorkerId) {
        if let Some(task) = self.agent(host).tasks.get_mut(worker).filter(|task| task.spec.lease.is_some()) {
            task.renewal = Some(Renewal::New);
            self.move_on(host, worker);
        }
    }

    pub(crate) fn change_contact(&mut self, host: usize, change: impl FnOnce(&mut Contact)) {
        let Some(contact) = &mut self.agent(host).contact else { return };
        let before = *contact;
        change(contact);
        if *contact != before {
            self.follow_contact(host);
        }
    }

    /// The contact has changed: leases are moved on, and who waited for it may start.
    pub(crate) fn follow_contact(&mut self, host: usize) {
        let (now, incarnation) = (self.now, self.agent(host).incarnation);
        let workers: Vec<WorkerId> = self.agent(host).tasks.keys().cloned().collect();
        for worker in workers {
            self.move_on(host, &worker);
            if self.agent(host).tasks.get(&worker).is_some_and(|task| task.awaits_lease()) {
                self.queue.at(now, Event::Agent(host, incarnation, InAgent::Poke(worker)));
            }
        }
    }

    /// `Tenancy::follow`.
    fn move_on(&mut self, host: usize, worker: &WorkerId) {
        let boottime = self.boottime(host);
        let agent = self.agent(host);
        let Some(contact) = agent.contact else { return };
        let Some(task) = agent.tasks.get_mut(worker).filter(|task| task.has_standing) else { return };
        let (Some(renewal), Some(lease)) = (task.renewal, task.spec.lease()) else { return };
        task.renewal = Some(Renewal::Known);
        let Some(dir) = self.hosts[host].dirs.get_mut(worker) else { return };
        let from = dir.lease;
        let to = contact.deadlines(lease, from);
        dir.lease = Some(to);
        let was_over = from.is_none_or(|from| from.first() <= boottime);
        let is_shorter = from.is_some_and(|from| to != to.later(from));
        if was_over || is_shorter || renewal == Renewal::New {
            self.keeper_looks(host, worker);
        }
    }
}
