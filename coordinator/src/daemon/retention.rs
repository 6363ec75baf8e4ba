//! What the object store does not keep for ever: logs in managed storage, and uploads that nobody completes.

use hearth_agents::MANAGED_BUCKET;
use hearth_objects::{ListPage, ListQuery, MAX_PAGE, ObjectStore, StoreError};
use hearth_telemetry::error_chain;
use std::time::Duration;
use time::OffsetDateTime;

/// Between two rounds; the first is at the start.
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an upload may take from its beginning.
const UPLOADS_LAST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Managed storage holds logs below this, and nothing of it is removed that is elsewhere.
const LOGS: &str = "applications/";

/// Removes what is too old, now and every day. Cancel safe.
pub(super) async fn keep(objects: ObjectStore, logs_last: Duration) {
    loop {
        match round(&objects, OffsetDateTime::now_utc(), logs_last).await {
            Ok(Removed { uploads: 0, logs: 0 }) => {}
            Ok(Removed { uploads, logs }) => {
                tracing::info!(uploads, logs, "expired uploads and logs removed")
            }
            Err(error) => {
                tracing::error!(error = error_chain(&error), "removing expired uploads and logs failed")
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// How many objects a round removed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Removed {
    uploads: usize,
    logs: usize,
}

async fn round(
    objects: &ObjectStore,
    now: OffsetDateTime,
    logs_last: Duration,
) -> Result<Removed, StoreError> {
    let uploads = objects.expire_uploads(now - UPLOADS_LAST).await?;
    let mut removed = Removed { uploads, logs: 0 };
    let mut query = ListQuery { prefix: LOGS.to_owned(), limit: MAX_PAGE, ..ListQuery::default() };
    loop {
        let page = objects.list(MANAGED_BUCKET, &query).await?;
        let keys = expired(&page, now - logs_last);
        objects.delete(MANAGED_BUCKET, &keys).await?;
        removed.logs += keys.len();
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(removed),
        }
    }
}

/// The keys of a page that were last written before `before`. A log that still grows is written anew all the time, but
/// its archived parts are not: they go when their time has come (guide:4642).
fn expired(page: &ListPage, before: OffsetDateTime) -> Vec<String> {
    page.objects.iter().filter(|object| object.modified < before).map(|object| object.key.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_objects::{Attributes, BucketAccess};

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[tokio::test]
    async fn managed_logs_go_when_their_time_has_come_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let objects = ObjectStore::open(dir.path()).await.unwrap();
        let log = "applications/a/jobs/j/SPARK_DRIVER/stderr.gz";
        let kept = [(MANAGED_BUCKET, "history/x"), ("users", log)];
        for (bucket, key) in kept.into_iter().chain([(MANAGED_BUCKET, log)]) {
            objects.create_bucket(bucket, BucketAccess::ReadWrite).await.unwrap();
            let body = b"text".as_slice();
            objects.put_bytes(bucket, key, body.into(), Attributes::default()).await.unwrap();
        }
        let written = OffsetDateTime::now_utc();
        assert_eq!(round(&objects, written + 29 * DAY, 30 * DAY).await.unwrap(), Removed::default());
        assert!(objects.exists(MANAGED_BUCKET, log).await.unwrap());
        let removed = round(&objects, written + 31 * DAY, 30 * DAY).await.unwrap();
        assert_eq!(removed, Removed { uploads: 0, logs: 1 });
        assert!(!objects.exists(MANAGED_BUCKET, log).await.unwrap());
        for (bucket, key) in kept {
            assert!(objects.exists(bucket, key).await.unwrap(), "{bucket}/{key}");
        }
    }
}
