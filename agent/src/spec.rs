//! What was asked for a worker: `spec.json`, and the order it is made from.

use hearth_agent_core::life::Life;
use hearth_bundles::{BundleId, NotABundleId};
use hearth_credentials::{Credentials, Secret};
use hearth_lease::{AtEnd, Lease};
use hearth_proto::v1;
use hearth_types::{ApplicationId, IdError, JobRunId, Launch, WorkerId, WorkerKind, WorkerSize};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

pub(crate) const SPEC_FILE: &str = "spec.json";
pub(crate) const STATE_FILE: &str = "state.json";

/// A worker as ordered. Kept in a file that only the agent can read, for it holds what the job authenticates with.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) worker_id: WorkerId,
    pub(crate) launch: Launch,
    pub(crate) application_id: ApplicationId,
    pub(crate) job_run_id: JobRunId,
    pub(crate) kind: WorkerKind,
    pub(crate) size: WorkerSize,
    pub(crate) release_label: String,
    pub(crate) bundle: String,
    pub(crate) java_major: u32,
    pub(crate) java_module_options: Vec<String>,
    pub(crate) heap_mib: u64,
    pub(crate) java_options: Vec<String>,
    /// Entries of the class path in front of the engine's.
    #[serde(default)]
    pub(crate) class_path: Vec<String>,
    /// Small files by name, which the worker finds in its `conf` directory.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) executor_id: String,
    pub(crate) args: Vec<String>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) secret: String,
    pub(crate) logs: Logs,
    /// Whether its JVM waits to be told arguments, properties and environment.
    #[serde(default)]
    pub(crate) is_deferred: bool,
    /// Length of its lease in milliseconds; 0: it has none.
    #[serde(default)]
    pub(crate) lease_ms: u32,
    /// The token by which the credentials endpoint knows the worker.
    pub(crate) credentials_token: String,
}

/// Where a worker's logs go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Logs {
    pub(crate) log_uri: String,
    pub(crate) managed_uri: String,
    pub(crate) event_log_uris: Vec<String>,
}

/// What was done for a worker: `state.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    #[serde(flatten)]
    pub(crate) life: Life,
    /// The user it runs under, once one is taken.
    pub(crate) uid: Option<u32>,
}

/// Why an order makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpecError {
    #[error("malformed identifier")]
    Id(#[from] IdError),
    #[error("malformed bundle digest")]
    Bundle(#[from] NotABundleId),
    #[error("order without {0}")]
    Missing(&'static str),
}

impl Spec {
    /// Reads an order.
    pub(crate) fn from_order(order: v1::StartWorker, credentials_token: String) -> Result<Self, SpecError> {
        let kind = match order.kind() {
            v1::WorkerKind::SparkDriver => WorkerKind::SparkDriver,
            v1::WorkerKind::SparkExecutor => WorkerKind::SparkExecutor,
            v1::WorkerKind::Unspecified => return Err(SpecError::Missing("kind")),
        };
        let size = order.size.ok_or(SpecError::Missing("size"))?;
        let logs = order.logs.unwrap_or_default();
        let bundle: BundleId = order.bundle_sha256.parse()?;
        Ok(Self {
            worker_id: WorkerId::new(order.worker_id)?,
            launch: launch_of(order.launch).ok_or(SpecError::Missing("launch"))?,
            application_id: ApplicationId::new(order.application_id)?,
            job_run_id: JobRunId::new(order.job_run_id)?,
            kind,
            size: WorkerSize {
                cpu_millis: size.cpu_millis,
                memory_mib: size.memory_mib,
                disk_gib: size.disk_gib,
            },
            release_label: order.release_label,
            bundle: bundle.to_string(),
            java_major: order.java_major,
            java_module_options: order.java_module_options,
            heap_mib: order.heap_mib,
            java_options: order.java_options,
            class_path: order.class_path,
            files: order.files.into_iter().collect(),
            executor_id: order.executor_id,
            args: order.args,
            properties: order.properties.into_iter().collect(),
            environment: order.environment.into_iter().collect(),
            secret: order.secret,
            logs: Logs {
                log_uri: logs.log_uri,
                managed_uri: logs.managed_uri,
                event_log_uris: logs.event_log_uris,
            },
            is_deferred: order.deferred,
            lease_ms: order.lease_ms,
            credentials_token,
        })
    }

    /// The spec of a deferred worker that now is told what to run; `None` for one that knows already.
    pub(crate) fn with_run(&self, order: v1::RunWorker) -> Option<Self> {
        self.is_deferred.then(|| Self {
            args: order.args,
            properties: order.properties.into_iter().collect(),
            environment: order.environment.into_iter().collect(),
            is_deferred: false,
            ..self.clone()
        })
    }

    /// Its lease, if it has one. A driver may be wanted again; an executor is replaced by its driver, or has none any more.
    pub(crate) fn lease(&self) -> Option<Lease> {
        let at_end = match self.kind {
            WorkerKind::SparkDriver => AtEnd::Freeze,
            WorkerKind::SparkExecutor => AtEnd::Kill,
        };
        let length = Duration::from_millis(self.lease_ms.into());
        (!length.is_zero()).then_some(Lease { length, at_end })
    }

    /// The bundle's id.
    pub(crate) fn bundle_id(&self) -> BundleId {
        self.bundle.parse().expect("checked when the order was read")
    }
}

/// Arguments, environment and secrets are never logged.
impl fmt::Debug for Spec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Spec")
            .field("worker_id", &self.worker_id)
            .field("job_run_id", &self.job_run_id)
            .field("launch", &self.launch)
            .field("kind", &self.kind)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// Reads a launch; absent or zero counts are none.
pub(crate) fn launch_of(launch: Option<v1::Launch>) -> Option<Launch> {
    launch
        .filter(|launch| launch.attempt > 0 && launch.launch > 0)
        .map(|launch| Launch { attempt: launch.attempt, launch: launch.launch })
}

/// Reads credentials as the coordinator sends them.
pub(crate) fn credentials_of(credentials: v1::Credentials) -> Credentials {
    let expires = u64::try_from(credentials.expires_at_unix_ms).unwrap_or(0);
    Credentials {
        access_key_id: credentials.access_key_id,
        secret_access_key: Secret::new(credentials.secret_access_key),
        session_token: Secret::new(credentials.session_token),
        expires_at: SystemTime::UNIX_EPOCH + Duration::from_millis(expires),
        role_arn: credentials.role_arn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn order() -> v1::StartWorker {
        v1::StartWorker {
            worker_id: "w1".into(),
            launch: Some(v1::Launch { attempt: 1, launch: 1 }),
            application_id: "a1".into(),
            job_run_id: "j1".into(),
            kind: v1::WorkerKind::SparkDriver.into(),
            size: Some(v1::WorkerSize { cpu_millis: 1000, memory_mib: 2048, disk_gib: 20 }),
            bundle_sha256: "0".repeat(64),
            secret: "hidden".into(),
            ..v1::StartWorker::default()
        }
    }

    #[test]
    fn a_spec_survives_its_file_and_hides_its_secrets() {
        let spec = Spec::from_order(order(), "token".into()).unwrap();
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<Spec>(&text).unwrap(), spec);
        assert!(!format!("{spec:?}").contains("hidden"));
    }

    #[test]
    fn an_order_that_makes_no_sense_is_refused() {
        let broken: [fn(&mut v1::StartWorker); 5] = [
            |order| order.worker_id = "../etc".into(),
            |order| order.launch = None,
            |order| order.size = None,
            |order| order.bundle_sha256 = "abc".into(),
            |order| order.kind = 0,
        ];
        for breaks in broken {
            let mut order = order();
            breaks(&mut order);
            assert!(Spec::from_order(order, String::new()).is_err());
        }
    }

    #[test]
    fn a_state_survives_its_file() {
        let state = State { life: Life::new(), uid: Some(700_001) };
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
    }
}
