//! An application: what may run, under which limits, and whether it accepts job runs (guide:1185-1342).

use hearth_types::{ApplicationId, ApplicationState, Architecture, ReleaseLabel, Timestamp, WorkerSize};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the scheduler needs to know of an application. The API's full document lives in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Its identifier.
    pub id: ApplicationId,
    /// The release its job runs use unless they name another.
    pub release: ReleaseLabel,
    /// The architecture of its workers.
    pub architecture: Architecture,
    /// Where it is in its life.
    pub state: ApplicationState,
    /// Why it is there, for people.
    pub details: String,
    /// Whether a submitted job run starts it.
    pub auto_start: bool,
    /// How long it may be idle before it stops by itself; absent when that is off.
    pub idle_timeout: Option<Duration>,
    /// Since when it has had no active job run.
    pub idle_since: Timestamp,
    /// The most its workers may hold together.
    pub maximum_capacity: Option<WorkerSize>,
    /// The most job runs at once; more wait in QUEUED.
    pub concurrency: Option<u32>,
    /// How long a job run may be in QUEUED.
    #[serde(default)]
    pub queue_timeout: Option<Duration>,
    /// How often it was updated: an update made from what is outdated is not carried out.
    #[serde(default)]
    pub revision: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What is asked of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplicationEvent {
    /// `StartApplication`, or the auto-start of a submitted job run.
    Start,
    /// `StopApplication`, or the auto-stop after idling. Refused while job runs are active.
    Stop,
    /// `DeleteApplication`.
    Delete,
}

/// In which states an application may be updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdatableIn {
    /// CREATED and STOPPED, as the service has it.
    AtRest,
    /// STARTED as well: what runs or waits to run was fixed when it was submitted.
    AtRestOrStarted,
}

impl UpdatableIn {
    /// Whether an application in this state may be updated.
    pub const fn covers(self, state: ApplicationState) -> bool {
        use ApplicationState as S;
        match state {
            S::Created | S::Stopped => true,
            S::Started => matches!(self, Self::AtRestOrStarted),
            S::Creating | S::Starting | S::Stopping | S::Terminated => false,
        }
    }
}

/// The event does not fit the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("application is in state {0}")]
pub struct WrongState(pub ApplicationState);

/// The state after an event; a repeated event is answered with the same state, not refused.
pub const fn next_state(
    state: ApplicationState,
    event: ApplicationEvent,
) -> Result<ApplicationState, WrongState> {
    use ApplicationEvent::{Delete, Start, Stop};
    use ApplicationState as S;
    match (state, event) {
        (S::Created | S::Stopped | S::Starting | S::Started, Start) => Ok(S::Started),
        (S::Started | S::Starting | S::Stopping | S::Stopped, Stop) => Ok(S::Stopped),
        (S::Created | S::Stopped, Delete) => Ok(S::Terminated),
        (S::Creating | S::Stopping | S::Terminated, Start)
        | (S::Creating | S::Created | S::Terminated, Stop)
        | (S::Creating | S::Starting | S::Started | S::Stopping | S::Terminated, Delete) => {
            Err(WrongState(state))
        }
    }
}

impl Application {
    /// When it stops by itself if nothing is submitted until then.
    pub fn auto_stop_at(&self) -> Option<Timestamp> {
        match self.state {
            ApplicationState::Started => self.idle_timeout.map(|timeout| self.idle_since.plus(timeout)),
            ApplicationState::Creating
            | ApplicationState::Created
            | ApplicationState::Starting
            | ApplicationState::Stopping
            | ApplicationState::Stopped
            | ApplicationState::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_application_without_capacity_is_deleted() {
        for state in ApplicationState::ALL {
            let deletable = matches!(state, ApplicationState::Created | ApplicationState::Stopped);
            assert_eq!(next_state(*state, ApplicationEvent::Delete).is_ok(), deletable, "{state}");
        }
    }

    #[test]
    fn only_a_settled_application_is_updated_and_a_started_one_where_that_is_allowed() {
        for state in ApplicationState::ALL {
            let at_rest = matches!(state, ApplicationState::Created | ApplicationState::Stopped);
            assert_eq!(UpdatableIn::AtRest.covers(*state), at_rest, "{state}");
            let or_started = at_rest || *state == ApplicationState::Started;
            assert_eq!(UpdatableIn::AtRestOrStarted.covers(*state), or_started, "{state}");
        }
    }

    #[test]
    fn nothing_leaves_terminated() {
        for event in [ApplicationEvent::Start, ApplicationEvent::Stop, ApplicationEvent::Delete] {
            assert!(next_state(ApplicationState::Terminated, event).is_err());
        }
    }
}
