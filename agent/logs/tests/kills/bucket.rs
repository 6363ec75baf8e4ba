//! A bucket over HTTP that does with the n-th request what it was told: refuse, fail, cut it short, or see its sender die.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::Notify;

/// More than any body of the tests.
const MOST_BYTES: usize = 1 << 20;

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// Its sender dies before anything is done.
    KillBefore,
    /// Its sender dies when a piece of the body has come.
    KillInTheMiddle,
    /// It is done; its sender dies before the answer.
    KillUnanswered,
    /// It is done and answered; its sender dies so much later.
    KillAfter(Duration),
    /// It is not done, and answered with 500.
    Fail,
    /// It is done, and answered with 500.
    FailDone,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Put,
    Begin,
    Part,
    Complete,
    Other,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    uploads: HashMap<String, BTreeMap<u32, Vec<u8>>>,
    begun: u32,
    /// Requests that are served as usual before the one with a fate.
    plan: Option<(usize, Fate)>,
    /// Keys that begin with this are answered with 403.
    refused: Option<String>,
    /// What the sender died of.
    killed_at: Option<(Step, Fate)>,
}

/// The bucket; clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bucket {
    state: Arc<Mutex<State>>,
    kill: Arc<Notify>,
}

impl Bucket {
    /// Serves it on a loopback port and answers its endpoint.
    pub(crate) async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let bucket = self.clone();
        let app = Router::new().fallback(move |request: Request| {
            let bucket = bucket.clone();
            async move { bucket.answer(request).await }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        endpoint
    }

    /// Gives the request after `served` more its fate, or none any more.
    pub(crate) fn plan(&self, plan: Option<(usize, Fate)>) {
        // A kill that came too late for its sender is not the next one's.
        let _ = self.kill.notified().now_or_never();
        let mut state = self.state();
        (state.plan, state.killed_at) = (plan, None);
    }

    /// Refuses everything below `prefix` from now on.
    pub(crate) fn refuse(&self, prefix: &str) {
        self.state().refused = Some(prefix.to_owned());
    }

    /// Waits until the sender has to die.
    pub(crate) async fn killing(&self) {
        self.kill.notified().await;
    }

    /// The request that the sender died of, if it did.
    pub(crate) fn killed_at(&self) -> Option<(Step, Fate)> {
        self.state().killed_at
    }

    pub(crate) fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.state().objects.get(key).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let key = parts.uri.path().trim_start_matches('/').to_owned();
        let query: HashMap<String, String> = parts
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let step = match (&parts.method, query.contains_key("uploadId")) {
            (&Method::PUT, false) => Step::Put,
            (&Method::PUT, true) => Step::Part,
            (&Method::POST, false) => Step::Begin,
            (&Method::POST, true) => Step::Complete,
            _ => Step::Other,
        };
        if self.state().refused.as_ref().is_some_and(|prefix| key.starts_with(prefix)) {
            return (StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code></Error>").into_response();
        }
        let fate = self.fate(step);
        let body = match fate {
            Some(Fate::KillBefore) => return self.kill().await,
            Some(Fate::KillInTheMiddle) => {
                let _ = body.into_data_stream().next().await;
                return self.kill().await;
            }
            Some(Fate::Fail) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            _ => to_bytes(body, MOST_BYTES).await,
        };
        // A body that was cut short changes nothing.
        let Ok(body) = body else { return StatusCode::BAD_REQUEST.into_response() };
        let answer = self.perform(step, key, &query, body.to_vec());
        match fate {
            Some(Fate::KillUnanswered) => self.kill().await,
            Some(Fate::FailDone) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            Some(Fate::KillAfter(delay)) => {
                let kill = self.kill.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    kill.notify_one();
                });
                answer
            }
            _ => answer,
        }
    }

    fn fate(&self, step: Step) -> Option<Fate> {
        let mut state = self.state();
        match state.plan.take() {
            Some((0, fate)) => {
                state.killed_at = Some((step, fate));
                Some(fate)
            }
            Some((left, fate)) => {
                state.plan = Some((left - 1, fate));
                None
            }
            None => None,
        }
    }

    async fn kill(&self) -> Response {
        self.kill.notify_one();
        std::future::pending().await
    }

    fn perform(&self, step: Step, key: String, query: &HashMap<String, String>, body: Vec<u8>) -> Response {
        let mut state = self.state();
        let id = query.get("uploadId").cloned().unwrap_or_default();
        match step {
            Step::Put => {
                state.objects.insert(key, body);
                tagged("")
            }
            Step::Begin => {
                state.begun += 1;
                let id = format!("upload-{}", state.begun);
                state.uploads.insert(id.clone(), BTreeMap::new());
                tagged(&format!(
                    "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                ))
            }
            Step::Part => {
                let number = query.get("partNumber").and_then(|number| number.parse().ok());
                match (state.uploads.get_mut(&id), number) {
                    (Some(upload), Some(number)) => {
                        upload.insert(number, body);
                        tagged("")
                    }
                    _ => StatusCode::NOT_FOUND.into_response(),
                }
            }
            Step::Complete => match state.uploads.remove(&id) {
                Some(upload) => {
                    state.objects.insert(key, upload.into_values().flatten().collect());
                    tagged(
                        "<CompleteMultipartUploadResult><Location>l</Location><Bucket>b</Bucket><Key>k</Key><ETag>\"1\"</ETag></CompleteMultipartUploadResult>",
                    )
                }
                None => StatusCode::NOT_FOUND.into_response(),
            },
            Step::Other => {
                state.uploads.remove(&id);
                StatusCode::NO_CONTENT.into_response()
            }
        }
    }
}

fn tagged(body: &str) -> Response {
    let headers =
        HeaderMap::from_iter([(axum::http::header::ETAG, axum::http::HeaderValue::from_static("\"1\""))]);
    (StatusCode::OK, headers, Body::from(body.to_owned())).into_response()
}
