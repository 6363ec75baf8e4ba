//! Reading a directory that a worker owns, without being led out of it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FallocateFlags, FileType, Mode, OFlags};

/// How many directories deep event logs are looked for; rolling event logs have a directory per application.
const DEPTH: usize = 3;

/// How many event log files of one worker are looked at; a job could otherwise keep the agent busy with names.
const MOST_FILES: usize = 10_000;

/// A worker's log directory.
///
/// Below it no link is followed, and only plain files with one name are opened: anything else could be another
/// user's file under a name that the worker chose.
#[derive(Debug, Clone)]
pub(crate) struct LogDirectory(PathBuf);

impl LogDirectory {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Opens `name`, a relative path with `/`, for reading, or with `Access::Free` for freeing bytes too. `None`
    /// if it does not exist. Blocking.
    pub(crate) fn open(&self, name: &str, access: Access) -> io::Result<Option<File>> {
        match self.open_existing(name, access) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    fn open_existing(&self, name: &str, access: Access) -> io::Result<File> {
        let mut dir = rustix::fs::open(&self.0, directory_flags() - OFlags::NOFOLLOW, Mode::empty())?;
        let mut parts = name.split('/').peekable();
        while let Some(part) = parts.next() {
            if matches!(part, "" | "." | "..") {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            if parts.peek().is_some() {
                dir = rustix::fs::openat(&dir, part, directory_flags(), Mode::empty())?;
                continue;
            }
            let mode = match access {
                Access::Read => OFlags::RDONLY,
                Access::Free => OFlags::RDWR,
            };
            // Without NONBLOCK a named pipe would hold us here.
            let flags = mode | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = File::from(rustix::fs::openat(&dir, part, flags, Mode::empty())?);
            let stat = rustix::fs::fstat(&file)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink > 1 {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file with one name"));
            }
            return Ok(file);
        }
        Err(io::ErrorKind::InvalidInput.into())
    }

    /// The plain files below `name`, as paths relative to it with `/`, with their lengths, sorted. Empty if there is
    /// no such directory. Blocking.
    pub(crate) fn files_below(&self, name: &str) -> io::Result<Vec<(String, u64)>> {
        let root = match rustix::fs::open(self.0.join(name), directory_flags(), Mode::empty()) {
            Ok(root) => root,
            Err(rustix::io::Errno::NOENT) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut files = Vec::new();
        collect(root, "", DEPTH, &mut files)?;
        files.sort();
        Ok(files)
    }

    /// The path of `name`, for messages.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(Path::new(name))
    }
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reading.
    Read,
    /// Punching holes.
    Free,
}

fn directory_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn collect(
    dir: std::os::fd::OwnedFd,
    prefix: &str,
    depth: usize,
    files: &mut Vec<(String, u64)>,
) -> io::Result<()> {
    for entry in Dir::read_from(&dir)? {
        let entry = entry?;
        // Such a name cannot be a key in the store either.
        let Ok(name) = entry.file_name().to_str() else { continue };
        // Hadoop's local file system keeps checksums in dot files.
        if name.starts_with('.') || files.len() >= MOST_FILES {
            continue;
        }
        let stat = match rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(rustix::io::Errno::NOENT) => continue, // Renamed meanwhile; the new name comes next time.
            Err(error) => return Err(error.into()),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if stat.st_nlink == 1 => {
                files.push((format!("{prefix}{name}"), stat.st_size as u64))
            }
            FileType::Directory if depth > 1 => {
                let below = rustix::fs::openat(&dir, name, directory_flags(), Mode::empty())?;
                collect(below, &format!("{prefix}{name}/"), depth - 1, files)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Frees the blocks of `range`; the file keeps its length, and reads zeros there. Blocking.
pub(crate) fn punch(file: &File, range: &std::ops::Range<u64>) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(rustix::fs::fallocate(file, flags, range.start, range.end - range.start)?)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_and_other_kinds_are_not_opened() {
        let temp = tempfile::tempdir().unwrap();
        let secret = temp.path().join("secret");
        std::fs::write(&secret, "agent's own").unwrap();
        let logs = temp.path().join("logs");
        std::fs::create_dir_all(logs.join("sparklogs")).unwrap();
        let directory = LogDirectory::new(logs.clone());
        symlink(&secret, logs.join("stdout")).unwrap();
        std::fs::hard_link(&secret, logs.join("stderr")).unwrap();
        symlink(temp.path(), logs.join("linked")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, logs.join("pipe"), Mode::RUSR).unwrap();
        symlink(&secret, logs.join("sparklogs/app")).unwrap();
        for name in ["stdout", "stderr", "linked/secret", "pipe", "../secret", "sparklogs", "sparklogs/app"] {
            assert!(directory.open(name, Access::Read).is_err(), "{name}");
        }
        assert!(directory.open("absent", Access::Read).unwrap().is_none());
        assert_eq!(directory.files_below("sparklogs").unwrap(), []);
        assert!(directory.files_below("linked").is_err());
    }

    #[test]
    fn event_logs_are_found_in_directories_too() {
        let temp = tempfile::tempdir().unwrap();
        let rolling = temp.path().join("sparklogs/eventlog_v2_app");
        std::fs::create_dir_all(&rolling).unwrap();
        std::fs::write(rolling.join("events_1_app"), "12345").unwrap();
        std::fs::write(temp.path().join("sparklogs/app.inprogress"), "1").unwrap();
        std::fs::write(temp.path().join("sparklogs/.app.crc"), "1").unwrap();
        let directory = LogDirectory::new(temp.path().to_owned());
        assert_eq!(
            directory.files_below("sparklogs").unwrap(),
            [("app.inprogress".to_owned(), 1), ("eventlog_v2_app/events_1_app".to_owned(), 5)]
        );
        let mut text = String::new();
        let file = directory.open("sparklogs/eventlog_v2_app/events_1_app", Access::Read);
        file.unwrap().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "12345");
        assert_eq!(directory.files_below("absent").unwrap(), []);
    }
}
