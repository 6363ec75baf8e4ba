//! Whether a release's bundle is there to be run.

use hearth_types::ReleaseLabel;
use serde::{Deserialize, Serialize};

/// A release as the scheduler sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its label.
    pub label: ReleaseLabel,
    /// Whether its bundle exists.
    pub state: ReleaseState,
}

/// Whether a release's bundle exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReleaseState {
    /// Being assembled; `step` is for people.
    Building {
        /// What is being done.
        step: String,
    },
    /// Stored under its digest.
    Ready {
        /// SHA-256 of the bundle, hex.
        sha256: String,
        /// Major version of the JDK it needs.
        java_major: u32,
        /// JVM options the engine needs on that JDK.
        java_module_options: Vec<String>,
    },
    /// Assembling failed; the next job run tries again.
    Failed {
        /// Why.
        reason: String,
    },
}
