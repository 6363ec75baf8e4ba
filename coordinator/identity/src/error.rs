//! Why a change to identity is refused: IAM's own errors.

use crate::DocumentError;
use hearth_coordinator_core::policy::MalformedPolicy;

/// Why a change or a look-up is refused. `Display` is the message for the client, except of [`Self::Store`].
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is no such thing (`NoSuchEntity`).
    #[error("{0}")]
    NoSuchEntity(String),
    /// There is one already (`EntityAlreadyExists`).
    #[error("{0}")]
    AlreadyExists(String),
    /// Something still hangs on it (`DeleteConflict`).
    #[error("{0}")]
    DeleteConflict(String),
    /// A quota is used up (`LimitExceeded`).
    #[error("{0}")]
    Limit(String),
    /// A value is not allowed (`ValidationError`).
    #[error("{0}")]
    Invalid(String),
    /// A value is refused for what it means (`InvalidInput`).
    #[error("{0}")]
    InvalidInput(String),
    /// A policy document cannot be read (`MalformedPolicyDocument`).
    #[error("{0}")]
    Malformed(#[from] MalformedPolicy),
    /// The caller may not (`AccessDenied`).
    #[error("{0}")]
    Denied(String),
    /// The store failed (`ServiceFailure`).
    #[error("keeping the change")]
    Store {
        /// The cause.
        #[from]
        source: DocumentError,
    },
    /// A stored document cannot be read.
    #[error("reading stored {kind} {id}")]
    Unreadable {
        /// Its kind.
        kind: &'static str,
        /// Its id.
        id: String,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
}
