//! `GET /hearth/v1/job-runs/<id>/progress`: what a job run does right now, for people's tools. Signed and authorised like
//! `GetJobRun`.

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hearth_api::sigv4::{Presented, sha256_hex};
use hearth_engine::{Engine, now};
use hearth_identity::{Context, Identity};
use hearth_store::Store;
use hearth_types::JobRunId;
use serde_json::json;
use std::sync::Arc;

/// Answers for the progress of job runs.
pub(super) struct ProgressPage {
    pub(super) identity: Arc<Identity>,
    pub(super) engine: Engine,
    pub(super) store: Store,
    pub(super) region: String,
    pub(super) account_id: String,
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

impl ProgressPage {
    pub(super) async fn answer(&self, request: Request) -> Response {
        let (parts, _) = request.into_parts();
        let principal = Presented::read(&parts).ok().and_then(|presented| {
            let token = presented.session_token.as_deref();
            let found = self.identity.secret_for(&presented.access_key_id, token, now()).ok()?;
            presented.verify(&parts, &sha256_hex(b""), &found.secret_access_key, now()).ok()?;
            Some(found.principal)
        });
        let Some(principal) = principal else {
            return refused(StatusCode::FORBIDDEN, "The request must be signed for emr-serverless.");
        };
        let id = parts.uri.path().split('/').nth(4).and_then(|id| JobRunId::new(id).ok());
        let record = match id {
            Some(id) => self.store.job_run(&id).await.ok().flatten(),
            None => None,
        };
        let Some(record) = record else { return refused(StatusCode::NOT_FOUND, "There is no such job run.") };
        let run = record.run;
        let resource = format!(
            "arn:aws:emr-serverless:{}:{}:/applications/{}/jobruns/{}",
            self.region, self.account_id, run.application, run.id
        );
        let allowed =
            self.identity.authorize(&principal, "emr-serverless:GetJobRun", &resource, &Context::new());
        if let Err(denied) = allowed {
            return refused(StatusCode::FORBIDDEN, &denied.to_string());
        }
        let progress = self.engine.board().get(&run.id).unwrap_or_default();
        let mut page = serde_json::to_value(&progress).unwrap_or_default();
        page["state"] = json!(run.state());
        page["phases"] = json!({
            "submitted_at_ms": run.created_at.as_millis(),
            "running_at_ms": run.started_at.map(|at| at.as_millis()),
            "first_task_at_ms": progress.first_task_at_ms,
            "ended_at_ms": run.ended_at.map(|at| at.as_millis()),
        });
        Response::new(Body::from(page.to_string()))
    }
}
