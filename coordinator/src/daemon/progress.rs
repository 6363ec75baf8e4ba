//! `GET /hearth/v1/job-runs/<id>/progress` and `…/timeline`: what a job run does right now, and what happened to it, for
//! people's tools. Signed and authorised like `GetJobRun`.

use super::signed::{Refused, allowed, refused, signed};
use crate::control::Control;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hearth_api::emr::control_plane::{ControlPlane, TaggedResource};
use hearth_coordinator_core::job_run::JobRun;
use hearth_coordinator_core::timeline::timeline;
use hearth_engine::{Engine, now};
use hearth_identity::Identity;
use hearth_store::Store;
use hearth_types::JobRunId;
use serde_json::json;
use std::sync::Arc;

/// Answers for the progress of job runs.
pub(super) struct ProgressPage {
    pub(super) identity: Arc<Identity>,
    pub(super) engine: Engine,
    pub(super) store: Store,
    pub(super) control: Arc<Control>,
    pub(super) region: String,
    pub(super) account_id: String,
}

impl ProgressPage {
    pub(super) async fn progress(&self, request: Request) -> Response {
        let answer = self.asked_for(request).await.map(|run| self.progress_of(&run));
        answer.unwrap_or_else(IntoResponse::into_response)
    }

    pub(super) async fn timeline(&self, request: Request) -> Response {
        let answer = match self.asked_for(request).await {
            Ok(run) => self.timeline_of(&run).await,
            Err(refused) => Err(refused),
        };
        answer.unwrap_or_else(IntoResponse::into_response)
    }

    /// The job run that a request names, for those who may see it.
    async fn asked_for(&self, request: Request) -> Result<JobRun, Refused> {
        let (parts, _) = request.into_parts();
        let mut by = signed(&self.identity, &self.region, &parts)?;
        let id = parts.uri.path().split('/').nth(4).and_then(|id| JobRunId::new(id).ok());
        let record = match id {
            Some(id) => self.store.job_run(&id).await.ok().flatten(),
            None => None,
        };
        let record = record.ok_or_else(|| refused(StatusCode::NOT_FOUND, "There is no such job run."))?;
        let run = record.run;
        let resource = format!(
            "arn:aws:emr-serverless:{}:{}:/applications/{}/jobruns/{}",
            self.region, self.account_id, run.application, run.id
        );
        let tagged = TaggedResource::JobRun(run.application.clone(), run.id.clone());
        by.context.describe_resource("emr-serverless", &self.control.tags(&tagged).await.unwrap_or_default());
        allowed(&self.identity, &by, "emr-serverless:GetJobRun", &resource)?;
        Ok(run)
    }

    fn progress_of(&self, run: &JobRun) -> Response {
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

    async fn timeline_of(&self, run: &JobRun) -> Result<Response, Refused> {
        let workers = self.store.workers_of(&run.id).await;
        let workers =
            workers.map_err(|_| refused(StatusCode::INTERNAL_SERVER_ERROR, "Its workers cannot be read."))?;
        let events = timeline(&self.engine.snapshot(), run, &workers);
        let queued = run.queueing.total(now());
        let page = json!({
            "events": events,
            "cause": run.cause,
            "doubts": run.spec.doubts,
            "queued_ms": u64::try_from(queued.as_millis()).unwrap_or(u64::MAX),
        });
        Ok(Response::new(Body::from(page.to_string())))
    }
}
