//! Looks at a database file before anything writes to it.

use crate::{Refused, log_of};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Row, SqliteConnection};
use std::io;
use std::path::Path;

/// What a database file must be.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// What it is, for people: `the coordinator's state`.
    pub what: &'static str,
    /// Tables that it has had from its first version on.
    pub tables: &'static [&'static str],
    /// The newest version known.
    pub version: i64,
}

/// Refuses a damaged, foreign or newer file through a connection that cannot write, so that the file stays as it is. A file
/// that is not there is fine: it will be made.
///
/// Reads the whole file (`quick_check`): its pages and their order are checked, not every value in them.
///
/// # Errors
/// [`Refused`], with advice.
pub async fn examine(file: &Path, schema: &Schema) -> Result<(), Refused> {
    let opening = |source: io::Error| Refused::Open { file: file.to_owned(), source: source.into() };
    let log = log_of(file);
    let has_log = length(&log).map_err(opening)?.is_some_and(|bytes| bytes > 0);
    match length(file).map_err(opening)? {
        None | Some(0) if has_log => return Err(Refused::LogAlone { file: file.to_owned(), log }),
        None => return Ok(()),
        Some(0) => return Err(Refused::Damaged { file: file.to_owned(), finding: "it is empty".to_owned() }),
        Some(_) => {}
    }
    let failed = |source: sqlx::Error| refuse(file, source);
    let options = SqliteConnectOptions::new().filename(file).read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    look(&mut connection, file, schema).await?;
    connection.close().await.map_err(failed)
}

async fn look(connection: &mut SqliteConnection, file: &Path, schema: &Schema) -> Result<(), Refused> {
    let failed = |source: sqlx::Error| refuse(file, source);
    // Before the contents: a newer program's pages need not look sound to us.
    let found = schema_version(connection).await.map_err(failed)?;
    if found > schema.version {
        return Err(Refused::Newer { file: file.to_owned(), found, known: schema.version });
    }
    let finding: String = sqlx::query("PRAGMA quick_check(1)")
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(failed)?;
    if finding != "ok" {
        return Err(Refused::Damaged { file: file.to_owned(), finding });
    }
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    // A crash between the making of a file and its first version leaves one without any table.
    if found == 0 && tables.is_empty() {
        return Ok(());
    }
    match schema.tables.iter().find(|wanted| !tables.iter().any(|table| table == *wanted)) {
        None => Ok(()),
        Some(table) => Err(Refused::Foreign { file: file.to_owned(), what: schema.what, table }),
    }
}

/// The version that the file's schema has, 0 before the first.
pub async fn schema_version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("PRAGMA user_version").fetch_one(connection).await
}

fn length(file: &Path) -> io::Result<Option<u64>> {
    match std::fs::metadata(file) {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells a damaged file from one that cannot be read.
fn refuse(file: &Path, source: sqlx::Error) -> Refused {
    const CORRUPT: i32 = 11;
    const NOT_A_DATABASE: i32 = 26;
    let code = source.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok());
    // The primary code is in the lowest byte.
    match code.map(|code| code & 0xff) {
        Some(CORRUPT | NOT_A_DATABASE) => {
            let finding = source
                .as_database_error()
                .map_or_else(|| source.to_string(), |error| error.message().to_owned());
            Refused::Damaged { file: file.to_owned(), finding }
        }
        _ => Refused::Open { file: file.to_owned(), source },
    }
}
