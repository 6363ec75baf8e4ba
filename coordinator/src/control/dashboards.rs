//! What shows how a job run went: until there is a history server, its event log, or what its driver wrote where Spark
//! never started; for whoever holds a link that is good once and for an hour.

use super::Control;
use super::refusals::no_job_run;
use hearth_agents::{MANAGED_BUCKET, attempt_log_path};
use hearth_api::emr::control_plane::ControlError;
use hearth_engine::now;
use hearth_objects::{ListQuery, ObjectReader};
use hearth_types::{ApplicationId, JobRunId, Timestamp, WorkerKind};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where links lead.
pub const LINKS: &str = "/hearth/v1/dashboards/";
/// How long a link is good (model: `GetDashboardForJobRun`).
const GOOD_FOR: Duration = Duration::from_secs(60 * 60);
/// Links that may be open at once; beyond, the one that ends first makes room.
const MOST_OPEN: usize = 1000;

/// Links that were given out and not used yet. A restart forgets them: another is had for the asking.
#[derive(Debug, Default)]
pub struct Links {
    open: Mutex<BTreeMap<String, Link>>,
}

#[derive(Debug)]
struct Link {
    key: String,
    until: Timestamp,
}

impl Links {
    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Link>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a link to an object of managed storage: 256 random bits.
    fn make(&self, key: String, now: Timestamp) -> String {
        let secret = hex::encode(rand::random::<[u8; 32]>());
        let mut open = self.open();
        open.retain(|_, link| link.until > now);
        if open.len() >= MOST_OPEN
            && let Some(first) =
                open.iter().min_by_key(|(_, link)| link.until).map(|(secret, _)| secret.clone())
        {
            open.remove(&first);
        }
        open.insert(secret.clone(), Link { key, until: now.plus(GOOD_FOR) });
        secret
    }

    /// What a link leads to; from then on it leads nowhere.
    fn use_up(&self, secret: &str, now: Timestamp) -> Option<String> {
        self.open().remove(secret).filter(|link| link.until > now).map(|link| link.key)
    }
}

impl Control {
    pub(super) async fn link_to_what_is_left(
        &self,
        application: &ApplicationId,
        id: &JobRunId,
        attempt: Option<u32>,
    ) -> Result<String, ControlError> {
        let invalid = |message| Err(ControlError::Validation { message });
        let found = self.store.job_run(id).await.map_err(ControlError::internal)?;
        let run = found.map(|record| record.run).filter(|run| run.application == *application);
        let run = run.ok_or_else(|| no_job_run(id))?;
        let latest = run.launch.attempt;
        let attempt = super::job_runs::existing_attempt(id, attempt, latest)?;
        if attempt == latest && !run.state().is_final() {
            let state = run.state();
            return invalid(format!(
                "Job run {id} is in state {state}; this version shows how attempts went that have ended, not live ones."
            ));
        }
        if !run.spec.managed_logs {
            return invalid(format!(
                "Job run {id} turned managed persistence off: its event log is at its own log URI alone."
            ));
        }
        let attempts = (run.spec.max_attempts > 1).then_some(attempt);
        let place = attempt_log_path(application, id, attempts);
        let mut left = self.managed(&format!("{place}/sparklogs/")).await?;
        if left.is_empty() {
            left = self.managed(&format!("{place}/{}/stderr.gz", WorkerKind::SparkDriver)).await?;
        }
        match left.as_slice() {
            [key] => Ok(format!("{LINKS}{}", self.links.make(key.clone(), now()))),
            [] => invalid(format!(
                "Job run {id} has neither an event log nor a driver's log: its driver never ran, or they were kept for \
                 as long as logs are."
            )),
            _ => invalid(format!(
                "Job run {id} has an event log of several files: s3://{MANAGED_BUCKET}/{place}/sparklogs/"
            )),
        }
    }

    /// Keys of managed storage that begin so: two at most, which is one too many.
    async fn managed(&self, prefix: &str) -> Result<Vec<String>, ControlError> {
        let query = ListQuery { prefix: prefix.to_owned(), limit: 2, ..ListQuery::default() };
        let page = self.objects.list(MANAGED_BUCKET, &query).await.map_err(ControlError::internal)?;
        Ok(page.objects.into_iter().map(|object| object.key).collect())
    }

    /// Opens the file that a link leads to, with the name that it is to be saved under. The link leads nowhere from then
    /// on.
    pub(crate) async fn open_link(&self, secret: &str) -> Option<(String, ObjectReader)> {
        let key = self.links.use_up(secret, now())?;
        let name = key.rsplit('/').next().unwrap_or_default().to_owned();
        match self.objects.get(MANAGED_BUCKET, &key, None).await {
            Ok(reader) => Some((name, reader)),
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

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn a_link_is_good_once_and_for_an_hour() {
        let links = Links::default();
        let last_moment = AT.plus(GOOD_FOR - Duration::from_millis(1));
        let first = links.make("one".to_owned(), AT);
        assert_eq!(links.use_up(&first, last_moment).as_deref(), Some("one"));
        assert_eq!(links.use_up(&first, AT), None);
        let second = links.make("two".to_owned(), AT);
        assert_eq!(links.use_up(&second, AT.plus(GOOD_FOR)), None);
        assert_eq!(links.use_up("", AT), None);
    }

    #[test]
    fn open_links_are_bounded_and_the_oldest_goes_first() {
        let links = Links::default();
        let first = links.make("first".to_owned(), AT);
        let later = AT.plus(Duration::from_secs(1));
        let second = links.make("second".to_owned(), later);
        (2..=MOST_OPEN).for_each(|_| drop(links.make(String::new(), later)));
        assert_eq!(links.open().len(), MOST_OPEN);
        assert_eq!(links.use_up(&first, later), None);
        assert_eq!(links.use_up(&second, later).as_deref(), Some("second"));
        links.make(String::new(), later.plus(GOOD_FOR));
        assert_eq!(links.open().len(), 1, "what is over is forgotten");
    }
}
