//! Making a backup.

use super::manifest::{Layout, Manifest, Part};
use super::{FORMAT, FORMAT_ENTRY, KEPT, MANIFEST_ENTRY, OBJECTS, STATE};
use anyhow::Context;
use hearth_objects::{HeldObjects, INDEX};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// zstd's default level.
const LEVEL: i32 = 3;
/// Threads for compression.
const THREADS: u32 = 2;

/// Whether objects go into a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objects {
    /// All of them.
    Included,
    /// None: the state, the keys and the certificate authority alone.
    LeftOut,
}

/// Writes a backup of the coordinator whose data are in `data_dir`, or in `data_dir/coordinator` as with `hearth up`, to
/// `target`, which must not be there. The coordinator may be running. What is answered is on disk.
///
/// # Errors
/// When something cannot be read or written; `target` is then not there.
pub async fn back_up(data_dir: &Path, target: &Path, objects: Objects) -> anyhow::Result<Manifest> {
    let (layout, dir) = Layout::find(data_dir)?;
    anyhow::ensure!(!target.exists(), "{} is there already; name another file", target.display());
    let target = std::path::absolute(target).context("finding the backup's directory")?;
    let beside = target.parent().context("a file has a directory")?;
    // Only its owner can look into it, and it goes with all that is in it if we fail.
    let scratch = tempfile::Builder::new()
        .prefix(".hearth-backup-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in(beside)
        .with_context(|| format!("making a directory in {}", beside.display()))?;
    let made_at = hearth_engine::now();
    let mut sources = Sources::default();
    // The order matters: see the module's page.
    sources.add(STATE, copy_database(&dir, STATE, scratch.path()).await?);
    let held = match objects {
        Objects::Included => Some(hold_objects(&dir, scratch.path(), &mut sources).await?),
        Objects::LeftOut => None,
    };
    sources.add_kept(&dir)?;
    let about = Manifest {
        hearth: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: hearth_mtls::Authority::open(&dir.join("ca"))?.cluster().to_owned(),
        made_at,
        layout,
        has_objects: objects == Objects::Included,
        parts: BTreeMap::new(),
    };
    let work = move || -> anyhow::Result<Manifest> {
        let draft = scratch.path().join("backup");
        let manifest = pack(&sources, about, &draft)?;
        drop(held);
        std::fs::rename(&draft, &target).with_context(|| format!("writing {}", target.display()))?;
        let beside = target.parent().context("a file has a directory")?;
        File::open(beside)
            .and_then(|dir| dir.sync_all())
            .with_context(|| format!("syncing {}", beside.display()))?;
        Ok(manifest)
    };
    tokio::task::spawn_blocking(work).await.context("packing ended abnormally")?
}

async fn copy_database(dir: &Path, name: &str, scratch: &Path) -> anyhow::Result<PathBuf> {
    let copy = scratch.join(name);
    hearth_sqlite::copy(&dir.join(name), &copy).await?;
    Ok(copy)
}

/// Copies the object index and tells every blob in it. The blobs stay until what is answered is dropped.
async fn hold_objects(dir: &Path, scratch: &Path, sources: &mut Sources) -> anyhow::Result<HeldObjects> {
    let store = dir.join(OBJECTS);
    let holding = store.clone();
    let held = tokio::task::spawn_blocking(move || HeldObjects::hold(&holding))
        .await
        .context("holding the objects ended abnormally")??;
    let index = scratch.join(INDEX);
    let blobs = held.copy_index(&index).await?;
    sources.add(&format!("{OBJECTS}/{INDEX}"), index);
    for blob in blobs {
        let path = store.join(&blob);
        // Damage from before is no reason to be without a backup of all the rest; the coordinator names it at each start.
        if path.exists() {
            sources.add(&format!("{OBJECTS}/{}", blob.display()), path);
        } else {
            tracing::warn!(path = %path.display(), "a blob file of an object is missing and not in the backup");
        }
    }
    Ok(held)
}

/// Files to pack, by their paths in the backup.
#[derive(Debug, Default)]
struct Sources(Vec<(String, PathBuf)>);

impl Sources {
    fn add(&mut self, name: &str, path: PathBuf) {
        self.0.push((name.to_owned(), path));
    }

    fn add_kept(&mut self, dir: &Path) -> anyhow::Result<()> {
        for name in KEPT {
            let path = dir.join(name);
            let reading = || format!("reading {}", path.display());
            if path.is_dir() {
                for entry in std::fs::read_dir(&path).with_context(reading)? {
                    let entry = entry.with_context(reading)?;
                    self.add(&format!("{name}/{}", entry.file_name().to_string_lossy()), entry.path());
                }
            } else {
                self.add(name, path);
            }
        }
        Ok(())
    }
}

/// Writes and syncs the archive.
fn pack(sources: &Sources, mut manifest: Manifest, draft: &Path) -> anyhow::Result<Manifest> {
    let writing = || format!("writing {}", draft.display());
    let file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft).with_context(writing)?;
    let mut encoder =
        zstd::Encoder::new(BufWriter::with_capacity(1 << 20, file), LEVEL).with_context(writing)?;
    encoder.multithread(THREADS).and_then(|()| encoder.include_checksum(true)).with_context(writing)?;
    let mut archive = tar::Builder::new(encoder);
    let time = u64::try_from(manifest.made_at.as_millis() / 1000).unwrap_or(0);
    append_text(&mut archive, FORMAT_ENTRY, format!("{FORMAT}\n").as_bytes(), time).with_context(writing)?;
    for (name, path) in &sources.0 {
        let part = append_file(&mut archive, name, path, time)
            .with_context(|| format!("copying {} to {}", path.display(), draft.display()))?;
        manifest.parts.insert(name.clone(), part);
    }
    let text = serde_json::to_vec_pretty(&manifest).with_context(writing)?;
    append_text(&mut archive, MANIFEST_ENTRY, &text, time).with_context(writing)?;
    let buffered = archive.into_inner().and_then(zstd::Encoder::finish).with_context(writing)?;
    let file = buffered.into_inner().map_err(io::IntoInnerError::into_error).with_context(writing)?;
    file.sync_all().with_context(writing)?;
    Ok(manifest)
}

fn header(bytes: u64, time: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o600);
    header.set_size(bytes);
    header.set_mtime(time);
    header
}

fn append_text<W: io::Write>(
    archive: &mut tar::Builder<W>,
    name: &str,
    text: &[u8],
    time: u64,
) -> io::Result<()> {
    archive.append_data(&mut header(text.len() as u64, time), name, text)
}

fn append_file<W: io::Write>(
    archive: &mut tar::Builder<W>,
    name: &str,
    path: &Path,
    time: u64,
) -> io::Result<Part> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut source = Hashing { inner: file.take(bytes), hash: Sha256::new(), bytes: 0 };
    archive.append_data(&mut header(bytes, time), name, &mut source)?;
    if source.bytes != bytes {
        return Err(io::Error::other(format!("{} of {bytes} bytes could be read", source.bytes)));
    }
    Ok(Part { bytes, sha256: hex::encode(source.hash.finalize()) })
}

/// A reader that hashes what goes through it.
pub(super) struct Hashing<R> {
    pub(super) inner: R,
    pub(super) hash: Sha256,
    pub(super) bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}
