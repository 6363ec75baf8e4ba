//! Streaming a bundle to a file while hashing it.

use std::io::{self, Write};
use std::path::PathBuf;

use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;

use crate::cache::Progress;
use crate::error::BundleError;
use crate::id::BundleId;

/// Read at a time; large enough that crossing to the writing thread costs nothing.
const CHUNK_BYTES: usize = 256 * 1024;

/// Chunks between network and disk; when full, the network waits. 2 MiB in all.
const CHUNKS_IN_FLIGHT: usize = 8;

/// Writes all of `source` to a new file at `path` and checks that it is the bundle `id`.
///
/// Hashing and writing happen on a blocking thread. The file is left behind on failure.
pub(crate) async fn download(
    id: &BundleId,
    source: impl AsyncRead + Send,
    path: PathBuf,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), BundleError> {
    let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let writer = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || write(receiver, path))
    };
    let read = pump(source, sender, progress).await;
    // The writer's error comes first: when the disk is full, all that the reader sees is a closed channel.
    let actual = writer
        .await
        .map_err(|_cut| BundleError::Interrupted { id: id.clone() })?
        .map_err(|source| BundleError::Disk { doing: "writing", path, source })?;
    let bytes = read.map_err(|source| BundleError::Fetch { id: id.clone(), source })?;
    if actual != *id {
        return Err(BundleError::Digest { expected: id.clone(), actual, bytes });
    }
    Ok(())
}

async fn pump(
    source: impl AsyncRead + Send,
    sender: mpsc::Sender<Vec<u8>>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> io::Result<u64> {
    let mut source = std::pin::pin!(source);
    let mut bytes = 0;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        while chunk.len() < CHUNK_BYTES {
            let room = (CHUNK_BYTES - chunk.len()) as u64;
            if (&mut source).take(room).read_buf(&mut chunk).await? == 0 {
                break;
            }
        }
        if chunk.is_empty() {
            return Ok(bytes);
        }
        bytes += chunk.len() as u64;
        if sender.send(chunk).await.is_err() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        progress(Progress::Fetched { bytes });
    }
}

fn write(mut chunks: mpsc::Receiver<Vec<u8>>, path: PathBuf) -> io::Result<BundleId> {
    let mut file = std::fs::File::create_new(path)?;
    let mut hasher = Sha256::new();
    while let Some(chunk) = chunks.blocking_recv() {
        hasher.update(&chunk);
        file.write_all(&chunk)?;
    }
    Ok(BundleId::of(hasher))
}
