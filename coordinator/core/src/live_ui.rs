//! Where the live UI of an attempt is: the one that its engine serves itself, on the driver's host.

use crate::agent::Standing;
use crate::job_run::{JobRun, RunPhase};
use crate::world::World;
use hearth_types::{AgentId, JobRunId, Launch, WorkerId};

/// What there is of an attempt's live UI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveUi<'a> {
    /// A driver serves it; its agent can be asked.
    Served {
        /// On whose host.
        agent: &'a AgentId,
        /// The driver.
        worker: &'a WorkerId,
        /// Its launch.
        launch: Launch,
    },
    /// A driver serves it on a host that is out of contact, or revoked.
    OutOfContact {
        /// The host's agent.
        agent: &'a AgentId,
    },
    /// Its driver has not registered yet, or is being ended.
    NotNow,
    /// Its driver runs without one.
    TurnedOff,
    /// The attempt is over, or never was.
    Over,
}

/// Finds the live UI of an attempt, counted from 1.
pub fn live_ui<'a>(world: &'a World, id: &JobRunId, attempt: u32) -> LiveUi<'a> {
    let Some(run) = world.run(id).filter(|run| run.launch.attempt == attempt) else { return LiveUi::Over };
    match &run.phase {
        RunPhase::Running { driver } => served(world, run, driver),
        RunPhase::Submitted
        | RunPhase::Queued
        | RunPhase::Pending
        | RunPhase::Scheduled { .. }
        | RunPhase::Cancelling { .. } => LiveUi::NotNow,
        RunPhase::Ended { .. } => LiveUi::Over,
    }
}

fn served<'a>(world: &'a World, run: &'a JobRun, driver: &'a WorkerId) -> LiveUi<'a> {
    let (Some(app), Some(worker)) = (&run.app, world.worker(driver)) else { return LiveUi::NotNow };
    if run.given_up.is_some() || worker.launch != run.launch {
        return LiveUi::NotNow;
    }
    if app.ui_port == 0 {
        return LiveUi::TurnedOff;
    }
    match world.agent(&worker.agent) {
        Some(agent) if agent.is_in_contact() && agent.standing != Standing::Revoked => {
            LiveUi::Served { agent: &agent.id, worker: driver, launch: run.launch }
        }
        Some(_) | None => LiveUi::OutOfContact { agent: &worker.agent },
    }
}
