//! A file system so small that a test can fill it.

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file system in memory, mounted for one test.
pub(crate) struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts one of so many bytes; `None` where that is not permitted, which is said.
    pub(crate) fn mount(bytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let options = format!("size={bytes},mode=700");
        match mount(Some("tmpfs"), dir.path(), Some("tmpfs"), MsFlags::empty(), Some(options.as_str())) {
            Ok(()) => Some(Self { dir }),
            Err(error) => {
                eprintln!("SKIPPED: a small file system cannot be mounted ({error}); run as root");
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Takes all that is free, to the last page.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.ballast()).expect("a file");
        let page = [1; 4096];
        while ballast.write_all(&page).is_ok() {}
    }

    /// Frees what [`Self::fill`] took.
    pub(crate) fn free(&self) {
        std::fs::remove_file(self.ballast()).expect("it was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Connections may still be closing.
        if let Err(error) = umount2(self.dir.path(), MntFlags::MNT_DETACH) {
            eprintln!("unmounting {}: {error}", self.dir.path().display());
        }
    }
}
