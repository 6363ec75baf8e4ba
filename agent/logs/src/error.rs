//! How shipping ended.

use std::fmt;
use std::io;

use crate::destination::DestinationKind;

/// Why bytes are not in a destination.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The destination said no: access denied, no such bucket. It got a short second chance.
    #[error("the destination refused")]
    Refused(#[source] object_store::Error),
    /// As [`ShipError::Refused`], before the agent was restarted; the text is the error's.
    #[error("the destination refused: {0}")]
    RefusedEarlier(String),
    /// The destination did not answer, or not sensibly, until the time was up.
    #[error("the destination did not take the logs in time")]
    Unreachable(#[source] object_store::Error),
    /// The time was up before anything failed.
    #[error("the time for shipping was up")]
    TimeUp,
    /// The worker's file could not be read.
    #[error("reading {name}")]
    Local {
        /// The file's name in the log directory.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl ShipError {
    /// Sorts what a store said by what can be done about it.
    pub(crate) fn from_store(error: object_store::Error) -> Self {
        use object_store::Error;
        match error {
            Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::NotFound { .. }
            | Error::InvalidPath { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. } => Self::Refused(error),
            // The enum is open: whatever else there is may be better in a moment.
            _ => Self::Unreachable(error),
        }
    }

    /// The error with its causes on one line.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// A destination that lacks something.
#[derive(Debug)]
pub struct DestinationFailure {
    /// Which of the two.
    pub destination: DestinationKind,
    /// Where it is, such as `s3://bucket/logs/applications/…`.
    pub uri: String,
    /// Why.
    pub error: ShipError,
}

impl fmt::Display for DestinationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "logs could not be written to {}: {}", self.uri, self.error.chain())
    }
}

/// Where a worker's container logs (stdout and stderr) are, or the last of them if they are in two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogsAt {
    /// In this destination, to the last byte.
    Destination(DestinationKind),
    /// Some or all of them are lost with the worker, or none was wanted.
    Nowhere,
}

/// How shipping a worker's logs ended.
#[derive(Debug)]
pub struct ShipOutcome {
    /// Where the container logs are.
    pub container_logs: LogsAt,
    /// Every destination that lacks something it should hold; empty when all is well.
    pub failures: Vec<DestinationFailure>,
}

impl ShipOutcome {
    /// Whether everything is where it was to be.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }
}
