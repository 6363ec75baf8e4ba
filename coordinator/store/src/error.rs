//! What can go wrong with the store.

use hearth_sqlite::Refused;
use std::path::PathBuf;
use std::sync::Arc;

/// A failure of the store. The caller's change is not durable unless said otherwise.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be used as it is.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The file cannot be opened.
    #[error("opening the database {file}")]
    Open {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// A statement failed.
    #[error("{doing}")]
    Sql {
        /// What we were doing.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: sqlx::Error,
    },
    /// The group of changes that this one shared a commit with could not be committed.
    #[error("committing to the database")]
    Commit {
        /// Why.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// A row does not read back.
    #[error("reading a stored {what}")]
    Row {
        /// What kind of row.
        what: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The writer has ended.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(crate) fn sql(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Sql { doing, source }
    }

    pub(crate) fn row(what: &'static str) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self::Row { what, source }
    }
}
