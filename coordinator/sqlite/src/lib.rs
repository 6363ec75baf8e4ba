//! What the coordinator's two databases have in common: how they are opened, how a file is looked at before anything is
//! written to it, and how one is copied while it is in use.

mod copy;
mod examine;
mod refused;

pub use copy::{CopyError, copy};
pub use examine::{Schema, examine, schema_version};
pub use refused::Refused;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a connection waits for another one's write.
const BUSY: Duration = Duration::from_secs(10);

/// How a database is opened: an answered commit is on disk, since `synchronous=FULL` syncs the log at each (promise P1).
/// A file that is not there is not made.
pub fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
}

/// The write-ahead log beside a database file: the newest commits may be in it alone.
fn log_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::{Connection, Row, SqliteConnection};

    #[tokio::test]
    async fn every_commit_is_synced() {
        let dir = tempfile::tempdir().unwrap();
        let options = options(&dir.path().join("some.db")).create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let row = sqlx::query("PRAGMA synchronous").fetch_one(&mut connection).await.unwrap();
        assert_eq!(row.get::<i64, _>(0), 2, "FULL");
        let row = sqlx::query("PRAGMA journal_mode").fetch_one(&mut connection).await.unwrap();
        assert_eq!(row.get::<String, _>(0), "wal");
    }
}
