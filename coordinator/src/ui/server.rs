//! The listener of live UIs: one handler, for every path is the UI's own.

use super::door::{Door, EVENT_LOG, LOGIN, Subject};
use super::exchange::{guard, to_browser, to_ui};
use super::pages::Page;
use crate::control::{Control, LOGS, LogFile, secret_of};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, COOKIE, HOST, HeaderValue, LOCATION, SET_COOKIE,
};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hearth_agents::{UiCall, UiRelay};
use hearth_api::emr::control_plane::{ControlError, ControlPlane};
use hearth_coordinator_core::live_ui::{LiveUi, live_ui};
use hearth_engine::now;
use std::sync::Arc;

/// What answers browsers; cheap to clone.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) door: Arc<Door>,
    pub(crate) control: Arc<Control>,
    pub(crate) relay: UiRelay,
}

/// Answers whatever is asked on the UIs' listener.
pub(crate) fn router(front: Front) -> Router {
    Router::new().fallback(answer).with_state(front)
}

async fn answer(State(front): State<Front>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let mut response = front.answer(&parts).await.unwrap_or_else(IntoResponse::into_response);
    guard(response.headers_mut());
    response
}

impl Front {
    async fn answer(&self, request: &Parts) -> Result<Response, Page> {
        let host = host(request).ok_or(Page::ForeignHost)?;
        let label = self.door.label(host).ok_or(Page::ForeignHost)?;
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return Err(Page::ReadOnly);
        }
        let cookies = request.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let subject = self.door.recognise(&label, cookies, now());
        // Looking at a link with `HEAD`, as programs do that show previews, leaves it good.
        let (secret, _) =
            secret_of(&request.uri).filter(|_| request.method == Method::GET).unwrap_or_default();
        let path = request.uri.path();
        if path == LOGIN {
            return self.log_in(&label, secret, subject.is_some());
        }
        if let Some(log) = path.strip_prefix(LOGS) {
            let subject = subject.or_else(|| self.door.use_up(&label, secret, now())).ok_or(Page::NoLogin)?;
            return self.log(&subject, log).await;
        }
        let subject = subject.ok_or(Page::NoLogin)?;
        if path == EVENT_LOG {
            self.event_log(&subject).await
        } else {
            self.page(&subject, host, request).await
        }
    }

    /// One log of the attempt, as clients ask for it that put its path in the place of a link's. No engine's UI has paths
    /// that begin like it.
    async fn log(&self, subject: &Subject, log: &str) -> Result<Response, Page> {
        let Subject { application, run, attempt } = subject;
        let log = self.control.log_of(application, run, *attempt, log).await;
        log.map(as_file).ok_or(Page::NoLog)
    }

    /// Trades a link for a login.
    fn log_in(&self, label: &str, secret: &str, is_in: bool) -> Result<Response, Page> {
        let mut response = to_start();
        match self.door.enter(label, secret, now()) {
            Some(cookie) => {
                let cookie = HeaderValue::from_str(&cookie).map_err(|_| Page::Broken)?;
                response.headers_mut().insert(SET_COOKIE, cookie);
            }
            // The same link again, in the browser that used it.
            None if is_in => {}
            None => return Err(Page::NoLogin),
        }
        Ok(response)
    }

    async fn page(&self, subject: &Subject, host: &str, request: &Parts) -> Result<Response, Page> {
        let world = self.control.engine.snapshot();
        let (agent, worker, launch) = match live_ui(&world, &subject.run, subject.attempt) {
            LiveUi::Served { agent, worker, launch } => (agent, worker, launch),
            LiveUi::OutOfContact { agent } => return Err(Page::OutOfContact { agent: agent.to_string() }),
            LiveUi::NotNow => return Err(self.not_now(subject).await),
            LiveUi::TurnedOff => return Err(Page::TurnedOff),
            LiveUi::Over => return Err(self.over(subject).await),
        };
        let call = UiCall {
            agent,
            worker,
            launch,
            method: request.method.as_str(),
            target: request.uri.path_and_query().map_or("/", |target| target.as_str()),
            headers: to_ui(&request.headers, host),
        };
        let answer = self.relay.ask(call).await.map_err(|error| Page::NoAnswer(error.to_string()))?;
        let (status, headers) = to_browser(answer.status, &answer.headers)
            .ok_or_else(|| Page::NoAnswer("Its answer is none of HTTP".to_owned()))?;
        Ok((status, headers, Body::from_stream(answer.body)).into_response())
    }

    async fn not_now(&self, subject: &Subject) -> Page {
        let Subject { application, run, attempt } = subject;
        match self.control.get_job_run(application, run, Some(*attempt)).await {
            Ok(run) => Page::NotNow { state: run.state.to_string(), details: run.state_details },
            Err(error) => broken(subject, &error),
        }
    }

    async fn over(&self, subject: &Subject) -> Page {
        let Subject { application, run, attempt } = subject;
        let event_log = match self.control.what_is_left(application, run, *attempt).await {
            Ok(_) => Ok(()),
            Err(error @ ControlError::Internal { .. }) => return broken(subject, &error),
            Err(refused) => Err(refused.to_string()),
        };
        match self.control.get_job_run(application, run, Some(*attempt)).await {
            Ok(run) => Page::Over { state: run.state.to_string(), event_log },
            Err(error) => broken(subject, &error),
        }
    }

    async fn event_log(&self, subject: &Subject) -> Result<Response, Page> {
        let Subject { application, run, attempt } = subject;
        if live_ui(&self.control.engine.snapshot(), run, *attempt) != LiveUi::Over {
            return Ok(to_start());
        }
        let Ok(left) = self.control.what_is_left(application, run, *attempt).await else {
            return Err(self.over(subject).await);
        };
        let log = self.control.open_log(&left.key).await.ok_or(Page::Broken)?;
        Ok(as_file(log))
    }
}

/// Leads to what there is.
fn to_start() -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, "/")]).into_response()
}

fn broken(subject: &Subject, error: &ControlError) -> Page {
    tracing::error!(job_run_id = %subject.run, error = hearth_telemetry::error_chain(error), "making a page about a job run");
    Page::Broken
}

/// A log for a browser to save.
pub(crate) fn as_file(log: LogFile) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", log.name)),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, Body::from_stream(log.content)).into_response()
}

/// The host that a request names: a header of HTTP/1.1, the authority of HTTP/2.
fn host(request: &Parts) -> Option<&str> {
    match request.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers.get(HOST)?.to_str().ok(),
    }
}
