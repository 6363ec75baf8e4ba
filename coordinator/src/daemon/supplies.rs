//! Credentials, secrets and bundles for agents, from identity and the object store.

use super::builds::RELEASES_BUCKET;
use super::seeds::MANAGED_LOGS_ROLE;
use futures::StreamExt;
use hearth_agents::{
    BundleStream, MANAGED_BUCKET, Supplies, SupplyError, WorkerCredentials, worker_log_path,
};
use hearth_coordinator_core::job_run::RunSpec;
use hearth_coordinator_core::worker::{Role, Worker};
use hearth_engine::{Engine, now};
use hearth_identity::{
    Identity, IdentityPolicy, JobClaim, SessionPolicies, SessionRequest, TemporaryCredentials,
};
use hearth_objects::ObjectStore;
use hearth_store::Store;
use hearth_types::{JobRunId, Launch};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::sync::Arc;
use std::time::Duration;

/// How long a job's credentials are good (design §8).
const CREDENTIALS_LIFE: Duration = Duration::from_secs(3600);

/// Supplies agents from this coordinator's own parts.
pub(super) struct DaemonSupplies {
    pub(super) identity: Arc<Identity>,
    pub(super) engine: Engine,
    pub(super) objects: ObjectStore,
    pub(super) store: Store,
    pub(super) master_key: [u8; 32],
}

fn failed(doing: &'static str) -> impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> SupplyError {
    move |source| SupplyError::Failed { doing, source }
}

/// Identity answers from memory: what it refuses now it refuses next time.
fn impossible(error: impl std::fmt::Display) -> SupplyError {
    SupplyError::Impossible(format!("its credentials cannot be made: {error}"))
}

#[tonic::async_trait]
impl Supplies for DaemonSupplies {
    async fn worker_credentials(&self, worker: &Worker) -> Result<WorkerCredentials, SupplyError> {
        let world = self.engine.snapshot();
        let spec = match world.run(&worker.run) {
            Some(run) => run.spec.clone(),
            // The run ended; its logs are still being shipped under its role.
            None => self.ended_spec(&worker.run).await?,
        };
        let role = self.identity.role_by_arn(&spec.role_arn).map_err(impossible)?;
        let request = SessionRequest {
            role: role.name,
            session_name: format!("{}", worker.run),
            policies: session_policies(&spec.session_policies, &spec.session_policy_arns)
                .map_err(impossible)?,
            ttl: CREDENTIALS_LIFE,
            job: Some(JobClaim {
                job_run_id: worker.run.clone(),
                attempt: worker.launch.attempt,
                launch: worker.launch.launch,
                worker_id: worker.id.clone(),
                logs: log_directories(worker, &spec),
            }),
        };
        let issued = self.identity.issue_session(request, now()).map_err(impossible)?;
        Ok(as_supplied(issued, spec.role_arn.clone()))
    }

    async fn managed_credentials(&self, run: &JobRunId) -> Result<WorkerCredentials, SupplyError> {
        let doing = "making credentials for managed storage";
        let policy = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Action": ["s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
                "Resource": format!("arn:aws:s3:::{MANAGED_BUCKET}/applications/*/jobs/{run}/*"),
            }]
        });
        let request = SessionRequest {
            role: MANAGED_LOGS_ROLE.to_owned(),
            session_name: run.to_string(),
            policies: session_policies(&[policy.to_string()], &[]).map_err(failed(doing))?,
            ttl: CREDENTIALS_LIFE,
            job: None,
        };
        let issued = self.identity.issue_session(request, now()).map_err(|e| failed(doing)(Box::new(e)))?;
        let role = self.identity.role(MANAGED_LOGS_ROLE).map_err(|e| failed(doing)(Box::new(e)))?;
        Ok(as_supplied(issued, role.arn(self.identity.account_id())))
    }

    /// Derived, so that nothing is stored and a restart changes nothing.
    fn launch_secret(&self, run: &JobRunId, launch: Launch) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.master_key).expect("any length is a key");
        mac.update(format!("spark.authenticate.secret/{run}/{launch}").as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    async fn bundle(&self, sha256: &str) -> Result<BundleStream, SupplyError> {
        let reader = self
            .objects
            .get(RELEASES_BUCKET, &super::builds::bundle_key(sha256), None)
            .await
            .map_err(|_| SupplyError::Missing(format!("bundle {sha256}")))?;
        Ok(BundleStream { total: reader.info.size, bytes: reader.boxed() })
    }
}

impl DaemonSupplies {
    /// What an ended job run was.
    async fn ended_spec(&self, run: &JobRunId) -> Result<Arc<RunSpec>, SupplyError> {
        let record = self.store.job_run(run).await.map_err(|e| failed("reading a job run")(Box::new(e)))?;
        record.map(|record| record.run.spec).ok_or_else(|| SupplyError::Missing(format!("job run {run}")))
    }
}

/// ARNs of the directories below the user's log URI that a worker writes to.
fn log_directories(worker: &Worker, spec: &RunSpec) -> Vec<String> {
    let Some((_, place)) = spec.log_uri.as_ref().and_then(|uri| uri.split_once("://")) else {
        return Vec::new();
    };
    let (own, events) = worker_log_path(worker, spec.retries.are_on());
    let directories = match worker.role {
        Role::Driver => vec![own, events],
        Role::Executor { .. } => vec![own],
    };
    directories.iter().map(|directory| format!("arn:aws:s3:::{place}/{directory}/")).collect()
}

fn session_policies(
    texts: &[String],
    arns: &[String],
) -> Result<SessionPolicies, Box<dyn std::error::Error + Send + Sync>> {
    let inline = match texts {
        [] => None,
        [text, ..] => Some(IdentityPolicy::parse(text.clone())?),
    };
    Ok(SessionPolicies { inline, arns: arns.to_vec() })
}

fn as_supplied(issued: TemporaryCredentials, role_arn: String) -> WorkerCredentials {
    WorkerCredentials {
        access_key_id: issued.access_key_id,
        secret_access_key: issued.secret_access_key,
        session_token: issued.session_token,
        expires_at_unix_ms: issued.expires_at.as_millis(),
        role_arn,
    }
}
