//! Points in time as users see them.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Wall-clock time in milliseconds since the Unix epoch: for users' eyes and for deadlines that users set, never for leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds since the Unix epoch with millisecond fraction: the form of timestamps in the service's JSON.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// This much later, saturating.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// A moment on a clock that only goes forward, in milliseconds since the coordinator started: for leases and pauses, and
/// comparable within one term of office only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Moment(u64);

impl Moment {
    /// From milliseconds since the coordinator started.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the coordinator started.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This much later, saturating.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Now, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// For users' eyes and the deadlines they set. It may jump.
    pub at: Timestamp,
    /// For everything else.
    pub moment: Moment,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_never_runs_backwards() {
        let (early, late) = (Timestamp::from_millis(1_000), Timestamp::from_millis(3_500));
        assert_eq!(late.since(early), Duration::from_millis(2_500));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.plus(Duration::from_millis(2_500)), late);
    }
}
