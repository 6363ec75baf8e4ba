//! Errors of the query protocol.

use super::{Xml, xml};
use axum::body::Body;
use hearth_identity::{Denied, DocumentError, IdentityError};
use http::{Response, StatusCode};

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ValidationError", message)
    }

    pub(crate) fn no_such_entity(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NoSuchEntity", message)
    }

    pub(crate) fn unknown_action(action: &str) -> Self {
        let message = format!("Could not find operation {action} for this service");
        Self::new(StatusCode::BAD_REQUEST, "InvalidAction", message)
    }

    pub(super) fn response(&self, namespace: &str, request_id: &str) -> Response<Body> {
        let fault = if self.status.is_server_error() { "Receiver" } else { "Sender" };
        let error = Xml::members([
            ("Type", Xml::text(fault)),
            ("Code", Xml::text(self.code)),
            ("Message", Xml::text(&self.message)),
        ]);
        let whole = Xml::members([("Error", error), ("RequestId", Xml::text(request_id))]);
        xml(self.status, whole.document("ErrorResponse", namespace))
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", denied.to_string())
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        let message = error.to_string();
        match &error {
            IdentityError::NoSuchEntity(_) => Self::no_such_entity(message),
            IdentityError::AlreadyExists(_) => {
                Self::new(StatusCode::CONFLICT, "EntityAlreadyExists", message)
            }
            IdentityError::DeleteConflict(_) => Self::new(StatusCode::CONFLICT, "DeleteConflict", message),
            IdentityError::Limit(_) => Self::new(StatusCode::CONFLICT, "LimitExceeded", message),
            IdentityError::Invalid(_) => Self::invalid(message),
            IdentityError::InvalidInput(_) => Self::new(StatusCode::BAD_REQUEST, "InvalidInput", message),
            IdentityError::Malformed(_) => {
                Self::new(StatusCode::BAD_REQUEST, "MalformedPolicyDocument", message)
            }
            IdentityError::Denied(_) => Self::new(StatusCode::FORBIDDEN, "AccessDenied", message),
            IdentityError::Store { source: DocumentError::Conflict } => {
                let message = "The entity was changed by another request meanwhile. Try again.";
                Self::new(StatusCode::CONFLICT, "ConcurrentModification", message)
            }
            IdentityError::Store { source } => {
                tracing::error!(error = ?source, "keeping a change of identity failed");
                let message = "The request failed because of an internal error. It can be repeated.";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "ServiceFailure", message)
            }
            IdentityError::Unreadable { .. } => {
                tracing::error!(error = message, "reading identity failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "ServiceFailure", "Stored data cannot be read.")
            }
        }
    }
}
