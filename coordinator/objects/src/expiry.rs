//! The end of uploads that nobody will complete: their sender died, or may not abort them.

use sqlx::sqlite::SqliteConnection;
use time::OffsetDateTime;

use crate::error::StoreError;
use crate::multipart::remove_upload;
use crate::store::ObjectStore;
use crate::writer::Applied;

/// Uploads removed in one change, so that others need not wait for all of them.
const BATCH: i64 = 64;

impl ObjectStore {
    /// Aborts the uploads that were begun before `before` and throws their parts away; answers how many.
    ///
    /// Cancel safe: each batch is removed or not.
    pub async fn expire_uploads(&self, before: OffsetDateTime) -> Result<usize, StoreError> {
        let before_ms = (before.unix_timestamp_nanos() / 1_000_000) as i64;
        let mut expired = 0;
        loop {
            let removed =
                self.writer.apply(move |connection| Box::pin(remove_batch(connection, before_ms))).await?;
            expired += removed;
            if removed < BATCH as usize {
                return Ok(expired);
            }
        }
    }
}

async fn remove_batch(
    connection: &mut SqliteConnection,
    before_ms: i64,
) -> Result<Applied<usize>, StoreError> {
    let ids: Vec<String> = sqlx::query_scalar("SELECT id FROM uploads WHERE initiated_ms < $1 LIMIT $2")
        .bind(before_ms)
        .bind(BATCH)
        .fetch_all(&mut *connection)
        .await
        .map_err(StoreError::Index)?;
    let mut discarded = Vec::new();
    for id in &ids {
        discarded.extend(remove_upload(connection, id).await?);
    }
    Ok(Applied { discarded, ..Applied::new(ids.len()) })
}
