//! What to ship of a growing log file, and which of its bytes may be freed (guide:4825-4862).
//!
//! A worker's `stderr` is appended to for as long as the worker lives. In the object store it appears as parts of
//! [`PART_BYTES`] that never change again, `archived/stderr_<index>.gz`, and as `stderr.gz`, which holds the rest
//! and is replaced while the file grows. Once a part is archived its bytes are freed by punching a hole: the file
//! keeps its length, so offsets stay valid and the writer notices nothing.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Uncompressed bytes of one archived part. A multiple of every file system's block size, so that a freed part
/// frees whole blocks.
pub const PART_BYTES: u64 = 128 * 1024 * 1024;

/// Bytes of a log that refreshing its object may take for each second that passes, about a hundredth of a core.
pub const REFRESH_BYTES_PER_SECOND: u64 = 2 * 1024 * 1024;

/// How long an object that holds `len` bytes of a log rests after a refresh, which makes it anew from its beginning.
///
/// `pace` (guide:4843), unless the object is so long that this would take more than [`REFRESH_BYTES_PER_SECOND`]: a
/// log that grows by a line now and then would be read and sent over and over, and more of it each time. A current
/// object rests a minute at most, since it is never longer than a part; a part that is full is archived at once.
pub fn refresh_after(len: u64, pace: Duration) -> Duration {
    pace.max(Duration::from_secs(len / REFRESH_BYTES_PER_SECOND))
}

/// What has been done for one log file; persisted after each action, and only moved forward.
///
/// The file is `[0, archived × part)` archived, then the remainder. `freed_parts ≤ archived_parts`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipped {
    /// How many parts are durably archived; part `i` is the bytes `[i × part, (i + 1) × part)`.
    pub archived_parts: u64,
    /// How many parts, from the first, have been freed on the host.
    pub freed_parts: u64,
    /// The bytes that the current object holds; `None` before it was first written.
    pub current: Option<Range<u64>>,
}

impl Shipped {
    /// Records that `action` was carried out and is durable.
    pub fn record(&mut self, action: &Action) {
        match action {
            Action::Archive { index, .. } => self.archived_parts = self.archived_parts.max(index + 1),
            Action::PutCurrent { range } => self.current = Some(range.clone()),
            Action::Free { through_part, .. } => self.freed_parts = self.freed_parts.max(*through_part),
        }
    }

    /// Forgets what the current object holds, because it is to be written to another destination.
    pub fn destination_changed(&mut self) {
        self.current = None;
    }
}

/// One step of shipping. Each is idempotent while the ones after it have not happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Upload `range` as part `index`, under its final name.
    Archive {
        /// Counts from 0.
        index: u64,
        /// Bytes of the file; exactly one part long.
        range: Range<u64>,
    },
    /// Replace the current object by `range`, which may be empty.
    PutCurrent {
        /// Bytes of the file; shorter than one part.
        range: Range<u64>,
    },
    /// Punch out `range`, all of which is archived.
    Free {
        /// Bytes of the file.
        range: Range<u64>,
        /// How many parts, from the first, are freed after this.
        through_part: u64,
    },
}

/// Plans what brings the object store up to date with a file of `file_len` bytes; empty when it is.
///
/// The actions are to be done in order, stopping at the first that fails, and each one recorded durably before
/// the next. Parts come first, then the current object, then freeing, so that a reader may see bytes twice for a
/// moment but never misses any. A file that a job shortened below what is archived counts as empty beyond it.
/// `part_bytes` is [`PART_BYTES`], or less in tests.
pub fn plan(shipped: &Shipped, file_len: u64, part_bytes: u64) -> Vec<Action> {
    let parts = shipped.archived_parts.max(file_len / part_bytes);
    let archives = (shipped.archived_parts..parts)
        .map(|index| Action::Archive { index, range: index * part_bytes..(index + 1) * part_bytes });
    let rest = parts * part_bytes..file_len.max(parts * part_bytes);
    let current = (shipped.current.as_ref() != Some(&rest)).then_some(Action::PutCurrent { range: rest });
    let free = (shipped.freed_parts < parts).then(|| Action::Free {
        range: shipped.freed_parts * part_bytes..parts * part_bytes,
        through_part: parts,
    });
    archives.chain(current).chain(free).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PART: u64 = 10;

    /// A log file, the objects made of it, and what the agent remembers.
    #[derive(Default)]
    struct World {
        written: Vec<u8>,
        freed: u64,
        archived: Vec<Vec<u8>>,
        current: Vec<u8>,
        shipped: Shipped,
    }

    impl World {
        fn append(&mut self, count: usize) {
            let start = self.written.len();
            self.written.extend((start..start + count).map(|at| (at % 251) as u8));
        }

        fn read(&self, range: &Range<u64>) -> Vec<u8> {
            assert!(range.start >= self.freed, "read of freed bytes {range:?}, freed to {}", self.freed);
            self.written[range.start as usize..range.end as usize].to_vec()
        }

        fn perform(&mut self, action: &Action) {
            match action {
                Action::Archive { index, range } => {
                    let bytes = self.read(range);
                    assert_eq!(bytes.len() as u64, PART);
                    match self.archived.get(*index as usize) {
                        Some(before) => assert_eq!(before, &bytes, "a part changed"),
                        None => self.archived.push(bytes),
                    }
                    assert!(self.archived.len() as u64 > *index, "a part was skipped");
                }
                Action::PutCurrent { range } => self.current = self.read(range),
                Action::Free { range, .. } => {
                    assert!(range.end <= self.archived.len() as u64 * PART, "freed before archived");
                    self.freed = range.end;
                }
            }
        }

        /// Runs one round, dying before or after the `crash_at`-th effect, in which case its record is lost.
        fn round(&mut self, crash_at: Option<(usize, bool)>) {
            for (at, action) in plan(&self.shipped, self.written.len() as u64, PART).iter().enumerate() {
                match crash_at {
                    Some((crash, effect_happened)) if crash == at => {
                        if effect_happened {
                            self.perform(action);
                        }
                        return;
                    }
                    _ => {
                        self.perform(action);
                        self.shipped.record(action);
                    }
                }
            }
        }

        fn shipped_bytes(&self) -> Vec<u8> {
            self.archived.iter().flatten().chain(&self.current).copied().collect()
        }
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_or_repeated(
            history in prop::collection::vec((0usize..35, prop::option::of((0usize..6, any::<bool>()))), 1..40)
        ) {
            let mut world = World::default();
            for (appended, crash) in history {
                world.append(appended);
                world.round(crash);
                if crash.is_none() {
                    prop_assert_eq!(world.shipped_bytes(), world.written.clone());
                }
            }
            world.round(None);
            prop_assert_eq!(world.shipped_bytes(), world.written.clone());
            prop_assert!(world.current.len() < PART as usize);
            prop_assert_eq!(world.freed, world.archived.len() as u64 * PART);
            prop_assert!(plan(&world.shipped, world.written.len() as u64, PART).is_empty());
        }
    }

    #[test]
    fn what_refreshing_takes_does_not_grow_with_the_log() {
        let pace = Duration::from_secs(15);
        assert_eq!(refresh_after(0, pace), pace);
        assert_eq!(refresh_after(30 << 20, pace), pace);
        assert_eq!(refresh_after(PART_BYTES, pace), Duration::from_secs(64));
        for gib in 1..20 {
            let len = gib << 30;
            assert!(len <= refresh_after(len, pace).as_secs() * REFRESH_BYTES_PER_SECOND);
        }
    }

    #[test]
    fn an_empty_file_is_shipped_once() {
        let mut shipped = Shipped::default();
        let actions = plan(&shipped, 0, PART);
        assert_eq!(actions, [Action::PutCurrent { range: 0..0 }]);
        shipped.record(&actions[0]);
        assert_eq!(plan(&shipped, 0, PART), []);
    }

    #[test]
    fn a_part_is_freed_only_after_the_current_object_moved_on() {
        assert_eq!(
            plan(&Shipped { current: Some(0..8), ..Shipped::default() }, 23, PART),
            [
                Action::Archive { index: 0, range: 0..10 },
                Action::Archive { index: 1, range: 10..20 },
                Action::PutCurrent { range: 20..23 },
                Action::Free { range: 0..20, through_part: 2 },
            ]
        );
    }

    #[test]
    fn a_shortened_file_takes_nothing_back() {
        let shipped = Shipped { archived_parts: 2, freed_parts: 2, current: Some(20..25) };
        assert_eq!(plan(&shipped, 3, PART), [Action::PutCurrent { range: 20..20 }]);
    }

    #[test]
    fn another_destination_gets_the_current_bytes_again() {
        let mut shipped = Shipped { archived_parts: 1, freed_parts: 1, current: Some(10..15) };
        shipped.destination_changed();
        assert_eq!(plan(&shipped, 15, PART), [Action::PutCurrent { range: 10..15 }]);
    }
}
