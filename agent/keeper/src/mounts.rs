//! The worker's private view of the file system.
//!
//! Everything happens in a fresh mount namespace, so nothing is left on the host and nothing has to be undone. A target
//! that the host lacks (`/usr/lib/spark`) is made by covering the deepest existing directory with a small file system
//! in memory that shows the directory's own entries again, each bound from the covered original. A bind farm rather
//! than an overlay: it needs no particular kernel module or disk format and keeps submounts, at some tens of
//! microseconds an entry.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::sys::statvfs::{FsFlags, statvfs};

use crate::launch::{Access, Mount, View};
use crate::step::{DuringStep, StepFailed};

/// Neither device files nor set-user-id programs count in what a worker can write.
const HARMLESS: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);

/// Enters a private mount namespace and arranges `view` in it. Expects a single thread and the right to mount.
///
/// Mounts propagate from the host into the view (so a disk unmounted there is not kept busy) but never back.
///
/// # Errors
/// Names the first mount that failed; the namespace is then half arranged and the process must end.
pub fn enter(view: &View) -> Result<(), StepFailed> {
    unshare(CloneFlags::CLONE_NEWNS).during(|| "making a private mount namespace")?;
    let none = None::<&Path>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)
        .during(|| "closing the mount namespace towards the host")?;

    // All sources first: later mounts may hide or cover the paths that lead to them.
    let prepared = view.mounts.iter().map(Prepared::from_plan).collect::<Result<Vec<_>, _>>()?;
    for path in &view.hide {
        mount_tmpfs(path, HARMLESS | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY, "mode=0,size=4k")
            .during(|| format!("hiding {}", path.display()))?;
    }
    let mut stage = Stage::default();
    prepared.iter().try_for_each(|entry| stage.mount(entry))
}

/// A mount whose source has been found.
enum Prepared<'plan> {
    Bind { source: OwnedFd, shape: Shape, target: &'plan Path, access: Access },
    Tmpfs { target: &'plan Path, size_bytes: u64 },
}

/// What has to be at a target for a mount to fit.
#[derive(Clone, Copy)]
enum Shape {
    Directory,
    File,
}

impl<'plan> Prepared<'plan> {
    fn from_plan(entry: &'plan Mount) -> Result<Self, StepFailed> {
        match entry {
            Mount::Tmpfs { target, size_bytes } => Ok(Self::Tmpfs { target, size_bytes: *size_bytes }),
            Mount::Bind { source, target, access } => {
                let step = || format!("looking up {}", source.display());
                let source = handle(source).during(step)?;
                let is_directory = fs::metadata(path_of(&source)).during(step)?.is_dir();
                let shape = if is_directory { Shape::Directory } else { Shape::File };
                Ok(Self::Bind { source, shape, target, access: *access })
            }
        }
    }
}

/// The directories of the view that are ours to add names to, by device number.
#[derive(Default)]
struct Stage {
    own: Vec<u64>,
}

impl Stage {
    fn mount(&mut self, entry: &Prepared<'_>) -> Result<(), StepFailed> {
        match entry {
            Prepared::Bind { source, shape, target, access } => {
                self.ensure(target, *shape)?;
                bind(source, target, *access).during(|| format!("mounting on {}", target.display()))
            }
            Prepared::Tmpfs { target, size_bytes } => {
                self.ensure(target, Shape::Directory)?;
                mount_tmpfs(target, HARMLESS, &format!("mode=1777,size={size_bytes}"))
                    .during(|| format!("mounting memory on {}", target.display()))?;
                self.own.push(device(target)?);
                Ok(())
            }
        }
    }

    /// Makes `target` exist with the given shape, without touching the host's file systems.
    fn ensure(&mut self, target: &Path, shape: Shape) -> Result<(), StepFailed> {
        if fs::metadata(target).is_ok() {
            return Ok(());
        }
        let base = deepest_directory(target).during(|| format!("looking up {}", target.display()))?;
        if !self.own.contains(&device(&base)?) {
            cover(&base)?;
            self.own.push(device(&base)?);
        }
        let step = || format!("making a place for {}", target.display());
        let parent = target.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o755).create(parent).during(step)?;
        match shape {
            Shape::Directory => DirBuilder::new().mode(0o755).create(target),
            Shape::File => empty_file(target),
        }
        .during(step)
    }
}

/// Covers `directory` by a file system in memory that shows the same entries.
fn cover(directory: &Path) -> Result<(), StepFailed> {
    let step = || format!("making room in {}", directory.display());
    if directory == Path::new("/") {
        return Err(StepFailed::new("making a new top-level directory", Errno::EOPNOTSUPP));
    }
    let original = handle(directory).during(step)?;
    let about = fs::metadata(directory).during(step)?;
    let entries = fs::read_dir(directory).during(step)?.collect::<io::Result<Vec<_>>>().during(step)?;
    let options = format!("mode={:o},uid={},gid={},size=1m", about.mode() & 0o7777, about.uid(), about.gid());
    mount_tmpfs(directory, HARMLESS, &options).during(step)?;
    for entry in entries {
        match show_again(&original, directory, &entry.file_name(), entry.file_type().during(step)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {} // Removed on the host meanwhile.
            shown => shown.during(|| format!("showing {} again", entry.path().display()))?,
        }
    }
    Ok(())
}

fn show_again(original: &OwnedFd, directory: &Path, name: &OsStr, kind: fs::FileType) -> io::Result<()> {
    let (source, target) = (path_of(original).join(name), directory.join(name));
    if kind.is_symlink() {
        return symlink(fs::read_link(source)?, target);
    }
    if kind.is_dir() {
        DirBuilder::new().mode(0o755).create(&target)?;
    } else {
        empty_file(&target)?;
    }
    let none = None::<&Path>;
    Ok(mount(Some(&source), &target, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)?)
}

fn bind(source: &OwnedFd, target: &Path, access: Access) -> nix::Result<()> {
    let none = None::<&Path>;
    mount(Some(&path_of(source)), target, none, MsFlags::MS_BIND, none)?;
    // A bind takes its flags in a second call, which replaces the ones the source's mount had.
    let had = statvfs(target)?.flags();
    let mut flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | HARMLESS;
    flags.set(MsFlags::MS_NOEXEC, had.contains(FsFlags::ST_NOEXEC));
    flags.set(MsFlags::MS_RDONLY, access == Access::ReadOnly || had.contains(FsFlags::ST_RDONLY));
    mount(none, target, none, flags, none)
}

fn mount_tmpfs(target: &Path, flags: MsFlags, options: &str) -> nix::Result<()> {
    mount(Some("hearth"), target, Some("tmpfs"), flags, Some(options))
}

fn deepest_directory(target: &Path) -> io::Result<PathBuf> {
    let existing =
        target.ancestors().skip(1).find(|path| fs::metadata(path).is_ok_and(|about| about.is_dir()));
    fs::canonicalize(existing.unwrap_or(Path::new("/")))
}

fn device(path: &Path) -> Result<u64, StepFailed> {
    Ok(fs::metadata(path).during(|| format!("looking up {}", path.display()))?.dev())
}

fn empty_file(path: &Path) -> io::Result<()> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(path).map(|_: File| ())
}

fn handle(path: &Path) -> nix::Result<OwnedFd> {
    open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
}

/// A path that leads to an open handle whatever has been mounted over its name.
fn path_of(handle: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}
