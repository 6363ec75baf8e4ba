//! What shows how an attempt of a job run goes: the live UI of one that runs; of one that has ended, until there is a
//! history server, its event log, or what its driver wrote where Spark never started.

use super::Control;
use super::refusals::no_job_run;
use crate::ui::Subject;
use axum::http::Uri;
use hearth_agents::{MANAGED_BUCKET, attempt_log_path};
use hearth_api::emr::control_plane::{ControlError, Dashboard};
use hearth_coordinator_core::job_run::JobRun;
use hearth_coordinator_core::live_ui::{LiveUi, live_ui};
use hearth_engine::now;
use hearth_objects::{ListQuery, ObjectReader};
use hearth_store::JobRunRecord;
use hearth_types::{ApplicationId, JobRunId, WorkerKind};

/// Where links to logs of attempts that have ended lead, with their secret in the query's [`SECRET`].
pub const LINKS: &str = "/hearth/v1/dashboards";
/// The parameter of a link's query that opens it. It is not in the path, for clients put another one in its place to get
/// at one log of the attempt, as in the service: Airflow's link to a driver's standard output is made so.
pub const SECRET: &str = "authToken";

/// Where clients look for one log of the attempt.
pub(crate) const LOGS: &str = "/logs/";

/// What is left of an attempt that has ended: objects of managed storage.
#[derive(Debug, Clone)]
pub struct Left {
    /// What is shown.
    pub(crate) key: String,
    /// The attempt's directory, whose logs may be asked for instead.
    place: String,
}

impl Control {
    pub(super) async fn dashboard(
        &self,
        application: &ApplicationId,
        id: &JobRunId,
        attempt: Option<u32>,
    ) -> Result<Dashboard, ControlError> {
        let run = self.run_of(application, id).await?.run;
        let attempt = super::job_runs::existing_attempt(id, attempt, &(1..=run.launch.attempt))?;
        let world = self.engine.snapshot();
        match live_ui(&world, id, attempt) {
            LiveUi::Served { .. } | LiveUi::OutOfContact { .. } => {}
            LiveUi::Over => {
                let left = self.what_is_left(application, id, attempt).await?;
                let secret = self.links.make(left, now());
                return Ok(Dashboard::AtEndpoint(format!("{LINKS}?{SECRET}={secret}")));
            }
            LiveUi::NotNow => {
                let state = world.run(id).map_or(run.state(), |run| run.state());
                return Err(invalid(format!(
                    "Job run {id} is in state {state}, and no driver of it shows a UI at the moment; ask again once it runs, or \
                     has ended."
                )));
            }
            LiveUi::TurnedOff => {
                return Err(invalid(format!(
                    "Job run {id} runs with spark.ui.enabled=false; its event log can be had once it has ended."
                )));
            }
        }
        let door = self.door.as_ref().ok_or_else(|| {
            invalid(format!(
                "Job run {id} runs, and this cluster shows no live UIs: set ui_url in the coordinator's configuration. Its event \
                 log can be had once it has ended."
            ))
        })?;
        let subject = Subject { application: application.clone(), run: id.clone(), attempt };
        Ok(Dashboard::At(door.invite(subject, now())))
    }

    async fn run_of(&self, application: &ApplicationId, id: &JobRunId) -> Result<JobRunRecord, ControlError> {
        let found = self.store.job_run(id).await.map_err(ControlError::internal)?;
        found.filter(|record| record.run.application == *application).ok_or_else(|| no_job_run(id))
    }

    /// Finds in managed storage what tells how an attempt that has ended went; says why there is nothing.
    pub(crate) async fn what_is_left(
        &self,
        application: &ApplicationId,
        id: &JobRunId,
        attempt: u32,
    ) -> Result<Left, ControlError> {
        let run = self.run_of(application, id).await?.run;
        if attempt == run.launch.attempt && !run.state().is_final() {
            return Err(invalid(format!("Attempt {attempt} of job run {id} has not ended.")));
        }
        if !run.spec.managed_logs {
            return Err(invalid(format!(
                "Job run {id} turned managed persistence off: its event log is at its own log URI alone."
            )));
        }
        let place = place_of(&run, attempt);
        let mut left = self.managed(&format!("{place}/sparklogs/")).await?;
        if left.is_empty() {
            left = self.managed(&format!("{place}/{}/stderr.gz", WorkerKind::SparkDriver)).await?;
        }
        match left.as_slice() {
            [key] => Ok(Left { key: key.clone(), place }),
            [] => Err(invalid(format!(
                "Job run {id} has neither an event log nor a driver's log in managed storage: its driver never ran, its \
                 log is at the job run's own log URI, or they were kept for as long as logs are."
            ))),
            _ => Err(invalid(format!(
                "Job run {id} has an event log of several files: s3://{MANAGED_BUCKET}/{place}/sparklogs/"
            ))),
        }
    }

    /// Keys of managed storage that begin so: two at most, which is one too many.
    async fn managed(&self, prefix: &str) -> Result<Vec<String>, ControlError> {
        let query = ListQuery { prefix: prefix.to_owned(), limit: 2, ..ListQuery::default() };
        let page = self.objects.list(MANAGED_BUCKET, &query).await.map_err(ControlError::internal)?;
        Ok(page.objects.into_iter().map(|object| object.key).collect())
    }

    /// Opens the log that a link leads to, or one of the same attempt by its path (`SPARK_DRIVER/stdout.gz`). The link leads
    /// nowhere from then on.
    pub(crate) async fn follow_link(&self, secret: &str, log: Option<&str>) -> Option<LogFile> {
        let Left { key, place } = self.links.use_up(secret, now())?;
        self.open_log(&log.map_or(key, |log| format!("{place}/{log}"))).await
    }

    /// Opens a log of an attempt by its path (`SPARK_DRIVER/stdout.gz`), as far as it was delivered.
    pub(crate) async fn log_of(
        &self,
        application: &ApplicationId,
        id: &JobRunId,
        attempt: u32,
        log: &str,
    ) -> Option<LogFile> {
        let run = self.run_of(application, id).await.ok()?.run;
        self.open_log(&format!("{}/{log}", place_of(&run, attempt))).await
    }

    /// Opens a log.
    pub(crate) async fn open_log(&self, key: &str) -> Option<LogFile> {
        let name = key.rsplit('/').next().unwrap_or_default();
        let name =
            name.chars().filter(|c| c.is_ascii_alphanumeric() || ['.', '-', '_'].contains(c)).collect();
        match self.objects.get(MANAGED_BUCKET, key, None).await {
            Ok(content) => Some(LogFile { name, content }),
            Err(error) => {
                tracing::warn!(
                    error = hearth_telemetry::error_chain(&error),
                    "opening what a link leads to failed"
                );
                None
            }
        }
    }
}

/// Where an attempt's logs are in managed storage.
fn place_of(run: &JobRun, attempt: u32) -> String {
    let attempts = run.spec.retries.are_on().then_some(attempt);
    attempt_log_path(&run.application, &run.id, attempts)
}

/// The secret of a link, and the log that it is to lead to where its path was put in place of a dashboard's.
pub(crate) fn secret_of(uri: &Uri) -> Option<(&str, Option<&str>)> {
    let secret = uri.query()?.split('&').find_map(|pair| pair.strip_prefix(SECRET)?.strip_prefix('='))?;
    Some((secret, uri.path().strip_prefix(LOGS)))
}

/// A log, with the name that it is to be saved under: letters, digits, dots, hyphens and underscores.
pub(crate) struct LogFile {
    pub(crate) name: String,
    pub(crate) content: ObjectReader,
}

fn invalid(message: String) -> ControlError {
    ControlError::Validation { message }
}
