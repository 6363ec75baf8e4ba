//! Who signed a request to one of hearth's own pages. The pages have no body, and whoever may sign for any service may sign
//! for them.

use super::listener::Caller;
use axum::Json;
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use hearth_api::sigv4::{Presented, sha256_hex};
use hearth_engine::now;
use hearth_identity::{Circumstances, Context, Identity, Principal};
use serde_json::json;
use std::sync::Arc;

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

/// Who signed a request, and what conditions may ask of it.
pub(super) struct Signed {
    pub(super) principal: Principal,
    pub(super) context: Context,
}

/// The signer of a request without a body to this Region, or the answer to one that is not signed well.
pub(super) fn signed(identity: &Arc<Identity>, region: &str, parts: &Parts) -> Result<Signed, Refused> {
    let at = now();
    let verified = Presented::read(parts).ok().and_then(|presented| {
        let token = presented.session_token.as_deref();
        let found = identity.secret_for(&presented.access_key_id, token, at).ok()?;
        presented.verify(parts, &sha256_hex(b""), &found.secret_access_key, at).ok()?;
        identity.note_use(&found.principal, &presented.scope.service, &presented.scope.region, at);
        Some(found.principal)
    });
    let principal = verified.ok_or_else(|| {
        refused(StatusCode::FORBIDDEN, "The request must be signed, as for any operation of emr-serverless.")
    })?;
    let caller = parts.extensions.get::<ConnectInfo<Caller>>().map(|ConnectInfo(caller)| *caller);
    let circumstances = Circumstances {
        at,
        source_ip: caller.map(|caller| caller.address.ip()),
        is_tls: caller.is_some_and(|caller| caller.is_tls),
        region,
    };
    Ok(Signed { principal, context: circumstances.context() })
}

/// The answer to a signer who may not do `action` on `resource`.
pub(super) fn allowed(identity: &Identity, by: &Signed, action: &str, resource: &str) -> Result<(), Refused> {
    identity
        .authorize(&by.principal, action, resource, &by.context)
        .map_err(|denied| refused(StatusCode::FORBIDDEN, denied.to_string()))
}
