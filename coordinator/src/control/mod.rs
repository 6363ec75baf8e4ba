//! The control plane: the API's requests become commands for the engine, and stored records become the API's documents.

mod applications;
mod dashboards;
mod job_runs;
mod launching;
mod monitoring;
mod paging;
mod preflight;
mod refusals;
mod settings;
mod tags;
mod usage;

pub use applications::Updates;
pub(crate) use dashboards::LogFile;
pub use dashboards::{LINKS, Left, SECRET};
pub(crate) use dashboards::{LOGS, secret_of};

use crate::ui::{Door, Passes};
use async_trait::async_trait;
use hearth_api::emr::control_plane::{
    ApplicationFilter, Caller, ControlError, ControlPlane, Dashboard, JobRunFilter, Listing, Page,
    TaggedResource,
};
use hearth_api::emr::wire;
use hearth_engine::Engine;
use hearth_identity::Identity;
use hearth_objects::ObjectStore;
use hearth_releases::Catalog;
use hearth_store::Store;
use hearth_types::{ApplicationId, JobRunId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where this cluster is, in the service's terms.
#[derive(Debug, Clone)]
pub struct Site {
    /// Twelve digits.
    pub account_id: String,
    /// The Region.
    pub region: String,
}

impl Site {
    fn application_arn(&self, id: &ApplicationId) -> String {
        format!("arn:aws:emr-serverless:{}:{}:/applications/{id}", self.region, self.account_id)
    }

    fn job_run_arn(&self, application: &ApplicationId, id: &JobRunId) -> String {
        format!("{}/jobruns/{id}", self.application_arn(application))
    }
}

/// Applications and job runs, over the engine and the store.
pub struct Control {
    /// Decides.
    pub engine: Engine,
    /// Remembers.
    pub store: Store,
    /// Knows the roles.
    pub identity: Arc<Identity>,
    /// Knows the releases.
    pub catalog: Arc<Catalog>,
    /// Keeps event logs.
    pub objects: ObjectStore,
    /// Links to what is left of attempts that were given out.
    pub links: Passes<Left>,
    /// The way to live UIs, where they are shown.
    pub door: Option<Arc<Door>>,
    /// Where we are.
    pub site: Site,
    /// Which updates of applications are carried out.
    pub updates: Updates,
}

#[async_trait]
impl ControlPlane for Control {
    async fn create_application(
        &self,
        caller: &Caller,
        request: wire::CreateApplicationRequest,
    ) -> Result<wire::CreateApplicationResponse, ControlError> {
        self.create_application(caller, request).await
    }

    async fn get_application(&self, application: &ApplicationId) -> Result<wire::Application, ControlError> {
        self.show_application(application).await
    }

    async fn list_applications(
        &self,
        filter: ApplicationFilter,
        page: Page,
    ) -> Result<Listing<wire::ApplicationSummary>, ControlError> {
        self.list_applications(filter, page).await
    }

    async fn update_application(
        &self,
        _caller: &Caller,
        request: wire::UpdateApplicationRequest,
    ) -> Result<wire::Application, ControlError> {
        self.update_application(request).await
    }

    async fn start_application(
        &self,
        _caller: &Caller,
        application: &ApplicationId,
    ) -> Result<(), ControlError> {
        self.start_application(application).await
    }

    async fn stop_application(
        &self,
        _caller: &Caller,
        application: &ApplicationId,
    ) -> Result<(), ControlError> {
        self.stop_application(application).await
    }

    async fn delete_application(
        &self,
        _caller: &Caller,
        application: &ApplicationId,
    ) -> Result<(), ControlError> {
        self.delete_application(application).await
    }

    async fn start_job_run(
        &self,
        caller: &Caller,
        request: wire::StartJobRunRequest,
    ) -> Result<wire::StartJobRunResponse, ControlError> {
        self.start_job_run(caller, request).await
    }

    async fn get_job_run(
        &self,
        application: &ApplicationId,
        job_run: &JobRunId,
        attempt: Option<u32>,
    ) -> Result<wire::JobRun, ControlError> {
        let mut run = self.show_job_run(application, job_run, attempt).await?;
        self.lay_over_usage(&mut run, attempt).await?;
        Ok(run)
    }

    async fn list_job_runs(
        &self,
        application: &ApplicationId,
        filter: JobRunFilter,
        page: Page,
    ) -> Result<Listing<wire::JobRunSummary>, ControlError> {
        self.list_job_runs(application, filter, page).await
    }

    async fn list_job_run_attempts(
        &self,
        application: &ApplicationId,
        job_run: &JobRunId,
        page: Page,
    ) -> Result<Listing<wire::JobRunAttemptSummary>, ControlError> {
        self.list_attempts(application, job_run, page).await
    }

    async fn dashboard_of_job_run(
        &self,
        application: &ApplicationId,
        job_run: &JobRunId,
        attempt: Option<u32>,
    ) -> Result<Dashboard, ControlError> {
        self.dashboard(application, job_run, attempt).await
    }

    async fn cancel_job_run(
        &self,
        _caller: &Caller,
        application: &ApplicationId,
        job_run: &JobRunId,
        shutdown_grace_period_in_seconds: Option<u32>,
    ) -> Result<wire::CancelJobRunResponse, ControlError> {
        self.cancel_job_run(application, job_run, shutdown_grace_period_in_seconds).await
    }

    async fn tags(&self, resource: &TaggedResource) -> Result<BTreeMap<String, String>, ControlError> {
        self.tags_of(resource).await
    }

    async fn tag(
        &self,
        _caller: &Caller,
        resource: &TaggedResource,
        tags: BTreeMap<String, String>,
    ) -> Result<(), ControlError> {
        self.edit_tags(resource, |all| all.extend(tags.clone())).await
    }

    async fn untag(
        &self,
        _caller: &Caller,
        resource: &TaggedResource,
        keys: &BTreeSet<String>,
    ) -> Result<(), ControlError> {
        self.edit_tags(resource, |all| all.retain(|key, _| !keys.contains(key))).await
    }
}
