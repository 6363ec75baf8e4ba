//! Names of log fields, so that one thing has one name in every line of both daemons.
//!
//! `tracing` wants field names as literals in its macros; these constants are the list to choose from, and what
//! programs that read the JSON form look for.

/// An application's id.
pub const APPLICATION_ID: &str = "application_id";
/// A job run's id.
pub const JOB_RUN_ID: &str = "job_run_id";
/// A job run's attempt, counted from 1.
pub const ATTEMPT: &str = "attempt";
/// A worker's id.
pub const WORKER_ID: &str = "worker_id";
/// An agent's id.
pub const AGENT_ID: &str = "agent_id";
/// A lease in milliseconds.
pub const LEASE: &str = "lease";
/// A fencing token as `epoch/attempt.launch`.
pub const FENCING_TOKEN: &str = "fencing_token";
/// A release label.
pub const RELEASE_LABEL: &str = "release_label";
/// The id of one request to the API.
pub const REQUEST_ID: &str = "request_id";
/// A duration in milliseconds.
pub const ELAPSED_MS: &str = "elapsed_ms";
/// An error with its chain of causes.
pub const ERROR: &str = "error";

/// All of them.
pub const ALL: [&str; 11] = [
    APPLICATION_ID,
    JOB_RUN_ID,
    ATTEMPT,
    WORKER_ID,
    AGENT_ID,
    LEASE,
    FENCING_TOKEN,
    RELEASE_LABEL,
    REQUEST_ID,
    ELAPSED_MS,
    ERROR,
];
