//! The service model's structures, member by member, as they travel and as they are stored.
//!
//! Names on the wire are the model's to the letter; absent members are not written. Requests that arrive here were
//! checked against the model's constraints by [`super::constraints`]; rules beyond the model (worker sizes, states,
//! quotas) are the control plane's.

mod application;
mod capacity;
mod configuration;
pub mod epoch_seconds;
mod job_run;
mod payload;

pub use application::{
    Application, ApplicationSummary, AutoStartConfig, AutoStopConfig, CreateApplicationRequest,
    CreateApplicationResponse, IdentityCenterConfiguration, IdentityCenterConfigurationInput,
    InteractiveConfiguration, JobLevelCostAllocationConfiguration, SchedulerConfiguration,
    UpdateApplicationRequest,
};
pub use capacity::{
    ImageConfiguration, ImageConfigurationInput, InitialCapacityConfig, MaximumAllowedResources,
    NetworkConfiguration, WorkerResourceConfig, WorkerTypeSpecification, WorkerTypeSpecificationInput,
};
pub use configuration::{
    CloudWatchLoggingConfiguration, Configuration, ConfigurationOverrides, DiskEncryptionConfiguration,
    ManagedPersistenceMonitoringConfiguration, MonitoringConfiguration, PrometheusMonitoringConfiguration,
    S3MonitoringConfiguration,
};
pub use job_run::{
    CancelJobRunResponse, FlexExecution, Hive, JobDriver, JobRun, JobRunAttemptSummary,
    JobRunExecutionIamPolicy, JobRunMode, JobRunSummary, ResourceUtilization, RetryPolicy, SparkSubmit,
    StartJobRunRequest, StartJobRunResponse, TotalResourceUtilization,
};
