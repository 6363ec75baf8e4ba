//! What is not kept for ever, so that no disk fills by itself: ended job runs, events, logs in managed storage, uploads that
//! nobody completes, and what `hearth run` uploaded. Buckets of users are theirs. Bundles are the builder's
//! (`builds.rs`), beside whom nobody removes any.
//!
//! What may go is decided by the core (`hearth_coordinator_core::retention`); files go after the rows that name them.

mod counts;
mod objects;
mod records;

pub(super) use counts::{Counts, Kind};

use super::Parts;
use crate::config::Keep;
use hearth_engine::{Engine, now};
use hearth_objects::ObjectStore;
use hearth_store::Store;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

/// Between two rounds; the first is at the start.
pub(super) const EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// What rounds of removal need.
pub(super) struct Retention {
    engine: Engine,
    store: Store,
    objects: ObjectStore,
    keep: Keep,
    counts: Arc<Counts>,
}

impl Retention {
    pub(super) fn new(parts: &Parts, keep: Keep) -> Self {
        Self {
            engine: parts.engine.clone(),
            store: parts.store.clone(),
            objects: parts.objects.clone(),
            keep,
            counts: parts.removed.clone(),
        }
    }

    /// Removes what is too old, now and every day. Cancel safe: what was not removed is when it is looked at again.
    pub(super) async fn run(self) {
        loop {
            self.round().await;
            tokio::time::sleep(EVERY).await;
        }
    }

    /// One kind of things that cannot be removed keeps none of the others.
    async fn round(&self) {
        let (at, clock) = (now(), OffsetDateTime::now_utc());
        self.counts.note(Kind::Uploads, self.expire_uploads(clock).await);
        self.counts.note(Kind::Logs, self.remove_logs(clock).await);
        self.counts.note(Kind::Sources, self.remove_sources(clock).await);
        self.counts.note(Kind::JobRuns, self.forget_job_runs(at).await);
        self.counts.note(Kind::Events, self.forget_events(at).await);
    }
}

#[cfg(test)]
#[path = "../../../core/tests/world_model/mod.rs"]
pub(super) mod world_model;

#[cfg(test)]
mod tests {
    use super::world_model::{application, application_id, create, run_id, spec, start, token};
    use super::*;
    use hearth_agents::MANAGED_BUCKET;
    use hearth_coordinator_core::command::Command;
    use hearth_coordinator_core::job_run::CancelCause;
    use hearth_coordinator_core::lease::LeaseTerms;
    use hearth_coordinator_core::quotas::Quotas;
    use hearth_objects::{Attributes, BucketAccess};
    use tokio::sync::mpsc;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    const SOURCE: &str = "scripts/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08/job.py";

    struct Lab {
        retention: Retention,
        _dir: tempfile::TempDir,
    }

    impl Lab {
        async fn new(keep: Duration) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let objects = ObjectStore::open(&dir.path().join("objects")).await.unwrap();
            for bucket in [MANAGED_BUCKET, super::super::seeds::DEFAULT_BUCKET, "users"] {
                objects.create_bucket(bucket, BucketAccess::ReadWrite).await.unwrap();
            }
            let store = Store::open(&dir.path().join("hearth.db")).await.unwrap();
            let (effects, mut performed) = mpsc::channel(64);
            tokio::spawn(async move { while performed.recv().await.is_some() {} });
            let engine = Engine::start(store.clone(), effects, LeaseTerms::default(), Quotas::default())
                .await
                .unwrap();
            let keep = Keep { job_runs: keep, logs: 30 * DAY, sources: 30 * DAY, bundles: 30 * DAY };
            engine.ask(create(application("app"))).await.unwrap();
            Self { retention: Retention { engine, store, objects, keep, counts: Arc::default() }, _dir: dir }
        }

        async fn start(&self, run: &str, source: &str) {
            let mut wanted = spec(1, 0, 1, 1);
            wanted.driver.args = vec![format!("s3://hearth/{source}")];
            self.retention.engine.ask(start(run, "app", wanted)).await.unwrap();
        }

        async fn end(&self, run: &str) {
            let (application, run) = (application_id("app"), run_id(run));
            let cancel = Command::CancelJobRun {
                application,
                run,
                cause: CancelCause::Requested,
                grace: Duration::ZERO,
            };
            self.retention.engine.ask(cancel).await.unwrap();
        }

        async fn is_stored(&self, run: &str) -> bool {
            self.retention.store.job_run(&run_id(run)).await.unwrap().is_some()
        }

        async fn put(&self, bucket: &str, key: &str) {
            let body = b"text".as_slice();
            self.retention.objects.put_bytes(bucket, key, body.into(), Attributes::default()).await.unwrap();
        }

        async fn has(&self, bucket: &str, key: &str) -> bool {
            self.retention.objects.exists(bucket, key).await.unwrap()
        }
    }

    #[tokio::test]
    async fn ended_job_runs_are_forgotten_batch_by_batch_and_active_ones_stay() {
        let lab = Lab::new(Duration::ZERO).await;
        lab.start("active", "x").await;
        for number in 0..records::BATCH + 1 {
            let name = format!("r-{number}");
            lab.start(&name, "x").await;
            lab.end(&name).await;
        }
        let at = hearth_types::Timestamp::from_millis(now().as_millis() + 1);
        let forgotten = lab.retention.forget_job_runs(at).await.unwrap();
        assert_eq!(forgotten, u64::from(records::BATCH) + 1);
        assert!(lab.is_stored("active").await);
        assert!(!lab.is_stored("r-0").await);
        let used =
            lab.retention.store.token_uses(&[&token("app", "r-0"), &token("app", "active")]).await.unwrap();
        assert_eq!(used.len(), 1, "the token of what is there is kept");
        // The same token makes a job run again.
        lab.start("r-0", "x").await;
        assert!(lab.is_stored("r-0").await);
    }

    #[tokio::test]
    async fn young_job_runs_stay() {
        let lab = Lab::new(DAY).await;
        lab.start("r-1", "x").await;
        lab.end("r-1").await;
        assert_eq!(lab.retention.forget_job_runs(now()).await.unwrap(), 0);
        assert!(lab.is_stored("r-1").await);
    }

    #[tokio::test]
    async fn managed_logs_go_when_their_time_has_come_and_nothing_else_does() {
        let lab = Lab::new(DAY).await;
        let log = "applications/a/jobs/j/SPARK_DRIVER/stderr.gz";
        let kept = [(MANAGED_BUCKET, "history/x"), ("users", log)];
        for (bucket, key) in kept.into_iter().chain([(MANAGED_BUCKET, log)]) {
            lab.put(bucket, key).await;
        }
        let written = OffsetDateTime::now_utc();
        assert_eq!(lab.retention.remove_logs(written + 29 * DAY).await.unwrap(), 0);
        assert!(lab.has(MANAGED_BUCKET, log).await);
        assert_eq!(lab.retention.remove_logs(written + 31 * DAY).await.unwrap(), 1);
        assert!(!lab.has(MANAGED_BUCKET, log).await);
        for (bucket, key) in kept {
            assert!(lab.has(bucket, key).await, "{bucket}/{key}");
        }
    }

    #[tokio::test]
    async fn sources_go_unless_a_job_run_needs_them_and_what_users_put_beside_them_stays() {
        let lab = Lab::new(DAY).await;
        let bucket = super::super::seeds::DEFAULT_BUCKET;
        let own = ["scripts/job.py", "scripts/2026/job.py", "data/x", &SOURCE.replace("scripts/", "mine/")];
        for key in own.into_iter().chain([SOURCE]) {
            lab.put(bucket, key).await;
        }
        lab.put("users", SOURCE).await;
        lab.start("needs", SOURCE).await;
        let later = OffsetDateTime::now_utc() + 31 * DAY;
        assert_eq!(lab.retention.remove_sources(later).await.unwrap(), 0);
        lab.end("needs").await;
        assert_eq!(lab.retention.remove_sources(later - 2 * DAY).await.unwrap(), 0);
        assert_eq!(lab.retention.remove_sources(later).await.unwrap(), 1);
        assert!(!lab.has(bucket, SOURCE).await);
        assert!(lab.has("users", SOURCE).await);
        for key in own {
            assert!(lab.has(bucket, key).await, "{key}");
        }
    }
}
