//! Fencing: who may command, and which launch of a driver is the current one (design §4).

use serde::{Deserialize, Serialize};
use std::fmt;

/// A coordinator's term of office. Higher epochs supersede lower ones cluster-wide; it fences *senders* only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// Which driver of a job run: attempt counted from 1, and the launch within it counted from 1.
///
/// A later launch outdates every earlier one; comparison is by attempt, then launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Launch {
    /// Attempt, counted from 1.
    pub attempt: u32,
    /// Launch within the attempt, counted from 1.
    pub launch: u32,
}

impl Launch {
    /// The first launch of the first attempt.
    pub const FIRST: Self = Self { attempt: 1, launch: 1 };
}

impl fmt::Display for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.attempt, self.launch)
    }
}

/// What every command to an agent carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FencingToken {
    /// The sender's term.
    pub epoch: Epoch,
    /// The driver the command belongs to.
    pub launch: Launch,
}
