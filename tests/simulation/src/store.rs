//! The simulated store: the latest row of everything, as `coordinator/store` keeps it. What is here is durable.

use hearth_coordinator_core::agent::Agent;
use hearth_coordinator_core::application::Application;
use hearth_coordinator_core::command::{Change, ClientToken};
use hearth_coordinator_core::job_run::{JobRun, RunPhase};
use hearth_coordinator_core::lease::LeaseTerms;
use hearth_coordinator_core::release::Release;
use hearth_coordinator_core::worker::Worker;
use hearth_coordinator_core::world::World;
use hearth_types::{AgentId, ApplicationId, ApplicationState, JobRunId, ReleaseLabel, WorkerId};
use std::collections::BTreeMap;

/// All durable rows.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) epoch: u64,
    pub(crate) applications: BTreeMap<ApplicationId, Application>,
    pub(crate) runs: BTreeMap<JobRunId, JobRun>,
    pub(crate) workers: BTreeMap<WorkerId, Worker>,
    pub(crate) agents: BTreeMap<AgentId, Agent>,
    pub(crate) releases: BTreeMap<ReleaseLabel, Release>,
    pub(crate) tokens: BTreeMap<(String, String), (ClientToken, String)>,
}

impl Rows {
    /// Keeps one change. Fails as the store's primary key does when a token is used a second time.
    pub(crate) fn keep(&mut self, change: &Change) -> Result<(), String> {
        match change {
            Change::Application(row) => drop(self.applications.insert(row.id.clone(), row.clone())),
            Change::JobRun(row) => drop(self.runs.insert(row.id.clone(), row.clone())),
            Change::Worker(row) => drop(self.workers.insert(row.id.clone(), row.clone())),
            Change::Agent(row) => drop(self.agents.insert(row.id.clone(), row.clone())),
            Change::Release(row) => drop(self.releases.insert(row.label.clone(), row.clone())),
            Change::JobRunForgotten(run) => drop(self.runs.remove(&run.id)),
            Change::ReleaseForgotten(label) => drop(self.releases.remove(label)),
            Change::Token { token, resource } => {
                let key = (token.scope.clone(), token.token.clone());
                if self.tokens.insert(key, (token.clone(), resource.clone())).is_some() {
                    return Err(format!("client token {} was used twice", token.token));
                }
            }
            Change::ApplicationDocument { .. } | Change::JobRunDocument { .. } => {}
        }
        Ok(())
    }

    /// The world as a coordinator reads it: what has ended stays in the store (`Store::load_world`).
    pub(crate) fn world(&self) -> World {
        let mut world = World::new(LeaseTerms::default());
        let alive = |row: &&Application| row.state != ApplicationState::Terminated;
        let active = |row: &&JobRun| !matches!(row.phase, RunPhase::Ended { .. });
        self.applications
            .values()
            .filter(alive)
            .for_each(|row| world.apply(&Change::Application(row.clone())));
        self.releases.values().for_each(|row| world.apply(&Change::Release(row.clone())));
        self.agents.values().for_each(|row| world.apply(&Change::Agent(row.clone())));
        self.runs.values().filter(active).for_each(|row| world.apply(&Change::JobRun(row.clone())));
        let live = self.workers.values().filter(|row| row.is_live());
        live.for_each(|row| world.apply(&Change::Worker(row.clone())));
        for (token, resource) in self.tokens.values() {
            world.apply(&Change::Token { token: token.clone(), resource: resource.clone() });
        }
        world
    }
}
