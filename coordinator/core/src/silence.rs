//! What users are told of a job run whose driver is on a host out of contact: since when, and what comes of it.

use crate::job_run::{JobRun, RunPhase};
use crate::lease;
use crate::telling::by_the_wall;
use crate::worker::{Role, Worker};
use crate::world::World;
use hearth_types::{Moment, Now, Timestamp};
use std::time::Duration;

/// The sentence about the silence of a job run's host, while there is one.
pub(crate) fn sentence(world: &World, run: &JobRun, now: Now) -> Option<String> {
    if let RunPhase::Ended { .. } = run.phase {
        return None;
    }
    let is_current = |worker: &&Worker| worker.role == Role::Driver && worker.launch == run.launch;
    let driver = world.workers_of(&run.id).find(is_current)?;
    let agent = world.agent(&driver.agent)?;
    let since = lease::silent_since(agent)?;
    let lost_at = lease::lost_at(world, agent)?;
    let replaced_at = lease::over_at(world, driver)
        .filter(|_| driver.serves() && !lease::is_cut_off(world) && lease::may_replace(world, driver));
    let what_follows = match replaced_at {
        Some(at) => format!("attempt {} starts on another host at {}", run.launch.attempt + 1, wall(at, now)),
        None if driver.serves() => format!("attempt {} fails at {}", run.launch.attempt, wall(lost_at, now)),
        None => format!("its workers count as gone at {}", wall(lost_at, now)),
    };
    let (host, agent, since) = (&agent.host_name, &agent.id, wall(since, now));
    Some(format!(
        "The driver's host {host} (agent {agent}) is out of contact since {since}; unless it is back, {what_follows}."
    ))
}

/// A moment by the wall clock as it goes now, in whole seconds.
fn wall(moment: Moment, now: Now) -> String {
    let (ago, ahead) = (now.moment.since(moment), moment.since(now.moment));
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    let at = (now.at.as_millis() / 1000).saturating_sub(seconds(ago)).saturating_add(seconds(ahead));
    by_the_wall(Timestamp::from_millis(at.saturating_mul(1000)))
}
