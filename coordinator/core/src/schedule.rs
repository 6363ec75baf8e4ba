//! The scheduler: a pure function from the world to a plan. The plan is checked again when it is carried out.
//!
//! Order today: drivers by submission time, then executors by submission time of their job run; best fit by the
//! scarcest resource, executors near the workers their job already has.

use crate::agent::Agent;
use crate::application::Application;
use crate::job_run::{ExecutorProfile, JobRun, RunPhase};
use crate::release::ReleaseState;
use crate::worker::{Role, Worker};
use crate::world::World;
use hearth_types::{AgentId, ApplicationId, ApplicationState, JobRunId, WorkerSize};
use std::collections::{BTreeMap, BTreeSet};

/// What the scheduler wants done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Workers to be placed.
    pub placements: Vec<Placement>,
    /// Job runs that stay without driver, and why.
    pub waiting: Vec<Waiting>,
    /// Executors that are wanted no longer and do not run yet.
    pub surplus: Vec<hearth_types::WorkerId>,
}

impl Plan {
    /// Whether carrying it out would change nothing.
    pub fn is_empty(&self) -> bool {
        self.placements.is_empty() && self.waiting.is_empty() && self.surplus.is_empty()
    }
}

/// One worker to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// For which job run.
    pub run: JobRunId,
    /// On which agent.
    pub agent: AgentId,
    /// As what; an executor's number is given when the plan is carried out.
    pub role: PlannedRole,
    /// With what.
    pub size: WorkerSize,
}

/// As what a worker is placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlannedRole {
    /// The driver.
    Driver,
    /// One executor of this profile.
    Executor(ExecutorProfile),
}

/// A job run that stays without driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub run: JobRunId,
    /// Whether its application's concurrency is why.
    pub queued: bool,
    /// The sentence for `stateDetails`.
    pub reason: String,
}

/// Free room as the plan goes along.
struct Room<'a> {
    world: &'a World,
    free: BTreeMap<&'a AgentId, WorkerSize>,
    held: BTreeMap<&'a ApplicationId, WorkerSize>,
    /// Thousandths of vCPUs held in all.
    cpu_millis: u64,
}

/// Why a worker is not placed.
enum Obstacle {
    /// Its application is not started.
    Application(ApplicationState),
    /// As many job runs of the application as may are under way.
    Concurrency(u32),
    /// The attempt before has not quite ended: its pause, or workers on hosts in contact.
    AttemptBefore,
    /// The release is not there.
    Release,
    /// The application would hold more than it may.
    MaximumCapacity(WorkerSize),
    /// The account would hold more vCPUs than it may.
    VcpuQuota(u32),
    /// No host has room for it, or none suits it.
    NoHost,
}

impl<'a> Room<'a> {
    fn new(world: &'a World) -> Self {
        let free = world
            .agents()
            .filter(|agent| agent.takes_workers())
            .map(|agent| (&agent.id, agent.offered.minus(&world.booked(&agent.id))))
            .collect();
        Self { world, free, held: BTreeMap::new(), cpu_millis: world.cpu_millis_held() }
    }

    fn held(&self, application: &Application) -> WorkerSize {
        self.held.get(&application.id).copied().unwrap_or_else(|| self.world.held_by(&application.id))
    }

    /// The best agent for a worker, those in `near` first.
    fn find(
        &self,
        application: &Application,
        run: &JobRun,
        size: &WorkerSize,
        near: &BTreeSet<AgentId>,
    ) -> Result<&'a AgentId, Obstacle> {
        if let Some(limit) = application.maximum_capacity
            && !self.held(application).plus(size).fits(&limit)
        {
            return Err(Obstacle::MaximumCapacity(limit));
        }
        let quotas = self.world.quotas();
        if let Some(limit) = quotas.vcpus.filter(|_| !quotas.allow(self.cpu_millis + size.cpu_millis)) {
            return Err(Obstacle::VcpuQuota(limit));
        }
        self.free
            .iter()
            .filter(|(id, free)| {
                size.fits(free) && self.world.agent(id).is_some_and(|agent| suits(agent, run, self.world))
            })
            .min_by_key(|(id, free)| (!near.contains(*id), leftover(free, size), **id))
            .map(|(id, _)| *id)
            .ok_or(Obstacle::NoHost)
    }

    fn book(&mut self, application: &'a Application, agent: &'a AgentId, size: &WorkerSize) {
        let held = self.held(application).plus(size);
        self.held.insert(&application.id, held);
        self.cpu_millis += size.cpu_millis;
        if let Some(free) = self.free.get_mut(agent) {
            *free = free.minus(size);
        }
    }
}

/// Whether a job run's workers may be placed on an agent's host: it can run them, and did not fail to start one of this
/// attempt, unless no other can.
pub(crate) fn suits(agent: &Agent, run: &JobRun, world: &World) -> bool {
    let can_start = |agent: &Agent| !run.avoids.contains(&agent.id);
    let is_rival = |rival: &Agent| can_start(rival) && rival.takes_workers() && is_right(rival, run, world);
    is_right(agent, run, world) && (can_start(agent) || !world.agents().any(is_rival))
}

fn is_right(agent: &Agent, run: &JobRun, world: &World) -> bool {
    let java = world.release(&run.spec.release).is_some_and(|release| match &release.state {
        ReleaseState::Ready { java_major, .. } => agent.java.contains(java_major),
        ReleaseState::Building { .. } | ReleaseState::Failed { .. } => false,
    });
    agent.architecture == run.spec.architecture && java
}

/// What would be left of the scarcer of CPU and memory, in thousandths of what is free now.
fn leftover(free: &WorkerSize, size: &WorkerSize) -> u64 {
    let share =
        |free: u64, size: u64| free.saturating_sub(size).saturating_mul(1000).checked_div(free).unwrap_or(0);
    share(free.cpu_millis, size.cpu_millis).min(share(free.memory_mib, size.memory_mib))
}

/// Plans what can be placed now and says of every other waiting job run why it waits.
///
/// The reasons come last, so that they speak of what is left once everything is placed: planning again finds the same.
pub fn schedule(world: &World) -> Plan {
    let mut plan = Plan::default();
    let mut room = Room::new(world);
    let mut under_way = UnderWay::default();
    let mut unplaced = Vec::new();
    let mut driven: Vec<Driven<'_>> = world
        .driven()
        .map(|run| Driven {
            run,
            wanted: wanted_executors(run),
            near: world.workers_of(&run.id).map(|worker| worker.agent.clone()).collect(),
        })
        .collect();
    for run in world.waiting() {
        let Some(application) = world.application(&run.application) else { continue };
        let Ok(agent) = driver_place(&room, &mut under_way, application, run) else {
            unplaced.push((application, run));
            continue;
        };
        let size = run.spec.driver.size;
        room.book(application, agent, &size);
        *under_way.of(world, &application.id) += 1;
        let near = BTreeSet::from([agent.clone()]);
        driven.push(Driven { run, wanted: vec![first_executors(run)], near });
        let role = PlannedRole::Driver;
        plan.placements.push(Placement { run: run.id.clone(), agent: agent.clone(), role, size });
    }
    driven.sort_by_key(|driven| (driven.run.created_at, &driven.run.id));
    for driven in driven {
        plan_executors(&mut room, driven, &mut plan);
    }
    plan.waiting = explain(&room, &mut under_way, unplaced, Ahead::default());
    plan
}

/// Plans for job runs that came last and since the world was planned for: none before them can be placed, and each of
/// those says why. Nothing where that is not all there is to plan, since one of them can be placed.
pub(crate) fn schedule_arrivals(world: &World, arrivals: &[&JobRun]) -> Option<Plan> {
    let room = Room::new(world);
    let mut under_way = UnderWay::default();
    let mut ahead = Ahead { of_all: world.count_waiting() - arrivals.len(), ..Ahead::default() };
    let mut unplaced = Vec::with_capacity(arrivals.len());
    for run in arrivals {
        let Some(application) = world.application(&run.application) else { continue };
        if driver_place(&room, &mut under_way, application, run).is_ok() {
            return None;
        }
        let here =
            ahead.here.entry(&application.id).or_insert_with(|| world.count_waiting_of(&application.id));
        *here -= 1;
        unplaced.push((application, *run));
    }
    Some(Plan { waiting: explain(&room, &mut under_way, unplaced, ahead), ..Plan::default() })
}

/// How many waiting job runs are ahead of the next one.
#[derive(Default)]
struct Ahead<'a> {
    of_all: usize,
    here: BTreeMap<&'a ApplicationId, usize>,
}

/// Says of each job run why it waits, where that differs from what was said before.
fn explain<'a>(
    room: &Room<'a>,
    under_way: &mut UnderWay<'a>,
    unplaced: Vec<(&'a Application, &'a JobRun)>,
    mut ahead: Ahead<'a>,
) -> Vec<Waiting> {
    let mut said = Vec::new();
    for (application, run) in unplaced {
        let Err(obstacle) = driver_place(room, under_way, application, run) else { continue };
        let here = ahead.here.entry(&application.id).or_default();
        let queued = matches!(obstacle, Obstacle::Concurrency(_));
        let reason = sentence(room.world, run, &obstacle, *here, ahead.of_all);
        *here += 1;
        ahead.of_all += 1;
        let phase = if queued { RunPhase::Queued } else { RunPhase::Pending };
        if run.phase != phase || reason != run.details {
            said.push(Waiting { run: run.id.clone(), queued, reason });
        }
    }
    said
}

/// Job runs under way by application, those placed by the plan included; counted when first asked for.
#[derive(Default)]
struct UnderWay<'a> {
    counts: BTreeMap<&'a ApplicationId, u32>,
}

impl<'a> UnderWay<'a> {
    fn of(&mut self, world: &World, application: &'a ApplicationId) -> &mut u32 {
        self.counts.entry(application).or_insert_with(|| under_way(world, application))
    }
}

/// A job run with a driver, be it one that this plan places.
struct Driven<'a> {
    run: &'a JobRun,
    wanted: Vec<ExecutorProfile>,
    /// Agents that have workers of it.
    near: BTreeSet<AgentId>,
}

/// How many job runs are ahead, for people: rounded when many, so that one leaving does not change what all others say.
fn ahead(runs: usize) -> String {
    match runs {
        1 => "1 job run ahead".to_owned(),
        0..10 => format!("{runs} job runs ahead"),
        10.. => {
            let unit = 10_usize.pow(runs.ilog10());
            format!("more than {} job runs ahead", runs / unit * unit)
        }
    }
}

fn driver_place<'a>(
    room: &Room<'a>,
    under_way: &mut UnderWay<'a>,
    application: &'a Application,
    run: &JobRun,
) -> Result<&'a AgentId, Obstacle> {
    if application.state != ApplicationState::Started {
        return Err(Obstacle::Application(application.state));
    }
    if let Some(limit) = application.concurrency
        && *under_way.of(room.world, &application.id) >= limit
    {
        return Err(Obstacle::Concurrency(limit));
    }
    if follows_closely(room.world, run) {
        return Err(Obstacle::AttemptBefore);
    }
    let release = room.world.release(&run.spec.release);
    if !release.is_some_and(|release| matches!(release.state, ReleaseState::Ready { .. })) {
        return Err(Obstacle::Release);
    }
    room.find(application, run, &run.spec.driver.size, &BTreeSet::new())
}

/// The sentence for `stateDetails` of a job run that waits for its driver.
fn sentence(
    world: &World,
    run: &JobRun,
    obstacle: &Obstacle,
    ahead_here: usize,
    ahead_of_all: usize,
) -> String {
    let size = run.spec.driver.size;
    match obstacle {
        Obstacle::Application(state) => format!("Waiting for the application to start; it is {state}."),
        Obstacle::Concurrency(limit) => format!(
            "Waiting for one of {limit} concurrent job runs of the application to end; {}.",
            ahead(ahead_here)
        ),
        // Said when the attempt before failed.
        Obstacle::AttemptBefore => run.details.clone(),
        Obstacle::Release => no_release(world, run),
        Obstacle::MaximumCapacity(limit) => format!(
            "Waiting for {size} for the driver: the application's maximum capacity is {limit}; {}.",
            ahead(ahead_here)
        ),
        Obstacle::VcpuQuota(limit) => format!(
            "Waiting for {size} for the driver: the account's quota is {limit} vCPU; {}.",
            ahead(ahead_of_all)
        ),
        Obstacle::NoHost => no_host(world, run, &size, ahead_of_all),
    }
}

fn no_release(world: &World, run: &JobRun) -> String {
    let label = &run.spec.release;
    match world.release(label).map(|release| &release.state) {
        Some(ReleaseState::Building { step }) => {
            format!("Preparing release {label} for the first time: {step}.")
        }
        Some(ReleaseState::Failed { reason }) => format!("Release {label} could not be prepared: {reason}."),
        Some(ReleaseState::Ready { .. }) | None => format!("Waiting for release {label}."),
    }
}

/// Says what is missing, so that a person can act on it.
fn no_host(world: &World, run: &JobRun, size: &WorkerSize, runs_ahead: usize) -> String {
    let attached = world.agents().filter(|agent| agent.takes_workers());
    let matching: Vec<&Agent> =
        attached.filter(|agent| agent.architecture == run.spec.architecture).collect();
    if matching.is_empty() {
        return format!("Waiting for a host: no {} agent is in contact.", run.spec.architecture.as_str());
    }
    if !matching.iter().any(|agent| suits(agent, run, world)) {
        return format!(
            "Waiting for a host with the JDK that release {} needs; run `hearth doctor` on the hosts.",
            run.spec.release
        );
    }
    if !matching.iter().any(|agent| size.fits(&agent.offered) && suits(agent, run, world)) {
        return format!("Waiting for a host with {size} for the driver: no host is that large.");
    }
    format!("Waiting for {size} for the driver; {}.", ahead(runs_ahead))
}

/// Whether the attempt before is not over yet: its pause, or workers of it on a host in contact. Those would work on the
/// same data as the next one; those out of contact are stopped by their own keepers, or cannot do harm any more.
pub(crate) fn follows_closely(world: &World, run: &JobRun) -> bool {
    let reachable = |worker: &Worker| world.agent(&worker.agent).is_some_and(Agent::is_in_contact);
    run.pause.is_some()
        || world.workers_of(&run.id).any(|worker| worker.launch < run.launch && reachable(worker))
}

/// Job runs of an application that count towards its concurrency.
pub(crate) fn under_way(world: &World, application: &ApplicationId) -> u32 {
    count(world.runs_of(application).filter(|run| match run.phase {
        RunPhase::Scheduled { .. } | RunPhase::Running { .. } => true,
        // One that was cancelled while it waited does not begin to count for what an earlier attempt left.
        RunPhase::Cancelling { .. } => world.workers_of(&run.id).any(|worker| worker.launch == run.launch),
        RunPhase::Submitted | RunPhase::Queued | RunPhase::Pending | RunPhase::Ended { .. } => false,
    }))
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

/// Spark's default resource profile.
pub const DEFAULT_PROFILE: u32 = 0;

/// The executors a job run surely wants at first: they are prepared beside its driver, not after it.
pub fn first_executors(run: &JobRun) -> ExecutorProfile {
    ExecutorProfile {
        profile_id: DEFAULT_PROFILE,
        count: run.spec.initial_executors,
        cores: run.spec.executor_cores,
        heap_mib: run.spec.executor.heap_mib,
        total_mib: run.spec.executor.size.memory_mib,
    }
}

/// The executors a job run wants: what its driver said or, before it said anything, what it surely wants at first.
/// One entry for each profile; a profile that is not among them is wanted no longer.
pub fn wanted_executors(run: &JobRun) -> Vec<ExecutorProfile> {
    if run.driver().is_none() || run.given_up.is_some() {
        return Vec::new();
    }
    if run.targets.is_empty() {
        return vec![first_executors(run)];
    }
    run.targets.clone()
}

/// Executors of the current launch that count towards a profile, by number.
pub(crate) fn serving<'a>(world: &'a World, run: &JobRun, profile: u32) -> Vec<&'a Worker> {
    let mut executors: Vec<(u32, &Worker)> = world
        .workers_of(&run.id)
        .filter(|worker| worker.launch == run.launch && worker.serves())
        .filter_map(|worker| match worker.role {
            Role::Executor { profile: of, executor, .. } => (of == profile).then_some((executor, worker)),
            Role::Driver => None,
        })
        .collect();
    executors.sort_by_key(|(executor, _)| *executor);
    executors.into_iter().map(|(_, worker)| worker).collect()
}

/// Memory of the smallest executor that can work at all (Spark refuses a heap below 450 MiB).
const SMALLEST_EXECUTOR_MIB: u64 = 512;

/// The worker that holds an executor of a profile.
pub fn executor_size(run: &JobRun, profile: &ExecutorProfile) -> WorkerSize {
    if profile.profile_id == DEFAULT_PROFILE {
        return run.spec.executor.size;
    }
    // The sizes are the driver's word, and a driver runs its user's code: an executor of no size would fit for ever.
    WorkerSize {
        cpu_millis: u64::from(profile.cores.max(1)) * 1000,
        memory_mib: profile.total_mib.max(profile.heap_mib).max(SMALLEST_EXECUTOR_MIB),
        disk_gib: run.spec.executor_disk_gib,
    }
}

fn plan_executors(room: &mut Room<'_>, driven: Driven<'_>, plan: &mut Plan) {
    let Driven { run, wanted, mut near } = driven;
    let world = room.world;
    let Some(application) = world.application(&run.application) else { return };
    for profile in &wanted {
        let have = count(serving(world, run, profile.profile_id).iter());
        let size = executor_size(run, profile);
        for _ in have..profile.count {
            let Ok(agent) = room.find(application, run, &size, &near) else { break };
            room.book(application, agent, &size);
            near.insert(agent.clone());
            let role = PlannedRole::Executor(profile.clone());
            plan.placements.push(Placement { run: run.id.clone(), agent: agent.clone(), role, size });
        }
    }
    plan_surplus(world, run, &wanted, plan);
}

/// Executors beyond what is wanted that do not run yet, the latest first. Those that run are the driver's to give back.
fn plan_surplus(world: &World, run: &JobRun, wanted: &[ExecutorProfile], plan: &mut Plan) {
    let profiles: BTreeSet<u32> = world
        .workers_of(&run.id)
        .filter_map(|worker| match worker.role {
            Role::Executor { profile, .. } => Some(profile),
            Role::Driver => None,
        })
        .collect();
    for profile in profiles {
        let wanted = wanted.iter().find(|want| want.profile_id == profile).map_or(0, |want| want.count);
        let serving = serving(world, run, profile);
        let surplus = serving.len().saturating_sub(wanted as usize);
        let not_running = serving.iter().rev().filter(|worker| worker.started_at.is_none());
        plan.surplus.extend(not_running.take(surplus).map(|worker| worker.id.clone()));
    }
}
