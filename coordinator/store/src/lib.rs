//! Persistence of the coordinator: SQLite in WAL mode with `synchronous=FULL`, one writer with group commit, many readers.
//!
//! What [`Store::commit`] answered is on disk (promise P1). Nothing here decides anything.

mod documents;
mod enrolment;
mod error;
mod reads;
mod schema;
mod writer;

pub use documents::{Document, DocumentConflict};
pub use enrolment::{Enrolled, JoinToken, TokenRefused};
pub use error::StoreError;
pub use reads::{ApplicationRecord, Cursor, JobRunRecord, RunFilter};

use hearth_types::Epoch;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection, SqlitePool};
use std::path::Path;
use std::time::Duration;
use writer::Writer;

/// Readers at once; each is a connection of its own.
const READERS: u32 = 4;

/// An answered commit is on disk: `synchronous=FULL` syncs the log at each (promise P1).
fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
}

/// The coordinator's store; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    readers: SqlitePool,
    writer: Writer,
}

impl Store {
    /// Opens the database file, checks it, brings its schema up to date.
    ///
    /// Fails with advice, and without touching the file, if it is damaged or newer than this program.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let opening = |source| StoreError::Open { file: file.to_owned(), source };
        if file.exists() {
            let options = SqliteConnectOptions::new().filename(file).read_only(true);
            let mut looking = SqliteConnection::connect_with(&options).await.map_err(opening)?;
            schema::check(&mut looking, file).await?;
            looking.close().await.map_err(opening)?;
        }
        let options = options(file);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await
            .map_err(opening)?;
        schema::migrate(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.read_only(true))
            .await
            .map_err(opening)?;
        Ok(Self { readers, writer: Writer::start(writer) })
    }

    /// Begins a new term of office: durably one more than the last.
    pub async fn next_epoch(&self) -> Result<Epoch, StoreError> {
        self.writer.next_epoch().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::Row;

    #[tokio::test]
    async fn every_commit_is_synced() {
        let dir = tempfile::tempdir().unwrap();
        let options = options(&dir.path().join("hearth.db"));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let row = sqlx::query("PRAGMA synchronous").fetch_one(&mut connection).await.unwrap();
        assert_eq!(row.get::<i64, _>(0), 2, "FULL");
        let row = sqlx::query("PRAGMA journal_mode").fetch_one(&mut connection).await.unwrap();
        assert_eq!(row.get::<String, _>(0), "wal");
    }
}
