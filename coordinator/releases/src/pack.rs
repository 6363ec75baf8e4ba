//! Packing: a deterministic `tar.zst` of a tree of files.
//!
//! The same tree gives the same bytes: entries in the order of their paths, one time stamp, root's ids, two modes, and a
//! compression whose output does not depend on how many threads share it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::command::Cancel;
use crate::error::{Error, Result};
use crate::progress::{Phase, Progress};

/// The files of a bundle by path, `/` between segments.
pub(crate) type Tree = BTreeMap<String, Entry>;

/// One file of a bundle.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its bytes.
    pub(crate) content: Content,
    /// Whether it gets mode 0755 rather than 0644.
    pub(crate) is_executable: bool,
}

/// Where a file's bytes are.
#[derive(Debug)]
pub(crate) enum Content {
    /// In a file on disk.
    File(PathBuf),
    /// Here.
    Bytes(Vec<u8>),
}

/// Every entry's time stamp, 1980-01-01 UTC in Unix seconds: the earliest that zip tools can express.
const TIME: u64 = 315_532_800;
/// zstd's default level: most of a bundle is jars, which no level shrinks further.
const LEVEL: i32 = 3;
/// Threads for compression. It does not change the output.
const THREADS: u32 = 2;

/// Writes `tree` to `path`, synced to disk; gives its SHA-256 in hexadecimal and its size in bytes.
///
/// # Errors
/// [`Error::Io`], [`Error::Cancelled`]; `path` is then incomplete.
pub(crate) fn pack(
    tree: &Tree,
    path: &Path,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<(String, u64)> {
    let mut total = 0;
    for entry in tree.values() {
        total += match &entry.content {
            Content::File(file) => fs::metadata(file).map_err(Error::io("read", file))?.len(),
            Content::Bytes(bytes) => bytes.len() as u64,
        };
    }
    progress.begin(Phase::Packing, Some(total));
    let writing = || Error::io("write", path);
    let out = Hashing {
        inner: File::create(path).map_err(Error::io("create", path))?,
        hash: Sha256::new(),
        bytes: 0,
    };
    let mut encoder = zstd::Encoder::new(BufWriter::with_capacity(1 << 20, out), LEVEL).map_err(writing())?;
    encoder.multithread(THREADS).and_then(|()| encoder.include_checksum(true)).map_err(writing())?;
    let mut archive = tar::Builder::new(encoder);
    archive.mode(tar::HeaderMode::Deterministic);
    let mut done = 0;
    let mut folders = BTreeSet::new();
    for (name, entry) in tree {
        add_folders(&mut archive, name, &mut folders).map_err(writing())?;
        let mut header = header_of(tar::EntryType::Regular, if entry.is_executable { 0o755 } else { 0o644 });
        match &entry.content {
            Content::Bytes(bytes) => {
                header.set_size(bytes.len() as u64);
                archive.append_data(&mut header, name, bytes.as_slice()).map_err(writing())?;
                done += bytes.len() as u64;
            }
            Content::File(file) => {
                let source = File::open(file).map_err(Error::io("open", file))?;
                header.set_size(source.metadata().map_err(Error::io("read", file))?.len());
                let mut source = Watched { inner: source, done: &mut done, progress, cancel };
                let appended = archive.append_data(&mut header, name, &mut source);
                cancel.check()?;
                appended.map_err(writing())?;
            }
        }
        cancel.check()?;
    }
    let encoder = archive.into_inner().map_err(writing())?;
    let buffered = encoder.finish().map_err(writing())?;
    let out = buffered.into_inner().map_err(|error| writing()(error.into_error()))?;
    out.inner.sync_all().map_err(writing())?;
    progress.advanced(total);
    Ok((hex::encode(out.hash.finalize()), out.bytes))
}

/// Adds the folders above `name` that are not in the archive yet, outermost first.
fn add_folders<'t, W: Write>(
    archive: &mut tar::Builder<W>,
    name: &'t str,
    added: &mut BTreeSet<&'t str>,
) -> io::Result<()> {
    for (end, _) in name.match_indices('/') {
        if added.insert(&name[..end]) {
            let mut header = header_of(tar::EntryType::Directory, 0o755);
            archive.append_data(&mut header, format!("{}/", &name[..end]), io::empty())?;
        }
    }
    Ok(())
}

fn header_of(kind: tar::EntryType, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(TIME);
    header.set_size(0);
    header
}

/// A reader that reports what went through it and stops when the build is cancelled.
struct Watched<'a> {
    inner: File,
    done: &'a mut u64,
    progress: &'a dyn Progress,
    cancel: &'a Cancel,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cancel.check().map_err(io::Error::other)?;
        let count = self.inner.read(buffer)?;
        *self.done += count as u64;
        self.progress.advanced(*self.done);
        Ok(count)
    }
}

/// A file that hashes what is written to it.
struct Hashing {
    inner: File,
    hash: Sha256,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buffer)?;
        self.hash.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
