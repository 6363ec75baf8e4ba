//! Multipart uploads: begun, filled part by part in any order, then completed into one object or aborted.
//!
//! Completing moves no bytes: the parts' blobs become the segments of the object.

use std::collections::HashMap;

use futures::TryStreamExt as _;
use hearth_faults::{Point, reach};
use sqlx::sqlite::SqliteConnection;
use time::OffsetDateTime;

use crate::blobs::{BlobId, Received};
use crate::digests::{Checksum, ChecksumKind, multipart_etag};
use crate::error::StoreError;
use crate::listing::text;
use crate::model::{Attributes, ObjectInfo, WriteCondition, from_ms, now_ms};
use crate::objects::{
    attributes_from_index, attributes_to_index, check_current, check_key, insert_content, load,
    replace_object,
};
use crate::store::{ObjectStore, require_bucket};
use crate::writer::Applied;

/// The smallest size of every part but the last, in bytes.
pub(crate) const MIN_PART_BYTES: u64 = 5 << 20;

/// The highest part number.
pub(crate) const MAX_PART_NUMBER: u16 = 10_000;

/// An upload in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upload {
    /// Its id.
    pub(crate) id: String,
    /// The key it will create.
    pub(crate) key: String,
    /// When it was begun.
    pub(crate) initiated: OffsetDateTime,
    /// The checksum its parts carry, when the uploader asked for one.
    pub(crate) checksum: Option<ChecksumKind>,
}

/// An uploaded part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UploadedPart {
    /// Its number, 1..=10000.
    pub(crate) number: u16,
    /// Bytes.
    pub(crate) size: u64,
    /// The MD5 of its bytes, without quotes.
    pub(crate) etag: String,
    /// When it was uploaded.
    pub(crate) modified: OffsetDateTime,
    /// Its checksum, when the uploader gave one.
    pub(crate) checksum: Option<Checksum>,
}

/// A part as a completion names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedPart {
    /// Its number.
    pub(crate) number: u16,
    /// Its ETag, without quotes.
    pub(crate) etag: String,
    /// Its checksum, if the uploader repeats it.
    pub(crate) checksum: Option<Checksum>,
}

/// Which uploads to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UploadQuery {
    /// Only keys that begin with this.
    pub(crate) prefix: String,
    /// Rolls up keys that contain it after the prefix.
    pub(crate) delimiter: Option<String>,
    /// Only keys greater than this, or equal to it with an upload id greater than `after_id`.
    pub(crate) after_key: Option<String>,
    /// See `after_key`.
    pub(crate) after_id: Option<String>,
    /// At most this many entries.
    pub(crate) limit: usize,
}

/// A page of uploads, by key and then by time of initiation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UploadPage {
    /// The uploads.
    pub(crate) uploads: Vec<Upload>,
    /// Common prefixes, in order.
    pub(crate) prefixes: Vec<String>,
    /// The last entry's key (or prefix) and upload id, if there is more.
    pub(crate) next: Option<(String, Option<String>)>,
}

type PartRow = (i64, Option<String>, i64, String, i64, Option<String>);

const SELECT_PARTS: &str = "SELECT number, blob, size, etag, modified_ms, checksum FROM parts
     WHERE upload = $1 AND number > $2 ORDER BY number LIMIT $3";

impl ObjectStore {
    /// Begins an upload and returns its id.
    pub(crate) async fn begin_upload(
        &self,
        bucket: &str,
        key: &str,
        attributes: Attributes,
        checksum: Option<ChecksumKind>,
    ) -> Result<String, StoreError> {
        check_key(key)?;
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        self.writer
            .apply(move |connection| {
                Box::pin(async move {
                    require_bucket(connection, &bucket).await?;
                    let now = now_ms();
                    let id = format!("{now:012x}{}", hex::encode(rand::random::<[u8; 16]>()));
                    let sql = "INSERT INTO uploads (id, bucket, key, initiated_ms, checksum, attributes)
                               VALUES ($1, $2, $3, $4, $5, $6)";
                    sqlx::query(sql)
                        .bind(&id)
                        .bind(bucket)
                        .bind(key.as_bytes())
                        .bind(now)
                        .bind(checksum.map(ChecksumKind::as_str))
                        .bind(attributes_to_index(&attributes))
                        .execute(connection)
                        .await
                        .map_err(StoreError::Index)?;
                    Ok(Applied::new(id))
                })
            })
            .await
    }

    /// Looks an upload up.
    pub(crate) async fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<Upload, StoreError> {
        let sql = "SELECT initiated_ms, checksum FROM uploads WHERE id = $1 AND bucket = $2 AND key = $3";
        let row: Option<(i64, Option<String>)> = sqlx::query_as(sql)
            .bind(id)
            .bind(bucket)
            .bind(key.as_bytes())
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::Index)?;
        match row {
            Some((initiated_ms, checksum)) => Ok(Upload {
                id: id.to_owned(),
                key: key.to_owned(),
                initiated: from_ms(initiated_ms),
                checksum: checksum.as_deref().and_then(ChecksumKind::parse),
            }),
            None => {
                self.bucket(bucket).await?;
                Err(StoreError::NoSuchUpload)
            }
        }
    }

    /// Enters a received body as a part, replacing one of the same number.
    pub(crate) async fn commit_part(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        number: u16,
        received: Received,
    ) -> Result<UploadedPart, StoreError> {
        if !(1..=MAX_PART_NUMBER).contains(&number) {
            return Err(StoreError::PartNumberOutOfRange);
        }
        let (bucket, key, id) = (bucket.to_owned(), key.to_owned(), id.to_owned());
        let part = UploadedPart {
            number,
            size: received.digests.size,
            etag: received.etag(),
            modified: from_ms(now_ms()),
            checksum: received.digests.checksum.clone(),
        };
        self.writer
            .apply(move |connection| {
                Box::pin(async move {
                    require_upload(connection, &bucket, &key, &id).await?;
                    let old: Option<Option<String>> = sqlx::query_scalar(
                        "DELETE FROM parts WHERE upload = $1 AND number = $2 RETURNING blob",
                    )
                    .bind(&id)
                    .bind(i64::from(number))
                    .fetch_optional(&mut *connection)
                    .await
                    .map_err(StoreError::Index)?;
                    insert_part(connection, &id, &part, received.blob.as_ref().map(|b| b.id())).await?;
                    Ok(Applied {
                        kept: received.blob.into_iter().collect(),
                        discarded: old.flatten().map(BlobId::from_index).into_iter().collect(),
                        ..Applied::new(part)
                    })
                })
            })
            .await
    }

    /// Makes the object of an upload from the named parts; parts not named are thrown away. Completing once more,
    /// after a lost answer, gives the same answer for as long as the object stands.
    pub(crate) async fn complete_upload(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        named: Vec<NamedPart>,
        condition: WriteCondition,
    ) -> Result<ObjectInfo, StoreError> {
        if named.is_empty() {
            return Err(StoreError::NoParts);
        }
        if !named.iter().zip(named.iter().skip(1)).all(|(part, next)| part.number < next.number) {
            return Err(StoreError::InvalidPartOrder);
        }
        let (bucket, key, id) = (bucket.to_owned(), key.to_owned(), id.to_owned());
        let completed = self
            .writer
            .apply(move |connection| {
                Box::pin(async move {
                    let found = require_upload(connection, &bucket, &key, &id).await;
                    if let Err(StoreError::NoSuchUpload) = found
                        && let Some(entry) = load(connection, &bucket, &key).await?
                        && entry.completed_upload.as_deref() == Some(&id)
                    {
                        return Ok(Applied::new(entry.info));
                    }
                    let (attributes, checksum) = found?;
                    check_current(connection, &bucket, &key, &condition).await?;
                    let assembled = assemble(connection, &id, &named, checksum).await?;
                    let info = ObjectInfo {
                        key,
                        size: assembled.segments.iter().map(|(_, size)| size).sum(),
                        etag: assembled.etag,
                        modified: from_ms(now_ms()),
                        attributes: Attributes { checksum: assembled.checksum, ..attributes },
                    };
                    let content = insert_content(connection, &assembled.segments).await?;
                    let freed = replace_object(connection, &bucket, &info, content, Some(&id)).await?;
                    remove_upload(connection, &id).await?;
                    Ok(Applied {
                        freed: freed.into_iter().collect(),
                        discarded: assembled.unused,
                        ..Applied::new(info)
                    })
                })
            })
            .await?;
        reach(Point::ObjectsUploadCompleted);
        Ok(completed)
    }

    /// Aborts an upload and throws its parts away.
    pub(crate) async fn abort_upload(&self, bucket: &str, key: &str, id: &str) -> Result<(), StoreError> {
        let (bucket, key, id) = (bucket.to_owned(), key.to_owned(), id.to_owned());
        self.writer
            .apply(move |connection| {
                Box::pin(async move {
                    require_upload(connection, &bucket, &key, &id).await?;
                    let discarded = remove_upload(connection, &id).await?;
                    Ok(Applied { discarded, ..Applied::new(()) })
                })
            })
            .await
    }

    /// Lists up to `limit` parts with numbers above `after`.
    pub(crate) async fn parts(
        &self,
        id: &str,
        after: u16,
        limit: usize,
    ) -> Result<Vec<UploadedPart>, StoreError> {
        let rows: Vec<PartRow> = sqlx::query_as(SELECT_PARTS)
            .bind(id)
            .bind(i64::from(after))
            .bind(limit as i64)
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::Index)?;
        rows.into_iter().map(|row| part_from_row(row).map(|(part, _)| part)).collect()
    }

    /// Lists a page of the uploads in progress.
    pub(crate) async fn uploads(&self, bucket: &str, query: &UploadQuery) -> Result<UploadPage, StoreError> {
        self.bucket(bucket).await?;
        let sql = "SELECT id, key, initiated_ms, checksum FROM uploads
                   WHERE bucket = $1 AND key >= $2 ORDER BY key, id";
        let after = query.after_key.as_deref().unwrap_or_default();
        let mut rows = sqlx::query_as::<_, (String, Vec<u8>, i64, Option<String>)>(sql)
            .bind(bucket)
            .bind(after.max(&query.prefix).as_bytes())
            .fetch(&self.readers);
        let mut page = UploadPage::default();
        let mut last = None;
        while let Some((id, key, initiated_ms, checksum)) =
            rows.try_next().await.map_err(StoreError::Index)?
        {
            let key = text(key)?;
            if !key.starts_with(&query.prefix) {
                break;
            }
            let rolled_up = query.rolled_up(&key);
            let is_shown = match (&rolled_up, &query.after_key) {
                (_, None) => true,
                (Some(prefix), Some(after)) => prefix > after,
                (None, Some(after)) if key == *after => {
                    query.after_id.as_ref().is_some_and(|after_id| id > *after_id)
                }
                (None, Some(after)) => key > *after,
            };
            if !is_shown || (rolled_up.is_some() && rolled_up == page.prefixes.last().cloned()) {
                continue;
            }
            if page.uploads.len() + page.prefixes.len() == query.limit {
                page.next = last;
                break;
            }
            match rolled_up {
                Some(prefix) => {
                    last = Some((prefix.clone(), None));
                    page.prefixes.push(prefix);
                }
                None => {
                    last = Some((key.clone(), Some(id.clone())));
                    let checksum = checksum.as_deref().and_then(ChecksumKind::parse);
                    page.uploads.push(Upload { id, key, initiated: from_ms(initiated_ms), checksum });
                }
            }
        }
        Ok(page)
    }
}

impl UploadQuery {
    fn rolled_up(&self, key: &str) -> Option<String> {
        let delimiter = self.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty())?;
        let at = key.get(self.prefix.len()..)?.find(delimiter)?;
        key.get(..self.prefix.len() + at + delimiter.len()).map(str::to_owned)
    }
}

/// The object-to-be of a completion.
struct Assembled {
    segments: Vec<(BlobId, u64)>,
    etag: String,
    checksum: Option<Checksum>,
    unused: Vec<BlobId>,
}

/// Checks the named parts against those uploaded and puts them together.
async fn assemble(
    connection: &mut SqliteConnection,
    id: &str,
    named: &[NamedPart],
    checksum: Option<ChecksumKind>,
) -> Result<Assembled, StoreError> {
    let rows: Vec<PartRow> = sqlx::query_as(SELECT_PARTS)
        .bind(id)
        .bind(0_i64)
        .bind(i64::from(MAX_PART_NUMBER))
        .fetch_all(connection)
        .await
        .map_err(StoreError::Index)?;
    let mut uploaded = HashMap::with_capacity(rows.len());
    for row in rows {
        let (part, blob) = part_from_row(row)?;
        uploaded.insert(part.number, (part, blob));
    }
    let mut parts = Vec::with_capacity(named.len());
    let mut segments = Vec::with_capacity(named.len());
    for (position, name) in named.iter().enumerate() {
        let invalid = StoreError::InvalidPart { number: name.number };
        let Some((part, blob)) = uploaded.remove(&name.number) else { return Err(invalid) };
        let is_same_sum = match (&name.checksum, &part.checksum) {
            (Some(said), Some(held)) if said.kind == held.kind => said == held,
            (Some(_), _) => false,
            (None, _) => true,
        };
        if !name.etag.eq_ignore_ascii_case(&part.etag) || !is_same_sum {
            return Err(invalid);
        }
        if part.size < MIN_PART_BYTES && position + 1 < named.len() {
            return Err(StoreError::PartTooSmall { number: part.number });
        }
        segments.extend(blob.map(|blob| (blob, part.size)));
        parts.push(part);
    }
    let etag = multipart_etag(parts.iter().map(|part| part.etag.as_str()))
        .expect("the ETag of a part is its MD5 in hexadecimal");
    let checksum =
        checksum.and_then(|kind| Checksum::compose(kind, parts.iter().map(|part| part.checksum.as_ref())));
    let unused = uploaded.into_values().filter_map(|(_, blob)| blob).collect();
    Ok(Assembled { segments, etag, checksum, unused })
}

fn part_from_row(row: PartRow) -> Result<(UploadedPart, Option<BlobId>), StoreError> {
    let (number, blob, size, etag, modified_ms, checksum) = row;
    let checksum = checksum
        .map(|json| serde_json::from_str(&json))
        .transpose()
        .map_err(|error| StoreError::Index(sqlx::Error::Decode(Box::new(error))))?;
    let part = UploadedPart {
        number: number as u16,
        size: size as u64,
        etag,
        modified: from_ms(modified_ms),
        checksum,
    };
    Ok((part, blob.map(BlobId::from_index)))
}

async fn insert_part(
    connection: &mut SqliteConnection,
    id: &str,
    part: &UploadedPart,
    blob: Option<&BlobId>,
) -> Result<(), StoreError> {
    let checksum = part
        .checksum
        .as_ref()
        .map(|checksum| serde_json::to_string(checksum).expect("a checksum is two plain strings"));
    let sql = "INSERT INTO parts (upload, number, blob, size, etag, modified_ms, checksum)
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    sqlx::query(sql)
        .bind(id)
        .bind(i64::from(part.number))
        .bind(blob.map(BlobId::as_str))
        .bind(part.size as i64)
        .bind(&part.etag)
        .bind((part.modified.unix_timestamp_nanos() / 1_000_000) as i64)
        .bind(checksum)
        .execute(connection)
        .await
        .map_err(StoreError::Index)
        .map(drop)
}

/// Fails unless the upload exists; returns its attributes and checksum.
async fn require_upload(
    connection: &mut SqliteConnection,
    bucket: &str,
    key: &str,
    id: &str,
) -> Result<(Attributes, Option<ChecksumKind>), StoreError> {
    require_bucket(connection, bucket).await?;
    let sql = "SELECT attributes, checksum FROM uploads WHERE id = $1 AND bucket = $2 AND key = $3";
    let row: Option<(String, Option<String>)> = sqlx::query_as(sql)
        .bind(id)
        .bind(bucket)
        .bind(key.as_bytes())
        .fetch_optional(connection)
        .await
        .map_err(StoreError::Index)?;
    let (attributes, checksum) = row.ok_or(StoreError::NoSuchUpload)?;
    let checksum = checksum.as_deref().and_then(ChecksumKind::parse);
    Ok((attributes_from_index(&attributes)?, checksum))
}

/// Removes an upload and its parts from the index; returns the parts' blobs.
pub(crate) async fn remove_upload(
    connection: &mut SqliteConnection,
    id: &str,
) -> Result<Vec<BlobId>, StoreError> {
    let blobs: Vec<Option<String>> = sqlx::query_scalar("DELETE FROM parts WHERE upload = $1 RETURNING blob")
        .bind(id)
        .fetch_all(&mut *connection)
        .await
        .map_err(StoreError::Index)?;
    sqlx::query("DELETE FROM uploads WHERE id = $1")
        .bind(id)
        .execute(connection)
        .await
        .map_err(StoreError::Index)?;
    Ok(blobs.into_iter().flatten().map(BlobId::from_index).collect())
}
