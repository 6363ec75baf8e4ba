//! Everything the coordinator decides upon, in memory: rebuilt from the store at start, changed by [`World::apply`] alone.

use crate::agent::Agent;
use crate::application::Application;
use crate::command::{Change, ClientToken};
use crate::job_run::{JobRun, RunPhase};
use crate::lease::{self, LeaseTerms};
use crate::quotas::Quotas;
use crate::release::Release;
use crate::run_index::{RunIndex, put_in, remove_from};
use crate::tokens::{TokenUse, Tokens};
use crate::worker::Worker;
use hearth_types::{
    AgentId, ApplicationId, ApplicationState, JobRunId, Moment, Now, ReleaseLabel, Timestamp, WorkerId,
    WorkerSize,
};
use rpds::{RedBlackTreeMapSync as Map, RedBlackTreeSetSync as Set};
use std::time::Duration;

/// The coordinator's whole state: applications, active job runs, live workers, agents, releases, the latest client tokens.
///
/// Ended job runs, ended workers and older client tokens are the store's alone. A copy shares with its original whatever
/// neither has changed since, so that a picture of the world can be published after each turn, however large it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct World {
    lease_terms: LeaseTerms,
    quotas: Quotas,
    applications: Map<ApplicationId, Application>,
    runs: Map<JobRunId, JobRun>,
    workers: Map<WorkerId, Worker>,
    agents: Map<AgentId, Agent>,
    releases: Map<ReleaseLabel, Release>,
    tokens: Tokens,
    // Indexes, derived from the maps above.
    booked: Map<AgentId, WorkerSize>,
    held: Map<ApplicationId, WorkerSize>,
    workers_of_run: Map<JobRunId, Set<WorkerId>>,
    workers_of_agent: Map<AgentId, Set<WorkerId>>,
    runs_of_application: Map<ApplicationId, Set<JobRunId>>,
    index: RunIndex,
}

impl World {
    /// A world with nothing in it.
    pub fn new(lease_terms: LeaseTerms) -> Self {
        Self { lease_terms, ..Self::default() }
    }

    /// The same world under other quotas.
    #[must_use]
    pub fn with_quotas(self, quotas: Quotas) -> Self {
        Self { quotas, ..self }
    }

    /// What the account may have at once.
    pub const fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// The lengths that leases are made of.
    pub const fn lease_terms(&self) -> &LeaseTerms {
        &self.lease_terms
    }

    /// An application, unless it does not exist or was deleted.
    pub fn application(&self, id: &ApplicationId) -> Option<&Application> {
        self.applications.get(id)
    }

    /// Every application.
    pub fn applications(&self) -> impl Iterator<Item = &Application> {
        self.applications.values()
    }

    /// An active job run.
    pub fn run(&self, id: &JobRunId) -> Option<&JobRun> {
        self.runs.get(id)
    }

    /// Every active job run, by id.
    pub fn runs(&self) -> impl Iterator<Item = &JobRun> {
        self.runs.values()
    }

    /// Job runs that wait for their driver, the longest waiting first.
    pub fn waiting(&self) -> impl DoubleEndedIterator<Item = &JobRun> {
        self.index.waiting().filter_map(|id| self.runs.get(id))
    }

    /// How many job runs wait for their driver.
    pub fn count_waiting(&self) -> usize {
        self.index.count_waiting()
    }

    /// How many job runs of an application wait for their driver.
    pub fn count_waiting_of(&self, application: &ApplicationId) -> usize {
        self.index.count_waiting_of(application)
    }

    /// Job runs with a driver, by id.
    pub fn driven(&self) -> impl Iterator<Item = &JobRun> {
        self.index.driven().filter_map(|id| self.runs.get(id))
    }

    /// Waiting job runs in a pause, the first to be over first.
    pub fn paused(&self) -> impl Iterator<Item = &JobRun> {
        self.index.pauses().filter_map(|(_, id)| self.runs.get(id))
    }

    /// Job runs that have run for as long as they may.
    pub(crate) fn timed_out(&self, now: Timestamp) -> impl Iterator<Item = &JobRun> {
        let due = self.index.time_outs().take_while(move |(at, _)| *at <= now);
        due.filter_map(|(_, id)| self.runs.get(id))
    }

    /// Job runs of an application that were in QUEUED for as long as they may.
    pub(crate) fn queued_too_long(
        &self,
        application: &Application,
        now: Timestamp,
    ) -> impl Iterator<Item = &JobRun> {
        let due = self.index.too_long(application).take_while(move |(at, _)| *at <= now);
        due.filter_map(|(_, id)| self.runs.get(id))
    }

    /// Active job runs of an application.
    pub fn runs_of(&self, application: &ApplicationId) -> impl Iterator<Item = &JobRun> {
        self.runs_of_application.get(application).into_iter().flatten().filter_map(|id| self.runs.get(id))
    }

    /// How many active job runs an application has.
    pub fn count_of_runs(&self, application: &ApplicationId) -> usize {
        self.runs_of_application.get(application).map_or(0, Set::size)
    }

    /// How many active job runs there are beyond what their applications let run at once: those that are in QUEUED, or
    /// would be if there were a host for each.
    pub fn count_beyond_concurrency(&self) -> usize {
        let beyond = |application: &Application| {
            let limit = usize::try_from(application.concurrency?).unwrap_or(usize::MAX);
            Some(self.count_of_runs(&application.id).saturating_sub(limit))
        };
        self.applications().filter_map(beyond).sum()
    }

    /// A live worker.
    pub fn worker(&self, id: &WorkerId) -> Option<&Worker> {
        self.workers.get(id)
    }

    /// Every live worker, by id.
    pub fn workers(&self) -> impl Iterator<Item = &Worker> {
        self.workers.values()
    }

    /// Live workers of a job run, by id.
    pub fn workers_of(&self, run: &JobRunId) -> impl Iterator<Item = &Worker> {
        self.workers_of_run.get(run).into_iter().flatten().filter_map(|id| self.workers.get(id))
    }

    /// Live workers on an agent, by id.
    pub fn workers_on(&self, agent: &AgentId) -> impl Iterator<Item = &Worker> {
        self.workers_of_agent.get(agent).into_iter().flatten().filter_map(|id| self.workers.get(id))
    }

    /// An agent.
    pub fn agent(&self, id: &AgentId) -> Option<&Agent> {
        self.agents.get(id)
    }

    /// Every agent, by id.
    pub fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.agents.values()
    }

    /// A release that was asked for at least once.
    pub fn release(&self, label: &ReleaseLabel) -> Option<&Release> {
        self.releases.get(label)
    }

    /// Every release that was asked for at least once.
    pub fn releases(&self) -> impl Iterator<Item = &Release> {
        self.releases.values()
    }

    /// What a client token made, if it was used.
    pub fn token(&self, token: &ClientToken) -> Option<&TokenUse> {
        self.tokens.get(token)
    }

    /// What live workers hold on an agent.
    pub fn booked(&self, agent: &AgentId) -> WorkerSize {
        self.booked.get(agent).copied().unwrap_or_default()
    }

    /// What live workers of an application hold.
    pub fn held_by(&self, application: &ApplicationId) -> WorkerSize {
        self.held.get(application).copied().unwrap_or_default()
    }

    /// Thousandths of vCPUs that live workers hold in all.
    pub fn cpu_millis_held(&self) -> u64 {
        self.held.values().map(|held| held.cpu_millis).sum()
    }

    /// How long it is until something becomes due; nothing if nothing will.
    pub fn due_in(&self, now: Now) -> Option<Duration> {
        let by_the_wall_clock = self.next_deadline().map(|deadline| deadline.since(now.at));
        let by_the_steady_clock = self.next_moment(now.moment).map(|moment| moment.since(now.moment));
        by_the_wall_clock.into_iter().chain(by_the_steady_clock).min()
    }

    /// The next deadline that a user set.
    fn next_deadline(&self) -> Option<Timestamp> {
        let stops = self
            .applications
            .values()
            .filter(|application| self.runs_of(&application.id).next().is_none())
            .filter_map(Application::auto_stop_at);
        let time_outs = self.index.time_outs().next().map(|(at, _)| *at);
        let queued =
            self.applications.values().filter_map(|application| self.index.too_long(application).next());
        stops.chain(time_outs).chain(queued.map(|(at, _)| at)).min()
    }

    /// The next moment at which a lease or a pause is over or an agent is lost.
    fn next_moment(&self, now: Moment) -> Option<Moment> {
        let is_cut_off = lease::is_cut_off(self);
        let losses =
            self.agents.values().filter_map(|agent| lease::next_moment(self, agent, is_cut_off, now));
        let pauses = self.index.pauses().next().map(|(until, _)| *until);
        losses.chain(pauses).min()
    }

    /// Makes a change part of the world.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Application(application) => {
                if application.state == ApplicationState::Terminated {
                    self.applications.remove_mut(&application.id);
                } else {
                    self.applications.insert_mut(application.id.clone(), application.clone());
                }
            }
            Change::JobRun(run) => self.apply_run(run),
            Change::Worker(worker) => self.apply_worker(worker),
            Change::Agent(agent) => {
                self.agents.insert_mut(agent.id.clone(), agent.clone());
            }
            Change::Release(release) => {
                self.releases.insert_mut(release.label.clone(), release.clone());
            }
            Change::ReleaseForgotten(label) => {
                self.releases.remove_mut(label);
            }
            Change::Token { token, resource } => {
                self.tokens.insert(token, resource);
            }
            Change::JobRunForgotten(run) => self.tokens.forget(run.id.as_str()),
            Change::ApplicationDocument { .. } | Change::JobRunDocument { .. } => {}
        }
    }

    fn apply_run(&mut self, run: &JobRun) {
        if let Some(before) = self.runs.get(&run.id) {
            self.index.remove(before);
        }
        if let RunPhase::Ended { .. } = run.phase {
            self.runs.remove_mut(&run.id);
            remove_from(&mut self.runs_of_application, &run.application, &run.id);
        } else {
            self.index.add(run);
            self.runs.insert_mut(run.id.clone(), run.clone());
            put_in(&mut self.runs_of_application, &run.application, &run.id);
        }
    }

    fn apply_worker(&mut self, worker: &Worker) {
        let was_live = self.workers.contains_key(&worker.id);
        let was_held = self.workers.get(&worker.id).is_some_and(Worker::is_held);
        match (was_held, worker.is_held()) {
            (false, true) => add_to(&mut self.held, &worker.application, &worker.size),
            (true, false) => take_from(&mut self.held, &worker.application, &worker.size),
            (true, true) | (false, false) => {}
        }
        if worker.is_live() {
            if !was_live {
                add_to(&mut self.booked, &worker.agent, &worker.size);
                put_in(&mut self.workers_of_run, &worker.run, &worker.id);
                put_in(&mut self.workers_of_agent, &worker.agent, &worker.id);
            }
            self.workers.insert_mut(worker.id.clone(), worker.clone());
        } else if was_live {
            self.workers.remove_mut(&worker.id);
            take_from(&mut self.booked, &worker.agent, &worker.size);
            remove_from(&mut self.workers_of_run, &worker.run, &worker.id);
            remove_from(&mut self.workers_of_agent, &worker.agent, &worker.id);
        }
    }
}

fn add_to<K: Ord + Clone>(sums: &mut Map<K, WorkerSize>, key: &K, size: &WorkerSize) {
    let sum = sums.get(key).copied().unwrap_or_default();
    sums.insert_mut(key.clone(), sum.plus(size));
}

fn take_from<K: Ord + Clone>(sums: &mut Map<K, WorkerSize>, key: &K, size: &WorkerSize) {
    let Some(sum) = sums.get(key).map(|sum| sum.minus(size)) else { return };
    if sum == WorkerSize::default() {
        sums.remove_mut(key);
    } else {
        sums.insert_mut(key.clone(), sum);
    }
}
