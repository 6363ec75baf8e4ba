//! Reading a log while it grows, for a person who watches.

use std::io;
use std::path::Path;

use rustix::fs::SeekFrom;
use std::os::unix::fs::FileExt;

use crate::directory::{Access, LogDirectory};

/// A piece of a log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// Offset of the first byte: what was asked for, or beyond it when those bytes were archived and freed.
    pub offset: u64,
    /// The bytes; empty when nothing more has been written.
    pub bytes: Vec<u8>,
    /// Offset to ask for next.
    pub next_offset: u64,
}

/// Reads at most `max` bytes from `offset` on of the file `name` in the log directory `dir`.
///
/// A file that does not exist yet is empty. Bytes that were archived and freed are passed over, since they would
/// read as zeros. Never more than `max` bytes of memory.
pub async fn tail(dir: &Path, name: &str, offset: u64, max: usize) -> io::Result<Tail> {
    let (directory, name) = (LogDirectory::new(dir.to_owned()), name.to_owned());
    tokio::task::spawn_blocking(move || read(&directory, &name, offset, max))
        .await
        .unwrap_or_else(|cut| Err(io::Error::other(cut)))
}

fn read(directory: &LogDirectory, name: &str, offset: u64, max: usize) -> io::Result<Tail> {
    let nothing = Tail { offset, bytes: Vec::new(), next_offset: offset };
    let Some(file) = directory.open(name, Access::Read)? else {
        return Ok(nothing);
    };
    let offset = match rustix::fs::seek(&file, SeekFrom::Data(offset)) {
        Ok(data) => data,
        Err(rustix::io::Errno::NXIO) => return Ok(nothing), // At or beyond the end.
        Err(error) => return Err(error.into()),
    };
    let left = file.metadata()?.len().saturating_sub(offset);
    let mut bytes = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(max)];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    bytes.truncate(filled);
    Ok(Tail { offset, next_offset: offset + filled as u64, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::punch;

    #[tokio::test]
    async fn a_growing_file_is_read_in_pieces() {
        let dir = tempfile::tempdir().unwrap();
        let ask = |offset, max| tail(dir.path(), "stdout", offset, max);
        assert_eq!(ask(0, 10).await.unwrap().next_offset, 0);
        std::fs::write(dir.path().join("stdout"), b"one two").unwrap();
        let first = ask(0, 4).await.unwrap();
        assert_eq!((first.bytes.as_slice(), first.next_offset), (b"one ".as_slice(), 4));
        let second = ask(first.next_offset, 100).await.unwrap();
        assert_eq!((second.bytes.as_slice(), second.next_offset), (b"two".as_slice(), 7));
        assert_eq!(ask(7, 100).await.unwrap(), Tail { offset: 7, bytes: vec![], next_offset: 7 });
    }

    #[tokio::test]
    async fn freed_bytes_are_passed_over() {
        const BLOCK: u64 = 1 << 16;
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("stdout"), vec![b'x'; 2 * BLOCK as usize]).unwrap();
        let file = std::fs::File::options().write(true).open(dir.path().join("stdout")).unwrap();
        punch(&file, &(0..BLOCK)).unwrap();
        let read = tail(dir.path(), "stdout", 0, 10).await.unwrap();
        assert_eq!((read.offset, read.bytes), (BLOCK, vec![b'x'; 10]));
    }
}
