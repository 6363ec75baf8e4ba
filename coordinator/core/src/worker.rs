//! A worker: one driver or executor with its limits, from assignment to its confirmed end.

use hearth_types::{AgentId, ApplicationId, JobRunId, Launch, Timestamp, WorkerId, WorkerKind, WorkerSize};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a worker is to its job run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Runs the driver.
    Driver,
    /// Runs an executor.
    Executor {
        /// Spark's executor id, unique within the attempt.
        executor: u32,
        /// Spark's resource profile.
        profile: u32,
        /// Cores the engine uses in it.
        cores: u32,
        /// Heap, MiB.
        heap_mib: u64,
    },
}

impl Role {
    /// The kind, as logs and agents name it.
    pub const fn kind(&self) -> WorkerKind {
        match self {
            Self::Driver => WorkerKind::SparkDriver,
            Self::Executor { .. } => WorkerKind::SparkExecutor,
        }
    }
}

/// Where a worker is. What it holds on its host stays booked until its end is confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerState {
    /// Durable; the agent has not said anything about it yet.
    Assigned,
    /// The agent prepares it.
    Preparing,
    /// Its process runs.
    Running,
    /// It was told to end.
    Stopping {
        /// By whom.
        cause: StopCause,
        /// How long its process may take to end by itself, in milliseconds.
        grace_ms: u32,
    },
    /// Its end is confirmed; nothing of it is left to run.
    Ended {
        /// When that was known.
        at: Timestamp,
        /// How long its process ran, as its host measured it; none where nobody could tell, or it never ran.
        #[serde(default)]
        ran: Option<Duration>,
    },
}

/// Why a worker was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopCause {
    /// Its driver gave it back.
    GivenBack,
    /// Its job run is over or being cancelled, or another attempt follows.
    RunOver,
    /// Its host is out of contact and another attempt follows elsewhere. It may be frozen there.
    Replaced,
    /// The order to start it cannot be made (any more).
    CannotStart,
}

/// A worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Its identifier.
    pub id: WorkerId,
    /// The agent it was placed on.
    pub agent: AgentId,
    /// Its application.
    pub application: ApplicationId,
    /// Its job run.
    pub run: JobRunId,
    /// The driver launch it belongs to.
    pub launch: Launch,
    /// What it is.
    pub role: Role,
    /// What it was given.
    pub size: WorkerSize,
    /// How long it may run without contact between its host and the coordinator; none for one that was placed before
    /// there were leases.
    #[serde(default)]
    pub lease: Option<Duration>,
    /// Where it is.
    pub state: WorkerState,
    /// When it was assigned.
    pub created_at: Timestamp,
    /// When its process first ran.
    pub started_at: Option<Timestamp>,
}

impl Worker {
    /// Whether it still holds its booking.
    pub const fn is_live(&self) -> bool {
        match self.state {
            WorkerState::Assigned
            | WorkerState::Preparing
            | WorkerState::Running
            | WorkerState::Stopping { .. } => true,
            WorkerState::Ended { .. } => false,
        }
    }

    /// Whether its application is charged with it: a frozen worker of an attempt that was replaced must not keep the next
    /// one from starting.
    pub const fn is_held(&self) -> bool {
        match self.state {
            WorkerState::Stopping { cause: StopCause::Replaced, .. } | WorkerState::Ended { .. } => false,
            WorkerState::Assigned
            | WorkerState::Preparing
            | WorkerState::Running
            | WorkerState::Stopping {
                cause: StopCause::GivenBack | StopCause::RunOver | StopCause::CannotStart,
                ..
            } => true,
        }
    }

    /// Whether it counts towards what its driver asked for.
    pub const fn serves(&self) -> bool {
        match self.state {
            WorkerState::Assigned | WorkerState::Preparing | WorkerState::Running => true,
            WorkerState::Stopping { .. } | WorkerState::Ended { .. } => false,
        }
    }
}

/// How a worker's process ended, as its agent reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Exit {
    /// Exit code, when it exited.
    pub code: Option<i32>,
    /// Signal, when one ended it.
    pub signal: Option<i32>,
    /// Whether the kernel killed in its cgroup for memory.
    pub oom_killed: bool,
    /// Why it never ran.
    pub launch_error: String,
    /// Class of the exception that ended a driver.
    pub error_class: String,
    /// Its message.
    pub error_message: String,
    /// Where logs could not be shipped to.
    pub log_failures: Vec<String>,
    /// How long its process ran, as its host measured it.
    pub ran: Option<Duration>,
    /// Whether it is its host's or agent's fault, with the reason.
    pub host_fault: Option<String>,
}

impl Exit {
    /// The end of a worker whose agent no longer knows it.
    pub fn lost(reason: impl Into<String>) -> Self {
        Self { host_fault: Some(reason.into()), ..Self::default() }
    }

    /// The code as Spark counts it: 128 + signal for signals, −1 when unknown.
    pub fn spark_code(&self) -> i32 {
        self.code.or(self.signal.map(|signal| 128 + signal)).unwrap_or(-1)
    }
}
