//! The scheduler: a pure function from the world to a plan. The plan is checked again when it is carried out.
//!
//! Order today: drivers by submission time, then executors by submission time of their job run; best fit by the
//! scarcest resource, executors near the workers their job already has.

use crate::agent::Agent;
use crate::application::Application;
use crate::job_run::{ExecutorProfile, JobRun};
use crate::release::ReleaseState;
use crate::worker::{Role, Worker};
use crate::world::World;
use hearth_types::{AgentId, ApplicationId, ApplicationState, JobRunId, WorkerSize};
use std::collections::BTreeMap;

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
}

/// Why a worker finds no place.
enum NoPlace {
    MaximumCapacity(WorkerSize),
    NoHost,
}

impl<'a> Room<'a> {
    fn new(world: &'a World) -> Self {
        let free = world
            .agents()
            .filter(|agent| agent.takes_workers())
            .map(|agent| (&agent.id, agent.offered.minus(&world.booked(&agent.id))))
            .collect();
        Self { world, free, held: BTreeMap::new() }
    }

    fn held(&self, application: &'a Application) -> WorkerSize {
        self.held.get(&application.id).copied().unwrap_or_else(|| self.world.held_by(&application.id))
    }

    /// Takes room for a worker on the best agent, those in `near` first.
    fn take(
        &mut self,
        application: &'a Application,
        run: &JobRun,
        size: &WorkerSize,
        near: &[&AgentId],
    ) -> Result<AgentId, NoPlace> {
        let held = self.held(application).plus(size);
        if let Some(limit) = application.maximum_capacity
            && !held.fits(&limit)
        {
            return Err(NoPlace::MaximumCapacity(limit));
        }
        let best = self
            .free
            .iter()
            .filter(|(id, free)| {
                size.fits(free) && self.world.agent(id).is_some_and(|agent| suits(agent, run, self.world))
            })
            .min_by_key(|(id, free)| (!near.contains(id), leftover(free, size), **id))
            .map(|(id, _)| *id)
            .ok_or(NoPlace::NoHost)?;
        if let Some(free) = self.free.get_mut(best) {
            *free = free.minus(size);
        }
        self.held.insert(&application.id, held);
        Ok(best.clone())
    }
}

fn suits(agent: &Agent, run: &JobRun, world: &World) -> bool {
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
pub fn schedule(world: &World) -> Plan {
    let mut plan = Plan::default();
    let mut room = Room::new(world);
    let mut placed: BTreeMap<&ApplicationId, u32> = BTreeMap::new();
    let mut ahead = 0_usize;
    for run in world.waiting() {
        match place_driver(world, &mut room, &mut placed, run, ahead) {
            Ok(Some(placement)) => plan.placements.push(placement),
            Ok(None) => {}
            Err(waiting) => {
                ahead += 1;
                let queued = matches!(run.state(), hearth_types::JobRunState::Queued);
                let submitted = matches!(run.state(), hearth_types::JobRunState::Submitted);
                if submitted || waiting.queued != queued || waiting.reason != run.details {
                    plan.waiting.push(waiting);
                }
            }
        }
    }
    for run in world.runs() {
        plan_executors(world, &mut room, run, &mut plan);
    }
    plan
}

fn place_driver<'a>(
    world: &'a World,
    room: &mut Room<'a>,
    placed: &mut BTreeMap<&'a ApplicationId, u32>,
    run: &'a JobRun,
    ahead: usize,
) -> Result<Option<Placement>, Waiting> {
    let wait = |queued, reason: String| Waiting { run: run.id.clone(), queued, reason };
    let Some(application) = world.application(&run.application) else { return Ok(None) };
    if application.state != ApplicationState::Started {
        return Err(wait(
            false,
            format!("Waiting for the application to start; it is {}.", application.state),
        ));
    }
    let active = placed
        .entry(&application.id)
        .or_insert_with(|| count(world.runs_of(&application.id).filter(|other| !other.waits_for_driver())));
    if let Some(limit) = application.concurrency
        && *active >= limit
    {
        let reason = format!(
            "Waiting for one of {limit} concurrent job runs of the application to end; {ahead} job runs ahead."
        );
        return Err(wait(true, reason));
    }
    match world.release(&run.spec.release).map(|release| &release.state) {
        Some(ReleaseState::Ready { .. }) => {}
        Some(ReleaseState::Building { step }) => {
            return Err(wait(
                false,
                format!("Preparing release {} for the first time: {step}.", run.spec.release),
            ));
        }
        Some(ReleaseState::Failed { reason }) => {
            return Err(wait(
                false,
                format!("Release {} could not be prepared: {reason}.", run.spec.release),
            ));
        }
        None => return Err(wait(false, format!("Waiting for release {}.", run.spec.release))),
    }
    let size = run.spec.driver.size;
    match room.take(application, run, &size, &[]) {
        Ok(agent) => {
            *active += 1;
            Ok(Some(Placement { run: run.id.clone(), agent, role: PlannedRole::Driver, size }))
        }
        Err(NoPlace::MaximumCapacity(limit)) => Err(wait(
            false,
            format!(
                "Waiting for {size} for the driver: the application's maximum capacity is {limit}; {ahead} job runs ahead."
            ),
        )),
        Err(NoPlace::NoHost) => Err(wait(false, no_host(world, run, &size, ahead))),
    }
}

/// Says what is missing, so that a person can act on it.
fn no_host(world: &World, run: &JobRun, size: &WorkerSize, ahead: usize) -> String {
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
    if !matching.iter().any(|agent| size.fits(&agent.offered)) {
        return format!("Waiting for a host with {size} for the driver: no host is that large.");
    }
    format!("Waiting for {size} for the driver; {ahead} job runs ahead.")
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

/// The executors a job run wants: what its driver said or, before it said anything, what it surely wants at first.
pub fn wanted_executors(run: &JobRun) -> Vec<ExecutorProfile> {
    if run.driver().is_none() {
        return Vec::new();
    }
    if run.app.is_none() && run.targets.is_empty() {
        return vec![ExecutorProfile {
            profile_id: 0,
            count: run.spec.initial_executors,
            cores: run.spec.executor_cores,
            heap_mib: run.spec.executor.heap_mib,
            total_mib: run.spec.executor.size.memory_mib,
        }];
    }
    run.targets.clone()
}

/// The worker that holds an executor of a profile.
pub fn executor_size(run: &JobRun, profile: &ExecutorProfile) -> WorkerSize {
    if profile.profile_id == 0 {
        return run.spec.executor.size;
    }
    WorkerSize {
        cpu_millis: u64::from(profile.cores) * 1000,
        memory_mib: profile.total_mib,
        disk_gib: run.spec.executor_disk_gib,
    }
}

fn plan_executors<'a>(world: &'a World, room: &mut Room<'a>, run: &'a JobRun, plan: &mut Plan) {
    let Some(application) = world.application(&run.application) else { return };
    for profile in wanted_executors(run) {
        let serving: Vec<&Worker> = world
            .workers_of(&run.id)
            .filter(|worker| worker.launch == run.launch && worker.serves())
            .filter(|worker| matches!(worker.role, Role::Executor { profile: of, .. } if of == profile.profile_id))
            .collect();
        let have = count(serving.iter());
        let size = executor_size(run, &profile);
        let near: Vec<&AgentId> = world.workers_of(&run.id).map(|worker| &worker.agent).collect();
        for _ in have..profile.count {
            let Ok(agent) = room.take(application, run, &size, &near) else { break };
            plan.placements.push(Placement {
                run: run.id.clone(),
                agent,
                role: PlannedRole::Executor(profile.clone()),
                size,
            });
        }
        let not_running = serving.iter().rev().filter(|worker| worker.started_at.is_none());
        let surplus = have.saturating_sub(profile.count) as usize;
        plan.surplus.extend(not_running.take(surplus).map(|worker| worker.id.clone()));
    }
}
