//! Keeps the blob files of a deleted content alive until the last reader of it is done.
//!
//! A reader pins the content and then reads its list of segments: if the list is still there, any later deletion sees
//! the pin. So an object of ten thousand segments is read without holding ten thousand open files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::blobs::{BlobDirectory, BlobId};

#[derive(Default)]
struct State {
    readers: HashMap<i64, u32>,
    condemned: HashMap<i64, Vec<BlobId>>,
}

/// The contents being read, and those to be removed when they no longer are.
#[derive(Clone)]
pub(crate) struct Pins {
    state: Arc<Mutex<State>>,
    blobs: BlobDirectory,
}

/// A reader's hold on a content; dropped when the reader is done.
pub(crate) struct Pin {
    content: i64,
    pins: Pins,
}

impl Pins {
    pub(crate) fn new(blobs: BlobDirectory) -> Self {
        Self { state: Arc::default(), blobs }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and the maps are whole between statements.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Holds a content's files until the pin is dropped.
    pub(crate) fn pin(&self, content: i64) -> Pin {
        *self.lock().readers.entry(content).or_default() += 1;
        Pin { content, pins: self.clone() }
    }

    /// Removes the files of a content that the index no longer names, now or after its last reader.
    pub(crate) fn condemn(&self, content: i64, files: Vec<BlobId>) {
        {
            let mut state = self.lock();
            if state.readers.contains_key(&content) {
                state.condemned.entry(content).or_default().extend(files);
                return;
            }
        }
        self.blobs.remove(files);
    }

    /// Removes files that no reader can have seen.
    pub(crate) fn discard(&self, files: Vec<BlobId>) {
        self.blobs.remove(files);
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let files = {
            let mut state = self.pins.lock();
            let Some(count) = state.readers.get_mut(&self.content) else { return };
            *count -= 1;
            if *count > 0 {
                return;
            }
            state.readers.remove(&self.content);
            state.condemned.remove(&self.content)
        };
        if let Some(files) = files {
            self.pins.blobs.remove(files);
        }
    }
}
