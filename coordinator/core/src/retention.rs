//! What may be forgotten: ended job runs, releases that nobody uses, uploads that no job run needs.

use crate::job_run::{JobRun, ProcessSpec};
use crate::release::ReleaseState;
use crate::world::World;
use hearth_types::{ApplicationId, JobRunId, ReleaseLabel, Timestamp};
use std::time::Duration;

/// A job run of which the store says that it has ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct EndedRun {
    /// When it ended.
    pub ended_at: Timestamp,
    /// Which.
    pub id: JobRunId,
    /// The application it belongs to.
    pub application: ApplicationId,
}

/// Whether a job run may be forgotten: `keep` has passed since its end, and no worker of it is left anywhere.
pub fn may_forget_run(world: &World, run: &EndedRun, keep: Duration, now: Timestamp) -> bool {
    world.run(&run.id).is_none()
        && world.workers_of(&run.id).next().is_none()
        && run.ended_at <= now
        && now.since(run.ended_at) >= keep
}

/// Whether a release is ready and yet of no use: no application is on it, and no job run waits for it or runs on it.
pub fn is_unused(world: &World, label: &ReleaseLabel) -> bool {
    let is_ready =
        world.release(label).is_some_and(|release| matches!(release.state, ReleaseState::Ready { .. }));
    is_ready
        && world.applications().all(|application| application.release != *label)
        && world.runs().all(|run| run.spec.release != *label)
}

/// Whether an active job run names this text in what it is started with: an object's key, for instance.
pub fn is_named(world: &World, text: &str) -> bool {
    world.runs().any(|run| names(run, text))
}

fn names(run: &JobRun, text: &str) -> bool {
    [&run.spec.driver, &run.spec.executor]
        .into_iter()
        .any(|process| texts(process).any(|its| its.contains(text)))
}

fn texts(process: &ProcessSpec) -> impl Iterator<Item = &String> {
    (process.args.iter())
        .chain(&process.java_options)
        .chain(&process.class_path)
        .chain(process.properties.values())
        .chain(process.environment.values())
        .chain(process.files.values())
}
