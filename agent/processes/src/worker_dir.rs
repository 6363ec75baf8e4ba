//! Workers' directories: made with the right owners, removed completely.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown, fchown};
use std::path::{Path, PathBuf};

use hearth_faults::{Point, reach};

use crate::{Identity, LeaseFile};

/// Prefix of a directory whose removal has begun; never a worker's.
const REMOVING: &str = ".removing-";

/// Tries to empty a directory in which processes may still be writing.
const REMOVAL_TRIES: usize = 20;

/// The directories of all workers of an agent: `<state>/workers`.
#[derive(Debug, Clone)]
pub struct WorkerDirs {
    root: PathBuf,
}

/// One worker's directory; made or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerDir {
    path: PathBuf,
}

/// Why a worker's directory could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum WorkerDirError {
    /// A part of it could not be made.
    #[error("making {path}")]
    Make {
        /// The part.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// It, or the directory of all, could not be listed.
    #[error("listing {path}")]
    List {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// It could not be removed completely; another try later may do.
    #[error("removing {path}")]
    Remove {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A worker's id cannot name a directory.
    #[error("{worker_id:?} cannot name a directory")]
    BadName {
        /// The id.
        worker_id: String,
    },
    /// A name that was given for a worker's file cannot be one.
    #[error("{name:?} cannot name a file")]
    BadFileName {
        /// The name.
        name: String,
    },
}

impl WorkerDirs {
    /// Makes `<state>/workers` if it is not there, closed to everyone else, and removes what an interrupted removal
    /// left. Blocks.
    ///
    /// # Errors
    /// [`WorkerDirError::Make`] and [`WorkerDirError::List`]. A leftover that cannot be removed is left for next time.
    pub fn open(state: &Path) -> Result<Self, WorkerDirError> {
        let root = state.join("workers");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&root)
            .map_err(|source| WorkerDirError::Make { path: root.clone(), source })?;
        let dirs = Self { root };
        for name in dirs.names()?.iter().filter(|name| name.starts_with(REMOVING)) {
            if let Err(error) = remove_tree(&dirs.root.join(name)) {
                tracing::warn!(error = &error as &dyn std::error::Error, "leftover of a worker stays");
            }
        }
        Ok(dirs)
    }

    /// Lists the ids of all workers that have a directory, in order. Blocks.
    ///
    /// # Errors
    /// [`WorkerDirError::List`].
    pub fn list(&self) -> Result<Vec<String>, WorkerDirError> {
        let mut names = self.names()?;
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        Ok(names)
    }

    fn names(&self) -> Result<Vec<String>, WorkerDirError> {
        let names = fs::read_dir(&self.root).and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name().into_string())).collect::<io::Result<Vec<_>>>()
        });
        let names = names.map_err(|source| WorkerDirError::List { path: self.root.clone(), source })?;
        Ok(names.into_iter().flatten().collect())
    }

    /// Names a worker's directory without touching it.
    ///
    /// # Errors
    /// [`WorkerDirError::BadName`] for an id that is not one plain directory name.
    pub fn get(&self, worker_id: &str) -> Result<WorkerDir, WorkerDirError> {
        if !is_plain(worker_id) {
            return Err(WorkerDirError::BadName { worker_id: worker_id.to_owned() });
        }
        Ok(WorkerDir { path: self.root.join(worker_id) })
    }

    /// Makes a worker's directory with everything in it that a worker expects; a second call completes a first one that
    /// was interrupted. With an identity, `work`, `logs` and `tmp` belong to it; `run` stays the agent's, so that the
    /// worker cannot replace the control socket. Blocks.
    ///
    /// # Errors
    /// [`WorkerDirError::Make`] and [`WorkerDirError::BadName`].
    pub fn prepare(&self, worker_id: &str, identity: Option<Identity>) -> Result<WorkerDir, WorkerDirError> {
        let dir = self.get(worker_id)?;
        make(&dir.path, 0o700, None)?;
        for path in [dir.work(), dir.logs(), dir.sparklogs(), dir.tmp()] {
            make(&path, 0o700, identity)?;
        }
        for path in [dir.run(), dir.conf(), dir.path.join("etc")] {
            make(&path, 0o755, None)?;
        }
        if let Some(Identity { uid, gid }) = identity {
            write_public(
                &dir.passwd(),
                &format!(
                    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n\
                     hadoop:x:{uid}:{gid}:hadoop:/home/hadoop:/bin/sh\n"
                ),
            )?;
            write_public(&dir.group(), &format!("root:x:0:\nnogroup:x:65534:\nhadoop:x:{gid}:\n"))?;
        }
        Ok(dir)
    }

    /// Removes a worker's directory with everything in it; one that is gone is fine. It stops being listed at once, and
    /// is completed by [`WorkerDirs::open`] after a crash. Symbolic links are not followed. Blocks.
    ///
    /// # Errors
    /// [`WorkerDirError::Remove`], e.g. while something is mounted below; [`WorkerDirError::BadName`].
    pub fn remove(&self, worker_id: &str) -> Result<(), WorkerDirError> {
        let dir = self.get(worker_id)?;
        let doomed = self.root.join(format!("{REMOVING}{worker_id}"));
        let failed = |source| WorkerDirError::Remove { path: dir.path.clone(), source };
        // What an earlier try left would be in the way.
        remove_tree(&doomed).map_err(failed)?;
        match fs::rename(&dir.path, &doomed) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed.map_err(failed)?,
        }
        reach(Point::AgentDirectoryRenamed);
        remove_tree(&doomed).map_err(failed)
    }
}

impl WorkerDir {
    /// The directory itself: the agent's alone (mode 0700).
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Working and home directory of the worker.
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// Log files of the worker. The worker can write here, so nothing here may be opened by following links.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// Standard output of the worker.
    pub fn stdout(&self) -> PathBuf {
        self.logs().join("stdout")
    }

    /// Standard error of the worker.
    pub fn stderr(&self) -> PathBuf {
        self.logs().join("stderr")
    }

    /// Spark's event logs.
    pub fn sparklogs(&self) -> PathBuf {
        self.logs().join("sparklogs")
    }

    /// The deadlines of its lease; there only for a worker that has one.
    pub fn lease(&self) -> LeaseFile {
        LeaseFile::new(self.run().join("lease"))
    }

    /// Directory of the control socket and the lease: the agent's, searchable by all.
    pub fn run(&self) -> PathBuf {
        self.path.join("run")
    }

    /// The control socket.
    pub fn control_socket(&self) -> PathBuf {
        self.run().join("control.sock")
    }

    /// Directory of the files that were ordered for the worker: the agent's, searchable by all.
    pub fn conf(&self) -> PathBuf {
        self.run().join("conf")
    }

    /// Writes a file into [`WorkerDir::conf`], which the worker alone can read, and replaces an earlier one. Blocks.
    ///
    /// # Errors
    /// [`WorkerDirError::BadFileName`] for a name that is not one plain file name, [`WorkerDirError::Make`].
    pub fn place(&self, name: &str, text: &str, owner: Option<Identity>) -> Result<(), WorkerDirError> {
        if !is_plain(name) {
            return Err(WorkerDirError::BadFileName { name: name.to_owned() });
        }
        let path = self.conf().join(name);
        let removed = match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let written = removed.and_then(|()| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(&path)?;
            file.write_all(text.as_bytes())?;
            owner.map_or(Ok(()), |Identity { uid, gid }| fchown(&file, Some(uid), Some(gid)))
        });
        written.map_err(|source| WorkerDirError::Make { path, source })
    }

    /// Temporary files of the worker.
    pub fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// The worker's `/etc/passwd`; there only for a worker with an identity of its own.
    pub fn passwd(&self) -> PathBuf {
        self.path.join("etc/passwd")
    }

    /// The worker's `/etc/group`; there only for a worker with an identity of its own.
    pub fn group(&self) -> PathBuf {
        self.path.join("etc/group")
    }
}

/// Whether `name` is one visible component of a path, and nothing that a shell or a log would stumble over.
fn is_plain(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_plain)
}

fn make(path: &Path, mode: u32, owner: Option<Identity>) -> Result<(), WorkerDirError> {
    let made = match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => fs::set_permissions(path, Permissions::from_mode(mode)),
    };
    let owned = made.and_then(|()| match owner {
        Some(Identity { uid, gid }) => chown(path, Some(uid), Some(gid)),
        None => Ok(()),
    });
    owned.map_err(|source| WorkerDirError::Make { path: path.to_owned(), source })
}

fn write_public(path: &Path, text: &str) -> Result<(), WorkerDirError> {
    let written =
        fs::write(path, text).and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o644)));
    written.map_err(|source| WorkerDirError::Make { path: path.to_owned(), source })
}

/// Removes a tree, against late writers and against directories that their owner has closed to himself.
fn remove_tree(path: &Path) -> io::Result<()> {
    let mut result = Ok(());
    for _ in 0..REMOVAL_TRIES {
        result = fs::remove_dir_all(path);
        match &result {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.exists() => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => open_up(path),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => {}
            Err(_) => return result,
        }
    }
    result
}

/// Lets the owner into every directory of a tree again; errors show in the next try to remove.
fn open_up(directory: &Path) {
    let _ = fs::set_permissions(directory, Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn a_directory_is_made_twice_and_removed_twice() {
        let state = tempfile::tempdir().expect("a directory");
        let dirs = WorkerDirs::open(state.path()).expect("opened");
        let dir = dirs.prepare("w-1", None).expect("made");
        assert_eq!(dirs.prepare("w-1", None).expect("made again"), dir);
        assert_eq!(fs::metadata(dir.path()).expect("there").mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(dir.run()).expect("there").mode() & 0o777, 0o755);
        assert!(dir.sparklogs().is_dir());
        assert_eq!(dirs.list().expect("listed"), ["w-1"]);

        let outside = tempfile::tempdir().expect("a directory");
        fs::write(outside.path().join("kept"), "").expect("written");
        symlink(outside.path(), dir.work().join("link")).expect("linked");
        let closed = dir.work().join("closed/deep");
        fs::create_dir_all(&closed).expect("made");
        fs::set_permissions(closed.parent().expect("a parent"), Permissions::from_mode(0o000))
            .expect("closed");

        dirs.remove("w-1").expect("removed");
        dirs.remove("w-1").expect("removed again");
        assert!(dirs.list().expect("listed").is_empty());
        assert!(outside.path().join("kept").exists(), "links are not followed");
        assert_eq!(fs::read_dir(state.path().join("workers")).expect("listed").count(), 0);
    }

    #[test]
    fn files_are_the_workers_alone_and_stay_in_their_directory() {
        let state = tempfile::tempdir().expect("a directory");
        let dirs = WorkerDirs::open(state.path()).expect("opened");
        let dir = dirs.prepare("w", None).expect("made");
        for text in ["first", "second"] {
            dir.place("log4j2.properties", text, None).expect("written");
            assert_eq!(fs::read_to_string(dir.conf().join("log4j2.properties")).expect("there"), text);
        }
        let written = fs::metadata(dir.conf().join("log4j2.properties")).expect("there");
        assert_eq!(written.mode() & 0o777, 0o400);
        for bad in ["", "..", "a/b", "/etc/passwd", ".hidden"] {
            let refused = dir.place(bad, "", None);
            assert!(matches!(refused, Err(WorkerDirError::BadFileName { .. })), "{bad:?}");
        }
        dirs.remove("w").expect("removed");
    }

    #[test]
    fn an_interrupted_removal_is_completed() {
        let state = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(state.path().join("workers/.removing-w/work")).expect("made");
        let dirs = WorkerDirs::open(state.path()).expect("opened");
        assert!(!state.path().join("workers/.removing-w").exists());
        assert!(dirs.list().expect("listed").is_empty());
    }

    #[test]
    fn ids_cannot_leave_the_directory() {
        let state = tempfile::tempdir().expect("a directory");
        let dirs = WorkerDirs::open(state.path()).expect("opened");
        for bad in ["", ".", "..", "a/b", ".removing-x"] {
            assert!(matches!(dirs.remove(bad), Err(WorkerDirError::BadName { .. })), "{bad:?}");
        }
    }
}
