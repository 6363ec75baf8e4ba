//! Job runs on the wire.

use super::capacity::NetworkConfiguration;
use super::configuration::ConfigurationOverrides;
use super::epoch_seconds;
use hearth_types::{ApplicationId, JobRunId, JobRunState, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What `StartJobRun` is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartJobRunRequest {
    /// The application.
    pub application_id: ApplicationId,
    /// Idempotency token; at most one resource comes of it.
    pub client_token: String,
    /// Runtime role.
    pub execution_role_arn: String,
    /// What narrows the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_iam_policy: Option<JobRunExecutionIamPolicy>,
    /// What runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_driver: Option<JobDriver>,
    /// Overrides of the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration_overrides: Option<ConfigurationOverrides>,
    /// Tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// Minutes after which it is cancelled, 0 for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_timeout_minutes: Option<u64>,
    /// Name given by the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Batch or streaming.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<JobRunMode>,
    /// Retries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Whether it asked for flexible capacity; all capacity is alike here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flex_execution: Option<FlexExecution>,
}

/// What `StartJobRun` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartJobRunResponse {
    /// The application.
    pub application_id: ApplicationId,
    /// The job run.
    pub job_run_id: JobRunId,
    /// Amazon Resource Name.
    pub arn: String,
}

/// What `CancelJobRun` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelJobRunResponse {
    /// The application.
    pub application_id: ApplicationId,
    /// The job run.
    pub job_run_id: JobRunId,
}

/// A job run, or one attempt of it, as `GetJobRun` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRun {
    /// The application.
    pub application_id: ApplicationId,
    /// The job run.
    pub job_run_id: JobRunId,
    /// Name given by the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Amazon Resource Name.
    pub arn: String,
    /// ARN of who submitted it.
    pub created_by: String,
    /// When it was created.
    #[serde(with = "epoch_seconds")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(with = "epoch_seconds")]
    pub updated_at: Timestamp,
    /// Runtime role.
    pub execution_role: String,
    /// What narrows the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_iam_policy: Option<JobRunExecutionIamPolicy>,
    /// State.
    pub state: JobRunState,
    /// Why it is in this state.
    pub state_details: String,
    /// Release such as `emr-7.6.0`.
    pub release_label: String,
    /// Overrides of the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration_overrides: Option<ConfigurationOverrides>,
    /// What runs.
    pub job_driver: JobDriver,
    /// Tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// Resources used, once ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_resource_utilization: Option<TotalResourceUtilization>,
    /// Network attachments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_configuration: Option<NetworkConfiguration>,
    /// Seconds from start to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_execution_duration_seconds: Option<i32>,
    /// Minutes after which it is cancelled, 0 for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_timeout_minutes: Option<u64>,
    /// Resources billed, once ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billed_resource_utilization: Option<ResourceUtilization>,
    /// Batch or streaming.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<JobRunMode>,
    /// Retries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Attempt, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// When the attempt was created.
    #[serde(default, with = "epoch_seconds::optional", skip_serializing_if = "Option::is_none")]
    pub attempt_created_at: Option<Timestamp>,
    /// When the attempt last changed.
    #[serde(default, with = "epoch_seconds::optional", skip_serializing_if = "Option::is_none")]
    pub attempt_updated_at: Option<Timestamp>,
    /// When it started running.
    #[serde(default, with = "epoch_seconds::optional", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it reached a final state.
    #[serde(default, with = "epoch_seconds::optional", skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Milliseconds spent waiting in the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued_duration_milliseconds: Option<i64>,
    /// Whether it asked for flexible capacity; all capacity is alike here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flex_execution: Option<FlexExecution>,
}

/// A job run as `ListJobRuns` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRunSummary {
    /// The application.
    pub application_id: ApplicationId,
    /// Identifier.
    pub id: JobRunId,
    /// Name given by the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Batch or streaming.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<JobRunMode>,
    /// Amazon Resource Name.
    pub arn: String,
    /// ARN of who submitted it.
    pub created_by: String,
    /// When it was created.
    #[serde(with = "epoch_seconds")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(with = "epoch_seconds")]
    pub updated_at: Timestamp,
    /// Runtime role.
    pub execution_role: String,
    /// State.
    pub state: JobRunState,
    /// Why it is in this state.
    pub state_details: String,
    /// Release such as `emr-7.6.0`.
    pub release_label: String,
    /// What drives it, `SPARK` or `HIVE`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub engine_type: Option<String>,
    /// Attempt, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// When the attempt was created.
    #[serde(default, with = "epoch_seconds::optional", skip_serializing_if = "Option::is_none")]
    pub attempt_created_at: Option<Timestamp>,
    /// When the attempt last changed.
    #[serde(default, with = "epoch_seconds::optional", skip_serializing_if = "Option::is_none")]
    pub attempt_updated_at: Option<Timestamp>,
    /// Whether it asked for flexible capacity; all capacity is alike here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flex_execution: Option<FlexExecution>,
}

/// One attempt as `ListJobRunAttempts` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRunAttemptSummary {
    /// The application.
    pub application_id: ApplicationId,
    /// Identifier.
    pub id: JobRunId,
    /// Name given by the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Batch or streaming.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<JobRunMode>,
    /// Amazon Resource Name.
    pub arn: String,
    /// ARN of who submitted it.
    pub created_by: String,
    /// When the job run was created.
    #[serde(with = "epoch_seconds")]
    pub job_created_at: Timestamp,
    /// When it was created.
    #[serde(with = "epoch_seconds")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(with = "epoch_seconds")]
    pub updated_at: Timestamp,
    /// Runtime role.
    pub execution_role: String,
    /// State.
    pub state: JobRunState,
    /// Why it is in this state.
    pub state_details: String,
    /// Release such as `emr-7.6.0`.
    pub release_label: String,
    /// What drives it, `SPARK` or `HIVE`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub engine_type: Option<String>,
    /// Attempt, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Whether it asked for flexible capacity; all capacity is alike here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flex_execution: Option<FlexExecution>,
}

/// What runs: a union on the wire, an object with exactly one member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobDriver {
    /// A Spark job.
    SparkSubmit(SparkSubmit),
    /// A Hive query.
    Hive(Hive),
}

/// A Spark job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SparkSubmit {
    /// Script, jar or SQL file.
    pub entry_point: String,
    /// Arguments of the entry point, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_point_arguments: Option<Vec<String>>,
    /// Parameters in `spark-submit` form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spark_submit_parameters: Option<String>,
}

/// A Hive query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hive {
    /// The query, or the file that holds it.
    pub query: String,
    /// File run before the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_query_file: Option<String>,
    /// Parameters in `hive` CLI form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<String>,
}

/// What narrows the runtime role for this job run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobRunExecutionIamPolicy {
    /// Policy document (JSON text).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Managed policies, at most 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_arns: Option<Vec<String>>,
}

/// How often a job run is tried.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    /// Attempts in all, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Failed attempts an hour, streaming only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_failed_attempts_per_hour: Option<u32>,
}

/// Whether a job run asks for flexible capacity.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlexExecution {
    /// Whether it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Resources used, aggregated over workers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TotalResourceUtilization {
    /// vCPU hours.
    #[serde(rename = "vCPUHour", skip_serializing_if = "Option::is_none")]
    pub vcpu_hour: Option<f64>,
    /// Memory in GB hours.
    #[serde(rename = "memoryGBHour", skip_serializing_if = "Option::is_none")]
    pub memory_gb_hour: Option<f64>,
    /// Storage in GB hours.
    #[serde(rename = "storageGBHour", skip_serializing_if = "Option::is_none")]
    pub storage_gb_hour: Option<f64>,
}

/// Resources billed: aggregated over workers, rounded up as the guide states.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceUtilization {
    /// vCPU hours.
    #[serde(rename = "vCPUHour", skip_serializing_if = "Option::is_none")]
    pub vcpu_hour: Option<f64>,
    /// Memory in GB hours.
    #[serde(rename = "memoryGBHour", skip_serializing_if = "Option::is_none")]
    pub memory_gb_hour: Option<f64>,
    /// Storage in GB hours.
    #[serde(rename = "storageGBHour", skip_serializing_if = "Option::is_none")]
    pub storage_gb_hour: Option<f64>,
}

/// How a job run is meant to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum JobRunMode {
    /// Ends by itself.
    #[default]
    Batch,
    /// Runs until cancelled; retried by failures an hour.
    Streaming,
}
