//! Applications on the wire.

use super::capacity::{
    ImageConfiguration, ImageConfigurationInput, InitialCapacityConfig, MaximumAllowedResources,
    NetworkConfiguration, WorkerTypeSpecification, WorkerTypeSpecificationInput,
};
use super::configuration::{Configuration, DiskEncryptionConfiguration, MonitoringConfiguration};
use super::epoch_seconds;
use hearth_types::{ApplicationId, ApplicationState, Architecture, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An application as `GetApplication` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// The application.
    pub application_id: ApplicationId,
    /// Name given by the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Amazon Resource Name.
    pub arn: String,
    /// Release such as `emr-7.6.0`.
    pub release_label: String,
    /// Engine, `Spark` or `Hive`.
    #[serde(rename = "type")]
    pub engine_type: String,
    /// State.
    pub state: ApplicationState,
    /// Why it is in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_details: Option<String>,
    /// Workers kept ready, by kind such as `DRIVER` and `EXECUTOR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_capacity: Option<BTreeMap<String, InitialCapacityConfig>>,
    /// Ceiling over all workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_capacity: Option<MaximumAllowedResources>,
    /// When it was created.
    #[serde(with = "epoch_seconds")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(with = "epoch_seconds")]
    pub updated_at: Timestamp,
    /// Tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// Automatic start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_start_configuration: Option<AutoStartConfig>,
    /// Automatic stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_stop_configuration: Option<AutoStopConfig>,
    /// Network attachments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_configuration: Option<NetworkConfiguration>,
    /// Processor architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// Image of all workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_configuration: Option<ImageConfiguration>,
    /// What differs by kind of worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_type_specifications: Option<BTreeMap<String, WorkerTypeSpecification>>,
    /// Configurations every job run starts from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_configuration: Option<Vec<Configuration>>,
    /// Where logs and metrics go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitoring_configuration: Option<MonitoringConfiguration>,
    /// Disk encryption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_encryption_configuration: Option<DiskEncryptionConfiguration>,
    /// Interactive endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interactive_configuration: Option<InteractiveConfiguration>,
    /// Queueing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler_configuration: Option<SchedulerConfiguration>,
    /// Trusted identity propagation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_center_configuration: Option<IdentityCenterConfiguration>,
    /// Cost per job run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_level_cost_allocation_configuration: Option<JobLevelCostAllocationConfiguration>,
}

/// An application as `ListApplications` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSummary {
    /// Identifier.
    pub id: ApplicationId,
    /// Name given by the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Amazon Resource Name.
    pub arn: String,
    /// Release such as `emr-7.6.0`.
    pub release_label: String,
    /// Engine, `Spark` or `Hive`.
    #[serde(rename = "type")]
    pub engine_type: String,
    /// State.
    pub state: ApplicationState,
    /// Why it is in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_details: Option<String>,
    /// When it was created.
    #[serde(with = "epoch_seconds")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[serde(with = "epoch_seconds")]
    pub updated_at: Timestamp,
    /// Processor architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
}

/// What `CreateApplication` is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateApplicationRequest {
    /// Name given by the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Release such as `emr-7.6.0`.
    pub release_label: String,
    /// Engine, `Spark` or `Hive`.
    #[serde(rename = "type")]
    pub engine_type: String,
    /// Idempotency token; at most one resource comes of it.
    pub client_token: String,
    /// Workers kept ready, by kind such as `DRIVER` and `EXECUTOR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_capacity: Option<BTreeMap<String, InitialCapacityConfig>>,
    /// Ceiling over all workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_capacity: Option<MaximumAllowedResources>,
    /// Tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, String>>,
    /// Automatic start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_start_configuration: Option<AutoStartConfig>,
    /// Automatic stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_stop_configuration: Option<AutoStopConfig>,
    /// Network attachments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_configuration: Option<NetworkConfiguration>,
    /// Processor architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// Image of all workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_configuration: Option<ImageConfigurationInput>,
    /// What differs by kind of worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_type_specifications: Option<BTreeMap<String, WorkerTypeSpecificationInput>>,
    /// Configurations every job run starts from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_configuration: Option<Vec<Configuration>>,
    /// Where logs and metrics go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitoring_configuration: Option<MonitoringConfiguration>,
    /// Disk encryption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_encryption_configuration: Option<DiskEncryptionConfiguration>,
    /// Interactive endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interactive_configuration: Option<InteractiveConfiguration>,
    /// Queueing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler_configuration: Option<SchedulerConfiguration>,
    /// Trusted identity propagation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_center_configuration: Option<IdentityCenterConfigurationInput>,
    /// Cost per job run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_level_cost_allocation_configuration: Option<JobLevelCostAllocationConfiguration>,
}

/// What `CreateApplication` answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateApplicationResponse {
    /// The application.
    pub application_id: ApplicationId,
    /// Name given by the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Amazon Resource Name.
    pub arn: String,
}

/// What `UpdateApplication` is asked for: absent members stay as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateApplicationRequest {
    /// The application.
    pub application_id: ApplicationId,
    /// Idempotency token; at most one resource comes of it.
    pub client_token: String,
    /// Workers kept ready, by kind such as `DRIVER` and `EXECUTOR`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_capacity: Option<BTreeMap<String, InitialCapacityConfig>>,
    /// Ceiling over all workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_capacity: Option<MaximumAllowedResources>,
    /// Automatic start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_start_configuration: Option<AutoStartConfig>,
    /// Automatic stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_stop_configuration: Option<AutoStopConfig>,
    /// Network attachments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_configuration: Option<NetworkConfiguration>,
    /// Processor architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// Image of all workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_configuration: Option<ImageConfigurationInput>,
    /// What differs by kind of worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_type_specifications: Option<BTreeMap<String, WorkerTypeSpecificationInput>>,
    /// Interactive endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interactive_configuration: Option<InteractiveConfiguration>,
    /// Release such as `emr-7.6.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_label: Option<String>,
    /// Configurations every job run starts from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_configuration: Option<Vec<Configuration>>,
    /// Where logs and metrics go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitoring_configuration: Option<MonitoringConfiguration>,
    /// Disk encryption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_encryption_configuration: Option<DiskEncryptionConfiguration>,
    /// Queueing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler_configuration: Option<SchedulerConfiguration>,
    /// Trusted identity propagation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_center_configuration: Option<IdentityCenterConfigurationInput>,
    /// Cost per job run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_level_cost_allocation_configuration: Option<JobLevelCostAllocationConfiguration>,
}

/// Whether submitting a job starts the application (guide: default on).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoStartConfig {
    /// Whether it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Whether and when an idle application stops.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoStopConfig {
    /// Whether it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Idle minutes before the stop, 1 to 10080.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout_minutes: Option<u32>,
}

/// Which interactive endpoints the application offers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InteractiveConfiguration {
    /// Notebooks of the Studio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub studio_enabled: Option<bool>,
    /// The Livy endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub livy_endpoint_enabled: Option<bool>,
    /// Interactive sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_enabled: Option<bool>,
}

/// Queueing of job runs beyond what runs at one time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchedulerConfiguration {
    /// Minutes a job run may wait in the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_timeout_minutes: Option<i32>,
    /// Job runs that may run at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrent_runs: Option<i32>,
}

/// Trusted identity propagation, as resolved.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityCenterConfiguration {
    /// Identity Center instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_center_instance_arn: Option<String>,
    /// Identity Center application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_center_application_arn: Option<String>,
    /// Whether sessions outlive the user's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_background_sessions_enabled: Option<bool>,
}

/// Trusted identity propagation, as asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityCenterConfigurationInput {
    /// Identity Center instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_center_instance_arn: Option<String>,
    /// Whether sessions outlive the user's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_background_sessions_enabled: Option<bool>,
}

/// Whether cost is told per job run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobLevelCostAllocationConfiguration {
    /// Whether it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}
