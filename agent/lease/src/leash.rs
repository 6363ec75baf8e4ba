//! What a keeper does about a lease, look by look.

use crate::Deadlines;
use std::time::Duration;

/// Pause between two looks at a worker that is coming to rest, or dying.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Least time to come to rest. A keeper that comes to act long after the deadline (its host was suspended) freezes first
/// all the same: what does not rest within a second hangs in the kernel and would not die sooner either.
const LEAST_FREEZING: Duration = Duration::from_secs(1);

/// How a keeper holds one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leash {
    /// The worker runs.
    Free,
    /// It is coming to rest.
    Freezing {
        /// When that began.
        since: Duration,
    },
    /// It rests, until its deadlines are moved on.
    Frozen,
    /// It is being killed, whatever its deadlines say now.
    Doomed,
}

/// What is to be done now. Repeating any of it changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Wait,
    /// Stop every task of the worker.
    Freeze,
    /// Let it go on.
    Thaw,
    /// Kill it as a whole.
    Kill,
}

/// The result of a look: what to do, and when to look again if nothing changes before; `None`: only then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// What is to be done now.
    pub act: Act,
    /// When to look again.
    pub again_at: Option<Duration>,
}

impl Leash {
    /// Looks at `now`. `is_at_rest` is asked only while the worker is coming to rest.
    pub fn look(&mut self, now: Duration, deadlines: Deadlines, is_at_rest: impl FnOnce() -> bool) -> Look {
        let is_due = now >= deadlines.freeze_at;
        let (next, act) = match *self {
            Self::Doomed => (Self::Doomed, Act::Kill),
            Self::Free if is_due => (Self::Freezing { since: now }, Act::Freeze),
            Self::Free if now >= deadlines.kill_at => (Self::Doomed, Act::Kill),
            Self::Free => (Self::Free, Act::Wait),
            Self::Freezing { .. } | Self::Frozen if !is_due => (Self::Free, Act::Thaw),
            Self::Frozen => (Self::Frozen, Act::Wait),
            Self::Freezing { .. } if is_at_rest() => (Self::Frozen, Act::Wait),
            Self::Freezing { since } if now >= deadlines.kill_at.max(since + LEAST_FREEZING) => {
                (Self::Doomed, Act::Kill)
            }
            // Those that were forked meanwhile are to be stopped too.
            Self::Freezing { since } => (Self::Freezing { since }, Act::Freeze),
        };
        *self = next;
        let again_at = match next {
            Self::Free => Some(deadlines.first()),
            Self::Freezing { .. } | Self::Doomed => Some(now + LOOK_AGAIN),
            Self::Frozen => None,
        };
        Look { act, again_at }
    }
}
