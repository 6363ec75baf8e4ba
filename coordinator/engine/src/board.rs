//! What drivers tell of their progress: the latest word of each, kept in memory only.

use hearth_types::JobRunId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A driver's progress as its plugin tells it (see docs/control-channel.md).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DriverProgress {
    /// When the first task began, milliseconds since the Unix epoch.
    pub first_task_at_ms: Option<i64>,
    /// Tasks of the active stages and of those completed.
    pub tasks: Counts,
    /// Jobs in Spark's sense.
    pub jobs: Counts,
    /// Active stages.
    pub stages: Vec<Stage>,
    /// Executors registered.
    pub executors: u32,
}

/// How many of something are where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// In all.
    pub total: u64,
    /// Under way.
    pub active: u64,
    /// Done.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
}

/// An active stage.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stage {
    /// Spark's stage id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its tasks.
    pub tasks: u64,
    /// Those done.
    pub completed: u64,
}

/// The latest word of each driver; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Board {
    latest: Arc<Mutex<BTreeMap<JobRunId, DriverProgress>>>,
}

/// Job runs remembered at the most; the oldest ids make room.
const REMEMBERED: usize = 10_000;

impl Board {
    /// Replaces what a driver last said.
    pub fn put(&self, run: JobRunId, progress: DriverProgress) {
        let mut latest = self.latest.lock().expect("nobody panics while holding the board");
        latest.insert(run, progress);
        while latest.len() > REMEMBERED {
            latest.pop_first();
        }
    }

    /// What a driver last said.
    pub fn get(&self, run: &JobRunId) -> Option<DriverProgress> {
        self.latest.lock().expect("nobody panics while holding the board").get(run).cloned()
    }
}
