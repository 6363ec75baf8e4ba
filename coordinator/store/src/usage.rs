//! Reading what accounts are made of: job runs that ended, their tags, and the records of their workers.

use crate::reads::parse;
use crate::retention::ended_run;
use crate::{Store, StoreError};
use hearth_coordinator_core::retention::EndedRun;
use hearth_coordinator_core::worker::Worker;
use hearth_types::Timestamp;
use sqlx::QueryBuilder;
use sqlx::sqlite::Sqlite;
use std::collections::BTreeMap;

/// A job run that ended, for an account.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountedRun {
    /// Which, and when it ended.
    pub run: EndedRun,
    /// Its own tags as they are now.
    pub tags: BTreeMap<String, String>,
}

impl Store {
    /// Job runs that ended at `since` or later but before `until`, and come after one of them; those that ended first first.
    pub async fn ended_within(
        &self,
        since: Timestamp,
        until: Timestamp,
        after: Option<&EndedRun>,
        limit: u32,
    ) -> Result<Vec<AccountedRun>, StoreError> {
        let reading = "reading job runs for an account";
        let (ended_at, id) = after.map_or((i64::MIN, ""), |run| (run.ended_at.as_millis(), run.id.as_str()));
        let rows = sqlx::query(
            "SELECT row ->> '$.ended_at', id, application,
                    coalesce((SELECT body FROM documents WHERE kind = 'tags' AND documents.id = application || '/' || job_runs.id),
                             document -> '$.tags', '{}')
               FROM job_runs
              WHERE active = 0 AND row ->> '$.ended_at' >= ?1 AND row ->> '$.ended_at' < ?2
                AND (row ->> '$.ended_at', id) > (?3, ?4)
              ORDER BY row ->> '$.ended_at', id LIMIT ?5",
        )
        .bind(since.as_millis())
        .bind(until.as_millis())
        .bind(ended_at)
        .bind(id)
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(StoreError::sql(reading))?;
        rows.iter()
            .map(|row| Ok(AccountedRun { run: ended_run(row)?, tags: parse("tags", row, 3)? }))
            .collect()
    }

    /// Every worker that these job runs ever had.
    pub async fn workers_of_all(&self, runs: &[AccountedRun]) -> Result<Vec<Worker>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT row FROM workers WHERE run IN (");
        let mut ids = query.separated(", ");
        for run in runs {
            ids.push_bind(run.run.id.as_str());
        }
        query.push(")");
        let rows =
            query.build().fetch_all(&self.readers).await.map_err(StoreError::sql("reading workers"))?;
        rows.iter().map(|row| parse("worker", row, 0)).collect()
    }
}
