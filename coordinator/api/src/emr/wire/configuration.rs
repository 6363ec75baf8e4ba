//! Configurations, logs and encryption on the wire.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One classification with its properties, and nested ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// Which file or component it configures, such as `spark-defaults`.
    pub classification: String,
    /// Properties; the values are sensitive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<BTreeMap<String, String>>,
    /// Nested configurations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configurations: Option<Vec<Configuration>>,
}

/// What a job run overrides of its application.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationOverrides {
    /// Configurations, at most 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_configuration: Option<Vec<Configuration>>,
    /// Where logs and metrics go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitoring_configuration: Option<MonitoringConfiguration>,
    /// Disk encryption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_encryption_configuration: Option<DiskEncryptionConfiguration>,
}

/// Where logs and metrics go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MonitoringConfiguration {
    /// Object store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_monitoring_configuration: Option<S3MonitoringConfiguration>,
    /// Managed storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_persistence_monitoring_configuration: Option<ManagedPersistenceMonitoringConfiguration>,
    /// CloudWatch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_watch_logging_configuration: Option<CloudWatchLoggingConfiguration>,
    /// Prometheus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus_monitoring_configuration: Option<PrometheusMonitoringConfiguration>,
}

/// Logs to an object store location.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3MonitoringConfiguration {
    /// Prefix of the logs, `s3://bucket/prefix/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_uri: Option<String>,
    /// Key that encrypts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_key_arn: Option<String>,
}

/// Logs kept by the service itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedPersistenceMonitoringConfiguration {
    /// Whether it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Key that encrypts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_key_arn: Option<String>,
}

/// Logs to a CloudWatch log group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchLoggingConfiguration {
    /// Whether it is on.
    pub enabled: bool,
    /// Log group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_group_name: Option<String>,
    /// Prefix of the log streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_stream_name_prefix: Option<String>,
    /// Key that encrypts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_key_arn: Option<String>,
    /// Kinds of log by kind of worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_types: Option<BTreeMap<String, Vec<String>>>,
}

/// Metrics to a Prometheus remote-write address.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusMonitoringConfiguration {
    /// Remote-write address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_write_url: Option<String>,
}

/// Encryption of the workers' disks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskEncryptionConfiguration {
    /// Context the key is used with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_context: Option<BTreeMap<String, String>>,
    /// Key that encrypts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_key_arn: Option<String>,
}
