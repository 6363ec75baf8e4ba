//! Objects: put, look up, read, copy, delete.

use std::ops::Range;

use bytes::Bytes;
use futures::{Stream, stream};
use hearth_faults::{Point, reach};
use sqlx::sqlite::SqliteConnection;

use crate::blobs::{BlobId, Received};
use crate::digests::ChecksumKind;
use crate::error::{BodyError, StoreError};
use crate::model::{Attributes, ObjectInfo, WriteCondition, from_ms, now_ms};
use crate::reader::ObjectReader;
use crate::store::{ObjectStore, require_bucket};
use crate::writer::Applied;

/// The longest key, in bytes of UTF-8.
const KEY_BYTES: usize = 1024;

/// An object's row and the number of its content.
pub(crate) struct Entry {
    pub(crate) info: ObjectInfo,
    pub(crate) content: i64,
    pub(crate) completed_upload: Option<String>,
}

/// What is copied along with the bytes.
#[derive(Debug, Clone)]
pub enum CopyAttributes {
    /// The source's attributes.
    Keep,
    /// These instead; the checksum stays the source's.
    Replace(Attributes),
}

type EntryRow = (i64, i64, String, i64, Option<String>, String);

const SELECT_ENTRY: &str = "SELECT content, size, etag, modified_ms, completed_upload, attributes
     FROM objects WHERE bucket = $1 AND key = $2";

impl ObjectStore {
    /// Stores an object from a stream of bytes, replacing one of the same key. Memory use does not depend on its
    /// size. Dropping the future stores nothing, or the whole object.
    pub async fn put<S>(
        &self,
        bucket: &str,
        key: &str,
        body: S,
        attributes: Attributes,
        condition: WriteCondition,
    ) -> Result<ObjectInfo, StoreError>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send,
    {
        self.bucket(bucket).await?;
        let received = self.receive(body, None).await?;
        self.commit_object(bucket, key, received, attributes, condition).await
    }

    /// Stores an object from bytes in memory.
    pub async fn put_bytes(
        &self,
        bucket: &str,
        key: &str,
        body: Bytes,
        attributes: Attributes,
    ) -> Result<ObjectInfo, StoreError> {
        let body = stream::iter([Ok(body)]);
        self.put(bucket, key, body, attributes, WriteCondition::Always).await
    }

    /// Looks an object up.
    pub async fn head(&self, bucket: &str, key: &str) -> Result<ObjectInfo, StoreError> {
        Ok(self.entry(bucket, key).await?.info)
    }

    /// Whether the bucket holds the key; false too when there is no such bucket.
    pub async fn exists(&self, bucket: &str, key: &str) -> Result<bool, StoreError> {
        match self.entry(bucket, key).await {
            Ok(_) => Ok(true),
            Err(StoreError::NoSuchKey | StoreError::NoSuchBucket) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads an object, or a range of its bytes, as it is now: replacing or deleting it meanwhile does not disturb
    /// the reader.
    pub async fn get(
        &self,
        bucket: &str,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<ObjectReader, StoreError> {
        let found = self.found(bucket, key).await?;
        found.read(range)
    }

    /// Deletes keys; one that does not exist is no error.
    pub async fn delete(&self, bucket: &str, keys: &[String]) -> Result<(), StoreError> {
        let (bucket, keys) = (bucket.to_owned(), keys.to_vec());
        self.writer
            .apply(move |connection| {
                Box::pin(async move {
                    require_bucket(connection, &bucket).await?;
                    let mut applied = Applied::new(());
                    for key in keys {
                        applied.freed.extend(remove_object(connection, &bucket, &key).await?);
                    }
                    Ok(applied)
                })
            })
            .await
    }

    /// Deletes a key if its ETag is the given one. A missing key fails with `NoSuchKey`.
    pub(crate) async fn delete_if(
        &self,
        bucket: &str,
        key: &str,
        condition: WriteCondition,
    ) -> Result<(), StoreError> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.writer
            .apply(move |connection| {
                Box::pin(async move {
                    require_bucket(connection, &bucket).await?;
                    let current = load(connection, &bucket, &key).await?;
                    check_condition(&condition, current.as_ref())?;
                    let freed = remove_object(connection, &bucket, &key).await?;
                    Ok(Applied { freed: freed.into_iter().collect(), ..Applied::new(()) })
                })
            })
            .await
    }

    /// Copies an object without copying its bytes. The source must still have `source_etag`, when given.
    pub async fn copy(
        &self,
        (source_bucket, source_key): (&str, &str),
        source_etag: Option<&str>,
        (bucket, key): (&str, &str),
        attributes: CopyAttributes,
    ) -> Result<ObjectInfo, StoreError> {
        check_key(key)?;
        let source = (source_bucket.to_owned(), source_key.to_owned());
        let source_etag = source_etag.map(str::to_owned);
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.writer
            .apply(move |connection| {
                Box::pin(async move {
                    require_bucket(connection, &source.0).await?;
                    require_bucket(connection, &bucket).await?;
                    let from = load(connection, &source.0, &source.1).await?.ok_or(StoreError::NoSuchKey)?;
                    if source_etag.is_some_and(|etag| etag != from.info.etag) {
                        return Err(StoreError::PreconditionFailed);
                    }
                    sqlx::query("UPDATE contents SET refs = refs + 1 WHERE id = $1")
                        .bind(from.content)
                        .execute(&mut *connection)
                        .await
                        .map_err(StoreError::Index)?;
                    let attributes = match attributes {
                        CopyAttributes::Keep => from.info.attributes,
                        CopyAttributes::Replace(new) => {
                            Attributes { checksum: from.info.attributes.checksum, ..new }
                        }
                    };
                    let info = ObjectInfo { key, modified: from_ms(now_ms()), attributes, ..from.info };
                    let freed = replace_object(connection, &bucket, &info, from.content, None).await?;
                    Ok(Applied { freed: freed.into_iter().collect(), ..Applied::new(info) })
                })
            })
            .await
    }

    pub(crate) async fn receive<S>(
        &self,
        body: S,
        checksum: Option<ChecksumKind>,
    ) -> Result<Received, StoreError>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send,
    {
        let received = self.blobs.receive(body, checksum).await?;
        reach(Point::ObjectsReceived);
        Ok(received)
    }

    /// Enters a received body into the index under a key.
    pub(crate) async fn commit_object(
        &self,
        bucket: &str,
        key: &str,
        received: Received,
        mut attributes: Attributes,
        condition: WriteCondition,
    ) -> Result<ObjectInfo, StoreError> {
        check_key(key)?;
        attributes.checksum.clone_from(&received.digests.checksum);
        let info = ObjectInfo {
            key: key.to_owned(),
            size: received.digests.size,
            etag: received.etag(),
            modified: from_ms(now_ms()),
            attributes,
        };
        let bucket = bucket.to_owned();
        self.writer
            .apply(move |connection| {
                Box::pin(async move {
                    require_bucket(connection, &bucket).await?;
                    check_current(connection, &bucket, &info.key, &condition).await?;
                    let segments: Vec<_> =
                        received.blob.iter().map(|blob| (blob.id().clone(), info.size)).collect();
                    let content = insert_content(connection, &segments).await?;
                    let freed = replace_object(connection, &bucket, &info, content, None).await?;
                    Ok(Applied {
                        kept: received.blob.into_iter().collect(),
                        freed: freed.into_iter().collect(),
                        ..Applied::new(info)
                    })
                })
            })
            .await
    }

    /// Looks an object up with its content; tells a missing bucket from a missing key.
    pub(crate) async fn entry(&self, bucket: &str, key: &str) -> Result<Entry, StoreError> {
        let row: Option<EntryRow> = sqlx::query_as(SELECT_ENTRY)
            .bind(bucket)
            .bind(key.as_bytes())
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::Index)?;
        match row {
            Some(row) => entry_from_row(key, row),
            None => {
                self.bucket(bucket).await?;
                Err(StoreError::NoSuchKey)
            }
        }
    }
}

pub(crate) fn check_key(key: &str) -> Result<(), StoreError> {
    if key.is_empty() || key.len() > KEY_BYTES { Err(StoreError::InvalidKey) } else { Ok(()) }
}

/// Reads attributes kept in the index.
pub(crate) fn attributes_from_index(json: &str) -> Result<Attributes, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::Index(sqlx::Error::Decode(Box::new(error))))
}

/// Writes attributes for the index.
pub(crate) fn attributes_to_index(attributes: &Attributes) -> String {
    serde_json::to_string(attributes).expect("attributes are plain strings and numbers")
}

fn entry_from_row(key: &str, row: EntryRow) -> Result<Entry, StoreError> {
    let (content, size, etag, modified_ms, completed_upload, attributes) = row;
    let info = ObjectInfo {
        key: key.to_owned(),
        size: size as u64,
        etag,
        modified: from_ms(modified_ms),
        attributes: attributes_from_index(&attributes)?,
    };
    Ok(Entry { info, content, completed_upload })
}

/// Loads an object's row inside a transaction.
pub(crate) async fn load(
    connection: &mut SqliteConnection,
    bucket: &str,
    key: &str,
) -> Result<Option<Entry>, StoreError> {
    let row: Option<EntryRow> = sqlx::query_as(SELECT_ENTRY)
        .bind(bucket)
        .bind(key.as_bytes())
        .fetch_optional(connection)
        .await
        .map_err(StoreError::Index)?;
    row.map(|row| entry_from_row(key, row)).transpose()
}

/// Checks a write's condition against the current object, which is loaded only when there is a condition.
pub(crate) async fn check_current(
    connection: &mut SqliteConnection,
    bucket: &str,
    key: &str,
    condition: &WriteCondition,
) -> Result<(), StoreError> {
    if *condition == WriteCondition::Always {
        return Ok(());
    }
    let current = load(connection, bucket, key).await?;
    check_condition(condition, current.as_ref())
}

fn check_condition(condition: &WriteCondition, current: Option<&Entry>) -> Result<(), StoreError> {
    match (condition, current) {
        (WriteCondition::Always, _)
        | (WriteCondition::IfAbsent, None)
        | (WriteCondition::IfPresent, Some(_)) => Ok(()),
        (WriteCondition::IfAbsent, Some(_)) => Err(StoreError::PreconditionFailed),
        (WriteCondition::IfPresent | WriteCondition::IfEtag(_), None) => Err(StoreError::NoSuchKey),
        (WriteCondition::IfEtag(etag), Some(entry)) if *etag == entry.info.etag => Ok(()),
        (WriteCondition::IfEtag(_), Some(_)) => Err(StoreError::PreconditionFailed),
    }
}

/// Adds a content of the given blobs (with their sizes), in order, and returns its number.
pub(crate) async fn insert_content(
    connection: &mut SqliteConnection,
    segments: &[(BlobId, u64)],
) -> Result<i64, StoreError> {
    let size: u64 = segments.iter().map(|(_, size)| size).sum();
    let content: i64 = sqlx::query_scalar("INSERT INTO contents (refs, size) VALUES (1, $1) RETURNING id")
        .bind(size as i64)
        .fetch_one(&mut *connection)
        .await
        .map_err(StoreError::Index)?;
    for ((blob, size), seq) in segments.iter().zip(0_i64..) {
        sqlx::query("INSERT INTO segments (content, seq, blob, size) VALUES ($1, $2, $3, $4)")
            .bind(content)
            .bind(seq)
            .bind(blob.as_str())
            .bind(*size as i64)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::Index)?;
    }
    Ok(content)
}

/// Points a key at a content and lets go of the one it had; returns that one with its blobs if nothing else uses it.
pub(crate) async fn replace_object(
    connection: &mut SqliteConnection,
    bucket: &str,
    info: &ObjectInfo,
    content: i64,
    completed_upload: Option<&str>,
) -> Result<Option<(i64, Vec<BlobId>)>, StoreError> {
    let freed = remove_object(connection, bucket, &info.key).await?;
    let sql =
        "INSERT INTO objects (bucket, key, content, size, etag, modified_ms, completed_upload, attributes)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(sql)
        .bind(bucket)
        .bind(info.key.as_bytes())
        .bind(content)
        .bind(info.size as i64)
        .bind(&info.etag)
        .bind((info.modified.unix_timestamp_nanos() / 1_000_000) as i64)
        .bind(completed_upload)
        .bind(attributes_to_index(&info.attributes))
        .execute(connection)
        .await
        .map_err(StoreError::Index)?;
    Ok(freed)
}

/// Removes a key if it is there; returns its content with its blobs if nothing else uses it.
async fn remove_object(
    connection: &mut SqliteConnection,
    bucket: &str,
    key: &str,
) -> Result<Option<(i64, Vec<BlobId>)>, StoreError> {
    let sql = "DELETE FROM objects WHERE bucket = $1 AND key = $2 RETURNING content";
    let content: Option<i64> = sqlx::query_scalar(sql)
        .bind(bucket)
        .bind(key.as_bytes())
        .fetch_optional(&mut *connection)
        .await
        .map_err(StoreError::Index)?;
    let Some(content) = content else { return Ok(None) };
    let refs: i64 = sqlx::query_scalar("SELECT refs FROM contents WHERE id = $1")
        .bind(content)
        .fetch_one(&mut *connection)
        .await
        .map_err(StoreError::Index)?;
    if refs > 1 {
        sqlx::query("UPDATE contents SET refs = refs - 1 WHERE id = $1")
            .bind(content)
            .execute(&mut *connection)
            .await
            .map_err(StoreError::Index)?;
        return Ok(None);
    }
    let blobs: Vec<String> = sqlx::query_scalar("DELETE FROM segments WHERE content = $1 RETURNING blob")
        .bind(content)
        .fetch_all(&mut *connection)
        .await
        .map_err(StoreError::Index)?;
    sqlx::query("DELETE FROM contents WHERE id = $1")
        .bind(content)
        .execute(connection)
        .await
        .map_err(StoreError::Index)?;
    Ok(Some((content, blobs.into_iter().map(BlobId::from_index).collect())))
}
