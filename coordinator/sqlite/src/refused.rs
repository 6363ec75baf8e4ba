//! Why a database file is not used. Each says what to do; none of them has touched the file.

use std::path::PathBuf;

/// What to do about a file that cannot be trusted.
macro_rules! advice {
    () => {
        "nothing was changed. Keep a copy of the directory, then bring a backup back with `hearth restore` \
         (docs/operations.md, \"A damaged database\")"
    };
}

/// Why a database file is not used.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It cannot be opened or read.
    #[error("opening the database {file}")]
    Open {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// It is damaged.
    #[error("the database {file} is damaged ({finding}); {}", advice!())]
    Damaged {
        /// Which.
        file: PathBuf,
        /// What was found first.
        finding: String,
    },
    /// Its log is there without it. SQLite would throw the log away, and with it the newest commits.
    #[error("the database {file} is missing, but its log {log} is there; {}", advice!())]
    LogAlone {
        /// The file that is missing or empty.
        file: PathBuf,
        /// The log.
        log: PathBuf,
    },
    /// It is a sound database, of something else.
    #[error("the database {file} is not {what}: it has no table {table}; {}", advice!())]
    Foreign {
        /// Which.
        file: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What it lacks.
        table: &'static str,
    },
    /// A newer version wrote it.
    #[error(
        "the database {file} has schema version {found}, this program knows up to {known}; nothing was changed. Start the \
         newer hearth that wrote it, or bring back a backup made by this version"
    )]
    Newer {
        /// Which.
        file: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
}
