//! A control plane in memory that does the least that can be answered: for golden exchanges and the example server.

use async_trait::async_trait;
use hearth_api::emr::control_plane::{
    ApplicationFilter, Caller, ControlError, ControlPlane, Dashboard, JobRunFilter, Listing, Page,
    TaggedResource,
};
use hearth_api::emr::wire::{
    Application, ApplicationSummary, CancelJobRunResponse, CreateApplicationRequest,
    CreateApplicationResponse, JobRun, JobRunAttemptSummary, JobRunSummary, StartJobRunRequest,
    StartJobRunResponse, UpdateApplicationRequest,
};
use hearth_types::{ApplicationId, ApplicationState, JobRunId, JobRunState, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Applications and job runs as their wire documents, in order of creation.
#[derive(Default)]
struct State {
    applications: Vec<Application>,
    job_runs: Vec<JobRun>,
    tokens: BTreeMap<String, (String, String)>,
}

/// The double; its clock stands still.
pub(crate) struct Double {
    now: Timestamp,
    state: Mutex<State>,
}

impl Double {
    /// A control plane without anything, at this moment.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { now, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(what: &str, id: &str) -> ControlError {
    ControlError::NotFound { message: format!("{what} {id} does not exist") }
}

impl State {
    fn application(&mut self, id: &ApplicationId) -> Result<&mut Application, ControlError> {
        self.applications
            .iter_mut()
            .find(|known| known.application_id == *id)
            .ok_or_else(|| missing("Application", id.as_str()))
    }

    fn job_run(&mut self, id: &ApplicationId, run: &JobRunId) -> Result<&mut JobRun, ControlError> {
        self.job_runs
            .iter_mut()
            .find(|known| known.application_id == *id && known.job_run_id == *run)
            .ok_or_else(|| missing("JobRun", run.as_str()))
    }

    /// The resource that a client token stands for already; a conflict if for another request.
    fn repeated(&self, token: &str, digest: &str) -> Result<Option<String>, ControlError> {
        match self.tokens.get(token) {
            None => Ok(None),
            Some((stored, id)) if stored == digest => Ok(Some(id.clone())),
            Some(_) => {
                let message = format!("The client token {token} was used with another request.");
                Err(ControlError::Conflict { message })
            }
        }
    }
}

/// The wire structure with the same members.
fn shaped<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the double's documents fit")
}

fn renamed(value: &impl serde::Serialize, from: &str, to: &str) -> Value {
    let mut value = serde_json::to_value(value).expect("json");
    value[to] = value[from].clone();
    value
}

fn page<T>(items: Vec<T>, page: &Page) -> Result<Listing<T>, ControlError> {
    let start = match &page.after {
        None => 0,
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| ControlError::Validation { message: "unreadable token".to_owned() })?,
    };
    let end = (start + page.limit).min(items.len());
    let next = (end < items.len()).then(|| end.to_string());
    Ok(Listing { items: items.into_iter().skip(start).take(page.limit).collect(), next })
}

#[async_trait]
impl ControlPlane for Double {
    async fn create_application(
        &self,
        _caller: &Caller,
        request: CreateApplicationRequest,
    ) -> Result<CreateApplicationResponse, ControlError> {
        let mut state = self.state();
        let digest = request.payload_digest();
        let id = match state.repeated(&request.client_token, &digest)? {
            Some(id) => id,
            None => {
                let id = format!("00f{:013}", state.applications.len() + 1);
                let mut document = serde_json::to_value(&request).expect("json");
                let arn = format!("arn:aws:emr-serverless:us-east-1:000000000000:/applications/{id}");
                let at = self.now.as_seconds();
                for (name, value) in [
                    ("applicationId", json!(id)),
                    ("arn", json!(arn)),
                    ("state", json!("CREATED")),
                    ("createdAt", json!(at)),
                    ("updatedAt", json!(at)),
                ] {
                    document[name] = value;
                }
                state.applications.push(shaped(document));
                state.tokens.insert(request.client_token, (digest, id.clone()));
                id
            }
        };
        let id = ApplicationId::new(id).expect("valid");
        let known = state.application(&id)?;
        Ok(CreateApplicationResponse { application_id: id, name: known.name.clone(), arn: known.arn.clone() })
    }

    async fn get_application(&self, id: &ApplicationId) -> Result<Application, ControlError> {
        self.state().application(id).cloned()
    }

    async fn list_applications(
        &self,
        filter: ApplicationFilter,
        of: Page,
    ) -> Result<Listing<ApplicationSummary>, ControlError> {
        let state = self.state();
        let chosen = state
            .applications
            .iter()
            .rev()
            .filter(|known| filter.states.is_empty() || filter.states.contains(&known.state));
        page(chosen.map(|known| shaped(renamed(known, "applicationId", "id"))).collect(), &of)
    }

    async fn update_application(
        &self,
        _caller: &Caller,
        request: UpdateApplicationRequest,
    ) -> Result<Application, ControlError> {
        let mut state = self.state();
        let known = state.application(&request.application_id)?;
        let mut document = serde_json::to_value(&*known).expect("json");
        if let Value::Object(changes) = serde_json::to_value(&request).expect("json") {
            for (name, value) in changes {
                document[name] = value;
            }
        }
        *known = shaped(document);
        Ok(known.clone())
    }

    async fn start_application(&self, _caller: &Caller, id: &ApplicationId) -> Result<(), ControlError> {
        self.state().application(id)?.state = ApplicationState::Started;
        Ok(())
    }

    async fn stop_application(&self, _caller: &Caller, id: &ApplicationId) -> Result<(), ControlError> {
        self.state().application(id)?.state = ApplicationState::Stopped;
        Ok(())
    }

    async fn delete_application(&self, _caller: &Caller, id: &ApplicationId) -> Result<(), ControlError> {
        let mut state = self.state();
        let known = state.application(id)?;
        if known.state == ApplicationState::Started {
            let message = format!("Application {id} must be in CREATED or STOPPED state to be deleted.");
            return Err(ControlError::Validation { message });
        }
        known.state = ApplicationState::Terminated;
        Ok(())
    }

    async fn start_job_run(
        &self,
        caller: &Caller,
        request: StartJobRunRequest,
    ) -> Result<StartJobRunResponse, ControlError> {
        let mut state = self.state();
        let application = state.application(&request.application_id)?.clone();
        let digest = request.payload_digest();
        let id = match state.repeated(&request.client_token, &digest)? {
            Some(id) => id,
            None => {
                let id = format!("00j{:013}", state.job_runs.len() + 1);
                let mut document = serde_json::to_value(&request).expect("json");
                let at = self.now.as_seconds();
                for (name, value) in [
                    ("jobRunId", json!(id)),
                    ("arn", json!(format!("{}/jobruns/{id}", application.arn))),
                    ("createdBy", json!(caller.arn)),
                    ("createdAt", json!(at)),
                    ("updatedAt", json!(at)),
                    ("executionRole", json!(request.execution_role_arn)),
                    ("state", json!("SUBMITTED")),
                    ("stateDetails", json!("")),
                    ("releaseLabel", json!(application.release_label)),
                    ("attempt", json!(1)),
                    ("mode", json!(request.mode.unwrap_or_default())),
                ] {
                    document[name] = value;
                }
                state.job_runs.push(shaped(document));
                state.tokens.insert(request.client_token, (digest, id.clone()));
                id
            }
        };
        let job_run_id = JobRunId::new(id).expect("valid");
        let arn = state.job_run(&request.application_id, &job_run_id)?.arn.clone();
        Ok(StartJobRunResponse { application_id: request.application_id, job_run_id, arn })
    }

    async fn get_job_run(
        &self,
        id: &ApplicationId,
        run: &JobRunId,
        attempt: Option<u32>,
    ) -> Result<JobRun, ControlError> {
        match attempt {
            None | Some(1) => self.state().job_run(id, run).cloned(),
            Some(other) => Err(missing("Attempt", &other.to_string())),
        }
    }

    async fn list_job_runs(
        &self,
        id: &ApplicationId,
        filter: JobRunFilter,
        of: Page,
    ) -> Result<Listing<JobRunSummary>, ControlError> {
        let state = self.state();
        let chosen = state.job_runs.iter().rev().filter(|known| {
            known.application_id == *id
                && (filter.states.is_empty() || filter.states.contains(&known.state))
                && filter.created_at_after.is_none_or(|at| known.created_at > at)
                && filter.created_at_before.is_none_or(|at| known.created_at < at)
                && filter.mode.is_none_or(|mode| known.mode == Some(mode))
        });
        page(chosen.map(|known| shaped(renamed(known, "jobRunId", "id"))).collect(), &of)
    }

    async fn list_job_run_attempts(
        &self,
        id: &ApplicationId,
        run: &JobRunId,
        of: Page,
    ) -> Result<Listing<JobRunAttemptSummary>, ControlError> {
        let mut state = self.state();
        let mut attempt = renamed(state.job_run(id, run)?, "jobRunId", "id");
        attempt["jobCreatedAt"] = attempt["createdAt"].clone();
        page(vec![shaped(attempt)], &of)
    }

    async fn dashboard_of_job_run(
        &self,
        id: &ApplicationId,
        run: &JobRunId,
        attempt: Option<u32>,
    ) -> Result<Dashboard, ControlError> {
        self.get_job_run(id, run, attempt).await?;
        Ok(Dashboard::AtEndpoint("/hearth/v1/dashboards/ticket".to_owned()))
    }

    async fn cancel_job_run(
        &self,
        _caller: &Caller,
        id: &ApplicationId,
        run: &JobRunId,
        _grace: Option<u32>,
    ) -> Result<CancelJobRunResponse, ControlError> {
        self.state().job_run(id, run)?.state = JobRunState::Cancelling;
        Ok(CancelJobRunResponse { application_id: id.clone(), job_run_id: run.clone() })
    }

    async fn tags(&self, resource: &TaggedResource) -> Result<BTreeMap<String, String>, ControlError> {
        let mut state = self.state();
        Ok(tags(&mut state, resource)?.clone())
    }

    async fn tag(
        &self,
        _caller: &Caller,
        resource: &TaggedResource,
        added: BTreeMap<String, String>,
    ) -> Result<(), ControlError> {
        tags(&mut self.state(), resource)?.extend(added);
        Ok(())
    }

    async fn untag(
        &self,
        _caller: &Caller,
        resource: &TaggedResource,
        keys: &BTreeSet<String>,
    ) -> Result<(), ControlError> {
        tags(&mut self.state(), resource)?.retain(|key, _| !keys.contains(key));
        Ok(())
    }
}

fn tags<'s>(
    state: &'s mut State,
    resource: &TaggedResource,
) -> Result<&'s mut BTreeMap<String, String>, ControlError> {
    Ok(match resource {
        TaggedResource::Application(id) => state.application(id)?.tags.get_or_insert_default(),
        TaggedResource::JobRun(id, run) => state.job_run(id, run)?.tags.get_or_insert_default(),
    })
}
