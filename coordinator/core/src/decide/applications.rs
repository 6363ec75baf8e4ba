//! Decisions about applications (guide:1185-1342).

use super::Turn;
use crate::application::{Application, ApplicationEvent, UpdatableIn, next_state};
use crate::command::{Change, ClientToken, Refusal, Reply};
use hearth_types::{ApplicationId, ApplicationState};
use serde_json::Value;

impl Turn<'_> {
    pub(super) fn create_application(
        &mut self,
        application: Application,
        document: Value,
        token: ClientToken,
    ) -> Result<Reply, Refusal> {
        if let Some(resource) = self.made_by(&token)? {
            let id = ApplicationId::new(resource).expect("a stored resource is an application id");
            return Ok(Reply::Application(id));
        }
        let id = application.id.clone();
        self.put_application(application);
        self.change(Change::ApplicationDocument { id: id.clone(), document });
        self.change(Change::Token { token, resource: id.to_string() });
        Ok(Reply::Application(id))
    }

    /// Gives an application other settings. Job runs that were accepted keep what was fixed when they were submitted;
    /// limits hold for what is placed from now on.
    pub(super) fn update_application(
        &mut self,
        wanted: Application,
        document: Value,
        token: ClientToken,
        states: UpdatableIn,
    ) -> Result<Reply, Refusal> {
        let id = wanted.id.clone();
        if self.made_by(&token)?.is_some() {
            return Ok(Reply::Application(id));
        }
        let present = self.known(&id)?;
        if !states.covers(present.state) {
            return Err(Refusal::WrongState { id, state: present.state });
        }
        if wanted.revision != present.revision {
            return Err(Refusal::UpdatedMeanwhile(id));
        }
        self.check_limit(&wanted)?;
        let updated = Application {
            state: present.state,
            details: present.details.clone(),
            idle_since: present.idle_since,
            revision: present.revision + 1,
            created_at: present.created_at,
            updated_at: self.now,
            ..wanted
        };
        self.put_application(updated);
        self.change(Change::ApplicationDocument { id: id.clone(), document });
        self.change(Change::Token { token, resource: id.to_string() });
        Ok(Reply::Application(id))
    }

    /// A limit must hold at once (promise P8), and let every driver that was accepted be placed.
    fn check_limit(&self, wanted: &Application) -> Result<(), Refusal> {
        let id = &wanted.id;
        let Some(limit) = wanted.maximum_capacity else { return Ok(()) };
        let held = self.world.held_by(id);
        if !held.fits(&limit) {
            return Err(Refusal::MoreHeld { id: id.clone(), held: held.to_string() });
        }
        match self.world.runs_of(id).find(|run| !run.spec.driver.size.fits(&limit)) {
            Some(run) => Err(Refusal::ActiveJobRunTooLarge {
                run: run.id.clone(),
                needed: run.spec.driver.size.to_string(),
            }),
            None => Ok(()),
        }
    }

    pub(super) fn start_application(&mut self, id: &ApplicationId) -> Result<Reply, Refusal> {
        self.move_application(id, ApplicationEvent::Start, "")
    }

    pub(super) fn stop_application(&mut self, id: &ApplicationId) -> Result<Reply, Refusal> {
        self.known(id)?;
        let active = self.world.runs_of(id).count();
        if active > 0 {
            return Err(Refusal::ActiveJobRuns { id: id.clone(), active });
        }
        self.move_application(id, ApplicationEvent::Stop, "")
    }

    pub(super) fn delete_application(&mut self, id: &ApplicationId) -> Result<Reply, Refusal> {
        self.move_application(id, ApplicationEvent::Delete, "")
    }

    /// Stops an application that has been idle for longer than it may (guide:1312).
    pub(super) fn auto_stop(&mut self, id: &ApplicationId) {
        let details = "AUTO_STOPPING: the application was idle.";
        let stopped = self.move_application(id, ApplicationEvent::Stop, details);
        debug_assert!(stopped.is_ok(), "only started applications are due for auto-stop");
    }

    pub(super) fn known(&self, id: &ApplicationId) -> Result<&Application, Refusal> {
        self.world.application(id).ok_or_else(|| Refusal::NoApplication(id.clone()))
    }

    fn move_application(
        &mut self,
        id: &ApplicationId,
        event: ApplicationEvent,
        details: &str,
    ) -> Result<Reply, Refusal> {
        let application = self.known(id)?;
        let state = next_state(application.state, event)
            .map_err(|wrong| Refusal::WrongState { id: id.clone(), state: wrong.0 })?;
        if state != application.state {
            let mut application = application.clone();
            application.state = state;
            details.clone_into(&mut application.details);
            application.updated_at = self.now;
            application.idle_since = self.now;
            self.put_application(application);
        }
        Ok(Reply::Done)
    }

    /// Starts an application for a job run if it is not started yet, when it may be.
    pub(super) fn start_for_job_run(&mut self, id: &ApplicationId) -> Result<(), Refusal> {
        let application = self.known(id)?;
        match application.state {
            ApplicationState::Started | ApplicationState::Starting => Ok(()),
            ApplicationState::Created | ApplicationState::Stopped if application.auto_start => {
                self.start_application(id).map(|_| ())
            }
            ApplicationState::Created | ApplicationState::Stopped => Err(Refusal::AutoStartOff(id.clone())),
            ApplicationState::Creating | ApplicationState::Stopping | ApplicationState::Terminated => {
                Err(Refusal::WrongState { id: id.clone(), state: application.state })
            }
        }
    }
}
