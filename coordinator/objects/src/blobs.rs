//! The blob files: immutable, named by a random id, written aside and renamed into place.
//!
//! Layout: `<dir>/blobs/<xx>/<id>` where `xx` is the first two digits of the id, and `<dir>/incoming/<id>` while a
//! blob is being written. The index names every blob that counts; a file it does not name is garbage, removed at start.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::digests::{ChecksumKind, Digests, RunningDigests};
use crate::error::{BodyError, StoreError};
use crate::{hold, room};

/// Bytes gathered before a batch is handed to the disk; two batches are in memory at most.
const BATCH_BYTES: usize = 1 << 20;

/// The name of a blob file: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BlobId(String);

impl BlobId {
    fn random() -> Self {
        Self(hex::encode(rand::random::<[u8; 16]>()))
    }

    pub(crate) fn from_index(id: String) -> Self {
        Self(id)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn shard(&self) -> &str {
        self.0.get(..2).unwrap_or("00")
    }
}

/// The directory of blob files. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct BlobDirectory {
    root: Arc<PathBuf>,
    /// What could not go while a backup was made.
    deferred: Arc<Mutex<Vec<BlobId>>>,
}

/// A blob file in place. It is removed when dropped, unless the index has taken it.
#[derive(Debug)]
pub(crate) struct StoredBlob {
    id: BlobId,
    directory: BlobDirectory,
    is_kept: bool,
}

impl StoredBlob {
    pub(crate) fn id(&self) -> &BlobId {
        &self.id
    }

    /// Leaves the file: the index names it, or may do so.
    pub(crate) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for StoredBlob {
    fn drop(&mut self) {
        if !self.is_kept {
            self.directory.remove(vec![self.id.clone()]);
        }
    }
}

/// An uploaded body on disk (synced), not yet in the index.
#[derive(Debug)]
pub(crate) struct Received {
    /// Size, MD5 and checksum of the bytes.
    pub(crate) digests: Digests,
    /// The file, or `None` for an empty body.
    pub(crate) blob: Option<StoredBlob>,
}

impl Received {
    /// The ETag of the body as a plain object or part.
    pub(crate) fn etag(&self) -> String {
        hex::encode(self.digests.md5)
    }
}

/// A blob being written; its file is removed when dropped unfinished.
struct Draft {
    file: File,
    blob: StoredBlob,
    path: PathBuf,
    digests: RunningDigests,
}

impl Draft {
    fn create(directory: &BlobDirectory, kind: Option<ChecksumKind>) -> io::Result<Self> {
        let id = BlobId::random();
        let path = directory.incoming().join(id.as_str());
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let blob = StoredBlob { id, directory: directory.clone(), is_kept: false };
        Ok(Self { file, blob, path, digests: RunningDigests::new(kind) })
    }

    fn append(&mut self, batch: &[Bytes]) -> io::Result<()> {
        let bytes: usize = batch.iter().map(Bytes::len).sum();
        room::check(&self.blob.directory.root, bytes as u64)?;
        for chunk in batch {
            self.file.write_all(chunk)?;
            self.digests.update(chunk);
        }
        Ok(())
    }

    fn finish(self) -> io::Result<Received> {
        self.file.sync_all()?;
        let target = self.blob.directory.path(&self.blob.id);
        fs::rename(&self.path, &target)?;
        sync_directory(target.parent().unwrap_or(&target))?;
        Ok(Received { digests: self.digests.finish(), blob: Some(self.blob) })
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Awaits blocking work; a panic in it becomes an error.
async fn join<T>(task: JoinHandle<io::Result<T>>) -> io::Result<T> {
    task.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

impl BlobDirectory {
    /// Creates what is missing of the layout below `root` and empties the place of unfinished blobs. Blocking.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let directory = Self { root: Arc::new(root.to_owned()), deferred: Arc::default() };
        let incoming = directory.incoming();
        if incoming.exists() {
            fs::remove_dir_all(&incoming)?;
        }
        fs::create_dir_all(&incoming)?;
        for shard in 0..=u8::MAX {
            fs::create_dir_all(directory.shard_path(&hex::encode([shard])))?;
        }
        sync_directory(&root.join("blobs"))?;
        sync_directory(root)?;
        Ok(directory)
    }

    fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    fn shard_path(&self, shard: &str) -> PathBuf {
        self.root.join("blobs").join(shard)
    }

    fn path(&self, id: &BlobId) -> PathBuf {
        self.root.join(Self::relative(id))
    }

    /// A blob's path below the store's directory.
    pub(crate) fn relative(id: &BlobId) -> PathBuf {
        Path::new("blobs").join(id.shard()).join(id.as_str())
    }

    /// Writes a body to a new blob file, digesting it on the way, and syncs it. Memory use does not depend on its size.
    /// Dropping the future removes the file.
    pub(crate) async fn receive<S>(&self, body: S, kind: Option<ChecksumKind>) -> Result<Received, StoreError>
    where
        S: Stream<Item = Result<Bytes, BodyError>> + Send,
    {
        let mut body = std::pin::pin!(body);
        let mut writing: Option<JoinHandle<io::Result<Draft>>> = None;
        loop {
            let (batch, is_last) = next_batch(body.as_mut()).await?;
            if !batch.is_empty() {
                let before = match writing.take() {
                    Some(task) => Some(join(task).await.map_err(StoreError::Blob)?),
                    None => None,
                };
                let directory = self.clone();
                writing = Some(spawn_blocking(move || {
                    let mut draft = match before {
                        Some(draft) => draft,
                        None => Draft::create(&directory, kind)?,
                    };
                    draft.append(&batch)?;
                    Ok(draft)
                }));
            }
            if is_last {
                break;
            }
        }
        let Some(task) = writing else {
            return Ok(Received { digests: RunningDigests::new(kind).finish(), blob: None });
        };
        let draft = join(task).await.map_err(StoreError::Blob)?;
        join(spawn_blocking(move || draft.finish())).await.map_err(StoreError::Blob)
    }

    /// Opens a blob at an offset. Blocking.
    pub(crate) fn open_at(&self, id: &BlobId, offset: u64) -> io::Result<File> {
        let mut file = File::open(self.path(id))?;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset))?;
        }
        Ok(file)
    }

    /// Removes blob files in the background. One that cannot be removed is garbage until the next start.
    pub(crate) fn remove(&self, ids: Vec<BlobId>) {
        if ids.is_empty() {
            return;
        }
        let directory = self.clone();
        let work = move || directory.remove_now(ids);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(work)),
            Err(_) => work(),
        }
    }

    /// Removes blob files, unless a backup is made: then they wait for the next removal. Blocking.
    fn remove_now(&self, ids: Vec<BlobId>) {
        let mut deferred = self.deferred.lock().unwrap_or_else(PoisonError::into_inner);
        deferred.extend(ids);
        let leave = match hold::may_remove(&self.root) {
            Ok(Some(leave)) => leave,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(path = %self.root.display(), %error, "asking whether a backup is made");
                return;
            }
        };
        let ids = std::mem::take(&mut *deferred);
        drop(deferred);
        for id in ids {
            for path in [self.path(&id), self.incoming().join(id.as_str())] {
                if let Err(error) = fs::remove_file(&path)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    tracing::warn!(path = %path.display(), %error, "blob file not removed");
                }
            }
        }
        drop(leave);
    }

    /// Removes every file of one shard that `named` lacks, and returns how many went and which of `named` have no file.
    /// Blocking.
    pub(crate) fn sweep_shard(
        &self,
        shard: u8,
        mut named: HashSet<String>,
    ) -> io::Result<(usize, Vec<String>)> {
        let mut removed = 0;
        for entry in fs::read_dir(self.shard_path(&hex::encode([shard])))? {
            let entry = entry?;
            let is_named = entry.file_name().to_str().is_some_and(|name| named.remove(name));
            if !is_named {
                fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
        Ok((removed, named.into_iter().collect()))
    }
}

/// Gathers the next batch of a body and says whether it was the last.
async fn next_batch<S>(mut body: std::pin::Pin<&mut S>) -> Result<(Vec<Bytes>, bool), StoreError>
where
    S: Stream<Item = Result<Bytes, BodyError>> + Send,
{
    let mut batch = Vec::new();
    let mut gathered = 0;
    while gathered < BATCH_BYTES {
        match body.next().await {
            Some(chunk) => {
                let chunk = chunk.map_err(StoreError::Body)?;
                gathered += chunk.len();
                if !chunk.is_empty() {
                    batch.push(chunk);
                }
            }
            None => return Ok((batch, true)),
        }
    }
    Ok((batch, false))
}

/// Reads up to `limit` bytes from a blob; a file shorter than the index says is an error. Blocking.
pub(crate) fn read_chunk(file: &mut File, limit: usize) -> io::Result<Bytes> {
    let mut chunk = vec![0; limit];
    file.read_exact(&mut chunk)?;
    Ok(Bytes::from(chunk))
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn files(root: &Path) -> usize {
        let mut count = 0;
        for shard in fs::read_dir(root.join("blobs")).expect("shards") {
            count += fs::read_dir(shard.expect("shard").path()).expect("files").count();
        }
        count + fs::read_dir(root.join("incoming")).expect("incoming").count()
    }

    /// Waits until so many files are left; removal happens in the background.
    async fn wait_for_files(root: &Path, count: usize) {
        let settled = async {
            while files(root) != count {
                tokio::task::yield_now().await;
            }
        };
        let limit = std::time::Duration::from_secs(10);
        tokio::time::timeout(limit, settled).await.expect("files settle");
    }

    #[tokio::test]
    async fn a_broken_body_leaves_no_file() {
        let dir = tempfile::tempdir().expect("dir");
        let blobs = BlobDirectory::open(dir.path()).expect("open");
        let chunk = Bytes::from(vec![7; BATCH_BYTES]);
        let body = stream::iter([Ok(chunk), Err(BodyError::from("connection reset"))]);
        let result = blobs.receive(body, None).await;
        assert!(matches!(result, Err(StoreError::Body(_))), "{result:?}");
        wait_for_files(dir.path(), 0).await;
    }

    #[tokio::test]
    async fn a_received_blob_stays_only_if_it_is_kept() {
        let dir = tempfile::tempdir().expect("dir");
        let blobs = BlobDirectory::open(dir.path()).expect("open");
        let body = || stream::iter([Ok(Bytes::from_static(b"hello"))]);
        drop(blobs.receive(body(), None).await.expect("received"));
        wait_for_files(dir.path(), 0).await;
        let kept = blobs.receive(body(), None).await.expect("received");
        assert_eq!(kept.etag(), "5d41402abc4b2a76b9719d911017c592");
        kept.blob.expect("a blob").keep();
        assert_eq!(files(dir.path()), 1);
    }

    #[tokio::test]
    async fn an_empty_body_needs_no_file() {
        let dir = tempfile::tempdir().expect("dir");
        let blobs = BlobDirectory::open(dir.path()).expect("open");
        let received = blobs.receive(stream::empty(), None).await.expect("received");
        assert!(received.blob.is_none());
        assert_eq!(received.etag(), "d41d8cd98f00b204e9800998ecf8427e");
    }
}
