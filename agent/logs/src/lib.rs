//! Capture, rotation and shipping of a worker's logs (design §6.4, guide:4625-4862).
//!
//! A worker's JVM appends to plain files and knows nothing of shipping. For each worker one task reads what was
//! appended and keeps the objects in the log destination up to date; what it did is in a small file beside the
//! worker's directory, so that a restarted agent goes on where it was. What to do is decided by
//! [`hearth_agent_core::log_rotation`]; this crate does it.
//!
//! The log directory belongs to the worker. Its names are opened without following links, lest a job have the agent
//! ship a file that only the agent may read.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cursor;
mod destination;
mod directory;
mod error;
mod health;
mod shipper;
mod tail;
mod upload;
mod worker_logs;

pub use cursor::CursorError;
pub use destination::{
    CredentialSlot, Destination, DestinationError, DestinationKind, ObjectService, S3Credentials,
};
pub use error::{DestinationFailure, LogsAt, ShipError, ShipOutcome};
pub use tail::{Tail, tail};
pub use worker_logs::{LogSpec, Pace, UPLOADS_PER_HOST, WorkerLogs};
