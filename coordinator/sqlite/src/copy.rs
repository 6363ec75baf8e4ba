//! Copies a database as of one moment, while it may be in use.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use std::path::{Path, PathBuf};

/// Why a database was not copied.
#[derive(Debug, thiserror::Error)]
#[error("copying the database {file}")]
pub struct CopyError {
    file: PathBuf,
    #[source]
    source: sqlx::Error,
}

/// Writes a copy of `file` as of one moment to `target`, which must not be there; what is committed meanwhile is not in it.
/// The copy is one file without a log. It is not synced.
///
/// `VACUUM INTO` reads in one transaction, which neither waits for the writer nor makes it wait.
///
/// # Errors
/// When either file cannot be used; a partial `target` may be left.
pub async fn copy(file: &Path, target: &Path) -> Result<(), CopyError> {
    let failed = |source| CopyError { file: file.to_owned(), source };
    let options = SqliteConnectOptions::new().filename(file).read_only(true).busy_timeout(crate::BUSY);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    sqlx::query("VACUUM INTO ?1")
        .bind(target.to_string_lossy().into_owned())
        .execute(&mut connection)
        .await
        .map_err(failed)?;
    connection.close().await.map_err(failed)
}
