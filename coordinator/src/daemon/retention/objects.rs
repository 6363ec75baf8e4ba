//! Objects of hearth's own: logs in managed storage, uploads that nobody completes, and what `hearth run` uploaded.

use super::super::seeds::DEFAULT_BUCKET;
use super::Retention;
use hearth_agents::MANAGED_BUCKET;
use hearth_coordinator_core::retention::is_named;
use hearth_objects::{ListQuery, MAX_PAGE, ObjectInfo, StoreError};
use std::time::Duration;
use time::OffsetDateTime;

/// How long an upload may take from its beginning.
const UPLOADS_LAST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Managed storage holds logs below this, and nothing of it is removed that is elsewhere.
const LOGS: &str = "applications/";
/// Where `hearth run` puts files, as `<sha256>/<name>` below it.
const SOURCES: &str = "scripts/";

impl Retention {
    /// Ends multipart uploads that began long ago. Says how many.
    pub(super) async fn expire_uploads(&self, at: OffsetDateTime) -> Result<u64, StoreError> {
        let uploads = self.objects.expire_uploads(at - UPLOADS_LAST).await?;
        Ok(u64::try_from(uploads).unwrap_or(u64::MAX))
    }

    /// Removes logs that were written long ago. A log that still grows is written anew all the time, but its archived
    /// parts are not: they go when their time has come (guide:4642).
    pub(super) async fn remove_logs(&self, at: OffsetDateTime) -> Result<u64, StoreError> {
        self.remove(MANAGED_BUCKET, LOGS, at - self.keep.logs, |_| true).await
    }

    /// Removes files that `hearth run` uploaded long ago, unless an active job run names them.
    pub(super) async fn remove_sources(&self, at: OffsetDateTime) -> Result<u64, StoreError> {
        self.remove(DEFAULT_BUCKET, SOURCES, at - self.keep.sources, |object| {
            folder_of_source(&object.key).is_some_and(|folder| !is_named(&self.engine.snapshot(), folder))
        })
        .await
    }

    /// Removes objects that were last written before a time, page by page. Says how many.
    async fn remove(
        &self,
        bucket: &str,
        prefix: &str,
        before: OffsetDateTime,
        may_go: impl Fn(&ObjectInfo) -> bool,
    ) -> Result<u64, StoreError> {
        let mut removed = 0;
        let mut query = ListQuery { prefix: prefix.to_owned(), limit: MAX_PAGE, ..ListQuery::default() };
        loop {
            let page = self.objects.list(bucket, &query).await?;
            let old = page.objects.iter().filter(|object| object.modified < before && may_go(object));
            let keys: Vec<String> = old.map(|object| object.key.clone()).collect();
            self.objects.delete(bucket, &keys).await?;
            removed += u64::try_from(keys.len()).unwrap_or(u64::MAX);
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(removed),
            }
        }
    }
}

/// The part of a key up to the digest, if `hearth run` made it: users may have put files of their own beside it.
fn folder_of_source(key: &str) -> Option<&str> {
    let (digest, name) = key.strip_prefix(SOURCES)?.split_once('/')?;
    let is_digest = digest.len() == 64 && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (is_digest && !name.contains('/')).then(|| &key[..SOURCES.len() + digest.len()])
}
