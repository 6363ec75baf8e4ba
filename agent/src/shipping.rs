//! Shipping one worker's logs: with the job's own credentials to the user's place, with hearth's to managed storage.
//!
//! Nothing is sent before there are credentials: a destination that refuses is given up after a while, and an agent
//! that was just restarted has none yet.

use crate::host::Host;
use crate::spec::{Spec, credentials_of};
use hearth_credentials::Credentials;
use hearth_logs::{
    CredentialSlot, Destination, DestinationError, DestinationKind, LogSpec, ObjectService, Pace,
    S3Credentials, WorkerLogs,
};
use hearth_processes::WorkerDir;
use hearth_types::WorkerKind;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::task::AbortOnDropHandle;

/// How long the logs of a worker that has ended may take; its job run waits for them.
const FINISH_WITHIN: Duration = Duration::from_secs(90);
/// Pause before credentials are asked for again, and between two looks at their age.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The shipping of one worker's logs. Dropping it stops shipping and loses nothing.
#[derive(Debug)]
pub(crate) struct Shipping {
    finish: oneshot::Sender<()>,
    task: AbortOnDropHandle<Vec<String>>,
}

impl Shipping {
    /// Begins, or goes on after a restart.
    pub(crate) fn start(host: Arc<Host>, spec: Arc<Spec>, dir: &WorkerDir) -> Self {
        let (finish, finished) = oneshot::channel();
        let task = ship(host, spec, dir.clone(), finished);
        Self { finish, task: AbortOnDropHandle::new(tokio::spawn(task)) }
    }

    /// Ships what is left, within a minute and a half; answers what could not be written where, for people.
    pub(crate) async fn finish(self) -> Vec<String> {
        let Self { finish, task } = self;
        // A task that is gone says so when it is joined.
        let _ = finish.send(());
        task.await.unwrap_or_else(|error| vec![format!("logs could not be shipped: {error}")])
    }
}

/// A place with the slot its credentials are in.
struct Place {
    destination: Destination,
    slot: CredentialSlot,
    renew_at: SystemTime,
}

async fn ship(
    host: Arc<Host>,
    spec: Arc<Spec>,
    dir: WorkerDir,
    mut finished: oneshot::Receiver<()>,
) -> Vec<String> {
    let mut deadline = None;
    // Both places are set up anew in each try, so that each begins with valid credentials.
    let Places { mut log_uri, mut managed, mut failures } = loop {
        let reason = match places(&host, &spec).await {
            Ok(places) => break places,
            Err(NoCredentials(reason)) => reason,
        };
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return vec![format!("logs could not be shipped: no credentials: {reason}")];
        }
        tracing::debug!(worker_id = %spec.worker_id, reason, "no credentials for shipping logs yet");
        tokio::select! {
            limit = time_limit(&host, &mut finished), if deadline.is_none() => deadline = Some(limit),
            () = sleep(LOOK_EVERY) => {}
        }
    };
    let logs = match WorkerLogs::start(log_spec(&host, &spec, &dir, log_uri.as_ref(), managed.as_ref())).await
    {
        Ok(logs) => logs,
        Err(error) => {
            failures.push(format!("logs could not be shipped: {}", hearth_telemetry::error_chain(&error)));
            return failures;
        }
    };
    let deadline = loop {
        if let Some(deadline) = deadline {
            break deadline;
        }
        tokio::select! {
            limit = time_limit(&host, &mut finished) => deadline = Some(limit),
            () = sleep(LOOK_EVERY) => keep_fresh(&host, &spec, log_uri.as_mut(), managed.as_mut()).await,
        }
    };
    // The logs keep to the deadline themselves; credentials that expire meanwhile are renewed beside.
    let mut finishing = std::pin::pin!(logs.finish(deadline));
    let outcome = loop {
        match timeout_at(Instant::now() + LOOK_EVERY, &mut finishing).await {
            Ok(outcome) => break outcome,
            Err(_) => keep_fresh(&host, &spec, log_uri.as_mut(), managed.as_mut()).await,
        }
    };
    failures.extend(outcome.failures.iter().map(ToString::to_string));
    failures
}

/// Waits for the worker's end, then says by when its logs have to be shipped.
///
/// The time begins when the coordinator is in touch: it may hold the places itself, and hears of the end no earlier.
/// Cancel safe.
async fn time_limit(host: &Host, finished: &mut oneshot::Receiver<()>) -> Instant {
    if !finished.is_terminated() {
        // A handle that is gone takes this task with it.
        let _ = finished.await;
    }
    host.uplink.connected().await;
    Instant::now() + FINISH_WITHIN
}

/// Where the logs go, and why not where else they should.
struct Places {
    log_uri: Option<Place>,
    managed: Option<Place>,
    failures: Vec<String>,
}

/// The coordinator gave no credentials, for this reason.
struct NoCredentials(String);

async fn places(host: &Host, spec: &Spec) -> Result<Places, NoCredentials> {
    let mut places = Places { log_uri: None, managed: None, failures: Vec::new() };
    if !spec.logs.log_uri.is_empty() {
        let credentials = job_credentials(host, spec).await?;
        let place = place(host, DestinationKind::LogUri, spec, &spec.logs.log_uri, credentials);
        places.log_uri = places.or_failure(place);
    }
    if !spec.logs.managed_uri.is_empty() {
        let credentials = managed_credentials(host, spec).await?;
        let place = place(host, DestinationKind::ManagedStorage, spec, &spec.logs.managed_uri, credentials);
        places.managed = places.or_failure(place);
    }
    Ok(places)
}

impl Places {
    fn or_failure(&mut self, place: Result<Place, DestinationError>) -> Option<Place> {
        let failed = |error: DestinationError| {
            self.failures
                .push(format!("logs could not be shipped: {}", hearth_telemetry::error_chain(&error)));
        };
        place.map_err(failed).ok()
    }
}

fn place(
    host: &Host,
    kind: DestinationKind,
    spec: &Spec,
    uri: &str,
    credentials: Credentials,
) -> Result<Place, DestinationError> {
    let service = host.service.borrow().clone();
    let service = ObjectService { endpoint: service.url, region: service.region };
    let (base, prefix) = split(uri, &component(spec));
    let renew_at = half_life(&credentials);
    let slot = CredentialSlot::new(s3(credentials));
    let destination = Destination::s3(kind, base, prefix, &service, slot.clone())?;
    Ok(Place { destination, slot, renew_at })
}

/// The job's own credentials, as the worker's processes get them.
async fn job_credentials(host: &Host, spec: &Spec) -> Result<Credentials, NoCredentials> {
    if let Some(credentials) = host.credentials.current(&spec.worker_id, SystemTime::now()) {
        return Ok(credentials);
    }
    let fetched = host.uplink.worker_credentials(&spec.worker_id).await;
    fetched.map(credentials_of).map_err(|status| NoCredentials(status.message().to_owned()))
}

async fn managed_credentials(host: &Host, spec: &Spec) -> Result<Credentials, NoCredentials> {
    let fetched = host.uplink.managed_credentials(&spec.job_run_id).await;
    fetched.map(credentials_of).map_err(|status| NoCredentials(status.message().to_owned()))
}

/// Renews credentials that are past half their life; what fails is tried again at the next look.
async fn keep_fresh(host: &Host, spec: &Spec, log_uri: Option<&mut Place>, managed: Option<&mut Place>) {
    let now = SystemTime::now();
    if let Some(place) = log_uri.filter(|place| place.renew_at <= now)
        && let Ok(credentials) = job_credentials(host, spec).await
    {
        renew(place, credentials);
    }
    if let Some(place) = managed.filter(|place| place.renew_at <= now)
        && let Ok(credentials) = managed_credentials(host, spec).await
    {
        renew(place, credentials);
    }
}

fn renew(place: &mut Place, credentials: Credentials) {
    place.renew_at = half_life(&credentials);
    place.slot.set(s3(credentials));
}

fn half_life(credentials: &Credentials) -> SystemTime {
    let now = SystemTime::now();
    now + credentials.expires_at.duration_since(now).unwrap_or_default() / 2
}

fn s3(credentials: Credentials) -> S3Credentials {
    S3Credentials {
        access_key_id: credentials.access_key_id,
        secret_access_key: credentials.secret_access_key.expose().to_owned(),
        session_token: Some(credentials.session_token.expose().to_owned()),
    }
}

fn log_spec(
    host: &Host,
    spec: &Spec,
    dir: &WorkerDir,
    log_uri: Option<&Place>,
    managed: Option<&Place>,
) -> LogSpec {
    LogSpec {
        log_dir: dir.logs(),
        ship_file: dir.path().join("ship.json"),
        component: component(spec),
        streams: vec!["stdout".to_owned(), "stderr".to_owned()],
        event_logs: match spec.kind {
            WorkerKind::SparkDriver => Some("sparklogs".to_owned()),
            WorkerKind::SparkExecutor => None,
        },
        log_uri: log_uri.map(|place| place.destination.clone()),
        managed: managed.map(|place| place.destination.clone()),
        pace: Pace::default(),
        uploads: host.uploads.clone(),
    }
}

/// The worker's directory among its job's logs (guide:4662-4712).
fn component(spec: &Spec) -> String {
    match spec.kind {
        WorkerKind::SparkDriver => WorkerKind::SparkDriver.to_string(),
        WorkerKind::SparkExecutor => format!("{}/{}", WorkerKind::SparkExecutor, spec.executor_id),
    }
}

/// Splits a worker's log URI into the place and the job's part of the key, without the worker's own directory.
fn split<'a>(uri: &'a str, component: &str) -> (&'a str, &'a str) {
    let job = uri.strip_suffix(component).unwrap_or(uri).trim_end_matches('/');
    match job.rfind("/applications/") {
        Some(at) => (&job[..at], &job[at + 1..]),
        None => (job, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_uri_is_split_at_the_jobs_key() {
        for (uri, component, parts) in [
            (
                "s3://b/p/applications/a/jobs/j/SPARK_DRIVER",
                "SPARK_DRIVER",
                ("s3://b/p", "applications/a/jobs/j"),
            ),
            (
                "s3://b/applications/a/jobs/j/attempts/2/SPARK_EXECUTOR/3",
                "SPARK_EXECUTOR/3",
                ("s3://b", "applications/a/jobs/j/attempts/2"),
            ),
            (
                "s3://b/applications/x/applications/a/jobs/j/SPARK_DRIVER",
                "SPARK_DRIVER",
                ("s3://b/applications/x", "applications/a/jobs/j"),
            ),
        ] {
            assert_eq!(split(uri, component), parts);
        }
    }
}
