//! Opens the index database: integrity check, migrations, one writing connection and a pool of readers.

use std::path::Path;

use hearth_sqlite::{Schema, schema_version};
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::error::OpenError;

/// The migrations in order; the database's `user_version` counts those applied. A shipped one never changes.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_objects.sql")];

/// Readers at once; more wait. Reads are short: no read holds a connection while bytes stream.
const READERS: u32 = 4;

/// Opens the index, creating or migrating it.
pub(crate) async fn open(path: &Path) -> Result<(SqliteConnection, SqlitePool), OpenError> {
    let failed = |source| OpenError::Index { path: path.to_owned(), source };
    hearth_sqlite::examine(path, &schema()).await?;
    let options = hearth_sqlite::options(path);
    let mut writer = options.clone().create_if_missing(true).connect().await.map_err(failed)?;
    migrate(&mut writer, path).await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .connect_with(options.read_only(true))
        .await
        .map_err(failed)?;
    Ok((writer, readers))
}

/// What the index database must be.
pub(crate) fn schema() -> Schema {
    Schema {
        what: "the object index",
        tables: &["buckets", "contents", "segments", "objects"],
        version: i64::try_from(MIGRATIONS.len()).expect("a handful of migrations"),
    }
}

async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Index { path: path.to_owned(), source };
    let found = schema_version(&mut *connection).await.map_err(failed)?;
    for (migration, version) in MIGRATIONS.iter().zip(1_i64..).skip(usize::try_from(found).unwrap_or(0)) {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        sqlx::raw_sql(*migration).execute(&mut *transaction).await.map_err(failed)?;
        // A pragma takes no bound parameters; the version is our own constant count.
        let stamp = sqlx::AssertSqlSafe(format!("PRAGMA user_version = {version}"));
        sqlx::raw_sql(stamp).execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
    }
    Ok(())
}
