//! A user of its own for each worker.

use std::collections::BTreeSet;
use std::fs;
use std::io;

/// The user ids that workers run under, from the agent's configuration; group ids are the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UidRange {
    /// First id of the range.
    pub first: u32,
    /// How many ids it holds.
    pub count: u32,
}

/// No user id can be given to a worker.
#[derive(Debug, thiserror::Error)]
pub enum NoFreeUid {
    /// All are taken.
    #[error("all {count} user ids from {first} on are in use")]
    Exhausted {
        /// First id of the range.
        first: u32,
        /// How many ids it holds.
        count: u32,
    },
    /// It cannot be known which are taken.
    #[error("listing processes")]
    Processes(#[source] io::Error),
}

impl UidRange {
    /// Picks the lowest id that is not in `in_use` (ids of workers that have a directory, so files of theirs exist) and
    /// that no process of the host runs under. The caller records it before use.
    ///
    /// # Errors
    /// [`NoFreeUid`].
    pub fn pick(&self, in_use: &BTreeSet<u32>) -> Result<u32, NoFreeUid> {
        self.pick_beside(in_use, &uids_of_processes().map_err(NoFreeUid::Processes)?)
    }

    fn pick_beside(&self, in_use: &BTreeSet<u32>, running: &BTreeSet<u32>) -> Result<u32, NoFreeUid> {
        let exhausted = NoFreeUid::Exhausted { first: self.first, count: self.count };
        let mut ids = (0..self.count).filter_map(|offset| self.first.checked_add(offset));
        ids.find(|id| !in_use.contains(id) && !running.contains(id)).ok_or(exhausted)
    }
}

/// Every real, effective, saved and file system user id of a process.
fn uids_of_processes() -> io::Result<BTreeSet<u32>> {
    let mut uids = BTreeSet::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        if !entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        // A process that ends meanwhile uses none.
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
        uids.extend(line.split_ascii_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    Ok(uids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_id_is_picked() {
        let range = UidRange { first: 100, count: 3 };
        let pick = |in_use: &[u32], running: &[u32]| {
            range.pick_beside(&in_use.iter().copied().collect(), &running.iter().copied().collect())
        };
        assert_eq!(pick(&[], &[]).expect("free"), 100);
        assert_eq!(pick(&[100], &[101]).expect("free"), 102);
        assert!(matches!(pick(&[100, 102], &[101]), Err(NoFreeUid::Exhausted { first: 100, count: 3 })));
        let end = UidRange { first: u32::MAX, count: 9 };
        assert!(end.pick_beside(&[u32::MAX].into(), &BTreeSet::new()).is_err());
    }

    #[test]
    fn running_users_are_seen() {
        let own = nix::unistd::Uid::current().as_raw();
        assert!(uids_of_processes().expect("listed").contains(&own));
        assert!(UidRange { first: own, count: 1 }.pick(&BTreeSet::new()).is_err());
    }
}
