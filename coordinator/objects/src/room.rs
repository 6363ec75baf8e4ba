//! Leaves room on the disk to the databases: objects do not take the last of it.
//!
//! A delete needs room too, for the index's log, and so does all that the coordinator decides: its state is on the same
//! disk unless its owner arranged it otherwise.

use std::io;
use std::path::Path;

use nix::sys::statvfs::statvfs;

/// What is left to the databases, unless the disk is small: a thousand times what a busy turn of the coordinator writes.
const RESERVE_BYTES: u64 = 64 << 20;
/// On a small disk, this part of it.
const SMALLEST_PART: u64 = 20;

/// Fails with [`io::ErrorKind::StorageFull`] if so many more bytes would be beyond the objects' share of the disk.
pub(crate) fn check(dir: &Path, wanted: u64) -> io::Result<()> {
    let disk = statvfs(dir)?;
    let unit = disk.fragment_size();
    let (all, free) = (disk.blocks() * unit, disk.blocks_available() * unit);
    if free < reserve(all).saturating_add(wanted) {
        return Err(io::Error::new(
            io::ErrorKind::StorageFull,
            format!("{free} bytes are free, and {} are left to the databases", reserve(all)),
        ));
    }
    Ok(())
}

fn reserve(disk_bytes: u64) -> u64 {
    RESERVE_BYTES.min(disk_bytes / SMALLEST_PART)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_disk_is_not_all_reserve() {
        assert_eq!(reserve(100 << 30), 64 << 20);
        assert_eq!(reserve(20 << 20), 1 << 20);
    }
}
