//! Job runs: accepting, showing, listing, cancelling.

use super::applications::unexpected_reply;
use super::launching::{Basis, Launching, core_mode, launching};
use super::refusals::{in_service_words, no_job_run};
use super::{Control, paging, settings, tags};
use hearth_api::emr::control_plane::{Caller, ControlError, JobRunFilter, Listing, Page, TaggedResource};
use hearth_api::emr::wire;
use hearth_coordinator_core::command::{Change, ClientToken, Command, Refusal, Reply};
use hearth_coordinator_core::job_run::CancelCause;
use hearth_coordinator_core::rules::job_terms::timeout_minutes;
use hearth_coordinator_core::telling;
use hearth_engine::{EngineError, fresh_job_run_id, now};
use hearth_identity::{Context, IdentityPolicy, Role, ServiceRefused};
use hearth_store::{JobRunRecord, RunFilter};
use hearth_types::{ApplicationId, ApplicationState, JobRunId, JobRunState, ReleaseLabel, Timestamp};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Who a runtime role must trust.
const SERVICE: &str = "emr-serverless.amazonaws.com";
/// How long a driver may take to end by itself unless the request says otherwise.
const DEFAULT_GRACE: Duration = Duration::from_secs(5);

impl Control {
    pub(super) async fn start_job_run(
        &self,
        caller: &Caller,
        request: wire::StartJobRunRequest,
    ) -> Result<wire::StartJobRunResponse, ControlError> {
        let application_id = request.application_id.clone();
        let application = super::applications::view(self.application_record(&application_id).await?)?;
        if application.state == ApplicationState::Terminated {
            return Err(super::refusals::no_application(&application_id));
        }
        let token = ClientToken {
            scope: application_id.to_string(),
            token: request.client_token.clone(),
            digest: request.payload_digest(),
        };
        let id = fresh_job_run_id();
        let spec = match self.examined(&id, &request, &application) {
            Ok((role, Launching { mut spec, inputs })) => {
                spec.doubts = self.doubts(&id, &role, &spec, &inputs).await;
                Arc::new(spec)
            }
            // What was accepted once is answered again, whatever has become of its role since.
            Err(refused) => match self.made_before(&token).await? {
                Some(id) => return Ok(self.started(application_id, id)),
                None => return Err(refused),
            },
        };
        let document = self.new_job_run(id.clone(), caller, &application, request)?;
        let document = serde_json::to_value(&document).map_err(ControlError::internal)?;
        let command = Command::StartJobRun { id, application: application_id.clone(), spec, document, token };
        match self.engine.ask(command).await.map_err(in_service_words)? {
            Reply::JobRun(id) => Ok(self.started(application_id, id)),
            Reply::Done | Reply::Application(_) => Err(unexpected_reply()),
        }
    }

    fn started(&self, application_id: ApplicationId, job_run_id: JobRunId) -> wire::StartJobRunResponse {
        let arn = self.site.job_run_arn(&application_id, &job_run_id);
        wire::StartJobRunResponse { application_id, job_run_id, arn }
    }

    /// The job run that the same request made earlier, if it did.
    async fn made_before(&self, token: &ClientToken) -> Result<Option<JobRunId>, ControlError> {
        let uses = self.store.token_uses(&[token]).await.map_err(ControlError::internal)?;
        Ok(uses.into_iter().find_map(|change| {
            let Change::Token { token: used, resource } = change else { return None };
            JobRunId::new(resource).ok().filter(|_| used.digest == token.digest)
        }))
    }

    /// The role of a job run and what will be launched, or everything that is wrong with the request.
    fn examined(
        &self,
        id: &JobRunId,
        request: &wire::StartJobRunRequest,
        application: &wire::Application,
    ) -> Result<(Role, Launching), ControlError> {
        let mut faults = Vec::new();
        let role = self.check_role(&request.execution_role_arn, &request.application_id);
        let role = role.map_err(|fault| faults.push(fault)).ok();
        if let Err(fault) = tags::check(request.tags.as_ref().unwrap_or(&BTreeMap::new())) {
            faults.push(fault.to_string());
        }
        faults.extend(self.faults_of_session_policies(request.execution_iam_policy.as_ref()));
        if let Err(fault) = self.check_release(&application.release_label) {
            faults.push(fault.to_string());
        }
        let release = ReleaseLabel::new(&application.release_label).map_err(ControlError::internal)?;
        let basis = Basis { application, release, region: &self.site.region };
        let launching = launching(id, request, &basis).map_err(|found| faults.extend(found)).ok();
        settings::refuse(&faults)?;
        role.zip(launching).ok_or_else(|| ControlError::internal("a request is faulty and no fault is known"))
    }

    /// A policy that cannot be read would fail the job when it is to be started, and one that does not exist would leave
    /// it no rights at all.
    fn faults_of_session_policies(&self, policies: Option<&wire::JobRunExecutionIamPolicy>) -> Vec<String> {
        let Some(policies) = policies else { return Vec::new() };
        let text = policies.policy.iter().filter_map(|text| IdentityPolicy::parse(text.clone()).err());
        let unreadable = text.map(|error| format!("executionIamPolicy.policy cannot be read: {error}."));
        let arns = policies.policy_arns.iter().flatten();
        let missing = arns.filter(|arn| self.identity.managed_policy(arn).is_err()).map(|arn| {
            format!("executionIamPolicy.policyArns names {arn}, which is no managed policy here.")
        });
        unreadable.chain(missing).collect()
    }

    /// A role that cannot be assumed would fail the job minutes later. Its trust policy may name the applications that it
    /// is for (`aws:SourceArn`), so that the service is not made to use it for others.
    fn check_role(&self, arn: &str, application: &ApplicationId) -> Result<Role, String> {
        let context = Context::new()
            .with("aws:SourceAccount", self.identity.account_id())
            .with("aws:SourceArn", self.site.application_arn(application));
        let checked = self.identity.can_assume_as_service(arn, SERVICE, &context);
        checked.map_err(|refused| match refused {
            ServiceRefused::NoSuchRole => format!("executionRoleArn {arn} does not exist."),
            ServiceRefused::NotTrusted => format!(
                "executionRoleArn {arn} cannot be assumed: its trust policy does not allow {SERVICE} to sts:AssumeRole."
            ),
        })
    }

    fn new_job_run(
        &self,
        id: JobRunId,
        caller: &Caller,
        application: &wire::Application,
        request: wire::StartJobRunRequest,
    ) -> Result<wire::JobRun, ControlError> {
        let at = now();
        let job_driver = request
            .job_driver
            .ok_or_else(|| ControlError::Validation { message: "jobDriver must be given.".to_owned() })?;
        Ok(wire::JobRun {
            arn: self.site.job_run_arn(&request.application_id, &id),
            application_id: request.application_id,
            job_run_id: id,
            name: request.name,
            created_by: caller.arn.clone(),
            created_at: at,
            updated_at: at,
            execution_role: request.execution_role_arn,
            execution_iam_policy: request.execution_iam_policy,
            state: JobRunState::Submitted,
            state_details: String::new(),
            release_label: application.release_label.clone(),
            configuration_overrides: request.configuration_overrides,
            job_driver,
            tags: Some(request.tags.unwrap_or_default()),
            total_resource_utilization: None,
            network_configuration: application.network_configuration.clone(),
            total_execution_duration_seconds: None,
            execution_timeout_minutes: Some(timeout_minutes(
                core_mode(request.mode),
                request.execution_timeout_minutes,
            )),
            billed_resource_utilization: None,
            mode: Some(request.mode.unwrap_or_default()),
            retry_policy: request.retry_policy,
            flex_execution: request.flex_execution,
            attempt: None,
            attempt_created_at: None,
            attempt_updated_at: None,
            started_at: None,
            ended_at: None,
            queued_duration_milliseconds: None,
        })
    }

    pub(super) async fn show_job_run(
        &self,
        application: &ApplicationId,
        id: &JobRunId,
        attempt: Option<u32>,
    ) -> Result<wire::JobRun, ControlError> {
        let found = self.store.job_run(id).await.map_err(ControlError::internal)?;
        let record =
            found.filter(|record| record.run.application == *application).ok_or_else(|| no_job_run(id))?;
        let attempt = existing_attempt(id, attempt, &record.run.remembered_attempts())?;
        let mut run = self.view(record, attempt)?;
        let resource = TaggedResource::JobRun(application.clone(), id.clone());
        self.lay_over_tags(resource, &mut run.tags).await?;
        Ok(run)
    }

    pub(super) async fn list_job_runs(
        &self,
        application: &ApplicationId,
        filter: JobRunFilter,
        page: Page,
    ) -> Result<Listing<wire::JobRunSummary>, ControlError> {
        self.application_record(application).await?;
        let after = paging::cursor(&page)?;
        let mode = filter.mode.map(|mode| match mode {
            wire::JobRunMode::Batch => "BATCH".to_owned(),
            wire::JobRunMode::Streaming => "STREAMING".to_owned(),
        });
        let filter = RunFilter {
            states: filter.states,
            created_after: filter.created_at_after,
            created_before: filter.created_at_before,
            mode,
        };
        let records = self
            .store
            .job_runs(application, &filter, after.as_ref(), paging::one_more(page.limit))
            .await
            .map_err(ControlError::internal)?;
        let (records, next) =
            paging::cut(records, page.limit, |record| (record.run.created_at, record.run.id.to_string()));
        let latest = |record: JobRunRecord| {
            let attempt = record.run.launch.attempt;
            self.view(record, attempt).map(summary)
        };
        let items = records.into_iter().map(latest).collect::<Result<_, _>>()?;
        Ok(Listing { items, next })
    }

    pub(super) async fn list_attempts(
        &self,
        application: &ApplicationId,
        id: &JobRunId,
        page: Page,
    ) -> Result<Listing<wire::JobRunAttemptSummary>, ControlError> {
        let found = self.store.job_run(id).await.map_err(ControlError::internal)?;
        let record =
            found.filter(|record| record.run.application == *application).ok_or_else(|| no_job_run(id))?;
        let (attempts, next) = paging::attempts(record.run.remembered_attempts(), &page)?;
        let items =
            attempts.into_iter().map(|attempt| self.view(record.clone(), attempt).map(attempt_summary));
        Ok(Listing { items: items.collect::<Result<_, _>>()?, next })
    }

    /// A job run as it is shown, as of one attempt.
    fn view(&self, mut record: JobRunRecord, attempt: u32) -> Result<wire::JobRun, ControlError> {
        let (world, now) = (self.engine.snapshot(), self.engine.clock().now());
        record.run.details = telling::details(&world, &record.run, now);
        overlaid(record, attempt, now.at)
    }

    pub(super) async fn cancel_job_run(
        &self,
        application: &ApplicationId,
        id: &JobRunId,
        grace_seconds: Option<u32>,
    ) -> Result<wire::CancelJobRunResponse, ControlError> {
        let command = Command::CancelJobRun {
            application: application.clone(),
            run: id.clone(),
            cause: CancelCause::Requested,
            grace: grace_seconds.map_or(DEFAULT_GRACE, |seconds| Duration::from_secs(u64::from(seconds))),
        };
        match self.engine.ask(command).await {
            Ok(_) => {}
            Err(EngineError::Refused(Refusal::NoActiveJobRun(_))) => {
                let run = self.show_job_run(application, id, None).await?;
                let message = format!("Job run {id} is in state {} and cannot be cancelled.", run.state);
                return Err(ControlError::Validation { message });
            }
            Err(error) => return Err(in_service_words(error)),
        }
        Ok(wire::CancelJobRunResponse { application_id: application.clone(), job_run_id: id.clone() })
    }
}

/// The attempt named, or the latest of these.
pub(super) fn existing_attempt(
    id: &JobRunId,
    attempt: Option<u32>,
    known: &RangeInclusive<u32>,
) -> Result<u32, ControlError> {
    match attempt {
        None => Ok(*known.end()),
        Some(attempt) if known.contains(&attempt) => Ok(attempt),
        Some(attempt) => {
            let why = match attempt < *known.start() {
                true => format!("is not remembered any more; the first one that is: {}", known.start()),
                false => "does not exist".to_owned(),
            };
            Err(ControlError::NotFound { message: format!("Attempt {attempt} of job run {id} {why}.") })
        }
    }
}

/// Characters that `stateDetails` may have (service model: `String256`).
const DETAILS: usize = 256;

/// Details as the model allows them: one line, cut; stack traces are in the logs.
fn in_one_line(details: &str) -> String {
    let line = details.lines().next().unwrap_or_default();
    if line.chars().count() <= DETAILS {
        return line.to_owned();
    }
    line.chars().take(DETAILS - 1).chain(['…']).collect()
}

/// The stored document with what changed since laid over it, as of one attempt (guide:3257).
fn overlaid(record: JobRunRecord, attempt: u32, now: Timestamp) -> Result<wire::JobRun, ControlError> {
    let mut document: wire::JobRun = record.document.read().map_err(ControlError::internal)?;
    let run = record.run;
    document.attempt = Some(attempt);
    document.created_at = run.created_at;
    document.updated_at = run.updated_at;
    if let Some(failed) = run.failed_attempts.iter().find(|failed| failed.attempt == attempt) {
        document.state = JobRunState::Failed;
        document.state_details = in_one_line(&failed.details);
        document.attempt_created_at = Some(failed.created_at);
        document.attempt_updated_at = Some(failed.ended_at);
        document.started_at = failed.started_at;
        document.ended_at = Some(failed.ended_at);
    } else {
        document.state = run.state();
        document.state_details = in_one_line(&run.details);
        document.attempt_created_at = Some(run.attempt_created_at());
        document.attempt_updated_at = Some(run.updated_at);
        document.started_at = match run.failed_attempts.is_empty() {
            true => run.started_at,
            false => run.attempt_started_at,
        };
        document.ended_at = run.ended_at;
    }
    document.queued_duration_milliseconds = Some(run.queueing.total(now))
        .filter(|queued| !queued.is_zero())
        .map(|queued| i64::try_from(queued.as_millis()).unwrap_or(i64::MAX));
    document.total_execution_duration_seconds = document
        .started_at
        .zip(document.ended_at)
        .map(|(started, ended)| i32::try_from(ended.since(started).as_secs()).unwrap_or(i32::MAX));
    Ok(document)
}

fn summary(run: wire::JobRun) -> wire::JobRunSummary {
    wire::JobRunSummary {
        application_id: run.application_id,
        id: run.job_run_id,
        name: run.name,
        mode: run.mode,
        arn: run.arn,
        created_by: run.created_by,
        created_at: run.created_at,
        updated_at: run.updated_at,
        execution_role: run.execution_role,
        state: run.state,
        state_details: run.state_details,
        release_label: run.release_label,
        engine_type: Some("SPARK".to_owned()),
        attempt: run.attempt,
        attempt_created_at: run.attempt_created_at,
        attempt_updated_at: run.attempt_updated_at,
        flex_execution: run.flex_execution,
    }
}

fn attempt_summary(run: wire::JobRun) -> wire::JobRunAttemptSummary {
    wire::JobRunAttemptSummary {
        application_id: run.application_id,
        id: run.job_run_id,
        name: run.name,
        mode: run.mode,
        arn: run.arn,
        created_by: run.created_by,
        job_created_at: run.created_at,
        created_at: run.attempt_created_at.unwrap_or(run.created_at),
        updated_at: run.attempt_updated_at.unwrap_or(run.updated_at),
        execution_role: run.execution_role,
        state: run.state,
        state_details: run.state_details,
        release_label: run.release_label,
        engine_type: Some("SPARK".to_owned()),
        attempt: run.attempt,
        flex_execution: run.flex_execution,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_one_line_within_the_models_limit() {
        assert_eq!(in_one_line("Job failed: X\n\tat y"), "Job failed: X");
        let long = in_one_line(&"ä".repeat(1000));
        assert_eq!(long.chars().count(), DETAILS);
        assert!(long.ends_with('…'));
    }
}
