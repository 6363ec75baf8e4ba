//! How much was removed since the start: one line of the log for each round and kind, and the metrics.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is removed when its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::daemon) enum Kind {
    /// Multipart uploads that nobody completed.
    Uploads,
    /// Logs in managed storage.
    Logs,
    /// What `hearth run` uploaded.
    Sources,
    /// Job runs.
    JobRuns,
    /// Events of applications and job runs.
    Events,
    /// Release bundles.
    Bundles,
}

impl Kind {
    /// Every kind, in the order of [`Counts`].
    pub(in crate::daemon) const ALL: [Self; 6] =
        [Self::Uploads, Self::Logs, Self::Sources, Self::JobRuns, Self::Events, Self::Bundles];

    /// Its name in metrics and in the log.
    pub(in crate::daemon) const fn as_str(self) -> &'static str {
        match self {
            Self::Uploads => "uploads",
            Self::Logs => "logs",
            Self::Sources => "sources",
            Self::JobRuns => "job_runs",
            Self::Events => "events",
            Self::Bundles => "bundles",
        }
    }
}

/// How many of each kind were removed.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Counts([AtomicU64; Kind::ALL.len()]);

impl Counts {
    /// Counts what a round removed, and says so.
    pub(super) fn note<E: Error + 'static>(&self, kind: Kind, removed: Result<u64, E>) {
        self.add(kind, removed.map_err(|error| hearth_telemetry::error_chain(&error)));
    }

    /// The same, for a failure that was put into words.
    pub(in crate::daemon) fn add(&self, kind: Kind, removed: Result<u64, String>) {
        match removed {
            Ok(0) => {}
            Ok(removed) => {
                self.0[kind as usize].fetch_add(removed, Ordering::Relaxed);
                tracing::info!(kind = kind.as_str(), removed, "what was kept for long enough is removed");
            }
            Err(error) => {
                tracing::error!(kind = kind.as_str(), error, "removing what was kept for long enough failed");
            }
        }
    }

    /// How many of a kind were removed.
    pub(in crate::daemon) fn of(&self, kind: Kind) -> u64 {
        self.0[kind as usize].load(Ordering::Relaxed)
    }
}
