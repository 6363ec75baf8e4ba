//! What orders and agents are supplied with from other parts of the coordinator.

use futures::Stream;
use hearth_coordinator_core::worker::Worker;
use hearth_types::{JobRunId, Launch};
use std::pin::Pin;

/// Temporary credentials.
#[derive(Clone)]
pub struct WorkerCredentials {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
    /// Session token.
    pub session_token: String,
    /// When they expire, milliseconds since the Unix epoch.
    pub expires_at_unix_ms: i64,
    /// The role they stand for.
    pub role_arn: String,
}

/// A bundle's bytes with their number.
pub struct BundleStream {
    /// How many bytes follow.
    pub total: u64,
    /// The bytes.
    pub bytes: Pin<Box<dyn Stream<Item = std::io::Result<bytes::Bytes>> + Send>>,
}

/// Why something is not supplied.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    /// It does not exist.
    #[error("{0} does not exist")]
    Missing(String),
    /// It cannot be had, however often it is asked for; the reason is for people.
    #[error("{0}")]
    Impossible(String),
    /// Getting it failed.
    #[error("{doing}")]
    Failed {
        /// What we were doing.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Credentials, secrets and bundles. The daemon implements it over identity and object store; tests have their own.
#[tonic::async_trait]
pub trait Supplies: Send + Sync + 'static {
    /// The runtime role's credentials for a worker, bound to its job run and launch.
    async fn worker_credentials(&self, worker: &Worker) -> Result<WorkerCredentials, SupplyError>;

    /// hearth's own credentials for the managed logs of one job run.
    async fn managed_credentials(&self, run: &JobRunId) -> Result<WorkerCredentials, SupplyError>;

    /// The secret that one launch of a driver and its executors authenticate each other with.
    fn launch_secret(&self, run: &JobRunId, launch: Launch) -> String;

    /// A release bundle by digest.
    async fn bundle(&self, sha256: &str) -> Result<BundleStream, SupplyError>;
}
