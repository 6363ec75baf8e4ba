//! The service's exceptions, as REST-JSON carries them.

use super::control_plane::ControlError;
use crate::sigv4::SignatureError;
use axum::body::Body;
use hearth_identity::Denied;
use http::{Response, StatusCode};

/// Longest message, in characters: the model's.
const MAX_MESSAGE: usize = 1024;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exception {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Exception {
    pub(super) fn validation(message: impl Into<String>) -> Self {
        let code = "ValidationException";
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }

    /// All faults of a request in one message.
    pub(super) fn faults(faults: &[String]) -> Self {
        let errors = if faults.len() == 1 { "error" } else { "errors" };
        Self::validation(format!("{} validation {errors} detected: {}", faults.len(), faults.join("; ")))
    }

    pub(super) fn serialization(message: impl Into<String>) -> Self {
        let code = "SerializationException";
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }

    pub(super) fn unknown_operation() -> Self {
        let message = "The requested operation is not recognized by the service.".to_owned();
        Self { status: StatusCode::NOT_FOUND, code: "UnknownOperationException", message }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        let code = "ResourceNotFoundException";
        Self { status: StatusCode::NOT_FOUND, code, message: message.into() }
    }

    pub(super) fn too_large() -> Self {
        let message = "The request's body is larger than 1 MiB.".to_owned();
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, code: "RequestEntityTooLargeException", message }
    }

    pub(super) fn response(&self) -> Response<Body> {
        let message: String = self.message.chars().take(MAX_MESSAGE).collect();
        // A mismatch's message shows the canonical string, whose end matters most: it stays whole.
        let message = if self.code == "InvalidSignatureException" { &self.message } else { &message };
        let mut response = super::json(self.status, &serde_json::json!({ "message": message }));
        response.headers_mut().insert("x-amzn-errortype", http::HeaderValue::from_static(self.code));
        response
    }
}

impl From<&SignatureError> for Exception {
    fn from(error: &SignatureError) -> Self {
        Self { status: error.status(), code: error.json_code(), message: error.to_string() }
    }
}

impl From<Denied> for Exception {
    fn from(denied: Denied) -> Self {
        let code = "AccessDeniedException";
        Self { status: StatusCode::FORBIDDEN, code, message: denied.to_string() }
    }
}

impl From<ControlError> for Exception {
    fn from(error: ControlError) -> Self {
        let (status, code) = match &error {
            ControlError::Validation { .. } => (StatusCode::BAD_REQUEST, "ValidationException"),
            ControlError::NotFound { .. } => (StatusCode::NOT_FOUND, "ResourceNotFoundException"),
            ControlError::Conflict { .. } => (StatusCode::CONFLICT, "ConflictException"),
            ControlError::Quota { .. } => (StatusCode::PAYMENT_REQUIRED, "ServiceQuotaExceededException"),
            ControlError::Internal { source } => {
                tracing::error!(error = chain(source.as_ref()), "carrying out a request failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerException")
            }
        };
        let message = match error {
            ControlError::Internal { .. } => {
                "The request failed because of an internal error. It can be repeated.".to_owned()
            }
            told => told.to_string(),
        };
        Self { status, code, message }
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
