//! Finding and removing what was kept for long enough. What may go is decided elsewhere.

use crate::{Store, StoreError};
use hearth_coordinator_core::retention::EndedRun;
use hearth_types::{ApplicationId, JobRunId, Timestamp};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

impl Store {
    /// Job runs that ended before a time and come after one of them, those that ended first first.
    pub async fn ended_before(
        &self,
        before: Timestamp,
        after: Option<&EndedRun>,
        limit: u32,
    ) -> Result<Vec<EndedRun>, StoreError> {
        let (ended_at, id) = after.map_or((i64::MIN, ""), |run| (run.ended_at.as_millis(), run.id.as_str()));
        let rows = sqlx::query(
            "SELECT row ->> '$.ended_at', id, application FROM job_runs
              WHERE active = 0 AND row ->> '$.ended_at' < ?1 AND (row ->> '$.ended_at', id) > (?2, ?3)
              ORDER BY row ->> '$.ended_at', id LIMIT ?4",
        )
        .bind(before.as_millis())
        .bind(ended_at)
        .bind(id)
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(StoreError::sql("reading ended job runs"))?;
        rows.iter().map(ended_run).collect()
    }
}

pub(crate) fn ended_run(row: &SqliteRow) -> Result<EndedRun, StoreError> {
    let reading = "reading an ended job run";
    let text = |column: usize| row.try_get::<String, usize>(column).map_err(StoreError::sql(reading));
    let id = |name: String| serde_json::from_value::<JobRunId>(Value::String(name));
    let application = |name: String| serde_json::from_value::<ApplicationId>(Value::String(name));
    Ok(EndedRun {
        ended_at: Timestamp::from_millis(row.try_get(0).map_err(StoreError::sql(reading))?),
        id: id(text(1)?).map_err(StoreError::row("job run id"))?,
        application: application(text(2)?).map_err(StoreError::row("application id"))?,
    })
}

/// Removes a job run with all that belongs to it; an active one stays, whatever is asked.
pub(crate) async fn forget_run(connection: &mut SqliteConnection, run: &EndedRun) -> Result<(), StoreError> {
    let forgetting = || StoreError::sql("forgetting a job run");
    let id = run.id.as_str();
    let gone = sqlx::query("DELETE FROM job_runs WHERE id = ?1 AND active = 0")
        .bind(id)
        .execute(&mut *connection)
        .await
        .map_err(forgetting())?;
    if gone.rows_affected() == 0 {
        return Ok(());
    }
    for sql in ["DELETE FROM workers WHERE run = ?1", "DELETE FROM client_tokens WHERE resource = ?1"] {
        sqlx::query(sql).bind(id).execute(&mut *connection).await.map_err(forgetting())?;
    }
    sqlx::query("DELETE FROM documents WHERE kind = 'tags' AND id = ?1")
        .bind(format!("{}/{id}", run.application))
        .execute(connection)
        .await
        .map_err(forgetting())?;
    Ok(())
}

/// Looks at no more than the oldest `most` events, so that it costs the same however many there are.
pub(crate) async fn forget_events(
    connection: &mut SqliteConnection,
    before: Timestamp,
    most: u32,
) -> Result<u64, StoreError> {
    let gone = sqlx::query(
        "DELETE FROM events WHERE seq IN
           (SELECT seq FROM (SELECT seq, at FROM events ORDER BY seq LIMIT ?2) WHERE at < ?1)",
    )
    .bind(before.as_millis())
    .bind(most)
    .execute(connection)
    .await
    .map_err(StoreError::sql("forgetting events"))?;
    Ok(gone.rows_affected())
}
