//! The tables, as a list of steps that only ever grows.

use crate::StoreError;
use hearth_sqlite::{Schema, schema_version};
use sqlx::{Connection, SqlitePool};

/// Each step brings the schema from its index to its index + 1.
const STEPS: &[&str] = &[
    r"
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE applications (
  id TEXT PRIMARY KEY, state TEXT NOT NULL, created_at INTEGER NOT NULL, row TEXT NOT NULL, document TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX applications_by_age ON applications (created_at DESC, id);
CREATE TABLE job_runs (
  id TEXT PRIMARY KEY, application TEXT NOT NULL, state TEXT NOT NULL, active INTEGER NOT NULL,
  created_at INTEGER NOT NULL, row TEXT NOT NULL, document TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX job_runs_by_age ON job_runs (application, created_at DESC, id);
CREATE INDEX job_runs_active ON job_runs (active) WHERE active = 1;
CREATE TABLE workers (id TEXT PRIMARY KEY, run TEXT NOT NULL, agent TEXT NOT NULL, live INTEGER NOT NULL, row TEXT NOT NULL) STRICT;
CREATE INDEX workers_live ON workers (live) WHERE live = 1;
CREATE INDEX workers_of_run ON workers (run);
CREATE TABLE agents (id TEXT PRIMARY KEY, row TEXT NOT NULL) STRICT;
CREATE TABLE releases (label TEXT PRIMARY KEY, row TEXT NOT NULL) STRICT;
CREATE TABLE client_tokens (
  scope TEXT NOT NULL, token TEXT NOT NULL, digest TEXT NOT NULL, resource TEXT NOT NULL, PRIMARY KEY (scope, token)
) STRICT;
CREATE TABLE documents (
  kind TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)
) STRICT;
CREATE TABLE join_tokens (
  hash TEXT PRIMARY KEY, expires_at INTEGER NOT NULL, used_at INTEGER, public_key TEXT, agent TEXT
) STRICT;
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, kind TEXT NOT NULL, resource TEXT NOT NULL, state TEXT NOT NULL
) STRICT;
",
    // What listings filter by, each in the order of listings.
    r"
ALTER TABLE job_runs ADD COLUMN mode TEXT NOT NULL DEFAULT 'BATCH';
UPDATE job_runs SET mode = 'STREAMING' WHERE document ->> '$.mode' = 'STREAMING';
CREATE INDEX job_runs_by_mode_and_state ON job_runs (application, mode, state, created_at DESC, id);
CREATE INDEX applications_by_state ON applications (state, created_at DESC, id);
",
    // Queue timeouts were shown, but did not count.
    r"
UPDATE applications
   SET row = json_set(row, '$.queue_timeout',
             json_object('secs', (document ->> '$.schedulerConfiguration.queueTimeoutMinutes') * 60, 'nanos', 0))
 WHERE document ->> '$.schedulerConfiguration.queueTimeoutMinutes' IS NOT NULL;
",
    // By which what is too old is found.
    r"
CREATE INDEX job_runs_ended ON job_runs (row ->> '$.ended_at', id) WHERE active = 0;
CREATE INDEX client_tokens_of ON client_tokens (resource);
",
];

/// What the state database must be.
pub(crate) fn schema() -> Schema {
    Schema {
        what: "the coordinator's state",
        tables: &["meta", "applications", "job_runs", "workers"],
        version: i64::try_from(STEPS.len()).expect("a handful of steps"),
    }
}

/// Brings the schema up to date, each step in a transaction with its version.
pub(crate) async fn migrate(pool: &SqlitePool) -> Result<(), StoreError> {
    let reading = "reading the schema version";
    let mut connection = pool.acquire().await.map_err(StoreError::sql(reading))?;
    let found = schema_version(&mut connection).await.map_err(StoreError::sql(reading))?;
    for (version, step) in (1_i64..).zip(STEPS).skip(usize::try_from(found).unwrap_or(0)) {
        let migrating = "bringing the schema up to date";
        let mut transaction = connection.begin().await.map_err(StoreError::sql(migrating))?;
        sqlx::raw_sql(*step).execute(&mut *transaction).await.map_err(StoreError::sql(migrating))?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PRAGMA user_version = {version}")))
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::sql(migrating))?;
        transaction.commit().await.map_err(StoreError::sql(migrating))?;
    }
    Ok(())
}
