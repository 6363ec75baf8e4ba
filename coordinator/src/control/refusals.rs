//! The engine's refusals in the service's words.

use hearth_api::emr::control_plane::ControlError;
use hearth_coordinator_core::command::Refusal;
use hearth_engine::EngineError;
use hearth_types::{ApplicationId, JobRunId};

pub(super) fn no_application(id: &ApplicationId) -> ControlError {
    ControlError::NotFound { message: format!("Application {id} does not exist.") }
}

pub(super) fn no_job_run(id: &JobRunId) -> ControlError {
    ControlError::NotFound { message: format!("Job run {id} does not exist.") }
}

pub(super) fn in_service_words(error: EngineError) -> ControlError {
    let refusal = match error {
        EngineError::Refused(refusal) => refusal,
        error @ (EngineError::Store(_) | EngineError::Stopped) => return ControlError::internal(error),
    };
    match refusal {
        Refusal::NoApplication(id) => no_application(&id),
        Refusal::NoActiveJobRun(id) => no_job_run(&id),
        Refusal::TokenReused(token) => ControlError::Conflict {
            message: format!(
                "The clientToken {token} was already used for a request with different parameters."
            ),
        },
        Refusal::WrongState { id, state } => ControlError::Validation {
            message: format!("Application {id} is in state {state}, which does not allow this request."),
        },
        Refusal::ActiveJobRuns { id, active } => ControlError::Validation {
            message: format!(
                "Application {id} has {active} active job runs; cancel them or wait for them before stopping it."
            ),
        },
        Refusal::UpdatedMeanwhile(id) => ControlError::Conflict {
            message: format!("Application {id} is being updated by others. Try again."),
        },
        Refusal::MoreHeld { id, held } => ControlError::Validation {
            message: format!(
                "maximumCapacity must not be less than what active job runs of application {id} hold: {held}."
            ),
        },
        Refusal::ActiveJobRunTooLarge { run, needed } => ControlError::Validation {
            message: format!(
                "maximumCapacity must hold the driver of job run {run}, which is active and needs {needed}."
            ),
        },
        Refusal::AutoStartOff(id) => ControlError::Validation {
            message: format!("Application {id} is not started and its auto-start is off; start it first."),
        },
        refusal @ Refusal::QueueFull { .. } => ControlError::Quota {
            message: format!(
                "The request exceeds the account's quota: {refusal}. Try again when some of them run."
            ),
        },
        refusal @ Refusal::BeyondVcpuQuota { .. } => {
            ControlError::Quota { message: format!("The request exceeds the account's quota: {refusal}.") }
        }
        refusal @ (Refusal::NoAgent(_) | Refusal::AgentRevoked(_)) => {
            ControlError::Validation { message: refusal.to_string() }
        }
        Refusal::BeyondMaximumCapacity { id, needed, limit } => ControlError::Validation {
            message: format!(
                "The job needs a worker of {needed}, but the maximum capacity of application {id} is {limit}."
            ),
        },
    }
}
