//! What the surface asks of the part that owns applications and job runs.

use super::wire::{
    Application, ApplicationSummary, CancelJobRunResponse, CreateApplicationRequest,
    CreateApplicationResponse, JobRun, JobRunAttemptSummary, JobRunMode, JobRunSummary, StartJobRunRequest,
    StartJobRunResponse, UpdateApplicationRequest,
};
use async_trait::async_trait;
use hearth_types::{ApplicationId, ApplicationState, JobRunId, JobRunState, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// Who asks; already authenticated and authorised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Twelve digits.
    pub account_id: String,
    /// ARN of the user or of the assumed role's session; becomes `createdBy`.
    pub arn: String,
    /// The request's id, as answered in `x-amzn-requestid`.
    pub request_id: String,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most so many items, 1 to 50.
    pub limit: usize,
    /// Where the page before ended: a [`Listing::next`] of the same listing and filter, verbatim. It came back through
    /// a client, so an unreadable one is [`ControlError::Validation`].
    pub after: Option<String>,
}

/// Items of one page, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where to go on, in the implementer's own words (at most 200 bytes); absent at the end.
    pub next: Option<String>,
}

/// Where a link to a dashboard leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dashboard {
    /// Path and query below the endpoint, under whatever name the client reaches it.
    AtEndpoint(String),
    /// A URL of an origin of its own.
    At(String),
}

/// Which applications to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApplicationFilter {
    /// Only these states; every state if empty.
    pub states: BTreeSet<ApplicationState>,
}

/// Which job runs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobRunFilter {
    /// Only these states; every state if empty.
    pub states: BTreeSet<JobRunState>,
    /// Only those created after this moment.
    pub created_at_after: Option<Timestamp>,
    /// Only those created before this moment.
    pub created_at_before: Option<Timestamp>,
    /// Only this mode.
    pub mode: Option<JobRunMode>,
}

/// What carries tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaggedResource {
    /// An application.
    Application(ApplicationId),
    /// A job run of an application.
    JobRun(ApplicationId, JobRunId),
}

/// Why the control plane refuses; each is one of the service's exceptions.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The request cannot be carried out as it is (`ValidationException`, 400). The message goes to the client.
    #[error("{message}")]
    Validation {
        /// What is wrong.
        message: String,
    },
    /// There is no such resource (`ResourceNotFoundException`, 404).
    #[error("{message}")]
    NotFound {
        /// What is missing.
        message: String,
    },
    /// The client token stands for another request, or the state forbids it (`ConflictException`, 409).
    #[error("{message}")]
    Conflict {
        /// What it conflicts with.
        message: String,
    },
    /// A quota is used up (`ServiceQuotaExceededException`, 402).
    #[error("{message}")]
    Quota {
        /// Which.
        message: String,
    },
    /// It failed on our side (`InternalServerException`, 500). The cause is logged, not answered.
    #[error("carrying out the request")]
    Internal {
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ControlError {
    /// The failure of something on our side.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal { source: source.into() }
    }
}

/// Applications and job runs. Every answer to a mutation is durable; idempotency by `clientToken` and
/// [`payload_digest`](StartJobRunRequest::payload_digest) is the implementer's.
#[async_trait]
pub trait ControlPlane: Send + Sync + 'static {
    /// Makes an application.
    async fn create_application(
        &self,
        caller: &Caller,
        request: CreateApplicationRequest,
    ) -> Result<CreateApplicationResponse, ControlError>;

    /// Shows an application.
    async fn get_application(&self, application: &ApplicationId) -> Result<Application, ControlError>;

    /// Lists applications.
    async fn list_applications(
        &self,
        filter: ApplicationFilter,
        page: Page,
    ) -> Result<Listing<ApplicationSummary>, ControlError>;

    /// Changes an application's settings; members that the request does not name stay as they are.
    async fn update_application(
        &self,
        caller: &Caller,
        request: UpdateApplicationRequest,
    ) -> Result<Application, ControlError>;

    /// Starts an application.
    async fn start_application(
        &self,
        caller: &Caller,
        application: &ApplicationId,
    ) -> Result<(), ControlError>;

    /// Stops an application.
    async fn stop_application(
        &self,
        caller: &Caller,
        application: &ApplicationId,
    ) -> Result<(), ControlError>;

    /// Deletes an application.
    async fn delete_application(
        &self,
        caller: &Caller,
        application: &ApplicationId,
    ) -> Result<(), ControlError>;

    /// Accepts a job run.
    async fn start_job_run(
        &self,
        caller: &Caller,
        request: StartJobRunRequest,
    ) -> Result<StartJobRunResponse, ControlError>;

    /// Shows a job run, or one attempt of it (counted from 1; the latest if absent).
    async fn get_job_run(
        &self,
        application: &ApplicationId,
        job_run: &JobRunId,
        attempt: Option<u32>,
    ) -> Result<JobRun, ControlError>;

    /// Lists the job runs of an application.
    async fn list_job_runs(
        &self,
        application: &ApplicationId,
        filter: JobRunFilter,
        page: Page,
    ) -> Result<Listing<JobRunSummary>, ControlError>;

    /// Lists the attempts of a job run.
    async fn list_job_run_attempts(
        &self,
        application: &ApplicationId,
        job_run: &JobRunId,
        page: Page,
    ) -> Result<Listing<JobRunAttemptSummary>, ControlError>;

    /// Makes a link to what shows how an attempt of a job run goes or went (counted from 1; the latest if absent), good
    /// without a signature, once and for an hour.
    async fn dashboard_of_job_run(
        &self,
        application: &ApplicationId,
        job_run: &JobRunId,
        attempt: Option<u32>,
    ) -> Result<Dashboard, ControlError>;

    /// Cancels a job run; a driver gets so many seconds to end by itself.
    async fn cancel_job_run(
        &self,
        caller: &Caller,
        application: &ApplicationId,
        job_run: &JobRunId,
        shutdown_grace_period_in_seconds: Option<u32>,
    ) -> Result<CancelJobRunResponse, ControlError>;

    /// The tags of a resource. Asked before every authorisation of whoever's policies depend on them, so it must be cheap.
    async fn tags(&self, resource: &TaggedResource) -> Result<BTreeMap<String, String>, ControlError>;

    /// Adds tags, replacing those of the same key.
    async fn tag(
        &self,
        caller: &Caller,
        resource: &TaggedResource,
        tags: BTreeMap<String, String>,
    ) -> Result<(), ControlError>;

    /// Removes tags; absent ones are no error.
    async fn untag(
        &self,
        caller: &Caller,
        resource: &TaggedResource,
        keys: &BTreeSet<String>,
    ) -> Result<(), ControlError>;
}
