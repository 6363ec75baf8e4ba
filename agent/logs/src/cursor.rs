//! What has been shipped, in a file that outlives the agent.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hearth_agent_core::log_rotation::{PART_BYTES, Shipped};
use serde::{Deserialize, Serialize};

/// The cursor cannot be read or written. Shipping cannot go on without it: bytes already freed would be shipped as
/// zeros over those already archived.
#[derive(Debug, thiserror::Error)]
#[error("{doing} the record of shipped logs {path}")]
pub struct CursorError {
    doing: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// What has been shipped of one worker's logs; `ship.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// The part length that the indexes below count in; kept when an upgrade changes the default.
    pub(crate) part_bytes: u64,
    /// Container logs by file name.
    pub(crate) streams: BTreeMap<String, Shipped>,
    /// Shipped lengths of event logs by name, in the log URI; `None` from before the first upload until it is done,
    /// so that no object is there unknown.
    pub(crate) events_at_log_uri: BTreeMap<String, Option<u64>>,
    /// The same in managed storage.
    pub(crate) events_in_managed_storage: BTreeMap<String, Option<u64>>,
    /// Why the log URI was given up, if it was; container logs go to managed storage since.
    pub(crate) log_uri_given_up: Option<String>,
}

impl Cursor {
    fn new(part_bytes: u64) -> Self {
        Self {
            part_bytes,
            streams: BTreeMap::new(),
            events_at_log_uri: BTreeMap::new(),
            events_in_managed_storage: BTreeMap::new(),
            log_uri_given_up: None,
        }
    }
}

/// A cursor with its place on the disk. Never in the worker's own directory, which the worker can write.
///
/// Clones are the same file, and save one after the other.
#[derive(Debug, Clone)]
pub(crate) struct CursorFile {
    path: PathBuf,
    /// The number of the save that the file is from.
    saved: Arc<Mutex<u64>>,
}

impl CursorFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, saved: Arc::default() }
    }

    /// Reads the cursor, or makes a new one if there is none; blocking.
    pub(crate) fn load(&self, part_bytes: Option<u64>) -> Result<Cursor, CursorError> {
        match fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| self.failed("reading", error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Cursor::new(part_bytes.unwrap_or(PART_BYTES)))
            }
            Err(error) => Err(self.failed("reading", error)),
        }
    }

    /// Replaces the cursor durably; blocking.
    ///
    /// Saves are numbered upwards from 1. One that nobody waits for any more may still be under way when the next
    /// begins: it does nothing once a later one was done, lest it take back what bytes were freed upon.
    pub(crate) fn save(&self, number: u64, cursor: &Cursor) -> Result<(), CursorError> {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        if number > *saved {
            self.replace(cursor).map_err(|error| self.failed("writing", error))?;
            *saved = number;
        }
        Ok(())
    }

    fn replace(&self, cursor: &Cursor) -> io::Result<()> {
        let next = self.path.with_extension("json.next");
        let mut file = File::create(&next)?;
        file.write_all(&serde_json::to_vec(cursor)?)?;
        file.sync_all()?;
        fs::rename(&next, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> CursorError {
        CursorError { doing, path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_that_was_overtaken_takes_nothing_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = CursorFile::new(dir.path().join("ship.json"));
        let early = file.load(Some(10)).unwrap();
        let late = Cursor { log_uri_given_up: Some("refused".into()), ..early.clone() };
        file.save(2, &late).unwrap();
        file.clone().save(1, &early).unwrap();
        assert_eq!(file.load(None).unwrap(), late);
    }

    #[test]
    fn a_cursor_comes_back_and_a_damaged_one_is_not_taken_for_none() {
        let dir = tempfile::tempdir().unwrap();
        let file = CursorFile::new(dir.path().join("ship.json"));
        let mut cursor = file.load(Some(10)).unwrap();
        let shipped = Shipped { archived_parts: 2, freed_parts: 1, current: Some(20..25) };
        cursor.streams.insert("stdout".into(), shipped);
        file.save(1, &cursor).unwrap();
        assert_eq!(file.load(Some(99)).unwrap(), cursor);
        fs::write(dir.path().join("ship.json"), b"").unwrap();
        assert!(file.load(None).is_err());
    }
}
