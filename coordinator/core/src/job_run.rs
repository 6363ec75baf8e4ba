//! A job run with its attempts: one accepted `StartJobRun` on its way to exactly one final state (promises P3, P4).

use crate::queueing::Queueing;
use hearth_types::{
    AgentId, ApplicationId, Architecture, FailureCause, JobRunId, JobRunState, Launch, Moment, ReleaseLabel,
    Timestamp, WorkerId, WorkerSize,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// How one kind of process of a job run is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct ProcessSpec {
    /// The worker it gets.
    pub size: WorkerSize,
    /// JVM heap in MiB.
    pub heap_mib: u64,
    /// Further JVM options.
    pub java_options: Vec<String>,
    /// Entries of the class path in front of the engine's.
    #[serde(default)]
    pub class_path: Vec<String>,
    /// Small files by name, which the worker finds in its `{hearth:conf}` directory.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Arguments of the engine's own entry point.
    pub args: Vec<String>,
    /// System properties set before the engine starts.
    pub properties: BTreeMap<String, String>,
    /// Environment variables added to the worker's own.
    pub environment: BTreeMap<String, String>,
}

/// What was accepted: everything needed to launch, fixed at submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSpec {
    /// The runtime role's ARN.
    pub role_arn: String,
    /// Session policies narrowing the role, as JSON documents.
    pub session_policies: Vec<String>,
    /// ARNs of managed policies narrowing the role; what they say is read at each use.
    #[serde(default)]
    pub session_policy_arns: Vec<String>,
    /// Release the job runs on.
    pub release: ReleaseLabel,
    /// Architecture of its workers.
    pub architecture: Architecture,
    /// The driver.
    pub driver: ProcessSpec,
    /// Disk of an executor in GiB; its other sizes come with the engine's request.
    pub executor_disk_gib: u64,
    /// How many executors the job surely wants at first: prepared beside the driver, not after it.
    pub initial_executors: u32,
    /// An executor of the default resource profile.
    pub executor: ProcessSpec,
    /// Cores the engine gives an executor of the default profile.
    pub executor_cores: u32,
    /// Where the user wants the logs, without trailing slash.
    pub log_uri: Option<String>,
    /// Whether managed storage keeps a copy.
    pub managed_logs: bool,
    /// How long the run may take; absent for no limit.
    pub timeout: Option<Duration>,
    /// When another attempt follows one that failed.
    #[serde(flatten)]
    pub retries: Retries,
    /// What was wrong with its files when it was submitted, each as the rest of a sentence; see [`crate::preflight`].
    #[serde(default)]
    pub doubts: Vec<String>,
}

/// When another attempt follows one that failed (guide:3198-3250).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Retries {
    /// While there are any left of so many in all; at least 1.
    #[serde(rename = "max_attempts")]
    Attempts(u32),
    /// Unless so many failed within an hour, the last one included; at least 1.
    #[serde(rename = "max_failures_per_hour")]
    FailuresPerHour(u32),
}

impl Retries {
    /// Whether there can be more than one attempt.
    pub const fn are_on(self) -> bool {
        match self {
            Self::Attempts(most) | Self::FailuresPerHour(most) => most > 1,
        }
    }
}

/// Why a job run is being ended before its driver ended by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CancelCause {
    /// `CancelJobRun`.
    Requested,
    /// Its execution timeout passed.
    TimedOut,
    /// It was in QUEUED for too long.
    QueueTimedOut {
        /// How long it was allowed to be there.
        timeout: Duration,
    },
    /// hearth itself is being stopped (`hearth up` at its end).
    Shutdown,
}

impl CancelCause {
    /// The sentence for `stateDetails`.
    pub fn details(&self, timeout: Option<Duration>) -> String {
        match self {
            Self::Requested => "Job run was cancelled by request.".to_owned(),
            Self::TimedOut => format!(
                "Job run exceeded its execution timeout of {} minutes and was cancelled.",
                timeout.map_or(0, |t| t.as_secs() / 60)
            ),
            Self::QueueTimedOut { timeout } => format!(
                "Job run exceeded its application's queue timeout of {} minutes and was cancelled.",
                timeout.as_secs() / 60
            ),
            Self::Shutdown => "Job run was cancelled because hearth was stopped.".to_owned(),
        }
    }
}

/// Where a job run is; each state carries what exists only in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunPhase {
    /// Durable, not yet looked at.
    Submitted,
    /// Waits because its application's concurrency is used up.
    Queued,
    /// Waits for a release or for capacity.
    Pending,
    /// Its driver has a place and is being prepared.
    Scheduled {
        /// The driver's worker.
        driver: WorkerId,
    },
    /// Its driver runs.
    Running {
        /// The driver's worker.
        driver: WorkerId,
    },
    /// Its workers are being ended.
    Cancelling {
        /// Why.
        cause: CancelCause,
        /// How long the driver may take to end by itself.
        grace: Duration,
    },
    /// Ended; `outcome` never changes.
    Ended {
        /// How.
        outcome: Outcome,
    },
}

/// A job run's one end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The driver ended with exit code 0.
    Success,
    /// Anything else; the details say what.
    Failed,
    /// Ended on request and nothing of it is left.
    Cancelled,
}

/// What a Spark driver told about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct DriverApp {
    /// Spark's application id.
    pub app_id: String,
    /// Where executors register.
    pub driver_url: String,
    /// Port of the live UI on the driver's host; 0 for none.
    pub ui_port: u16,
    /// JVM options of executors.
    pub executor_java_opts: Vec<String>,
    /// Environment of executors.
    pub executor_env: BTreeMap<String, String>,
    /// Start-up configuration of executors, free of secrets.
    pub executor_properties: BTreeMap<String, String>,
    /// Entries of executors' class path in front of the engine's.
    #[serde(default)]
    pub executor_class_path: Vec<String>,
}

/// How many executors of one resource profile a driver wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorProfile {
    /// Spark's resource profile id.
    pub profile_id: u32,
    /// How many in all.
    pub count: u32,
    /// Cores each.
    pub cores: u32,
    /// Heap each, MiB.
    pub heap_mib: u64,
    /// Memory each in all, MiB.
    pub total_mib: u64,
}

/// The window in which failed attempts of a streaming job run are counted.
const HOUR: Duration = Duration::from_secs(3600);

/// Failed executors that an attempt survives at least, as on YARN.
const EXECUTOR_FAILURES_BORNE: u32 = 3;

/// How the executors of one attempt fare: one that dies at once must not be replaced for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExecutorTally {
    /// Executors that failed through the job's own fault or could not be started.
    pub failed: u32,
    /// The most executors the driver wanted at once.
    pub most_wanted: u32,
}

impl ExecutorTally {
    /// Failed executors that end the attempt: twice those wanted, but at least 3 (the default of
    /// `spark.executor.maxNumFailures`).
    pub const fn limit(&self) -> u32 {
        let twice = self.most_wanted.saturating_mul(2);
        if twice > EXECUTOR_FAILURES_BORNE { twice } else { EXECUTOR_FAILURES_BORNE }
    }
}

/// The end of an executor, as its driver is told of it once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorExit {
    /// Its number within the attempt.
    pub executor: u32,
    /// Exit code as Spark counts.
    pub code: i32,
    /// Why, for people.
    pub reason: String,
}

/// Ends of executors that are remembered for their driver.
const EXITS_REMEMBERED: usize = 32;

/// Failed attempts that are remembered: all of a batch job run; of a streaming one, which may go on for years, many more
/// than its rule counts.
const FAILED_REMEMBERED: usize = 50;

/// An attempt that failed and was followed by another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// Its number, counted from 1.
    pub attempt: u32,
    /// Why it failed, for people.
    pub details: String,
    /// Why it failed; none for those that failed before causes were told apart.
    #[serde(default)]
    pub cause: Option<FailureCause>,
    /// When it began to wait for its driver.
    pub created_at: Timestamp,
    /// When its driver first ran, if it did.
    pub started_at: Option<Timestamp>,
    /// When it failed.
    pub ended_at: Timestamp,
}

/// The pause before an attempt that follows one that failed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When it is over, in the present term: a new term begins it anew.
    pub until: Moment,
    /// How long it is, in milliseconds.
    pub millis: u32,
}

/// A job run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRun {
    /// Its identifier.
    pub id: JobRunId,
    /// The application it belongs to.
    pub application: ApplicationId,
    /// Where it is.
    pub phase: RunPhase,
    /// Why it is there, for people.
    pub details: String,
    /// Why it failed, once it has: its last attempt's cause.
    #[serde(default)]
    pub cause: Option<FailureCause>,
    /// The current driver launch: older ones are outdated.
    pub launch: Launch,
    /// What was accepted.
    pub spec: Arc<RunSpec>,
    /// The driver's word about itself, once it registered.
    pub app: Option<DriverApp>,
    /// The executors it wants.
    pub targets: Vec<ExecutorProfile>,
    /// The next executor id to give.
    pub next_executor: u32,
    /// How the executors of the current attempt fare.
    #[serde(default)]
    pub executors: ExecutorTally,
    /// Why the current attempt is being given up while its driver still has to end.
    #[serde(default)]
    pub given_up: Option<String>,
    /// The latest ends of the current attempt's executors, in order: the driver may have missed what it was told of them.
    #[serde(default)]
    pub exits: Vec<ExecutorExit>,
    /// Agents whose hosts could not start a worker of the current attempt: others are chosen while there are any.
    #[serde(default)]
    pub avoids: Vec<AgentId>,
    /// The attempts before the current one that are remembered, in order.
    #[serde(default)]
    pub failed_attempts: Vec<FailedAttempt>,
    /// When the current attempt's driver first ran, if it did.
    #[serde(default)]
    pub attempt_started_at: Option<Timestamp>,
    /// What the current attempt's driver waits for before it may be placed at all.
    #[serde(default)]
    pub pause: Option<Pause>,
    /// How long it waited in QUEUED.
    #[serde(default)]
    pub queueing: Queueing,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
    /// When its driver first ran.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl JobRun {
    /// The state users see.
    pub const fn state(&self) -> JobRunState {
        match &self.phase {
            RunPhase::Submitted => JobRunState::Submitted,
            RunPhase::Queued => JobRunState::Queued,
            RunPhase::Pending => JobRunState::Pending,
            RunPhase::Scheduled { .. } => JobRunState::Scheduled,
            RunPhase::Running { .. } => JobRunState::Running,
            RunPhase::Cancelling { .. } => JobRunState::Cancelling,
            RunPhase::Ended { outcome: Outcome::Success } => JobRunState::Success,
            RunPhase::Ended { outcome: Outcome::Failed } => JobRunState::Failed,
            RunPhase::Ended { outcome: Outcome::Cancelled } => JobRunState::Cancelled,
        }
    }

    /// Whether it waits for its driver to be placed.
    pub const fn waits_for_driver(&self) -> bool {
        match self.phase {
            RunPhase::Submitted | RunPhase::Queued | RunPhase::Pending => true,
            RunPhase::Scheduled { .. }
            | RunPhase::Running { .. }
            | RunPhase::Cancelling { .. }
            | RunPhase::Ended { .. } => false,
        }
    }

    /// The worker of its current driver, if it has one.
    pub const fn driver(&self) -> Option<&WorkerId> {
        match &self.phase {
            RunPhase::Scheduled { driver } | RunPhase::Running { driver } => Some(driver),
            RunPhase::Submitted
            | RunPhase::Queued
            | RunPhase::Pending
            | RunPhase::Cancelling { .. }
            | RunPhase::Ended { .. } => None,
        }
    }

    /// Remembers the end of an executor of the current attempt; the oldest makes room.
    pub(crate) fn remember(&mut self, exit: ExecutorExit) {
        self.exits.push(exit);
        let surplus = self.exits.len().saturating_sub(EXITS_REMEMBERED);
        self.exits.drain(..surplus);
    }

    /// Remembers an attempt that failed; the oldest makes room.
    pub(crate) fn remember_failed(&mut self, failed: FailedAttempt) {
        self.failed_attempts.push(failed);
        let surplus = self.failed_attempts.len().saturating_sub(FAILED_REMEMBERED);
        self.failed_attempts.drain(..surplus);
    }

    /// The attempts of which is known how they went, the current one included.
    pub fn remembered_attempts(&self) -> RangeInclusive<u32> {
        let first = self.failed_attempts.first().map_or(self.launch.attempt, |failed| failed.attempt);
        first..=self.launch.attempt
    }

    /// Remembers that an agent's host could not start a worker of the current attempt.
    pub(crate) fn avoid(&mut self, agent: &AgentId) {
        if !self.avoids.contains(agent) {
            self.avoids.push(agent.clone());
        }
    }

    /// Whether another attempt follows the current one, should it fail now.
    pub fn may_try_again(&self, now: Timestamp) -> bool {
        match self.spec.retries {
            Retries::Attempts(all) => self.launch.attempt < all,
            Retries::FailuresPerHour(most) => {
                let is_recent = |failed: &&FailedAttempt| now.since(failed.ended_at) < HOUR;
                let before = self.failed_attempts.iter().rev().take_while(is_recent).count();
                before.saturating_add(1) < usize::try_from(most).unwrap_or(usize::MAX)
            }
        }
    }

    /// When the current attempt began to wait for its driver: with the job run, or when the attempt before failed.
    pub fn attempt_created_at(&self) -> Timestamp {
        self.failed_attempts.last().map_or(self.created_at, |before| before.ended_at)
    }

    /// When its execution timeout passes. It counts from the first driver's start on and covers all attempts, the
    /// waiting between them included (guide:2369).
    pub fn times_out_at(&self) -> Option<Timestamp> {
        match self.phase {
            RunPhase::Submitted
            | RunPhase::Queued
            | RunPhase::Pending
            | RunPhase::Scheduled { .. }
            | RunPhase::Running { .. } => Some(self.started_at?.plus(self.spec.timeout?)),
            RunPhase::Cancelling { .. } | RunPhase::Ended { .. } => None,
        }
    }
}
