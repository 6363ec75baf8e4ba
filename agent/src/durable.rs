//! JSON documents on disk: written whole, fsynced, before what rests on them is done.

use hearth_keeper::durable::replace_file;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};

/// Why a document cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("reading {path}")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("parsing {path}")]
    Json {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

/// Reads `directory/name`; `None` if it is not there. Blocks.
pub(crate) fn read<T: DeserializeOwned>(directory: &Path, name: &str) -> Result<Option<T>, ReadError> {
    let path = directory.join(name);
    match std::fs::read(&path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(Some).map_err(|source| ReadError::Json { path, source })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReadError::Io { path, source }),
    }
}

/// Replaces `directory/name` (mode 0600) and waits until it would survive a power loss.
///
/// Not cancel safe only in that a dropped write may still happen.
pub(crate) async fn write<T: Serialize>(
    directory: &Path,
    name: &'static str,
    document: &T,
) -> io::Result<()> {
    let text = serde_json::to_vec(document)?;
    let directory = directory.to_owned();
    let written = tokio::task::spawn_blocking(move || replace_file(&directory, name, &text));
    written.await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}
