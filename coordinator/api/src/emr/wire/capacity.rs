//! Sizes, images and networks of workers on the wire.

use serde::{Deserialize, Serialize};

/// Ceiling over everything the application may hold at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MaximumAllowedResources {
    /// vCPUs, as `4 vCPU`.
    pub cpu: String,
    /// Memory, as `16 GB`.
    pub memory: String,
    /// Disk, as `20 GB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<String>,
}

/// Size of one pre-initialized worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerResourceConfig {
    /// vCPUs, as `4 vCPU`.
    pub cpu: String,
    /// Memory, as `16 GB`.
    pub memory: String,
    /// Disk, as `20 GB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<String>,
    /// Disk type, `STANDARD` or `SHUFFLE_OPTIMIZED` (also spelled as words).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_type: Option<String>,
}

/// How many workers of one kind are kept ready.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InitialCapacityConfig {
    /// How many, 1 to 1,000,000.
    pub worker_count: u64,
    /// Size of each; the default size if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_configuration: Option<WorkerResourceConfig>,
}

/// Network attachments of the workers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkConfiguration {
    /// Subnets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet_ids: Option<Vec<String>>,
    /// Security groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_group_ids: Option<Vec<String>>,
}

/// A container image with the digest it was resolved to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageConfiguration {
    /// Image address.
    pub image_uri: String,
    /// Digest, `sha256:…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_image_digest: Option<String>,
}

/// A container image as asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageConfigurationInput {
    /// Image address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_uri: Option<String>,
    /// Whether its digest is resolved when the application starts, for all job runs alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_level_digest_resolution: Option<bool>,
}

/// What differs for one kind of worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerTypeSpecification {
    /// Image of all workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_configuration: Option<ImageConfiguration>,
}

/// What is asked to differ for one kind of worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerTypeSpecificationInput {
    /// Image of all workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_configuration: Option<ImageConfigurationInput>,
}
