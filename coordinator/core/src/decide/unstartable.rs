//! Decisions about workers whose order to start cannot be made.

use super::{Turn, outcomes};
use crate::command::Reply;
use crate::triage;
use crate::worker::{Exit, Role, StopCause, WorkerState};
use hearth_types::{Launch, WorkerId};
use std::time::Duration;

impl Turn<'_> {
    /// Gives up a worker that its agent has not spoken of yet. Whether an earlier order reached the agent is not known, for
    /// the same one may have been sent before a commit failed. So the agent is told to end it, and what it holds stays
    /// booked until the agent says that it is not there.
    pub(super) fn cannot_start(&mut self, id: &WorkerId, launch: Launch, reason: String) -> Reply {
        let awaited = self.world.worker(id).filter(|worker| worker.launch == launch);
        let Some(worker) = awaited.filter(|worker| worker.state == WorkerState::Assigned).cloned() else {
            return Self::done();
        };
        let exit = Exit { launch_error: reason, ..Exit::default() };
        match worker.role {
            Role::Driver => {
                self.edit_run(&worker.run, launch, |run| {
                    run.given_up = Some(triage::of_driver(&exit, &worker, &run.spec).sentence);
                });
                self.stop_workers_of(&worker.run, Duration::ZERO);
            }
            Role::Executor { .. } => {
                let (_, why) = outcomes::of_executor(&exit, &worker);
                self.stop_worker(id, StopCause::CannotStart, Duration::ZERO);
                self.executor_failed(&worker, &why);
            }
        }
        Self::done()
    }
}
