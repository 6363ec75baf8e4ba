//! Keeps blob files from being removed while another process copies them.
//!
//! Removals lock `DIR/removals` together (shared), a backup locks it alone. A removal that finds it taken waits for the
//! next one, and in the end for the sweep at the next start: it costs disk, never an object.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::blobs::{BlobDirectory, BlobId};
use crate::schema;

/// Opens the file that is locked, making it if need be.
fn lock_file(dir: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(dir.join("removals"))
}

/// Leave to remove blob files, until dropped; `None` while a backup is made.
pub(crate) fn may_remove(dir: &Path) -> io::Result<Option<File>> {
    // A file of its own each time: locks through one open file would be one lock.
    let file = lock_file(dir)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Why the objects could not be copied.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// Another backup is being made.
    #[error("another backup of {0} is being made; wait for its end")]
    Taken(PathBuf),
    /// The directory cannot be used.
    #[error("holding the object store {dir}")]
    Directory {
        /// Which.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The index cannot be copied.
    #[error(transparent)]
    Copy(#[from] hearth_sqlite::CopyError),
    /// The copy of the index cannot be read.
    #[error("reading the copied object index")]
    Index(#[source] sqlx::Error),
}

/// A store from whose directory no blob file goes until this is dropped. The store may be in use, by other processes too.
#[derive(Debug)]
pub struct HeldObjects {
    dir: PathBuf,
    _removals: File,
    _alone: File,
}

impl HeldObjects {
    /// Holds the store in `dir`. Waits for removals under way; those are a batch of files each. Blocking.
    ///
    /// # Errors
    /// [`HoldError::Taken`], [`HoldError::Directory`].
    pub fn hold(dir: &Path) -> Result<Self, HoldError> {
        let failed = |source| HoldError::Directory { dir: dir.to_owned(), source };
        let file = lock_file(dir).map_err(failed)?;
        // Two backups would not harm each other, but one of them could wait for hours.
        let alone = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join("backup"))
            .map_err(failed)?;
        match alone.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(HoldError::Taken(dir.to_owned())),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.lock().map_err(failed)?;
        Ok(Self { dir: dir.to_owned(), _removals: file, _alone: alone })
    }

    /// Copies the index as of now to `target`, and tells the blob files that it names, as paths below the store's
    /// directory. They stay until the hold ends: the index named them when it was copied, and a file goes only after it is
    /// named no more.
    ///
    /// # Errors
    /// [`HoldError::Copy`], [`HoldError::Index`].
    pub async fn copy_index(&self, target: &Path) -> Result<Vec<PathBuf>, HoldError> {
        use sqlx::{ConnectOptions as _, Connection as _};
        hearth_sqlite::copy(&self.dir.join(INDEX), target).await?;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(target).read_only(true);
        let mut connection = options.connect().await.map_err(HoldError::Index)?;
        let sql = "SELECT blob FROM segments UNION SELECT blob FROM parts WHERE blob IS NOT NULL";
        let named: BTreeSet<String> = sqlx::query_scalar(sql)
            .fetch_all(&mut connection)
            .await
            .map_err(HoldError::Index)?
            .into_iter()
            .collect();
        connection.close().await.map_err(HoldError::Index)?;
        let relative = |id| BlobDirectory::relative(&BlobId::from_index(id));
        Ok(named.into_iter().map(relative).collect())
    }
}

/// Name of the index in the store's directory.
pub const INDEX: &str = "objects.db";

/// Examines the index of the store in `dir`, as opening it does.
///
/// # Errors
/// When it cannot be used as it is.
pub async fn examine_index(dir: &Path) -> Result<(), hearth_sqlite::Refused> {
    hearth_sqlite::examine(&dir.join(INDEX), &schema::schema()).await
}
