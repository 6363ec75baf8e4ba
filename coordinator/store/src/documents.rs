//! Small JSON documents by kind and id, with revisions: what other parts (identity) keep here.

use crate::{Store, StoreError};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What kind of thing it is.
    pub kind: String,
    /// Its name among its kind.
    pub id: String,
    /// How often it was written; 0 for one that is not stored yet.
    pub revision: u64,
    /// Its content.
    pub body: Value,
}

/// Somebody else wrote or deleted the document meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("document {kind} {id} is not at revision {expected} any more")]
pub struct DocumentConflict {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub id: String,
    /// The revision the write was based on.
    pub expected: u64,
}

impl Store {
    /// All documents of a kind, by id.
    pub async fn documents(&self, kind: &str) -> Result<Vec<Document>, StoreError> {
        let rows = sqlx::query("SELECT kind, id, revision, body FROM documents WHERE kind = ?1 ORDER BY id")
            .bind(kind)
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::sql("reading documents"))?;
        rows.iter().map(read).collect()
    }

    /// One document.
    pub async fn document(&self, kind: &str, id: &str) -> Result<Option<Document>, StoreError> {
        let row = sqlx::query("SELECT kind, id, revision, body FROM documents WHERE kind = ?1 AND id = ?2")
            .bind(kind)
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::sql("reading a document"))?;
        row.as_ref().map(read).transpose()
    }
}

fn read(row: &SqliteRow) -> Result<Document, StoreError> {
    let reading = "reading a document";
    let revision: i64 = row.try_get(2).map_err(StoreError::sql(reading))?;
    let body: String = row.try_get(3).map_err(StoreError::sql(reading))?;
    Ok(Document {
        kind: row.try_get(0).map_err(StoreError::sql(reading))?,
        id: row.try_get(1).map_err(StoreError::sql(reading))?,
        revision: u64::try_from(revision).unwrap_or(0),
        body: serde_json::from_str(&body).map_err(StoreError::row("document"))?,
    })
}

pub(crate) async fn put(
    connection: &mut SqliteConnection,
    document: Document,
) -> Result<Result<u64, DocumentConflict>, StoreError> {
    let body = serde_json::to_string(&document.body).map_err(StoreError::row("document being written"))?;
    let query = if document.revision == 0 {
        "INSERT INTO documents (kind, id, revision, body) VALUES (?1, ?2, 1 + ?3, ?4) ON CONFLICT DO NOTHING"
    } else {
        "UPDATE documents SET revision = ?3 + 1, body = ?4 WHERE kind = ?1 AND id = ?2 AND revision = ?3"
    };
    let written = sqlx::query(query)
        .bind(&document.kind)
        .bind(&document.id)
        .bind(i64::try_from(document.revision).unwrap_or(i64::MAX))
        .bind(body)
        .execute(connection)
        .await
        .map_err(StoreError::sql("writing a document"))?;
    Ok(if written.rows_affected() == 1 {
        Ok(document.revision + 1)
    } else {
        Err(DocumentConflict { kind: document.kind, id: document.id, expected: document.revision })
    })
}

pub(crate) async fn delete(
    connection: &mut SqliteConnection,
    kind: &str,
    id: &str,
    revision: u64,
) -> Result<Result<(), DocumentConflict>, StoreError> {
    let deleted = sqlx::query("DELETE FROM documents WHERE kind = ?1 AND id = ?2 AND revision = ?3")
        .bind(kind)
        .bind(id)
        .bind(i64::try_from(revision).unwrap_or(i64::MAX))
        .execute(connection)
        .await
        .map_err(StoreError::sql("deleting a document"))?;
    Ok(if deleted.rows_affected() == 1 {
        Ok(())
    } else {
        Err(DocumentConflict { kind: kind.to_owned(), id: id.to_owned(), expected: revision })
    })
}
