//! The two clocks: the wall's for users, and one that only goes forward for leases and pauses.

use hearth_types::{Moment, Now, Timestamp};
use std::time::Instant;

/// The clocks of one term of office.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Begins to count moments.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Both clocks, now. The steady one may stand still while this host sleeps: then leases are waited for too long,
    /// which is the safe side.
    pub fn now(self) -> Now {
        Now { at: now(), moment: Moment::default().plus(self.started.elapsed()) }
    }
}

/// The wall clock.
pub fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
