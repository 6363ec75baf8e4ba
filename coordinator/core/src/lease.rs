//! How long workers may run without contact, and when somebody else may act on their loss (design §9).
//!
//! A worker's lease is chosen when it is placed and travels with its order; its keeper enforces it. The coordinator counts
//! from its own last answer, which is later than what the agent counts from, and adds what two clocks may differ by.

use crate::agent::{Agent, Contact, Standing};
use crate::job_run::{JobRun, Retries};
use crate::schedule::suits;
use crate::worker::{Role, Worker};
use crate::world::World;
use hearth_types::{AgentId, Moment, WorkerSize};
use std::time::Duration;

/// The lengths that leases are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTerms {
    /// The lease of a driver that can be replaced.
    pub lease: Duration,
    /// What is waited beyond the end of any lease.
    pub skew: Duration,
    /// An agent out of contact for this long has lost its workers.
    pub lost_after: Duration,
}

impl Default for LeaseTerms {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            skew: Duration::from_secs(5),
            lost_after: Duration::from_secs(600),
        }
    }
}

impl LeaseTerms {
    /// How long after the last contact a lease of this length is surely over: the host's clock may be slow by 1 %.
    pub fn over_after(&self, lease: Duration) -> Duration {
        lease.saturating_add(lease / 100).saturating_add(self.skew)
    }

    /// The longest lease that is surely over when its agent is lost.
    pub fn longest(&self) -> Duration {
        self.lost_after.saturating_sub(self.skew) / 101 * 100
    }
}

/// The lease of a worker about to be placed on `agent`. A driver's ends early only where somebody could go on in its
/// place; an executor's ends with its driver's, since nobody needs it longer.
pub(crate) fn for_new_worker(world: &World, run: &JobRun, agent: &AgentId, role: &Role) -> Duration {
    let terms = world.lease_terms();
    match role {
        Role::Driver if is_replaceable(run) && has_other_host(world, run, agent, &run.spec.driver.size) => {
            terms.lease
        }
        Role::Driver => terms.longest(),
        Role::Executor { .. } => {
            let driver = run.driver().and_then(|driver| world.worker(driver));
            driver.and_then(|driver| driver.lease).unwrap_or_else(|| terms.longest())
        }
    }
}

/// Whether another attempt may follow the current one where its host is lost. That is no failure of a streaming job's own, so
/// the number of those within the hour does not matter.
pub(crate) fn is_replaceable(run: &JobRun) -> bool {
    match run.spec.retries {
        Retries::Attempts(all) => run.launch.attempt < all,
        Retries::FailuresPerHour(_) => run.spec.retries.are_on(),
    }
}

/// Whether another host than `agent`'s is in contact that could run the driver, be it when others have ended.
pub(crate) fn has_other_host(world: &World, run: &JobRun, agent: &AgentId, size: &WorkerSize) -> bool {
    world.agents().any(|other| {
        other.id != *agent && other.takes_workers() && suits(other, run, world) && size.fits(&other.offered)
    })
}

/// Whether another attempt may start now in place of the one that a driver out of contact belongs to, unless replacements
/// are held ([`is_cut_off`]).
pub(crate) fn may_replace(world: &World, driver: &Worker) -> bool {
    let Some(run) = world.run(&driver.run) else { return false };
    run.driver() == Some(&driver.id)
        && is_replaceable(run)
        && has_other_host(world, run, &driver.agent, &driver.size)
}

/// Whether so many agents are out of contact that it may be the coordinator that is cut off: more than half of all, those
/// that were lost before or taken out of service not counted.
pub(crate) fn is_cut_off(world: &World) -> bool {
    let (mut silent, mut all) = (0_usize, 0_usize);
    for agent in world.agents().filter(|agent| agent.standing == Standing::InService) {
        match agent.contact {
            Contact::Attached => all += 1,
            Contact::Detached { .. } => (silent, all) = (silent + 1, all + 1),
            Contact::Lost => {}
        }
    }
    silent * 2 > all
}

/// When something becomes due at an agent: the end of a worker's lease, or its loss. What was due before `now` and waits for
/// something else than time is not among it; `is_cut_off` is what [`is_cut_off`] says.
pub(crate) fn next_moment(world: &World, agent: &Agent, is_cut_off: bool, now: Moment) -> Option<Moment> {
    let lost_at = lost_at(world, agent)?;
    let leases = world.workers_on(&agent.id).filter_map(|worker| {
        let waits_for_time = |at: &Moment| match worker.role {
            Role::Driver => worker.serves() && (*at > now || !is_cut_off && may_replace(world, worker)),
            Role::Executor { .. } => true,
        };
        over_at(world, worker).filter(waits_for_time)
    });
    leases.chain([lost_at]).min()
}

/// When the lease of a worker out of contact is surely over; nothing while its agent is in contact, or without a lease.
pub(crate) fn over_at(world: &World, worker: &Worker) -> Option<Moment> {
    let agent = world.agent(&worker.agent)?;
    let over = silent_since(agent)?.plus(world.lease_terms().over_after(worker.lease?));
    Some(extended_until(world, agent).map_or(over, |end| over.max(end)))
}

/// When an agent out of contact is lost: not before every lease that it may know of is surely over, and not before it had
/// time to come back, if it may.
pub(crate) fn lost_at(world: &World, agent: &Agent) -> Option<Moment> {
    let since = silent_since(agent)?;
    let terms = world.lease_terms();
    let leases = world.workers_on(&agent.id).filter_map(|worker| worker.lease);
    let longest = leases.max();
    let returns_within = match agent.standing {
        Standing::InService | Standing::Draining => terms.lost_after,
        Standing::Revoked => Duration::ZERO,
    };
    let after = longest.map(|lease| terms.over_after(lease)).unwrap_or_default().max(returns_within);
    let lost = since.plus(after);
    Some(extended_until(world, agent).map_or(lost, |end| lost.max(end)))
}

/// When the last extension that an agent may have heard of is surely over.
pub(crate) fn extended_until(world: &World, agent: &Agent) -> Option<Moment> {
    let told = agent.extension?;
    Some(told.from.plus(world.lease_terms().over_after(told.length)))
}

pub(crate) const fn silent_since(agent: &Agent) -> Option<Moment> {
    match agent.contact {
        Contact::Detached { since } => Some(since),
        Contact::Attached | Contact::Lost => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_lease_is_over_when_the_agent_is_lost_and_not_much_earlier() {
        for (skew, lost_after) in [(5_000, 600_000), (200, 2_000), (0, 1), (9, 9), (10, 3)] {
            let terms = LeaseTerms {
                skew: Duration::from_millis(skew),
                lost_after: Duration::from_millis(lost_after),
                ..LeaseTerms::default()
            };
            let over = terms.over_after(terms.longest());
            assert!(over <= terms.lost_after.max(terms.skew), "{terms:?}");
            assert!(terms.lost_after <= over + Duration::from_millis(2), "{terms:?}");
        }
    }
}
