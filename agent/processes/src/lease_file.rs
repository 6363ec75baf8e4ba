//! The file in a worker's directory that says when its keeper stops it.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hearth_lease::Deadlines;

/// The deadlines of one worker's lease, on disk.
///
/// Always overwritten in place, at its one length, so that a full disk cannot end a lease. Not synced: after a power loss
/// there is no worker to hold. The worker can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseFile {
    path: PathBuf,
}

/// Why a lease cannot be read or moved on.
#[derive(Debug, thiserror::Error)]
pub enum LeaseFileError {
    /// It cannot be read.
    #[error("reading {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("writing {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl LeaseFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file, before the worker's keeper is started. Blocks.
    ///
    /// # Errors
    /// [`LeaseFileError::Write`].
    pub fn create(&self, deadlines: Deadlines) -> Result<(), LeaseFileError> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.path);
        file.and_then(|file| {
            file.set_permissions(Permissions::from_mode(0o644))?;
            write(&file, deadlines)
        })
        .map_err(|source| self.not_written(source))
    }

    /// Moves the deadlines. Blocks.
    ///
    /// # Errors
    /// [`LeaseFileError::Write`]; the former deadlines then hold.
    pub fn overwrite(&self, deadlines: Deadlines) -> Result<(), LeaseFileError> {
        let file = OpenOptions::new().write(true).open(&self.path);
        file.and_then(|file| write(&file, deadlines)).map_err(|source| self.not_written(source))
    }

    /// Reads the deadlines. Not for two writers at a time, of which there are none. Blocks.
    ///
    /// # Errors
    /// [`LeaseFileError::Read`], also for a file that is not a lease's.
    pub fn read(&self) -> Result<Deadlines, LeaseFileError> {
        let text = fs::read_to_string(&self.path);
        let parsed = text.and_then(|text| Deadlines::parse(&text).ok_or(io::ErrorKind::InvalidData.into()));
        parsed.map_err(|source| LeaseFileError::Read { path: self.path.clone(), source })
    }

    fn not_written(&self, source: io::Error) -> LeaseFileError {
        LeaseFileError::Write { path: self.path.clone(), source }
    }
}

fn write(file: &File, deadlines: Deadlines) -> io::Result<()> {
    file.write_all_at(deadlines.to_text().as_bytes(), 0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_written_last_is_read_and_nothing_appears_by_itself() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = LeaseFile::new(directory.path().join("lease"));
        let deadlines = |seconds| Deadlines {
            freeze_at: Duration::from_secs(seconds),
            kill_at: Duration::from_secs(seconds + 5),
        };
        assert!(file.overwrite(deadlines(1)).is_err() && file.read().is_err());
        file.create(deadlines(1_000_000)).expect("made");
        file.overwrite(deadlines(7)).expect("written");
        assert_eq!(file.read().expect("readable"), deadlines(7));
        assert_eq!(fs::metadata(file.path()).expect("there").permissions().mode() & 0o777, 0o644);
        fs::write(file.path(), "soon").expect("written");
        assert!(file.read().is_err());
    }
}
