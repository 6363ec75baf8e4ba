//! Waiting for requests, and bringing the answers.

use super::fetch::{Place, checked, fetch, head};
use crate::host::Host;
use crate::uplink::Uplink;
use hearth_proto::v1::{self, UiAnswer, UiRequest, ui_answer};
use hearth_telemetry::error_chain;
use hearth_types::{Launch, WorkerId};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

/// Requests that are answered at once; the coordinator keeps to fewer, and what it asks beyond waits with it.
const AT_ONCE: usize = 32;
/// Parts of one answer on their way to the connection.
const PARTS: usize = 2;
/// Bytes in one message.
const CHUNK: usize = 64 << 10;
/// How long an answer may stand still, for want of bytes or of somebody who takes them.
const IDLE: Duration = Duration::from_secs(60);
/// Pause before it is waited for requests again.
const RETRY: Duration = Duration::from_secs(1);
/// The same where the coordinator is of a version that sends none.
const UNKNOWN_RETRY: Duration = Duration::from_secs(60);

/// Passes requests on for as long as it is polled. Dropping it gives up what is under way.
pub(crate) async fn keep_passing_on(host: Arc<Host>) {
    loop {
        let ended = pass_on(&host).await;
        tracing::debug!(error = ended.message(), "no requests for UIs are passed on for now");
        sleep(if ended.code() == Code::Unimplemented { UNKNOWN_RETRY } else { RETRY }).await;
    }
}

/// Serves one call to its end.
async fn pass_on(host: &Arc<Host>) -> Status {
    let mut requests = match host.uplink.ui_requests().await {
        Ok(requests) => requests,
        Err(status) => return status,
    };
    let mut answers = JoinSet::new();
    loop {
        tokio::select! {
            request = requests.message(), if answers.len() < AT_ONCE => match request {
                Ok(Some(request)) => drop(answers.spawn(answer(host.clone(), request))),
                Ok(None) => return Status::unavailable("the coordinator closed the call"),
                Err(status) => return status,
            },
            Some(_) = answers.join_next() => {}
        }
    }
}

async fn answer(host: Arc<Host>, request: UiRequest) {
    let (parts, to_send) = mpsc::channel(PARTS);
    let worker_id = request.worker_id.clone();
    let uplink: Uplink = host.uplink.clone();
    let (sent, ()) = tokio::join!(uplink.answer_ui_request(to_send), find_parts(&host, request, parts));
    if let Err(status) = sent {
        // People close their browsers.
        tracing::debug!(worker_id, error = status.message(), "an answer of a UI was not taken to its end");
    }
}

/// Brings the parts of an answer until nobody takes them any more.
async fn find_parts(host: &Host, request: UiRequest, parts: mpsc::Sender<UiAnswer>) {
    let id = request.id;
    let part = |part| UiAnswer { id, part: Some(part) };
    let failure = |reason: &str| part(ui_answer::Part::Failure(reason.to_owned()));
    let found = async {
        let place =
            place(host, &request).ok_or_else(|| "the driver serves no UI here (any more)".to_owned())?;
        let request = checked(&request).map_err(|fault| fault.to_string())?;
        fetch(place, request).await.map_err(|fault| {
            tracing::debug!(error = error_chain(&fault), "a driver's UI was not reached");
            fault.to_string()
        })
    };
    let found = tokio::select! {
        found = found => found,
        () = parts.closed() => return,
    };
    let mut answer = match found {
        Ok(answer) => answer,
        // Nobody takes it: then nobody has to know.
        Err(reason) => return drop(parts.send(failure(&reason)).await),
    };
    if !hand_on(&parts, part(ui_answer::Part::Head(head(&answer.response)))).await {
        return;
    }
    loop {
        let frame = match timeout(IDLE, answer.response.frame()).await {
            Ok(None) => return,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) | Err(_) => {
                hand_on(&parts, failure("the driver's UI broke off its answer")).await;
                return;
            }
        };
        // Trailers are nothing that a page needs.
        let Ok(mut data) = frame.into_data() else { continue };
        while !data.is_empty() {
            let chunk = data.split_to(data.len().min(CHUNK));
            if !hand_on(&parts, part(ui_answer::Part::Body(chunk.to_vec()))).await {
                return;
            }
        }
    }
}

async fn hand_on(parts: &mpsc::Sender<UiAnswer>, part: UiAnswer) -> bool {
    matches!(timeout(IDLE, parts.send(part)).await, Ok(Ok(())))
}

/// Where the UI is that is asked for: of a worker that is here, of the very launch, as its driver reported it.
fn place(host: &Host, request: &UiRequest) -> Option<Place> {
    let worker = WorkerId::new(request.worker_id.clone()).ok()?;
    let v1::Launch { attempt, launch } = request.launch?;
    let port = host.outbox.ui_port(&worker, Launch { attempt, launch })?;
    Some(Place { port, uid: host.credentials.owner(&worker)? })
}
