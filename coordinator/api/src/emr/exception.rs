//! The service's exceptions, as REST-JSON carries them.

use super::control_plane::ControlError;
use crate::sigv4::SignatureError;
use axum::body::Body;
use hearth_identity::Denied;
use http::header::RETRY_AFTER;
use http::{Response, StatusCode};
use std::time::Duration;

/// Longest message, in characters: the model's.
const MAX_MESSAGE: usize = 1024;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exception {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// When it may be asked again.
    pub(super) retry_after: Option<Duration>,
}

impl Exception {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// The model has no shape for it: clients know the code, whatever the status (botocore's `standard` mode and the other
    /// SDKs), or the status, whatever the code (botocore's `legacy` mode and clients that are not AWS's).
    pub(super) fn throttled(retry_after: Duration) -> Self {
        let retry_after = Some(retry_after);
        Self {
            retry_after,
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "ThrottlingException", "Rate exceeded")
        }
    }

    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ValidationException", message)
    }

    /// All faults of a request in one message.
    pub(super) fn faults(faults: &[String]) -> Self {
        let errors = if faults.len() == 1 { "error" } else { "errors" };
        Self::validation(format!("{} validation {errors} detected: {}", faults.len(), faults.join("; ")))
    }

    pub(super) fn serialization(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "SerializationException", message)
    }

    pub(super) fn unknown_operation() -> Self {
        let message = "The requested operation is not recognized by the service.";
        Self::new(StatusCode::NOT_FOUND, "UnknownOperationException", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "ResourceNotFoundException", message)
    }

    pub(super) fn access_denied(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDeniedException", message)
    }

    pub(super) fn too_large() -> Self {
        let message = "The request's body is larger than 1 MiB.";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException", message)
    }

    pub(super) fn response(&self) -> Response<Body> {
        let message: String = self.message.chars().take(MAX_MESSAGE).collect();
        // A mismatch's message shows the canonical string, whose end matters most: it stays whole.
        let message = if self.code == "InvalidSignatureException" { &self.message } else { &message };
        let mut response = super::json(self.status, &serde_json::json!({ "message": message }));
        response.headers_mut().insert("x-amzn-errortype", http::HeaderValue::from_static(self.code));
        if let Some(wait) = self.retry_after {
            // Whole seconds, none too early (RFC 9110).
            let seconds = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).div_ceil(1000).max(1);
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<&SignatureError> for Exception {
    fn from(error: &SignatureError) -> Self {
        Self::new(error.status(), error.json_code(), error.to_string())
    }
}

impl From<Denied> for Exception {
    fn from(denied: Denied) -> Self {
        Self::access_denied(denied.to_string())
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
        Self::new(status, code, message)
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
