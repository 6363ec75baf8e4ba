//! Who signed a request to one of hearth's own pages. The pages have no body, and whoever may sign for any service may sign
//! for them.

use axum::Json;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use hearth_api::sigv4::{Presented, sha256_hex};
use hearth_engine::now;
use hearth_identity::{Context, Identity, Principal};
use serde_json::json;

/// An answer other than what was asked for.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    message: String,
}

pub(super) fn refused(status: StatusCode, message: impl Into<String>) -> Refused {
    Refused { status, message: message.into() }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "message": self.message }))).into_response()
    }
}

/// The signer of a request without a body, or the answer to one that is not signed well.
pub(super) fn signer(identity: &Identity, parts: &Parts) -> Result<Principal, Refused> {
    let signed = Presented::read(parts).ok().and_then(|presented| {
        let token = presented.session_token.as_deref();
        let found = identity.secret_for(&presented.access_key_id, token, now()).ok()?;
        presented.verify(parts, &sha256_hex(b""), &found.secret_access_key, now()).ok()?;
        Some(found.principal)
    });
    signed.ok_or_else(|| {
        refused(StatusCode::FORBIDDEN, "The request must be signed, as for any operation of emr-serverless.")
    })
}

/// The answer to a signer who may not do `action` on `resource`.
pub(super) fn allowed(
    identity: &Identity,
    signer: &Principal,
    action: &str,
    resource: &str,
) -> Result<(), Refused> {
    identity
        .authorize(signer, action, resource, &Context::new())
        .map_err(|denied| refused(StatusCode::FORBIDDEN, denied.to_string()))
}
