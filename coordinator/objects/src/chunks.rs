//! Bounds the chunks of an `aws-chunked` body.
//!
//! `s3s` holds a whole chunk in memory before it passes it on, and some SDKs send a whole file as one unsigned chunk.
//! So unsigned chunks are cut into small ones on the way in. Signed chunks cannot be cut; over-large ones are refused
//! (SDKs make them of 64 KB to 1 MB).

use bytes::{Buf as _, Bytes};
use futures::{Stream, StreamExt as _, future, stream};

use crate::error::BodyError;

/// The size unsigned chunks are cut to.
const PIECE_BYTES: u64 = 1 << 20;

/// The largest signed chunk.
const MAX_SIGNED_BYTES: u64 = 16 << 20;

/// The longest line before a chunk: size and signature.
const MAX_LINE_BYTES: usize = 512;

/// Whether the chunks of a body carry signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunks {
    Signed,
    Unsigned,
}

impl Chunks {
    /// Reads `x-amz-content-sha256`; `None` if the body is not chunked.
    pub(crate) fn of(headers: &http::HeaderMap) -> Option<Self> {
        let value = headers.get("x-amz-content-sha256")?.to_str().ok()?;
        match value.strip_prefix("STREAMING-")? {
            "UNSIGNED-PAYLOAD-TRAILER" => Some(Self::Unsigned),
            _ => Some(Self::Signed),
        }
    }
}

/// What is wrong with a chunked body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChunkError {
    /// See [`MAX_SIGNED_BYTES`].
    #[error("ChunkTooLarge: a signed chunk of {size} bytes")]
    TooLarge { size: u64 },
    #[error("a chunk without a valid size")]
    Malformed,
    #[error("reading the chunked body")]
    Body(#[source] BodyError),
}

/// Passes a chunked body on in bounded chunks.
pub(crate) fn bounded<S>(
    body: S,
    chunks: Chunks,
) -> impl Stream<Item = Result<Bytes, ChunkError>> + Send + Sync + 'static
where
    S: Stream<Item = Result<Bytes, BodyError>> + Send + Sync + 'static,
{
    let cut = body.scan(Cutter::new(chunks), |cutter, input| {
        let output = match input {
            Ok(bytes) => cutter.push(bytes),
            Err(error) => Err(ChunkError::Body(error)),
        };
        let items: Vec<_> = match output {
            Ok(pieces) => pieces.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        future::ready(Some(stream::iter(items)))
    });
    cut.flatten()
}

#[derive(Debug)]
enum State {
    /// Within the line before a chunk.
    Line(Vec<u8>),
    /// Within a chunk: bytes left of it, and of the piece being passed on.
    Data { left: u64, piece: u64 },
    /// Within the line end after a chunk: bytes to drop, as it was written with the last piece.
    LineEnd(usize),
    /// After the last chunk: trailers.
    Trailers,
}

#[derive(Debug)]
struct Cutter {
    chunks: Chunks,
    state: State,
}

impl Cutter {
    fn new(chunks: Chunks) -> Self {
        Self { chunks, state: State::Line(Vec::new()) }
    }

    /// Takes the next bytes of a body and gives the bytes to pass on.
    fn push(&mut self, mut input: Bytes) -> Result<Vec<Bytes>, ChunkError> {
        let mut output = Vec::new();
        while !input.is_empty() {
            match &mut self.state {
                State::Line(line) => {
                    let end = input.iter().position(|byte| *byte == b'\n');
                    let taken = input.split_to(end.map_or(input.len(), |end| end + 1));
                    line.extend_from_slice(&taken);
                    if line.len() > MAX_LINE_BYTES {
                        return Err(ChunkError::Malformed);
                    }
                    if end.is_some() {
                        let line = std::mem::take(line);
                        self.state = self.begin(line, &mut output)?;
                    }
                }
                State::Data { left, piece } => {
                    if *piece == 0 {
                        *piece = PIECE_BYTES.min(*left);
                        output.push(Bytes::from(format!("{piece:x}\r\n")));
                    }
                    let taken = input.split_to(input.len().min(*piece as usize));
                    *left -= taken.len() as u64;
                    *piece -= taken.len() as u64;
                    output.push(taken);
                    if *piece == 0 {
                        output.push(Bytes::from_static(b"\r\n"));
                        if *left == 0 {
                            self.state = State::LineEnd(2);
                        }
                    }
                }
                State::LineEnd(left) => {
                    let dropped = input.len().min(*left);
                    input.advance(dropped);
                    *left -= dropped;
                    if *left == 0 {
                        self.state = State::Line(Vec::new());
                    }
                }
                State::Trailers => output.push(input.split_off(0)),
            }
        }
        Ok(output)
    }

    /// Begins the chunk a line announces.
    fn begin(&self, line: Vec<u8>, output: &mut Vec<Bytes>) -> Result<State, ChunkError> {
        let digits = line.split(|byte| !byte.is_ascii_hexdigit()).next().unwrap_or_default();
        let size = std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .ok_or(ChunkError::Malformed)?;
        match (self.chunks, size) {
            (_, 0) => {
                output.push(Bytes::from(line));
                Ok(State::Trailers)
            }
            (Chunks::Unsigned, _) => Ok(State::Data { left: size, piece: 0 }),
            (Chunks::Signed, _) if size > MAX_SIGNED_BYTES => Err(ChunkError::TooLarge { size }),
            (Chunks::Signed, _) => {
                output.push(Bytes::from(line));
                Ok(State::Data { left: size, piece: size })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(chunks: Chunks, body: &[u8], step: usize) -> Result<Vec<u8>, ChunkError> {
        let mut cutter = Cutter::new(chunks);
        let mut output = Vec::new();
        for input in body.chunks(step) {
            for piece in cutter.push(Bytes::copy_from_slice(input))? {
                output.extend_from_slice(&piece);
            }
        }
        Ok(output)
    }

    #[test]
    fn small_chunks_pass_as_they_are_however_they_arrive() {
        let signed = b"5;chunk-signature=ab\r\nhello\r\n0;chunk-signature=cd\r\nx-amz-a:b\r\n\r\n";
        let unsigned = b"5\r\nhello\r\n1\r\n!\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        for step in [1, 2, 7, 100] {
            assert_eq!(pass(Chunks::Signed, signed, step).expect("passes"), signed);
            assert_eq!(pass(Chunks::Unsigned, unsigned, step).expect("passes"), unsigned);
        }
    }

    #[test]
    fn a_large_unsigned_chunk_is_cut() {
        let data = vec![b'x'; (PIECE_BYTES + 3) as usize];
        let mut body = format!("{:x}\r\n", data.len()).into_bytes();
        body.extend_from_slice(&data);
        body.extend_from_slice(b"\r\n0\r\n\r\n");
        let output = pass(Chunks::Unsigned, &body, 60_000).expect("passes");
        assert!(output.starts_with(b"100000\r\nx"));
        assert!(output.ends_with(b"x\r\n3\r\nxxx\r\n0\r\n\r\n"));
    }

    #[test]
    fn what_cannot_be_bounded_is_refused() {
        let large = pass(Chunks::Signed, b"1000001;chunk-signature=ab\r\n", 9);
        assert!(matches!(large, Err(ChunkError::TooLarge { size: 0x100_0001 })), "{large:?}");
        assert!(matches!(pass(Chunks::Signed, b"zz\r\n", 9), Err(ChunkError::Malformed)));
        let endless = vec![b'1'; 2 * MAX_LINE_BYTES];
        assert!(matches!(pass(Chunks::Unsigned, &endless, 9), Err(ChunkError::Malformed)));
    }
}
