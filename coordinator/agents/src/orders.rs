//! Turns a start order into the message its agent gets.

use crate::convert::{to_launch, to_size};
use crate::supplies::WorkerCredentials;
use hearth_coordinator_core::command::StartOrder;
use hearth_coordinator_core::job_run::DriverApp;
use hearth_coordinator_core::worker::{Role, Worker};
use hearth_proto::v1;
use hearth_types::{ApplicationId, Epoch, JobRunId, WorkerKind};

/// The bucket of managed storage.
pub const MANAGED_BUCKET: &str = "hearth-managed";

/// A worker's log directory below any log URI (guide:4662-4712), `sparklogs` for a job's event logs.
pub fn worker_log_path(worker: &Worker, with_attempts: bool) -> (String, String) {
    let attempt = with_attempts.then_some(worker.launch.attempt);
    let job = attempt_log_path(&worker.application, &worker.run, attempt);
    let own = match &worker.role {
        Role::Driver => format!("{job}/{}", WorkerKind::SparkDriver),
        Role::Executor { executor, .. } => format!("{job}/{}/{executor}", WorkerKind::SparkExecutor),
    };
    (own, format!("{job}/sparklogs"))
}

/// The directory of an attempt's logs below any log URI; attempts have one each where a job run may have several.
pub fn attempt_log_path(application: &ApplicationId, run: &JobRunId, attempt: Option<u32>) -> String {
    let attempt = attempt.map(|attempt| format!("/attempts/{attempt}")).unwrap_or_default();
    format!("applications/{application}/jobs/{run}{attempt}")
}

fn log_plan(order: &StartOrder) -> v1::LogPlan {
    let (own, events) = worker_log_path(&order.worker, order.spec.retries.are_on());
    let managed = order.spec.managed_logs.then(|| format!("s3://{MANAGED_BUCKET}"));
    let places: Vec<&String> = order.spec.log_uri.iter().chain(managed.iter()).collect();
    v1::LogPlan {
        log_uri: order.spec.log_uri.as_ref().map(|uri| format!("{uri}/{own}")).unwrap_or_default(),
        managed_uri: managed.as_ref().map(|uri| format!("{uri}/{own}")).unwrap_or_default(),
        event_log_uris: match order.worker.role {
            Role::Driver => places.iter().map(|uri| format!("{uri}/{events}")).collect(),
            Role::Executor { .. } => Vec::new(),
        },
    }
}

/// The message that starts a worker.
pub(crate) fn start_worker(
    order: &StartOrder,
    epoch: Epoch,
    secret: String,
    credentials: WorkerCredentials,
) -> v1::StartWorker {
    let worker = &order.worker;
    let mut message = v1::StartWorker {
        epoch: epoch.0,
        worker_id: worker.id.to_string(),
        launch: Some(to_launch(worker.launch)),
        application_id: worker.application.to_string(),
        job_run_id: worker.run.to_string(),
        size: Some(to_size(worker.size)),
        release_label: order.spec.release.to_string(),
        bundle_sha256: order.bundle_sha256.clone(),
        java_major: order.java_major,
        java_module_options: order.java_module_options.clone(),
        lease_ms: worker.lease.map_or(0, |lease| u32::try_from(lease.as_millis()).unwrap_or(u32::MAX)),
        secret,
        credentials: Some(to_credentials(credentials)),
        logs: Some(log_plan(order)),
        ..v1::StartWorker::default()
    };
    match &worker.role {
        Role::Driver => {
            let process = &order.spec.driver;
            message.set_kind(v1::WorkerKind::SparkDriver);
            message.heap_mib = process.heap_mib;
            message.java_options.clone_from(&process.java_options);
            message.class_path.clone_from(&process.class_path);
            message.files = process.files.clone().into_iter().collect();
            message.args.clone_from(&process.args);
            message.properties = process.properties.clone().into_iter().collect();
            message.environment = process.environment.clone().into_iter().collect();
        }
        Role::Executor { executor, profile, cores, heap_mib } => {
            let process = &order.spec.executor;
            message.set_kind(v1::WorkerKind::SparkExecutor);
            message.heap_mib = *heap_mib;
            message.executor_id = executor.to_string();
            message.java_options.clone_from(&process.java_options);
            message.files = process.files.clone().into_iter().collect();
            message.environment = process.environment.clone().into_iter().collect();
            match &order.app {
                Some(app) => {
                    message.java_options.extend_from_slice(&app.executor_java_opts);
                    message.class_path.clone_from(&app.executor_class_path);
                    message.args = executor_args(app, *executor, *profile, *cores);
                    message.properties = app.executor_properties.clone().into_iter().collect();
                    message.environment.extend(app.executor_env.clone());
                }
                None => message.deferred = true,
            }
        }
    }
    message
}

/// The message that tells a deferred executor where its driver listens; nothing for a driver, or before it registered.
pub(crate) fn run_worker(order: &StartOrder, epoch: Epoch) -> Option<v1::RunWorker> {
    let worker = &order.worker;
    let app = order.app.as_ref()?;
    let Role::Executor { executor, profile, cores, .. } = &worker.role else { return None };
    Some(v1::RunWorker {
        epoch: epoch.0,
        worker_id: worker.id.to_string(),
        launch: Some(to_launch(worker.launch)),
        args: executor_args(app, *executor, *profile, *cores),
        properties: app.executor_properties.clone().into_iter().collect(),
        environment: order
            .spec
            .executor
            .environment
            .iter()
            .chain(&app.executor_env)
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
    })
}

/// The arguments of Spark's `CoarseGrainedExecutorBackend`.
fn executor_args(app: &DriverApp, executor: u32, profile: u32, cores: u32) -> Vec<String> {
    [
        ("--driver-url", app.driver_url.clone()),
        ("--executor-id", executor.to_string()),
        ("--hostname", "{hearth:host}".to_owned()),
        ("--bind-address", "{hearth:host}".to_owned()),
        ("--cores", cores.to_string()),
        ("--app-id", app.app_id.clone()),
        ("--resourceProfileId", profile.to_string()),
    ]
    .into_iter()
    .flat_map(|(name, value)| [name.to_owned(), value])
    .collect()
}

pub(crate) fn to_credentials(credentials: WorkerCredentials) -> v1::Credentials {
    v1::Credentials {
        access_key_id: credentials.access_key_id,
        secret_access_key: credentials.secret_access_key,
        session_token: credentials.session_token,
        expires_at_unix_ms: credentials.expires_at_unix_ms,
        role_arn: credentials.role_arn,
    }
}
