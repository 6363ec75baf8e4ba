//! Reading an object's bytes from its segments as a stream.

use std::fs::File;
use std::ops::Range;
use std::pin::Pin as StdPin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use tokio::task::spawn_blocking;

use crate::blobs::{BlobDirectory, BlobId, read_chunk};
use crate::error::StoreError;
use crate::model::ObjectInfo;
use crate::pins::Pin;
use crate::store::ObjectStore;

/// Bytes read at once; one chunk is in memory at a time.
const CHUNK_BYTES: u64 = 512 * 1024;

/// Times a lookup is repeated when the object is replaced between its two queries.
const LOOKUPS: usize = 16;

/// An object found, its content pinned and its segments known.
pub(crate) struct Found {
    pub(crate) info: ObjectInfo,
    segments: Vec<(BlobId, u64)>,
    blobs: BlobDirectory,
    pin: Pin,
}

/// An object being read: what it is, and its bytes (or the range asked for) as a stream.
pub struct ObjectReader {
    /// The object.
    pub info: ObjectInfo,
    /// The bytes the stream gives, as positions in the object.
    pub range: Range<u64>,
    bytes: StdPin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send + Sync>>,
}

impl std::fmt::Debug for ObjectReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectReader")
            .field("info", &self.info)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

impl ObjectReader {
    /// Reads everything into memory; for objects known to be small.
    pub async fn bytes(self) -> Result<Bytes, StoreError> {
        let collected: Result<BytesMut, std::io::Error> =
            self.bytes.try_collect::<ByteBuffer>().await.map(|all| all.0);
        collected.map(BytesMut::freeze).map_err(StoreError::Blob)
    }
}

#[derive(Default)]
struct ByteBuffer(BytesMut);

impl Extend<Bytes> for ByteBuffer {
    fn extend<I: IntoIterator<Item = Bytes>>(&mut self, chunks: I) {
        chunks.into_iter().for_each(|chunk| self.0.extend_from_slice(&chunk));
    }
}

impl Stream for ObjectReader {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: StdPin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.bytes.poll_next_unpin(cx)
    }
}

impl ObjectStore {
    /// Finds an object and pins its content.
    pub(crate) async fn found(&self, bucket: &str, key: &str) -> Result<Found, StoreError> {
        for _ in 0..LOOKUPS {
            let entry = self.entry(bucket, key).await?;
            let pin = self.pins.pin(entry.content);
            let sql = "SELECT blob, size FROM segments WHERE content = $1 ORDER BY seq";
            let rows: Vec<(String, i64)> = sqlx::query_as(sql)
                .bind(entry.content)
                .fetch_all(&self.readers)
                .await
                .map_err(StoreError::Index)?;
            // A content without segments that is not empty was deleted before it was pinned: look again.
            if !rows.is_empty() || entry.info.size == 0 {
                let segments =
                    rows.into_iter().map(|(blob, size)| (BlobId::from_index(blob), size as u64)).collect();
                return Ok(Found { info: entry.info, segments, blobs: self.blobs.clone(), pin });
            }
        }
        Err(StoreError::IndexUnavailable)
    }
}

impl Found {
    /// The number of segments: the parts of a multipart object.
    pub(crate) fn segments(&self) -> usize {
        self.segments.len()
    }

    /// The byte range of a segment, counted from 1.
    pub(crate) fn segment_range(&self, number: usize) -> Option<Range<u64>> {
        if number == 1 && self.segments.is_empty() {
            return Some(0..0);
        }
        let index = number.checked_sub(1)?;
        let (_, size) = self.segments.get(index)?;
        let start: u64 = self.segments.iter().take(index).map(|(_, size)| size).sum();
        Some(start..start + size)
    }

    /// Starts reading a range, or everything. A range beyond the object's end is refused.
    pub(crate) fn read(self, range: Option<Range<u64>>) -> Result<ObjectReader, StoreError> {
        let size = self.info.size;
        let range = range.unwrap_or(0..size);
        if range.start > range.end || range.end > size {
            return Err(StoreError::RangeNotSatisfiable { size });
        }
        let pieces = pieces(&self.segments, &range);
        let (blobs, pin) = (self.blobs, self.pin);
        let cursor = Cursor { pieces: pieces.into_iter(), open: None, blobs, _pin: pin };
        let bytes = stream::try_unfold(cursor, |cursor| async move {
            spawn_blocking(move || cursor.advance()).await.map_err(std::io::Error::other)?
        });
        Ok(ObjectReader { info: self.info, range, bytes: Box::pin(bytes) })
    }
}

/// Part of a blob file: where to start and how many bytes.
struct Piece {
    blob: BlobId,
    offset: u64,
    length: u64,
}

/// The pieces of blobs that make up a range of an object.
fn pieces(segments: &[(BlobId, u64)], range: &Range<u64>) -> Vec<Piece> {
    let mut start = 0;
    let mut pieces = Vec::new();
    for (blob, size) in segments {
        let end = start + size;
        let from = range.start.max(start);
        let to = range.end.min(end);
        if from < to {
            pieces.push(Piece { blob: blob.clone(), offset: from - start, length: to - from });
        }
        start = end;
    }
    pieces
}

/// A position in the pieces, with the file being read and what is left of it.
struct Cursor {
    pieces: std::vec::IntoIter<Piece>,
    open: Option<(File, u64)>,
    blobs: BlobDirectory,
    _pin: Pin,
}

impl Cursor {
    /// Reads the next chunk. Blocking.
    fn advance(mut self) -> std::io::Result<Option<(Bytes, Self)>> {
        let (mut file, left) = match self.open.take() {
            Some(open) => open,
            None => match self.pieces.next() {
                Some(piece) => (self.blobs.open_at(&piece.blob, piece.offset)?, piece.length),
                None => return Ok(None),
            },
        };
        let chunk = read_chunk(&mut file, left.min(CHUNK_BYTES) as usize)?;
        let left = left - chunk.len() as u64;
        self.open = (left > 0).then_some((file, left));
        Ok(Some((chunk, self)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_takes_its_pieces_from_the_segments_it_touches() {
        let segments: Vec<_> = [("aa", 10), ("bb", 5), ("cc", 10)]
            .map(|(id, size)| (BlobId::from_index(id.to_owned()), size))
            .into();
        let cases = [
            (0..25, vec![("aa", 0, 10), ("bb", 0, 5), ("cc", 0, 10)]),
            (10..15, vec![("bb", 0, 5)]),
            (9..16, vec![("aa", 9, 1), ("bb", 0, 5), ("cc", 0, 1)]),
            (24..25, vec![("cc", 9, 1)]),
            (3..3, vec![]),
        ];
        for (range, expected) in cases {
            let pieces = pieces(&segments, &range);
            let found: Vec<_> = pieces.iter().map(|p| (p.blob.as_str(), p.offset, p.length)).collect();
            assert_eq!(found, expected, "{range:?}");
        }
    }
}
