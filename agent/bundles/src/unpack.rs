//! Turning a verified archive into a tree that every worker may read.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use tar::{Archive, Entry, EntryType};

use crate::cache::Progress;
use crate::error::UnpackError;

const DIRECTORY_MODE: u32 = 0o755;
const PROGRAM_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o644;

/// How much of the archive passes between two reports of progress.
const REPORT_EVERY: u64 = 4 * 1024 * 1024;

/// Unpacks the `tar.zst` at `archive` into the new directory `root`; blocking.
///
/// The digest has been checked, so the archive is what its maker made; the checks here guard against a maker's
/// mistake and a malicious import. Modes become 0755 and 0644, owners ours; modification times are kept, because
/// Python compares them with its compiled files. What was written is left behind on failure.
pub(crate) fn unpack(
    archive: &Path,
    root: &Path,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), UnpackError> {
    let file = File::open(archive).map_err(UnpackError::Read)?;
    let counted = Counted { inner: file, bytes: 0, reported: 0, progress };
    let decoder = zstd::Decoder::new(counted).map_err(UnpackError::Read)?;
    let mut tar = Archive::new(BufReader::new(decoder));
    let mut tree = Tree { root, real: BTreeSet::new() };
    tree.directory(Path::new(""))?;
    for entry in tar.entries().map_err(UnpackError::Read)? {
        tree.add(entry.map_err(UnpackError::Read)?)?;
    }
    // What follows the end-of-archive blocks is read too, so that a truncated frame is noticed.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(UnpackError::Read)?;
    Ok(())
}

/// The tree being built. No entry is ever written through a link, so a path in `real` is where it says.
struct Tree<'a> {
    root: &'a Path,
    /// Directories made by us, relative to the root.
    real: BTreeSet<PathBuf>,
}

impl Tree<'_> {
    fn add(&mut self, mut entry: Entry<'_, impl Read>) -> Result<(), UnpackError> {
        let named = entry.path().map_err(UnpackError::Read)?.into_owned();
        let path = inside(&named).ok_or_else(|| UnpackError::EntryLeaves { path: named.clone() })?;
        let kind = entry.header().entry_type();
        if kind == EntryType::Directory {
            return self.directory(&path);
        }
        let (Some(parent), Some(_name)) = (path.parent(), path.file_name()) else {
            return Err(UnpackError::EntryLeaves { path: named });
        };
        self.directory(parent)?;
        match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => self.file(&path, &mut entry),
            EntryType::Symlink => self.symlink(&path, &link_target(&entry, &named)?),
            EntryType::Link => self.hard_link(&path, &link_target(&entry, &named)?),
            // The kinds are tar's, not ours: devices, pipes and whatever else there may be.
            _ => Err(UnpackError::Kind { path: named }),
        }
    }

    /// Makes a directory and its parents; one that exists must be a directory of ours and not a link.
    fn directory(&mut self, path: &Path) -> Result<(), UnpackError> {
        if self.real.contains(path) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.directory(parent)?;
        }
        let full = self.root.join(path);
        match fs::create_dir(&full) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(UnpackError::EntryLeaves { path: path.to_owned() });
            }
            Err(source) => return Err(UnpackError::Write { path: path.to_owned(), source }),
        }
        set_mode(&full, DIRECTORY_MODE)
            .map_err(|source| UnpackError::Write { path: path.to_owned(), source })?;
        self.real.insert(path.to_owned());
        Ok(())
    }

    fn file(&self, path: &Path, entry: &mut Entry<'_, impl Read>) -> Result<(), UnpackError> {
        let failed = |source| UnpackError::Write { path: path.to_owned(), source };
        let is_program = entry.header().mode().map_err(UnpackError::Read)? & 0o100 != 0;
        let modified = entry.header().mtime().map_err(UnpackError::Read)?;
        let mut file = File::create_new(self.root.join(path)).map_err(failed)?;
        io::copy(entry, &mut file).map_err(failed)?;
        let mode = if is_program { PROGRAM_MODE } else { FILE_MODE };
        file.set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(modified)).map_err(failed)
    }

    fn symlink(&self, path: &Path, target: &Path) -> Result<(), UnpackError> {
        if !stays_inside(path, target) {
            return Err(UnpackError::LinkLeaves { path: path.to_owned(), target: target.to_owned() });
        }
        symlink(target, self.root.join(path))
            .map_err(|source| UnpackError::Write { path: path.to_owned(), source })
    }

    fn hard_link(&self, path: &Path, target: &Path) -> Result<(), UnpackError> {
        let leaves = || UnpackError::LinkLeaves { path: path.to_owned(), target: target.to_owned() };
        let original = inside(target).ok_or_else(leaves)?;
        let parent_is_real = original.parent().is_some_and(|parent| self.real.contains(parent));
        if !parent_is_real {
            return Err(leaves());
        }
        // A hard link to a link is a second link, which points elsewhere from another directory.
        let failed = |source| UnpackError::Write { path: path.to_owned(), source };
        let original = self.root.join(original);
        if !fs::symlink_metadata(&original).map_err(failed)?.is_file() {
            return Err(leaves());
        }
        fs::hard_link(original, self.root.join(path)).map_err(failed)
    }
}

fn link_target(entry: &Entry<'_, impl Read>, named: &Path) -> Result<PathBuf, UnpackError> {
    let target = entry.link_name().map_err(UnpackError::Read)?;
    target.map(|target| target.into_owned()).ok_or_else(|| UnpackError::Kind { path: named.to_owned() })
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// The path without `.` components; `None` if it is absolute or has `..`.
fn inside(path: &Path) -> Option<PathBuf> {
    path.components()
        .filter(|component| *component != Component::CurDir)
        .map(|component| match component {
            Component::Normal(name) => Some(name),
            Component::Prefix(_) | Component::RootDir | Component::ParentDir | Component::CurDir => None,
        })
        .collect()
}

/// Whether a symbolic link at `path` to `target` points into the tree, whatever other links `target` passes.
///
/// `..` is accepted at the start alone: there it counts from the link's own directory, which is a real one, while
/// after a name it would count from wherever a link of that name leads.
fn stays_inside(path: &Path, target: &Path) -> bool {
    let ups = target.components().take_while(|part| *part == Component::ParentDir).count();
    let depth = path.components().count() - 1;
    let names_follow =
        target.components().skip(ups).all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    ups <= depth && names_follow
}

/// Counts the compressed bytes read, and reports them.
struct Counted<'a, R> {
    inner: R,
    bytes: u64,
    reported: u64,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        if self.bytes - self.reported >= REPORT_EVERY || (count == 0 && self.bytes > self.reported) {
            self.reported = self.bytes;
            (self.progress)(Progress::Unpacked { bytes: self.bytes });
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_may_leave_the_tree_are_refused() {
        let cases = [
            ("a/link", "sibling", true),
            ("a/link", "../b/c", true),
            ("link", "a/./b", true),
            ("link", "../etc", false),
            ("a/link", "../../etc", false),
            ("a/link", "/etc/passwd", false),
            ("a/link", "other/..", false), // `other` may be a link to elsewhere
        ];
        for (path, target, allowed) in cases {
            assert_eq!(stays_inside(Path::new(path), Path::new(target)), allowed, "{path} -> {target}");
        }
    }

    #[test]
    fn paths_that_leave_the_tree_are_refused() {
        assert_eq!(inside(Path::new("./a/./b")), Some(PathBuf::from("a/b")));
        assert_eq!(inside(Path::new("./")), Some(PathBuf::new()));
        for outside in ["/a", "a/../b", ".."] {
            assert_eq!(inside(Path::new(outside)), None, "{outside}");
        }
    }
}
