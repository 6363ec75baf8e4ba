//! What a state database from a backup needs before a coordinator may start on it.

use crate::{StoreError, schema};
use hearth_types::{Epoch, Timestamp};
use sqlx::{Connection, SqliteConnection};
use std::path::Path;

/// Whether the objects came back with the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectsRestored {
    /// All that the state names are there.
    Yes,
    /// The object store is empty: release bundles must be built again.
    No,
}

/// The job runs that had not ended when the backup was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished {
    /// Without a driver placed: they start as soon as a host has room for them.
    pub waiting: u64,
    /// With a driver placed: they go on if its agent still knows it, else they end as with any lost worker.
    pub placed: u64,
}

/// Prepares a restored state database: moves its epoch beyond any that the lost coordinator can have used since, and
/// forgets release bundles that did not come back.
///
/// The state is older than the world: agents refuse a sender whose epoch is below the highest they have seen. Epochs rise by
/// one a start, so the time in milliseconds is beyond every one counted from 1, and beyond every one counted from an
/// earlier restore.
///
/// # Errors
/// [`StoreError::Refused`] for a file that is not sound, [`StoreError::Sql`].
pub async fn prepare_restored(
    file: &Path,
    now: Timestamp,
    objects: ObjectsRestored,
) -> Result<(Epoch, Unfinished), StoreError> {
    hearth_sqlite::examine(file, &schema::schema()).await?;
    let doing = "preparing the restored database";
    let mut connection = SqliteConnection::connect_with(&hearth_sqlite::options(file))
        .await
        .map_err(StoreError::sql(doing))?;
    let mut transaction = connection.begin().await.map_err(StoreError::sql(doing))?;
    let sql = "INSERT INTO meta (key, value) VALUES ('epoch', ?1) ON CONFLICT (key) DO UPDATE
               SET value = max(CAST(value AS INTEGER) + 1, CAST(?1 AS INTEGER)) RETURNING CAST(value AS INTEGER)";
    let epoch: i64 = sqlx::query_scalar(sql)
        .bind(now.as_millis().to_string())
        .fetch_one(&mut *transaction)
        .await
        .map_err(StoreError::sql(doing))?;
    if objects == ObjectsRestored::No {
        sqlx::query("DELETE FROM releases")
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::sql(doing))?;
    }
    let sql = "SELECT count(*), count(*) FILTER (WHERE id IN (SELECT run FROM workers WHERE live = 1))
               FROM job_runs WHERE active = 1";
    let (active, placed): (i64, i64) =
        sqlx::query_as(sql).fetch_one(&mut *transaction).await.map_err(StoreError::sql(doing))?;
    transaction.commit().await.map_err(StoreError::sql(doing))?;
    connection.close().await.map_err(StoreError::sql(doing))?;
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    Ok((Epoch(count(epoch)), Unfinished { waiting: count(active - placed), placed: count(placed) }))
}
