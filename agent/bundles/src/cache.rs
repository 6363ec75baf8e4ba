//! The cache directory: what is in it, what may be added, what may go.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File};
use std::future::Future;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hearth_faults::{Point, reach};
use tokio::io::AsyncRead;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::download::download;
use crate::error::BundleError;
use crate::id::BundleId;
use crate::unpack::unpack;

/// Names that start so are swept when the cache is opened.
const PARTIAL: &str = ".partial-";

/// How far a bundle has come; counts restart for each phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many bytes of the archive have been fetched.
    Fetched {
        /// Of the archive.
        bytes: u64,
    },
    /// So many bytes of the archive have been unpacked.
    Unpacked {
        /// Of the archive, as it is compressed.
        bytes: u64,
    },
}

/// The unpacked bundles of this host, in `<dir>/<id>/`. Clones share the directory.
#[derive(Clone, Debug)]
pub struct BundleCache {
    dir: PathBuf,
    /// One permit per bundle: whoever holds it may add or remove that bundle.
    turns: Arc<Mutex<BTreeMap<BundleId, Arc<Semaphore>>>>,
}

impl BundleCache {
    /// Opens the cache in `dir`, makes it if need be, and sweeps what a crash left half done. One process only.
    pub async fn open(dir: impl Into<PathBuf>) -> Result<Self, BundleError> {
        let dir = dir.into();
        let swept = dir.clone();
        blocking(move || sweep(&swept)).await.map_err(|source| disk("opening", &dir, source))?;
        Ok(Self { dir, turns: Arc::default() })
    }

    /// Where a bundle is or would be.
    pub fn path(&self, id: &BundleId) -> PathBuf {
        self.dir.join(id.as_str())
    }

    /// Answers the tree of bundle `id`, which `fetch` provides if it is not there.
    ///
    /// `fetch` is called at most once, and only by whoever comes first: others that ask for the same bundle wait,
    /// and try themselves if the first one fails. `progress` may be called often and from any thread; it must not
    /// block. Cancel safe: a fetch that has begun goes on, and the next call finds its result.
    pub async fn ensure<F, Fut, R>(
        &self,
        id: &BundleId,
        fetch: F,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<PathBuf, BundleError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = io::Result<R>> + Send + 'static,
        R: AsyncRead + Send + 'static,
    {
        let turn = self.turn(id).await;
        if self.has(id).await? {
            return Ok(self.path(id));
        }
        let adding = tokio::spawn(self.clone().add(id.clone(), fetch, Arc::new(progress), turn));
        adding.await.map_err(|_cut| BundleError::Interrupted { id: id.clone() })??;
        Ok(self.path(id))
    }

    /// The bundles that are there whole, in order of id.
    pub async fn held(&self) -> Result<Vec<BundleId>, BundleError> {
        let dir = self.dir.clone();
        blocking(move || held(&dir)).await.map_err(|source| disk("listing", &self.dir, source))
    }

    /// Removes every bundle that is not in `in_use` and not being fetched; answers which.
    ///
    /// The caller decides what is in use and lets no worker begin with another bundle meanwhile.
    pub async fn remove_unused(&self, in_use: &BTreeSet<BundleId>) -> Result<Vec<BundleId>, BundleError> {
        let mut removed = Vec::new();
        for id in self.held().await?.into_iter().filter(|id| !in_use.contains(id)) {
            let Ok(_turn) = self.semaphore(&id).try_acquire_owned() else {
                continue; // Somebody just asked for it.
            };
            let (whole, going) = (self.path(&id), self.partial(&id, "removed"));
            blocking(move || {
                // A crash half way must not leave a damaged tree under the final name.
                fs::rename(&whole, &going)?;
                fs::remove_dir_all(&going)
            })
            .await
            .map_err(|source| disk("removing", &self.path(&id), source))?;
            removed.push(id);
        }
        Ok(removed)
    }

    async fn add<F, Fut, R>(
        self,
        id: BundleId,
        fetch: F,
        progress: Arc<dyn Fn(Progress) + Send + Sync>,
        _turn: OwnedSemaphorePermit,
    ) -> Result<(), BundleError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = io::Result<R>>,
        R: AsyncRead + Send,
    {
        let (archive, tree) = (self.partial(&id, "archive"), self.partial(&id, "tree"));
        let added = async {
            discard(&archive, &tree).await?;
            let source = fetch().await.map_err(|source| BundleError::Fetch { id: id.clone(), source })?;
            download(&id, source, archive.clone(), progress.as_ref()).await?;
            reach(Point::AgentBundleDownloaded);
            self.unpack(&id, archive.clone(), tree.clone(), progress).await
        }
        .await;
        let discarded = discard(&archive, &tree).await;
        added.and(discarded)
    }

    async fn unpack(
        &self,
        id: &BundleId,
        archive: PathBuf,
        tree: PathBuf,
        progress: Arc<dyn Fn(Progress) + Send + Sync>,
    ) -> Result<(), BundleError> {
        let (id, dir, whole) = (id.clone(), self.dir.clone(), self.path(id));
        let interrupted = BundleError::Interrupted { id: id.clone() };
        let unpacked = tokio::task::spawn_blocking(move || {
            unpack(&archive, &tree, progress.as_ref())
                .map_err(|source| BundleError::Unpack { id, source })?;
            reach(Point::AgentBundleUnpacked);
            publish(&dir, &tree, &whole).map_err(|source| disk("publishing", &whole, source))?;
            reach(Point::AgentBundlePublished);
            Ok(())
        });
        unpacked.await.map_err(|_cut| interrupted)?
    }

    async fn has(&self, id: &BundleId) -> Result<bool, BundleError> {
        let path = self.path(id);
        tokio::fs::try_exists(&path).await.map_err(|source| disk("looking for", &path, source))
    }

    async fn turn(&self, id: &BundleId) -> OwnedSemaphorePermit {
        self.semaphore(id).acquire_owned().await.expect("the semaphore is never closed")
    }

    fn semaphore(&self, id: &BundleId) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(id.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
    }

    fn partial(&self, id: &BundleId, what: &str) -> PathBuf {
        self.dir.join(format!("{PARTIAL}{what}-{id}"))
    }
}

fn disk(doing: &'static str, path: &Path, source: io::Error) -> BundleError {
    BundleError::Disk { doing, path: path.to_owned(), source }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|cut| Err(io::Error::other(cut)))
}

fn sweep(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            tracing::info!(path = %entry.path().display(), "sweeping a partial bundle");
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn held(dir: &Path) -> io::Result<Vec<BundleId>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(dir)? {
        ids.extend(entry?.file_name().to_string_lossy().parse::<BundleId>().ok());
    }
    ids.sort();
    Ok(ids)
}

async fn discard(archive: &Path, tree: &Path) -> Result<(), BundleError> {
    for path in [archive, tree] {
        let owned = path.to_owned();
        blocking(move || remove(&owned)).await.map_err(|source| disk("removing", path, source))?;
    }
    Ok(())
}

/// Removes a file or a tree; it need not exist.
fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Gives a finished tree its final name, all of it on the disk before and the name after.
fn publish(dir: &Path, tree: &Path, whole: &Path) -> io::Result<()> {
    let directory = File::open(dir)?;
    // One call for the thousands of files; the name must not survive a power loss that they do not.
    rustix::fs::syncfs(&directory)?;
    fs::rename(tree, whole)?;
    directory.sync_all()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use sha2::{Digest, Sha256};
    use tar::{Builder, EntryType, Header};
    use tokio::sync::oneshot;

    use super::*;
    use crate::error::UnpackError;

    fn header(kind: EntryType, size: usize, mode: u32) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size as u64);
        header.set_mode(mode);
        header.set_mtime(1_700_000_000);
        header
    }

    /// Archives what `fill` adds; answers the id and the compressed bytes.
    fn bundle(fill: impl FnOnce(&mut Builder<Vec<u8>>)) -> (BundleId, Vec<u8>) {
        let mut builder = Builder::new(Vec::new());
        fill(&mut builder);
        let bytes = zstd::encode_all(Cursor::new(builder.into_inner().unwrap()), 1).unwrap();
        let mut hasher = Sha256::new();
        hasher.update(&bytes);
        (BundleId::of(hasher), bytes)
    }

    fn add(builder: &mut Builder<Vec<u8>>, path: &str, content: &[u8], mode: u32) {
        let mut header = header(EntryType::Regular, content.len(), mode);
        builder.append_data(&mut header, path, content).unwrap();
    }

    /// Adds an entry whose path the builder would refuse.
    fn add_raw(builder: &mut Builder<Vec<u8>>, kind: EntryType, path: &str, target: &str) {
        let mut header = header(kind, 0, 0o644);
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        builder.append(&header, io::empty()).unwrap();
    }

    fn small() -> (BundleId, Vec<u8>) {
        bundle(|builder| {
            add(builder, "spark/bin/spark-submit", b"#!/bin/sh\n", 0o4750);
            add(builder, "spark/jars/a.jar", &vec![7; 3_000_000], 0o600);
            let mut link = header(EntryType::Symlink, 0, 0o777);
            builder.append_link(&mut link, "spark/jars/b.jar", "../jars/a.jar").unwrap();
            let mut hard = header(EntryType::Link, 0, 0o644);
            builder.append_link(&mut hard, "spark/c.jar", "spark/jars/a.jar").unwrap();
        })
    }

    async fn cache() -> (tempfile::TempDir, BundleCache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = BundleCache::open(dir.path().join("bundles")).await.unwrap();
        (dir, cache)
    }

    async fn ensure(cache: &BundleCache, id: &BundleId, bytes: Vec<u8>) -> Result<PathBuf, BundleError> {
        cache.ensure(id, || async { Ok(Cursor::new(bytes)) }, |_| {}).await
    }

    fn names(cache: &BundleCache) -> Vec<String> {
        let entries = fs::read_dir(&cache.dir).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_bundle_is_unpacked_so_that_any_worker_can_read_it() {
        let (_dir, cache) = cache().await;
        let (id, bytes) = small();
        let tree = ensure(&cache, &id, bytes).await.unwrap();
        let mode = |path: &str| fs::metadata(tree.join(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(""), 0o755);
        assert_eq!(mode("spark/jars"), 0o755);
        assert_eq!(mode("spark/bin/spark-submit"), 0o755);
        assert_eq!(mode("spark/jars/a.jar"), 0o644);
        assert_eq!(fs::read(tree.join("spark/jars/b.jar")).unwrap().len(), 3_000_000);
        assert_eq!(fs::metadata(tree.join("spark/c.jar")).unwrap().nlink(), 2);
        assert_eq!(fs::metadata(tree.join("spark/c.jar")).unwrap().mtime(), 1_700_000_000);
        assert_eq!(names(&cache), [id.as_str()], "nothing else is left");
        assert_eq!(cache.held().await.unwrap(), [id]);
    }

    #[tokio::test]
    async fn a_bundle_is_fetched_once_however_many_ask() {
        let (_dir, cache) = cache().await;
        let (id, bytes) = small();
        let fetches = Arc::new(AtomicUsize::new(0));
        let ask = || {
            let (bytes, fetches) = (bytes.clone(), fetches.clone());
            cache.ensure(
                &id,
                move || async move {
                    fetches.fetch_add(1, Ordering::SeqCst);
                    Ok(Cursor::new(bytes))
                },
                |_| {},
            )
        };
        let (one, two, three) = tokio::join!(ask(), ask(), ask());
        assert_eq!((one.unwrap(), two.unwrap(), three.unwrap()), {
            let path = cache.path(&id);
            (path.clone(), path.clone(), path)
        });
        ask().await.unwrap();
        assert_eq!(fetches.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_does_not_stop_the_fetch() {
        let (_dir, cache) = cache().await;
        let (id, bytes) = small();
        let (go, gate) = oneshot::channel::<()>();
        let (began, has_begun) = oneshot::channel::<()>();
        let first = tokio::spawn({
            let (cache, id) = (cache.clone(), id.clone());
            async move {
                let fetch = || async move {
                    began.send(()).unwrap();
                    gate.await.unwrap();
                    Ok(Cursor::new(bytes))
                };
                cache.ensure(&id, fetch, |_| {}).await
            }
        });
        has_begun.await.unwrap();
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        go.send(()).unwrap();
        let second: Result<_, BundleError> = cache
            .ensure(&id, || async { Err::<Cursor<Vec<u8>>, _>(io::Error::other("twice")) }, |_| {})
            .await;
        assert!(second.unwrap().join("spark/c.jar").exists());
    }

    #[tokio::test]
    async fn wrong_bytes_are_refused_and_removed_and_the_next_try_may_succeed() {
        let (_dir, cache) = cache().await;
        let (id, bytes) = small();
        let mut damaged = bytes.clone();
        damaged[100] ^= 1;
        assert!(matches!(ensure(&cache, &id, damaged).await, Err(BundleError::Digest { .. })));
        let cut = bytes[..bytes.len() - 1].to_vec();
        assert!(matches!(ensure(&cache, &id, cut).await, Err(BundleError::Digest { .. })));
        let failed: Result<_, BundleError> =
            cache.ensure(&id, || async { Err::<Cursor<Vec<u8>>, _>(io::Error::other("away")) }, |_| {}).await;
        assert!(matches!(failed, Err(BundleError::Fetch { .. })));
        assert_eq!(names(&cache), [""; 0]);
        ensure(&cache, &id, bytes).await.unwrap();
    }

    #[tokio::test]
    async fn an_archive_that_leaves_its_tree_is_refused_and_removed() {
        type Entries<'a> = &'a [(EntryType, &'a str, &'a str)];
        let cases: [(&str, Entries<'_>); 8] = [
            ("absolute", &[(EntryType::Regular, "/tmp/x", "")]),
            ("parent", &[(EntryType::Regular, "a/../../x", "")]),
            ("link out", &[(EntryType::Symlink, "a", "../x")]),
            ("absolute link", &[(EntryType::Symlink, "a", "/etc/passwd")]),
            ("hard link out", &[(EntryType::Link, "a", "../x")]),
            ("through a link", &[(EntryType::Symlink, "a", "."), (EntryType::Regular, "a/x", "")]),
            ("directory over a link", &[(EntryType::Symlink, "a", "."), (EntryType::Directory, "a", "")]),
            ("device", &[(EntryType::Char, "a", "")]),
        ];
        let (_dir, cache) = cache().await;
        for (name, entries) in cases {
            let (id, bytes) = bundle(|builder| {
                for (kind, path, target) in entries {
                    add_raw(builder, *kind, path, target);
                }
            });
            match ensure(&cache, &id, bytes).await {
                Err(BundleError::Unpack { source, .. }) => assert!(
                    matches!(
                        source,
                        UnpackError::EntryLeaves { .. }
                            | UnpackError::LinkLeaves { .. }
                            | UnpackError::Kind { .. }
                    ),
                    "{name}: {source:?}"
                ),
                other => panic!("{name}: {other:?}"),
            }
            assert_eq!(names(&cache), [""; 0], "{name}");
        }
    }

    #[tokio::test]
    async fn opening_sweeps_what_a_crash_left() {
        let (_dir, cache) = cache().await;
        let (id, bytes) = small();
        ensure(&cache, &id, bytes).await.unwrap();
        fs::write(cache.partial(&id, "archive"), b"half").unwrap();
        fs::create_dir_all(cache.partial(&id, "tree").join("spark")).unwrap();
        let reopened = BundleCache::open(&cache.dir).await.unwrap();
        assert_eq!(names(&reopened), [id.as_str()]);
    }

    #[tokio::test]
    async fn only_unused_bundles_are_removed() {
        let (_dir, cache) = cache().await;
        let (used, used_bytes) = small();
        let (unused, unused_bytes) = bundle(|builder| add(builder, "x", b"x", 0o644));
        ensure(&cache, &used, used_bytes).await.unwrap();
        ensure(&cache, &unused, unused_bytes).await.unwrap();
        let removed = cache.remove_unused(&BTreeSet::from([used.clone()])).await.unwrap();
        assert_eq!(removed, [unused]);
        assert_eq!(names(&cache), [used.as_str()]);
    }

    #[tokio::test]
    async fn progress_counts_the_archives_bytes_in_both_phases() {
        let (_dir, cache) = cache().await;
        let (id, bytes) = small();
        let total = bytes.len() as u64;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        cache
            .ensure(&id, || async { Ok(Cursor::new(bytes)) }, move |step| sink.lock().unwrap().push(step))
            .await
            .unwrap();
        let seen = seen.lock().unwrap();
        assert!(seen.contains(&Progress::Fetched { bytes: total }), "{seen:?}");
        assert_eq!(seen.last(), Some(&Progress::Unpacked { bytes: total }));
    }
}
