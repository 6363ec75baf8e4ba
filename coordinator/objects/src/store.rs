//! The object store: opening it, and its buckets.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnection, SqlitePool};

use crate::blobs::{BlobDirectory, BlobId};
use crate::error::{OpenError, StoreError};
use crate::hold;
use crate::model::{Bucket, BucketAccess, Creation, from_ms, now_ms};
use crate::pins::Pins;
use crate::schema;
use crate::writer::{Applied, Writer};

/// Buckets and objects in one directory: an index in SQLite and immutable blob files. Cheap to clone.
///
/// Every method that changes something returns once the change would survive a crash. Dropping the future of a
/// change leaves it done or not done, never half.
#[derive(Clone)]
pub struct ObjectStore {
    pub(crate) blobs: BlobDirectory,
    pub(crate) pins: Pins,
    pub(crate) writer: Writer,
    pub(crate) readers: SqlitePool,
    /// Held for as long as the store lives: the lock keeps a second process out.
    _lock: Arc<File>,
}

impl std::fmt::Debug for ObjectStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectStore").field("blobs", &self.blobs).finish_non_exhaustive()
    }
}

impl ObjectStore {
    /// Opens the store in `dir`, creating it if need be: takes the directory's lock, checks and migrates the index
    /// (`objects.db`), and removes the blob files it does not name.
    pub async fn open(dir: &Path) -> Result<Self, OpenError> {
        let root = dir.to_owned();
        let (lock, blobs) = tokio::task::spawn_blocking(move || prepare(&root))
            .await
            .expect("preparing the directory does not panic")?;
        let (connection, readers) = schema::open(&dir.join(hold::INDEX)).await?;
        sweep(&blobs, &readers, dir).await?;
        let pins = Pins::new(blobs.clone());
        let writer = Writer::start(connection, pins.clone());
        Ok(Self { blobs, pins, writer, readers, _lock: Arc::new(lock) })
    }

    /// Creates a bucket. An existing one is left as it is.
    pub async fn create_bucket(&self, name: &str, access: BucketAccess) -> Result<Creation, StoreError> {
        if !s3s::path::check_bucket_name(name) {
            return Err(StoreError::InvalidBucketName);
        }
        let name = name.to_owned();
        self.writer
            .apply(move |connection| {
                Box::pin(async move {
                    let sql = "INSERT INTO buckets (name, created_ms, access) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
                    let done = sqlx::query(sql)
                        .bind(name)
                        .bind(now_ms())
                        .bind(access.as_str())
                        .execute(connection)
                        .await
                        .map_err(StoreError::Index)?;
                    let is_new = done.rows_affected() > 0;
                    Ok(Applied::new(if is_new { Creation::Created } else { Creation::Existed }))
                })
            })
            .await
    }

    /// Looks a bucket up.
    pub async fn bucket(&self, name: &str) -> Result<Bucket, StoreError> {
        let sql = "SELECT name, created_ms, access FROM buckets WHERE name = $1";
        let row: Option<(String, i64, String)> =
            sqlx::query_as(sql).bind(name).fetch_optional(&self.readers).await.map_err(StoreError::Index)?;
        row.map(bucket_from_row).ok_or(StoreError::NoSuchBucket)
    }

    /// All buckets, by name.
    pub async fn buckets(&self) -> Result<Vec<Bucket>, StoreError> {
        let sql = "SELECT name, created_ms, access FROM buckets ORDER BY name";
        let rows: Vec<(String, i64, String)> =
            sqlx::query_as(sql).fetch_all(&self.readers).await.map_err(StoreError::Index)?;
        Ok(rows.into_iter().map(bucket_from_row).collect())
    }

    /// Deletes an empty bucket; its uploads in progress are aborted.
    pub async fn delete_bucket(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.writer
            .apply(move |connection| {
                Box::pin(async move {
                    require_bucket(connection, &name).await?;
                    let held: Option<i64> =
                        sqlx::query_scalar("SELECT 1 FROM objects WHERE bucket = $1 LIMIT 1")
                            .bind(&name)
                            .fetch_optional(&mut *connection)
                            .await
                            .map_err(StoreError::Index)?;
                    if held.is_some() {
                        return Err(StoreError::BucketNotEmpty);
                    }
                    let sql = "DELETE FROM parts WHERE upload IN (SELECT id FROM uploads WHERE bucket = $1) RETURNING blob";
                    let blobs: Vec<Option<String>> = sqlx::query_scalar(sql)
                        .bind(&name)
                        .fetch_all(&mut *connection)
                        .await
                        .map_err(StoreError::Index)?;
                    for sql in ["DELETE FROM uploads WHERE bucket = $1", "DELETE FROM buckets WHERE name = $1"] {
                        sqlx::query(sql)
                            .bind(&name)
                            .execute(&mut *connection)
                            .await
                            .map_err(StoreError::Index)?;
                    }
                    let discarded = blobs.into_iter().flatten().map(BlobId::from_index).collect();
                    Ok(Applied { discarded, ..Applied::new(()) })
                })
            })
            .await
    }
}

fn bucket_from_row((name, created_ms, access): (String, i64, String)) -> Bucket {
    Bucket { name, created: from_ms(created_ms), access: BucketAccess::from_index(&access) }
}

/// Fails unless the bucket exists.
pub(crate) async fn require_bucket(connection: &mut SqliteConnection, name: &str) -> Result<(), StoreError> {
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM buckets WHERE name = $1")
        .bind(name)
        .fetch_optional(connection)
        .await
        .map_err(StoreError::Index)?;
    found.map(|_| ()).ok_or(StoreError::NoSuchBucket)
}

/// Creates the directory and takes its lock. Blocking.
fn prepare(dir: &Path) -> Result<(File, BlobDirectory), OpenError> {
    let failed = |path: PathBuf| move |source| OpenError::Directory { path, source };
    std::fs::create_dir_all(dir).map_err(failed(dir.to_owned()))?;
    let path = dir.join("lock");
    let lock = File::create(&path).map_err(failed(path.clone()))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path }),
        Err(TryLockError::Error(source)) => return Err(OpenError::Directory { path, source }),
    }
    let blobs = BlobDirectory::open(dir).map_err(failed(dir.to_owned()))?;
    Ok((lock, blobs))
}

/// Removes blob files the index does not name, one shard at a time, and reports those it names in vain. While a backup is
/// made all stay: its copy of the index may name what ours does no more.
async fn sweep(blobs: &BlobDirectory, index: &SqlitePool, dir: &Path) -> Result<(), OpenError> {
    let held = |source| OpenError::Directory { path: dir.to_owned(), source };
    let Some(_leave) = hold::may_remove(dir).map_err(held)? else {
        tracing::info!("a backup is being made; orphaned blob files stay until the next start");
        return Ok(());
    };
    let sql = "SELECT blob FROM segments WHERE blob BETWEEN $1 AND $2
               UNION ALL SELECT blob FROM parts WHERE blob BETWEEN $1 AND $2";
    let mut removed = 0;
    let mut missing = Vec::new();
    for shard in 0..=u8::MAX {
        let first = hex::encode([shard]);
        let last = format!("{first}g"); // Past every hexadecimal digit.
        let named: Vec<String> = sqlx::query_scalar(sql)
            .bind(first)
            .bind(last)
            .fetch_all(index)
            .await
            .map_err(|source| OpenError::Index { path: dir.join(hold::INDEX), source })?;
        let directory = blobs.clone();
        let named: HashSet<String> = named.into_iter().collect();
        let (gone, absent) = tokio::task::spawn_blocking(move || directory.sweep_shard(shard, named))
            .await
            .expect("sweeping does not panic")
            .map_err(|source| OpenError::Directory { path: dir.join("blobs"), source })?;
        removed += gone;
        missing.extend(absent);
    }
    if removed > 0 {
        tracing::info!(removed, "orphaned blob files removed");
    }
    if !missing.is_empty() {
        tracing::error!(missing = missing.len(), ?missing, "blob files of objects are missing");
    }
    Ok(())
}
