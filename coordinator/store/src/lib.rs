//! Persistence of the coordinator: SQLite in WAL mode with `synchronous=FULL`, one writer with group commit, many readers.
//!
//! What [`Store::commit`] answered is on disk (promise P1). Nothing here decides anything.

mod documents;
mod enrolment;
mod error;
mod listing;
mod reads;
mod restored;
mod retention;
mod schema;
mod usage;
mod writer;

pub use documents::{Document, DocumentConflict};
pub use enrolment::{Enrolled, JoinToken, TokenRefused};
pub use error::StoreError;
pub use listing::{Cursor, RunFilter};
pub use reads::{ApplicationRecord, JobRunRecord, StoredDocument};
pub use restored::{ObjectsRestored, Unfinished, prepare_restored};
pub use usage::AccountedRun;

use hearth_types::Epoch;
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use std::path::Path;
use writer::Writer;

/// Readers at once; each is a connection of its own.
const READERS: u32 = 4;

/// The coordinator's store; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    readers: SqlitePool,
    writer: Writer,
}

impl Store {
    /// Opens the database file, checks it, brings its schema up to date.
    ///
    /// Fails with advice, and without touching the file, if it is damaged, somebody else's or newer than this program.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let opening = |source| StoreError::Open { file: file.to_owned(), source };
        hearth_sqlite::examine(file, &schema::schema()).await?;
        let options = hearth_sqlite::options(file).create_if_missing(true);
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
