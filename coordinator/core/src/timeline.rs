//! The story of a job run, for people: what happened to it and when, oldest first.

use crate::job_run::{JobRun, Outcome, RunPhase};
use crate::worker::{Role, Worker, WorkerState};
use crate::world::World;
use hearth_types::{AgentId, FailureCause, Timestamp};
use serde::Serialize;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// What, such as `driver placed on host-1 (agent a-1)`.
    pub what: String,
}

/// All that is known of a job run whose workers, ended ones included, are `workers`. Executors are told of in sum.
pub fn timeline(world: &World, run: &JobRun, workers: &[Worker]) -> Vec<Event> {
    let mut story = Story { events: Vec::new() };
    story.tell(run.created_at, submission(run));
    if let Some(oldest) = run.failed_attempts.first().filter(|oldest| oldest.attempt > 1) {
        story.tell(oldest.created_at, format!("{} attempts had failed", oldest.attempt - 1));
    }
    for failed in &run.failed_attempts {
        let cause = in_brackets(failed.cause);
        story.tell(failed.ended_at, format!("attempt {} failed{cause}: {}", failed.attempt, failed.details));
    }
    for driver in workers.iter().filter(|worker| worker.role == Role::Driver) {
        story.driver(world, run, driver);
    }
    story.executors(workers);
    if let Some(since) = run.queueing.since {
        story.tell(since, "queued".to_owned());
    }
    story.state(run);
    story.events.sort_by_key(|event| event.at_ms);
    story.events
}

fn submission(run: &JobRun) -> String {
    match run.spec.doubts.as_slice() {
        [] => "submitted".to_owned(),
        doubts => format!("submitted; {}", doubts.join("; ")),
    }
}

struct Story {
    events: Vec<Event>,
}

impl Story {
    fn tell(&mut self, at: Timestamp, what: String) {
        self.events.push(Event { at_ms: at.as_millis(), what });
    }

    fn driver(&mut self, world: &World, run: &JobRun, driver: &Worker) {
        let who = match run.launch.attempt {
            1 => "driver".to_owned(),
            _ => format!("driver of attempt {}", driver.launch.attempt),
        };
        let host = host(world, &driver.agent);
        self.tell(driver.created_at, format!("{who} placed on {host}, worker {}", driver.id));
        if let Some(at) = driver.started_at {
            self.tell(at, format!("{who} runs"));
        }
        if let WorkerState::Ended { at, .. } = driver.state {
            self.tell(at, format!("{who} is gone from {host}"));
        }
    }

    fn executors(&mut self, workers: &[Worker]) {
        let executors = workers.iter().filter(|worker| worker.role != Role::Driver);
        let started: Vec<Timestamp> = executors.clone().filter_map(|worker| worker.started_at).collect();
        let count = executors.count();
        if let Some(first) = started.iter().min() {
            let ran = started.len();
            self.tell(*first, format!("first executor runs; {ran} of {count} placed so far have run"));
        }
    }

    /// Where it is now.
    fn state(&mut self, run: &JobRun) {
        let (at, what) = match &run.phase {
            RunPhase::Submitted | RunPhase::Running { .. } => return,
            RunPhase::Queued
            | RunPhase::Pending
            | RunPhase::Scheduled { .. }
            | RunPhase::Cancelling { .. } => (run.updated_at, run.details.clone()),
            RunPhase::Ended { outcome } => {
                let end = match outcome {
                    Outcome::Success => "ended well".to_owned(),
                    Outcome::Failed => format!("failed{}", in_brackets(run.cause)),
                    Outcome::Cancelled => "cancelled".to_owned(),
                };
                let why = Some(&run.details).filter(|details| !details.is_empty());
                let why = why.map(|details| format!(": {details}")).unwrap_or_default();
                (run.ended_at.unwrap_or(run.updated_at), format!("{end}{why}"))
            }
        };
        self.tell(at, what);
    }
}

/// The cause of a failure, where it is known, to be put behind a word.
fn in_brackets(cause: Option<FailureCause>) -> String {
    cause.map(|cause| format!(" ({cause})")).unwrap_or_default()
}

/// A host by its name, where that is still known, and its agent.
fn host(world: &World, agent: &AgentId) -> String {
    match world.agent(agent) {
        Some(known) => format!("{} (agent {agent})", known.host_name),
        None => format!("the host of agent {agent}"),
    }
}
