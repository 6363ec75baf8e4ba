//! Opens the index database: integrity check, migrations, one writing connection and a pool of readers.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::error::OpenError;

/// The migrations in order; the database's `user_version` counts those applied. A shipped one never changes.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_objects.sql")];

/// Readers at once; more wait. Reads are short: no read holds a connection while bytes stream.
const READERS: u32 = 4;

/// Opens the index, creating or migrating it.
pub(crate) async fn open(path: &Path) -> Result<(SqliteConnection, SqlitePool), OpenError> {
    let failed = |source| OpenError::Index { path: path.to_owned(), source };
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10));
    let mut writer = options.clone().create_if_missing(true).connect().await.map_err(failed)?;
    check(&mut writer, path).await?;
    migrate(&mut writer, path).await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .connect_with(options.read_only(true))
        .await
        .map_err(failed)?;
    Ok((writer, readers))
}

async fn check(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let finding: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(&mut *connection)
        .await
        .map_err(|source| OpenError::Index { path: path.to_owned(), source })?;
    if finding == "ok" { Ok(()) } else { Err(OpenError::Damaged { finding }) }
}

async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Index { path: path.to_owned(), source };
    let found: i64 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await.map_err(failed)?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(OpenError::SchemaTooNew { found, known });
    }
    for (migration, version) in MIGRATIONS.iter().zip(1_i64..).skip(found as usize) {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        sqlx::raw_sql(*migration).execute(&mut *transaction).await.map_err(failed)?;
        // A pragma takes no bound parameters; the version is our own constant count.
        let stamp = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {version}"));
        sqlx::raw_sql(stamp).execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
    }
    Ok(())
}
