//! Gives memory that is not used any more back to the host, whose memory belongs to the jobs.
//!
//! The C library's allocator keeps what was freed, and a heap for nearly each thread that ever ran: an idle agent would
//! hold the most that its busiest moment needed.
#![allow(unsafe_code)] // Its two settings have no safe form.

use nix::libc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Between two looks. One takes well below a millisecond when nothing was freed since the last.
const EVERY: Duration = Duration::from_secs(30);

/// Has all threads share one heap; to be called before there are any.
///
/// Freed memory between what is in use stays with its heap, and each has some. Most of an agent's requests for memory
/// are served by their thread's own cache, so that the threads rarely wait for each other.
pub(crate) fn share_one_heap() {
    // JUSTIFICATION: the environment, the only other way, is fixed before this program begins.
    // SAFETY: takes two numbers and keeps no pointer; refusing an unknown one is all that it can do.
    let is_set = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    debug_assert_eq!(is_set, 1, "the C library knows the setting");
}

/// Gives freed memory back now and then, for as long as it is polled. Cancel safe.
pub(crate) async fn keep_giving_back() {
    let mut looks = interval_at(Instant::now() + EVERY, EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        give_back();
    }
}

fn give_back() {
    // JUSTIFICATION: no crate offers it.
    // SAFETY: may be called by any thread at any time; only pages that no allocation lies on are given back.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn what_was_freed_between_what_is_in_use_is_given_back() {
        // 64 MiB in pieces below what is mapped by itself; each sixteenth stays.
        let mut pieces: Vec<Vec<u8>> = (0..4096).map(|_| vec![1; 16 * 1024]).collect();
        let mut number = 0;
        pieces.retain(|_| {
            number += 1;
            number % 16 == 0
        });
        let before = resident_kib();
        give_back();
        let after = resident_kib();
        assert!(after + 32 * 1024 < before, "{before} KiB, then {after} KiB");
        drop(pieces);
    }
}
