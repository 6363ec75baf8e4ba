//! Decides a command: checks it against the world, changes the world, and says what must be stored, done and answered.
//!
//! A refusal changes nothing. The world is changed at once so that the next command of the same batch sees it; whoever
//! fails to store the changes must throw the world away and rebuild it from the store.

mod agents;
mod applications;
mod attempts;
mod forgetting;
mod leases;
mod outcomes;
mod placing;
mod runs;
mod standing;
mod unstartable;
mod workers;

use crate::agent::Agent;
use crate::application::Application;
use crate::command::{Change, ClientToken, Command, Decision, Effect, Refusal, Reply, StartOrder};
use crate::job_run::JobRun;
use crate::release::ReleaseState;
use crate::worker::{Role, Worker, WorkerState};
use crate::world::World;
use hearth_types::{Moment, Now, Timestamp};
use std::time::Duration;

/// Decides one command.
pub fn decide(world: &mut World, command: Command, now: Now) -> Result<Decision, Refusal> {
    let mut turn = Turn { world, now: now.at, moment: now.moment, changes: Vec::new(), effects: Vec::new() };
    let reply = match command {
        Command::CreateApplication { application, document, token } => {
            turn.create_application(application, document, token)?
        }
        Command::UpdateApplication { application, document, token, states } => {
            turn.update_application(application, document, token, states)?
        }
        Command::StartApplication(id) => turn.start_application(&id)?,
        Command::StopApplication(id) => turn.stop_application(&id)?,
        Command::DeleteApplication(id) => turn.delete_application(&id)?,
        Command::StartJobRun { id, application, spec, document, token } => {
            turn.start_job_run(id, &application, spec, document, token)?
        }
        Command::CancelJobRun { application, run, cause, grace } => {
            turn.cancel_job_run(&application, &run, cause, grace)?
        }
        Command::AgentAttached { agent, reports, stream } => turn.agent_attached(agent, reports, stream)?,
        Command::AgentDetached { agent, answered } => turn.agent_detached(&agent, answered),
        Command::SetStanding { agent, standing } => turn.set_standing(&agent, standing)?,
        Command::TermBegan => turn.term_began(),
        Command::Leaving { extension } => turn.leaving(extension),
        Command::WorkerReported { agent, report } => turn.worker_reported(&agent, report),
        Command::CannotStart { worker, launch, reason } => turn.cannot_start(&worker, launch, reason),
        Command::DriverSaid { agent, worker, launch, word } => {
            turn.driver_said(&agent, &worker, launch, word)
        }
        Command::ReleaseIs(release) => turn.release_is(release),
        Command::ForgetJobRuns { ended, keep } => turn.forget_job_runs(ended, keep),
        Command::ForgetRelease(label) => turn.forget_release(label),
        Command::Place { plan, ids } => turn.place(plan, ids),
        Command::TimePassed => turn.time_passed(),
    };
    Ok(Decision { changes: turn.changes, effects: turn.effects, reply })
}

/// Effects that may not have been performed for the changes they belong to. For agents out of contact they are derived
/// when they attach.
pub fn owed_effects(world: &World) -> Vec<Effect> {
    let builds = world
        .releases()
        .filter(|release| matches!(release.state, ReleaseState::Building { .. }))
        .map(|release| Effect::BuildRelease(release.label.clone()));
    let orders = world
        .workers()
        .filter(|worker| world.agent(&worker.agent).is_some_and(Agent::is_in_contact))
        .filter_map(|worker| match worker.state {
            WorkerState::Assigned => start_order(world, worker).map(Effect::Start),
            WorkerState::Stopping { grace_ms, .. } => Some(stop_order(worker, grace_ms)),
            WorkerState::Preparing | WorkerState::Running => match worker.role {
                Role::Driver => None,
                Role::Executor { .. } => {
                    start_order(world, worker).filter(|order| order.app.is_some()).map(Effect::Run)
                }
            },
            WorkerState::Ended { .. } => None,
        });
    builds.chain(orders).collect()
}

/// Everything an agent must know to start a worker; nothing if its run or release is gone meanwhile.
fn start_order(world: &World, worker: &Worker) -> Option<Box<StartOrder>> {
    let run = world.run(&worker.run)?;
    let release = world.release(&run.spec.release)?;
    match &release.state {
        ReleaseState::Ready { sha256, java_major, java_module_options } => Some(Box::new(StartOrder {
            worker: worker.clone(),
            spec: run.spec.clone(),
            app: run.app.clone(),
            bundle_sha256: sha256.clone(),
            java_major: *java_major,
            java_module_options: java_module_options.clone(),
        })),
        ReleaseState::Building { .. } | ReleaseState::Failed { .. } => None,
    }
}

fn stop_order(worker: &Worker, grace_ms: u32) -> Effect {
    Effect::Stop {
        agent: worker.agent.clone(),
        worker: worker.id.clone(),
        launch: worker.launch,
        grace: Duration::from_millis(u64::from(grace_ms)),
    }
}

/// One command being decided.
struct Turn<'a> {
    world: &'a mut World,
    now: Timestamp,
    moment: Moment,
    changes: Vec<Change>,
    effects: Vec<Effect>,
}

impl Turn<'_> {
    fn change(&mut self, change: Change) {
        self.world.apply(&change);
        self.changes.push(change);
    }

    fn put_run(&mut self, mut run: JobRun) {
        run.queueing = run.queueing.in_phase(&run.phase, self.now);
        self.change(Change::JobRun(run));
    }

    fn put_worker(&mut self, worker: Worker) {
        self.change(Change::Worker(worker));
    }

    fn put_application(&mut self, application: Application) {
        self.change(Change::Application(application));
    }

    /// What an earlier request under the same token made, or a refusal if that one asked for something else.
    fn made_by(&self, token: &ClientToken) -> Result<Option<String>, Refusal> {
        match self.world.token(token) {
            Some(used) if used.digest == token.digest => Ok(Some(used.resource.clone())),
            Some(_) => Err(Refusal::TokenReused(token.token.clone())),
            None => Ok(None),
        }
    }

    fn done() -> Reply {
        Reply::Done
    }
}
