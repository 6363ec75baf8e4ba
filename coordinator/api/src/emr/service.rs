//! Carries out an authenticated request: its members are checked, the caller is authorised, the control plane is asked.

use super::control_plane::{
    ApplicationFilter, Caller, ControlPlane, Dashboard, JobRunFilter, Listing, Page, TaggedResource,
};
use super::exception::Exception;
use super::json;
use super::operation::{Operation, find, gather};
use super::page_token::PageTokens;
use super::shape::faults;
use super::throttle::Throttle;
use super::wire::{
    CreateApplicationRequest, JobRunMode, StartJobRunRequest, UpdateApplicationRequest, epoch_seconds,
};
use crate::sigv4::SignatureError;
use axum::body::Body;
use hearth_identity::{Context, Identity, Principal};
use hearth_types::{ApplicationId, ApplicationState, JobRunId, JobRunState, Timestamp};
use http::request::Parts;
use http::{Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json as object};
use std::collections::{BTreeMap, BTreeSet};

/// Items of a page where the client names no number: the most the model allows.
const PAGE_LIMIT: usize = 50;

/// Everything known about one authenticated request.
pub(crate) struct Call<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) control: &'a dyn ControlPlane,
    pub(crate) page_tokens: &'a PageTokens,
    pub(crate) throttle: &'a Throttle,
    pub(crate) now: Timestamp,
    pub(crate) region: &'a str,
    pub(crate) principal: &'a Principal,
    /// What is known about the request whatever it asks: time, source address, transport.
    pub(crate) context: Context,
    pub(crate) request_id: &'a str,
    /// Scheme and host that the client reached us at.
    pub(crate) origin: &'a str,
}

/// Answers an authenticated request.
pub(crate) async fn serve(call: Call<'_>, parts: &Parts, body: &[u8]) -> Response<Body> {
    match call.answer(parts, body).await {
        Ok(answer) => json(StatusCode::OK, &answer),
        Err(exception) => exception.response(),
    }
}

/// The answer to a request that is not authenticated.
pub(crate) fn refuse(error: &SignatureError) -> Response<Body> {
    Exception::from(error).response()
}

/// The answer to a request for a service that the endpoint does not serve.
pub(crate) fn refuse_service() -> Response<Body> {
    Exception::unknown_operation().response()
}

/// The answer to a body that is too large.
pub(crate) fn refuse_too_large() -> Response<Body> {
    Exception::too_large().response()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApplicationInput {
    application_id: ApplicationId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobRunInput {
    application_id: ApplicationId,
    job_run_id: JobRunId,
    attempt: Option<u32>,
    shutdown_grace_period_in_seconds: Option<i32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInput {
    next_token: Option<String>,
    max_results: Option<usize>,
}

#[derive(Deserialize)]
struct ApplicationFilterInput {
    #[serde(default)]
    states: BTreeSet<ApplicationState>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobRunFilterInput {
    #[serde(default)]
    states: BTreeSet<JobRunState>,
    #[serde(default, with = "epoch_seconds::optional")]
    created_at_after: Option<Timestamp>,
    #[serde(default, with = "epoch_seconds::optional")]
    created_at_before: Option<Timestamp>,
    mode: Option<JobRunMode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TagInput {
    resource_arn: String,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    tag_keys: BTreeSet<String>,
}

impl Call<'_> {
    async fn answer(&self, parts: &Parts, body: &[u8]) -> Result<Value, Exception> {
        let (operation, labels) =
            find(&parts.method, parts.uri.path()).ok_or_else(Exception::unknown_operation)?;
        self.throttle.admit(operation, self.now).map_err(Exception::throttled)?;
        let input = gather(operation, labels, parts, body)
            .map_err(|unreadable| Exception::serialization(unreadable.to_string()))?;
        let faults = faults(operation.input(), &input);
        if !faults.is_empty() {
            return Err(Exception::faults(&faults));
        }
        self.carry_out(operation, input).await
    }

    async fn carry_out(&self, operation: Operation, input: Value) -> Result<Value, Exception> {
        use Operation as O;
        let caller = Caller {
            account_id: self.identity.account_id().to_owned(),
            arn: self.principal.arn().to_owned(),
            request_id: self.request_id.to_owned(),
        };
        match operation {
            O::CreateApplication => {
                let request: CreateApplicationRequest = typed(input)?;
                self.authorize(operation, None, request.tags.as_ref()).await?;
                answer(self.control.create_application(&caller, request).await?)
            }
            O::ListApplications => {
                self.authorize(operation, None, None).await?;
                let filter: ApplicationFilterInput = typed(input.clone())?;
                let (listing, page) = self.page(operation, input)?;
                let filter = ApplicationFilter { states: filter.states };
                self.listed("applications", &listing, self.control.list_applications(filter, page).await?)
            }
            O::UpdateApplication => {
                let request: UpdateApplicationRequest = typed(input)?;
                self.authorize_application(operation, &request.application_id, None).await?;
                let application = self.control.update_application(&caller, request).await?;
                answer(object!({ "application": application }))
            }
            O::GetApplication | O::StartApplication | O::StopApplication | O::DeleteApplication => {
                let id = typed::<ApplicationInput>(input)?.application_id;
                self.authorize_application(operation, &id, None).await?;
                match operation {
                    O::StartApplication => self.control.start_application(&caller, &id).await?,
                    O::StopApplication => self.control.stop_application(&caller, &id).await?,
                    O::DeleteApplication => self.control.delete_application(&caller, &id).await?,
                    _ => return answer(object!({ "application": self.control.get_application(&id).await? })),
                }
                answer(object!({}))
            }
            O::StartJobRun => {
                let request: StartJobRunRequest = typed(input)?;
                self.authorize_application(operation, &request.application_id, request.tags.as_ref()).await?;
                self.authorize_pass_role(&request.execution_role_arn)?;
                answer(self.control.start_job_run(&caller, request).await?)
            }
            O::ListJobRuns => {
                let id = typed::<ApplicationInput>(input.clone())?.application_id;
                self.authorize_application(operation, &id, None).await?;
                let filter: JobRunFilterInput = typed(input.clone())?;
                let (listing, page) = self.page(operation, input)?;
                let filter = JobRunFilter {
                    states: filter.states,
                    created_at_after: filter.created_at_after,
                    created_at_before: filter.created_at_before,
                    mode: filter.mode,
                };
                self.listed("jobRuns", &listing, self.control.list_job_runs(&id, filter, page).await?)
            }
            O::GetJobRun | O::CancelJobRun | O::ListJobRunAttempts | O::GetDashboardForJobRun => {
                let of: JobRunInput = typed(input.clone())?;
                let (application, run) = (of.application_id, of.job_run_id);
                let resource = TaggedResource::JobRun(application.clone(), run.clone());
                self.authorize(operation, Some(&resource), None).await?;
                match operation {
                    O::CancelJobRun => {
                        let grace = of.shutdown_grace_period_in_seconds.map(u32::try_from).transpose();
                        let grace = grace.map_err(|_| {
                            Exception::validation("shutdownGracePeriodInSeconds must not be negative.")
                        })?;
                        answer(self.control.cancel_job_run(&caller, &application, &run, grace).await?)
                    }
                    O::ListJobRunAttempts => {
                        let (listing, page) = self.page(operation, input)?;
                        let found = self.control.list_job_run_attempts(&application, &run, page).await?;
                        self.listed("jobRunAttempts", &listing, found)
                    }
                    O::GetDashboardForJobRun => {
                        let found = self.control.dashboard_of_job_run(&application, &run, of.attempt).await?;
                        let url = match found {
                            Dashboard::AtEndpoint(path) => format!("{}{path}", self.origin),
                            Dashboard::At(url) => url,
                        };
                        answer(object!({ "url": url }))
                    }
                    _ => {
                        let job_run = self.control.get_job_run(&application, &run, of.attempt).await?;
                        answer(object!({ "jobRun": job_run }))
                    }
                }
            }
            O::TagResource | O::UntagResource | O::ListTagsForResource => {
                let of: TagInput = typed(input)?;
                let resource = self.resource(&of.resource_arn)?;
                let requested = (operation == O::TagResource).then_some(&of.tags);
                self.authorize_with_keys(operation, Some(&resource), requested, &of.tag_keys).await?;
                match operation {
                    O::TagResource => self.control.tag(&caller, &resource, of.tags).await?,
                    O::UntagResource => self.control.untag(&caller, &resource, &of.tag_keys).await?,
                    _ => return answer(object!({ "tags": self.control.tags(&resource).await? })),
                }
                answer(object!({}))
            }
            O::StartSession
            | O::GetSession
            | O::ListSessions
            | O::TerminateSession
            | O::GetSessionEndpoint
            | O::GetResourceDashboard => self.carry_out_on_sessions(operation, input).await,
        }
    }

    /// The page asked for, and the name of the listing that its tokens are tied to: operation, scope and filter.
    pub(super) fn page(&self, operation: Operation, mut input: Value) -> Result<(String, Page), Exception> {
        let page: PageInput = typed(input.clone())?;
        if let Value::Object(members) = &mut input {
            members.remove("nextToken");
            members.remove("maxResults");
        }
        // The same filter, however it is written.
        input.sort_all_objects();
        if let Some(Value::Array(states)) = input.get_mut("states") {
            states.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
            states.dedup();
        }
        let listing = format!("{} {input}", operation.name());
        let after = match page.next_token {
            None => None,
            Some(token) => Some(self.page_tokens.unwrap(&listing, &token).ok_or_else(|| {
                Exception::validation("The nextToken is not valid for this listing and its filters.")
            })?),
        };
        let limit = page.max_results.unwrap_or(PAGE_LIMIT).min(PAGE_LIMIT);
        Ok((listing, Page { limit, after }))
    }

    /// The answer that holds a page.
    fn listed<T: Serialize>(
        &self,
        member: &str,
        listing: &str,
        found: Listing<T>,
    ) -> Result<Value, Exception> {
        let mut body = object!({ member: found.items });
        if let Some(next) = found.next {
            body["nextToken"] = Value::String(self.page_tokens.wrap(listing, &next));
        }
        Ok(body)
    }

    pub(super) async fn authorize_application(
        &self,
        operation: Operation,
        id: &ApplicationId,
        requested: Option<&BTreeMap<String, String>>,
    ) -> Result<(), Exception> {
        self.authorize(operation, Some(&TaggedResource::Application(id.clone())), requested).await
    }

    async fn authorize(
        &self,
        operation: Operation,
        resource: Option<&TaggedResource>,
        requested: Option<&BTreeMap<String, String>>,
    ) -> Result<(), Exception> {
        self.authorize_with_keys(operation, resource, requested, &BTreeSet::new()).await
    }

    /// Asks whether the caller may. Tags are known to policies under the global keys and under the service's own, which
    /// the reference guide uses (guide:8012).
    async fn authorize_with_keys(
        &self,
        operation: Operation,
        resource: Option<&TaggedResource>,
        requested: Option<&BTreeMap<String, String>>,
        keys: &BTreeSet<String>,
    ) -> Result<(), Exception> {
        let mut context = self.context.clone();
        for (key, value) in requested.into_iter().flatten() {
            context.set(&format!("aws:RequestTag/{key}"), value);
            context.set(&format!("emr-serverless:RequestTag/{key}"), value);
        }
        let named = requested.into_iter().flatten().map(|(key, _)| key).chain(keys);
        context.set_all("aws:TagKeys", named.cloned());
        let (action, arn) = (format!("emr-serverless:{}", operation.name()), self.arn(resource));
        if let Some(judged) = self.identity.authorize_without_tags(self.principal, &action, &arn, &context) {
            return Ok(judged?);
        }
        if let Some(resource) = resource {
            // A resource that does not exist has no tags; the control plane says so after the policies had their say.
            let tags = self.control.tags(resource).await.unwrap_or_default();
            context.describe_resource("emr-serverless", &tags);
        }
        Ok(self.identity.authorize(self.principal, &action, &arn, &context)?)
    }

    /// Asks whether the caller may hand a role to the service. Nobody may with a role of another account.
    pub(super) fn authorize_pass_role(&self, role_arn: &str) -> Result<(), Exception> {
        if role_arn.split(':').nth(4) != Some(self.identity.account_id()) {
            return Err(Exception::access_denied("Cross-account pass role is not allowed."));
        }
        let context = self.context.clone().with("iam:PassedToService", "emr-serverless.amazonaws.com");
        Ok(self.identity.authorize(self.principal, "iam:PassRole", role_arn, &context)?)
    }

    pub(super) fn arn(&self, resource: Option<&TaggedResource>) -> String {
        let account = format!("arn:aws:emr-serverless:{}:{}:", self.region, self.identity.account_id());
        match resource {
            None => format!("{account}/*"),
            Some(TaggedResource::Application(id)) => format!("{account}/applications/{id}"),
            Some(TaggedResource::JobRun(id, run)) => format!("{account}/applications/{id}/jobruns/{run}"),
        }
    }

    /// Reads an ARN of ours.
    fn resource(&self, arn: &str) -> Result<TaggedResource, Exception> {
        let missing = || Exception::not_found(format!("Resource {arn} does not exist"));
        let prefix = format!("{}/applications/", self.arn(None).trim_end_matches("/*"));
        let ids = arn.strip_prefix(&prefix).ok_or_else(missing)?;
        let application = |id: &str| ApplicationId::new(id).map_err(|_| missing());
        match ids.split_once("/jobruns/") {
            None => Ok(TaggedResource::Application(application(ids)?)),
            Some((id, run)) => {
                Ok(TaggedResource::JobRun(application(id)?, JobRunId::new(run).map_err(|_| missing())?))
            }
        }
    }
}

/// Turns checked members into their structure. A constraint that the model states and a type does not hold (or the other
/// way round) shows here.
pub(super) fn typed<T: DeserializeOwned>(input: Value) -> Result<T, Exception> {
    serde_json::from_value(input).map_err(|error| Exception::serialization(error.to_string()))
}

fn answer(body: impl Serialize) -> Result<Value, Exception> {
    Ok(serde_json::to_value(body).expect("wire structures are JSON"))
}
