//! Streaming a range of a file into an object.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use object_store::ObjectStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Semaphore, mpsc};

use crate::error::ShipError;

/// Bytes that cross from the reading thread to the uploading task at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Chunks between them; when full, reading waits.
const CHUNKS_IN_FLIGHT: usize = 4;

/// What [`Pace::upload_part_bytes`](crate::Pace::upload_part_bytes) is by default.
pub(crate) const UPLOAD_PART_BYTES: usize = 8 * 1024 * 1024;

/// Parts of one object under way at a time. With the buffer being filled an upload holds at most 25 MiB.
const UPLOAD_PARTS_IN_FLIGHT: usize = 2;

/// How an object holds the bytes of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// One gzip member, the same for the same bytes.
    Gzip,
    /// As they are.
    Plain,
}

/// Writes `range` of `file`, called `name` in messages, to the object `path`, which appears whole or not at all; in
/// one put if it is shorter than `part_bytes`, else in parts of that length.
///
/// Waits for one of the host's upload slots. Cancel safe: an unfinished multipart upload may be left to the store's
/// own cleaning.
pub(crate) async fn upload(
    store: &Arc<dyn ObjectStore>,
    path: Path,
    (name, file): (&str, File),
    range: Range<u64>,
    encoding: Encoding,
    (slots, part_bytes): (&Semaphore, usize),
) -> Result<(), ShipError> {
    let _slot = slots.acquire().await.expect("the semaphore is never closed");
    let (sender, mut chunks) = mpsc::channel(CHUNKS_IN_FLIGHT);
    let reading = tokio::task::spawn_blocking(move || encode(&file, range, encoding, sender));
    let mut writer = BufWriter::with_capacity(store.clone(), path, part_bytes)
        .with_max_concurrency(UPLOAD_PARTS_IN_FLIGHT);
    let mut written = Ok(());
    while let Some(chunk) = chunks.recv().await {
        written = writer.put(chunk).await;
        if written.is_err() {
            break;
        }
    }
    drop(chunks);
    let read = reading.await.unwrap_or_else(|cut| Err(io::Error::other(cut)));
    if let Err(error) = written {
        abandon(writer).await;
        return Err(ShipError::from_store(error));
    }
    if let Err(source) = read {
        abandon(writer).await;
        return Err(ShipError::Local { name: name.to_owned(), source });
    }
    writer.shutdown().await.map_err(|error| ShipError::from_store(store_error(error)))
}

async fn abandon(mut writer: BufWriter) {
    if let Err(error) = writer.abort().await {
        // The guide's policy grants PutObject alone; then the store's lifecycle rules clean up.
        tracing::debug!(%error, "aborting an upload failed");
    }
}

/// Undoes the wrapping that `AsyncWrite` makes necessary.
fn store_error(error: io::Error) -> object_store::Error {
    match error.downcast::<object_store::Error>() {
        Ok(error) => error,
        Err(error) => object_store::Error::Generic { store: "log destination", source: Box::new(error) },
    }
}

fn encode(file: &File, range: Range<u64>, encoding: Encoding, sender: mpsc::Sender<Bytes>) -> io::Result<()> {
    let mut sink = Chunks { sender, buffer: Vec::with_capacity(CHUNK_BYTES) };
    match encoding {
        Encoding::Plain => copy(file, range, &mut sink)?,
        Encoding::Gzip => {
            let mut gzip = GzEncoder::new(&mut sink, Compression::fast());
            copy(file, range, &mut gzip)?;
            gzip.finish()?;
        }
    }
    sink.send()
}

fn copy(file: &File, range: Range<u64>, sink: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut at = range.start;
    while at < range.end {
        let wanted = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(buffer.len());
        match file.read_at(&mut buffer[..wanted], at)? {
            // The job shortened its own log; the next plan sees the new length.
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                sink.write_all(&buffer[..count])?;
                at += count as u64;
            }
        }
    }
    Ok(())
}

/// Collects bytes into chunks and sends them from a blocking thread.
struct Chunks {
    sender: mpsc::Sender<Bytes>,
    buffer: Vec<u8>,
}

impl Chunks {
    fn send(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK_BYTES));
        self.sender.blocking_send(full.into()).map_err(|_closed| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK_BYTES - self.buffer.len();
        let taken = bytes.len().min(room);
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == CHUNK_BYTES {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
