//! Requests to the UIs that engines serve on agents' hosts, and the answers. An agent waits for requests on a call that it
//! made itself, and brings each answer in another; none of them is its stream, so nothing here can delay a lease.
//!
//! What is under way is bounded: requests per driver and per host, and the bytes of each answer by its flow-control window
//! ([`ANSWER_WINDOW`]), which a browser that reads slowly fills and then holds up its own answer alone.

use bytes::Bytes;
use futures::Stream;
use hearth_proto::v1::{self, UiRequest, ui_answer};
use hearth_types::{AgentId, Launch, WorkerId};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

/// Answers under way from one driver: more than a browser opens for one page, less than its host may give.
const PER_DRIVER: usize = 8;
/// Answers under way from one host.
const PER_HOST: usize = 16;
/// Bytes of one answer that may be on their way to the coordinator and unread.
pub const ANSWER_WINDOW: u32 = 256 << 10;
/// The same for all that one agent sends on a connection: answers that nobody reads leave room for its other calls.
pub const CONNECTION_WINDOW: u32 = 2 * PER_HOST as u32 * ANSWER_WINDOW;
const _: () = assert!(CONNECTION_WINDOW > PER_HOST as u32 * ANSWER_WINDOW, "unread answers leave room");
/// How long a request may wait for others to be answered.
const TURN_WITHIN: Duration = Duration::from_secs(20);
/// How long a UI may take before its answer begins: that of a large job computes its pages.
const HEAD_WITHIN: Duration = Duration::from_secs(60);
/// How long an answer may stand still, for want of bytes or of somebody who takes them.
const IDLE: Duration = Duration::from_secs(60);

/// Why a UI does not answer.
#[derive(Debug, thiserror::Error)]
pub enum UiError {
    /// The host's agent waits for no requests: it is of a version that passes no UI on, or just coming back.
    #[error("the host's agent takes no requests for UIs at the moment; one of an older version never does")]
    NotPassedOn,
    /// Too many requests are under way.
    #[error("too many requests to this UI, or to others on its host, are under way")]
    Busy,
    /// The agent says why not.
    #[error("{0}")]
    Failed(String),
    /// Nothing came in time.
    #[error("the UI did not answer within {} s", HEAD_WITHIN.as_secs())]
    Silent,
}

/// The answer of a UI, without its body.
#[derive(Debug)]
pub struct UiAnswer {
    /// HTTP status.
    pub status: u32,
    /// Headers as the UI sent them, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: UiBody,
}

/// The body of an answer, in parts; an error when it breaks off. Dropping it ends the request.
#[derive(Debug)]
pub struct UiBody {
    parts: ReceiverStream<Result<Bytes, UiError>>,
    _turn: Turn,
}

impl Stream for UiBody {
    type Item = Result<Bytes, UiError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.parts).poll_next(context)
    }
}

/// A request's place among those that may be under way.
#[derive(Debug)]
struct Turn {
    _of_driver: OwnedSemaphorePermit,
    _of_host: OwnedSemaphorePermit,
}

/// A request to a UI.
#[derive(Debug, Clone)]
pub struct UiCall<'a> {
    /// On whose host the driver is.
    pub agent: &'a AgentId,
    /// The driver.
    pub worker: &'a WorkerId,
    /// Its launch.
    pub launch: Launch,
    /// `GET` or `HEAD`.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Headers for the UI.
    pub headers: Vec<(String, Vec<u8>)>,
}

type Heard = Result<(v1::UiHead, mpsc::Receiver<Result<Bytes, UiError>>), UiError>;

/// One who waits for the head of an answer.
struct Waiting {
    agent: AgentId,
    heard: oneshot::Sender<Heard>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    is_closed: bool,
    /// Where each agent waits for requests; its latest call counts.
    lines: BTreeMap<AgentId, mpsc::Sender<Result<UiRequest, Status>>>,
    waiting: BTreeMap<u64, Waiting>,
    of_drivers: BTreeMap<WorkerId, Arc<Semaphore>>,
    of_hosts: BTreeMap<AgentId, Arc<Semaphore>>,
}

/// The way to all UIs; cheap to clone.
#[derive(Clone, Default)]
pub struct UiRelay {
    inner: Arc<Mutex<Inner>>,
    stopping: CancellationToken,
}

impl std::fmt::Debug for UiRelay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UiRelay").finish_non_exhaustive()
    }
}

impl UiRelay {
    /// Asks the UI of a driver. Dropping the future gives the request up.
    pub async fn ask(&self, call: UiCall<'_>) -> Result<UiAnswer, UiError> {
        let turn = timeout(TURN_WITHIN, self.turn(call.agent, call.worker)).await;
        let turn = turn.map_err(|_| UiError::Busy)?;
        let (heard, answer) = oneshot::channel();
        let _given_up = self.send(&call, heard)?;
        match timeout(HEAD_WITHIN, answer).await {
            Ok(Ok(Ok((head, parts)))) => Ok(UiAnswer {
                status: head.status,
                headers: head.headers.into_iter().map(|header| (header.name, header.value)).collect(),
                body: UiBody { parts: ReceiverStream::new(parts), _turn: turn },
            }),
            Ok(Ok(Err(error))) => Err(error),
            Ok(Err(_)) => Err(UiError::NotPassedOn),
            Err(_) => Err(UiError::Silent),
        }
    }

    /// Lets nobody wait any more: the coordinator is going down.
    pub fn close(&self) {
        let mut inner = self.inner();
        inner.is_closed = true;
        inner.lines.clear();
        inner.waiting.clear();
        self.stopping.cancel();
    }

    /// Lets an agent wait for requests.
    pub(crate) fn wait_for_requests(
        &self,
        agent: AgentId,
    ) -> Result<ReceiverStream<Result<UiRequest, Status>>, Status> {
        let (line, requests) = mpsc::channel(PER_HOST);
        let mut inner = self.inner();
        if inner.is_closed {
            return Err(Status::unavailable("the coordinator is going down"));
        }
        inner.lines.insert(agent, line);
        Ok(ReceiverStream::new(requests))
    }

    /// Takes an answer that an agent brings, to its end or until nobody wants the rest.
    pub(crate) async fn take_answer(
        &self,
        agent: &AgentId,
        parts: Streaming<v1::UiAnswer>,
    ) -> Result<(), Status> {
        tokio::select! {
            taken = self.take_parts(agent, parts) => taken,
            () = self.stopping.cancelled() => Err(Status::unavailable("the coordinator is going down")),
        }
    }

    async fn take_parts(&self, agent: &AgentId, mut parts: Streaming<v1::UiAnswer>) -> Result<(), Status> {
        let first = next(&mut parts).await?.ok_or_else(|| Status::invalid_argument("an empty answer"))?;
        let waiting = self.inner().claim(first.id, agent);
        let waiting = waiting.ok_or_else(|| Status::not_found("nobody waits for this answer"))?;
        let (pass_on, passed_on) = mpsc::channel(1);
        let heard = match first.part {
            Some(ui_answer::Part::Head(head)) => Ok((head, passed_on)),
            Some(ui_answer::Part::Failure(reason)) => Err(UiError::Failed(reason)),
            Some(ui_answer::Part::Body(_)) | None => {
                return Err(Status::invalid_argument("an answer without a head"));
            }
        };
        let is_over = heard.is_err();
        if waiting.heard.send(heard).is_err() || is_over {
            return Ok(());
        }
        loop {
            let part = tokio::select! {
                part = next(&mut parts) => part,
                () = pass_on.closed() => return Err(Status::cancelled("nobody reads this answer any more")),
            };
            let broken = match part {
                Ok(None) => return Ok(()),
                Ok(Some(v1::UiAnswer { part: Some(ui_answer::Part::Body(bytes)), .. })) => {
                    match timeout(IDLE, pass_on.send(Ok(bytes.into()))).await {
                        Ok(Ok(())) => continue,
                        Ok(Err(_)) | Err(_) => {
                            return Err(Status::cancelled("nobody reads this answer any more"));
                        }
                    }
                }
                Ok(Some(v1::UiAnswer { part: Some(ui_answer::Part::Failure(reason)), .. })) => reason,
                Ok(Some(_)) => "the agent sent something else than a body".to_owned(),
                Err(status) => status.message().to_owned(),
            };
            // Whoever reads must not take what came for the whole.
            drop(timeout(IDLE, pass_on.send(Err(UiError::Failed(broken)))).await);
            return Ok(());
        }
    }

    async fn turn(&self, agent: &AgentId, worker: &WorkerId) -> Turn {
        let (of_driver, of_host) = {
            let mut inner = self.inner();
            (slots(&mut inner.of_drivers, worker, PER_DRIVER), slots(&mut inner.of_hosts, agent, PER_HOST))
        };
        let open = "the semaphore is never closed";
        Turn {
            _of_driver: of_driver.acquire_owned().await.expect(open),
            _of_host: of_host.acquire_owned().await.expect(open),
        }
    }

    fn send(&self, call: &UiCall<'_>, heard: oneshot::Sender<Heard>) -> Result<GivenUp, UiError> {
        let mut inner = self.inner();
        inner.next += 1;
        let id = inner.next;
        let headers = call.headers.iter().cloned();
        let request = UiRequest {
            id,
            worker_id: call.worker.to_string(),
            launch: Some(crate::convert::to_launch(call.launch)),
            method: call.method.to_owned(),
            target: call.target.to_owned(),
            headers: headers.map(|(name, value)| v1::UiHeader { name, value }).collect(),
        };
        let line = inner.lines.get(call.agent).ok_or(UiError::NotPassedOn)?;
        match line.try_send(Ok(request)) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Err(UiError::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                inner.lines.remove(call.agent);
                return Err(UiError::NotPassedOn);
            }
        }
        inner.waiting.insert(id, Waiting { agent: call.agent.clone(), heard });
        Ok(GivenUp { relay: self.clone(), id })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // No code panics while it holds the lock half way through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whoever waits for an answer, if it is this agent's to give.
    fn claim(&mut self, id: u64, agent: &AgentId) -> Option<Waiting> {
        self.waiting.get(&id).filter(|waiting| waiting.agent == *agent)?;
        self.waiting.remove(&id)
    }
}

/// Forgets a request when nobody waits for its head any more.
struct GivenUp {
    relay: UiRelay,
    id: u64,
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.relay.inner().waiting.remove(&self.id);
    }
}

/// The places of `key`; of others, those that nobody holds or waits for are forgotten.
fn slots<K: Ord + Clone>(all: &mut BTreeMap<K, Arc<Semaphore>>, key: &K, most: usize) -> Arc<Semaphore> {
    all.retain(|_, slots| Arc::strong_count(slots) > 1);
    all.entry(key.clone()).or_insert_with(|| Arc::new(Semaphore::new(most))).clone()
}

async fn next(parts: &mut Streaming<v1::UiAnswer>) -> Result<Option<v1::UiAnswer>, Status> {
    timeout(IDLE, parts.message())
        .await
        .unwrap_or_else(|_| Err(Status::deadline_exceeded("the answer stands still")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt, StreamExt};

    fn agent() -> AgentId {
        "a".parse().expect("an id")
    }

    fn worker(name: &str) -> WorkerId {
        name.parse().expect("an id")
    }

    async fn asked(relay: UiRelay, name: &'static str) -> Result<UiAnswer, UiError> {
        let (agent, worker) = (agent(), worker(name));
        let (launch, headers) = (Launch::FIRST, vec![]);
        relay
            .ask(UiCall { agent: &agent, worker: &worker, launch, method: "GET", target: "/", headers })
            .await
    }

    /// As the agent does with the first message of an answer.
    fn answer(relay: &UiRelay, id: u64) -> mpsc::Sender<Result<Bytes, UiError>> {
        let (pass_on, parts) = mpsc::channel(1);
        let waiting = relay.inner().claim(id, &agent()).expect("somebody waits");
        assert!(waiting.heard.send(Ok((v1::UiHead::default(), parts))).is_ok());
        pass_on
    }

    #[tokio::test]
    async fn an_agent_that_does_not_wait_is_not_asked() {
        let relay = UiRelay::default();
        assert!(matches!(asked(relay.clone(), "w").await, Err(UiError::NotPassedOn)));
        drop(relay.wait_for_requests(agent()).expect("open"));
        assert!(matches!(asked(relay.clone(), "w").await, Err(UiError::NotPassedOn)));
        relay.close();
        assert!(relay.wait_for_requests(agent()).is_err());
    }

    #[tokio::test]
    async fn only_the_agent_that_was_asked_can_answer_and_only_once() {
        let relay = UiRelay::default();
        let mut requests = relay.wait_for_requests(agent()).expect("open");
        let asking = tokio::spawn(asked(relay.clone(), "w"));
        let id = requests.next().await.expect("a request").expect("no end").id;
        assert!(relay.inner().claim(id, &"b".parse().expect("an id")).is_none());
        let pass_on = answer(&relay, id);
        assert!(relay.inner().claim(id, &agent()).is_none());
        let mut body = asking.await.expect("no panic").expect("an answer").body;
        pass_on.send(Ok(Bytes::from_static(b"x"))).await.expect("read");
        assert_eq!(body.next().await.expect("a part").expect("whole"), "x");
        drop(body);
        assert!(pass_on.is_closed());
    }

    #[tokio::test]
    async fn requests_wait_their_turn() {
        let relay = UiRelay::default();
        let mut requests = relay.wait_for_requests(agent()).expect("open");
        let mut bodies = Vec::new();
        for _ in 0..PER_DRIVER {
            let asking = tokio::spawn(asked(relay.clone(), "w"));
            let id = requests.next().await.expect("a request").expect("no end").id;
            let pass_on = answer(&relay, id);
            bodies.push((pass_on, asking.await.expect("no panic").expect("an answer").body));
        }
        assert!(asked(relay.clone(), "w").now_or_never().is_none());
        assert!(requests.next().now_or_never().is_none(), "it is not sent before its turn");
        // The host has room for other drivers, and a place that becomes free is given on.
        let other = tokio::spawn(asked(relay.clone(), "x"));
        answer(&relay, requests.next().await.expect("a request").expect("no end").id);
        other.await.expect("no panic").expect("an answer");
        let next = tokio::spawn(asked(relay.clone(), "w"));
        bodies.pop();
        answer(&relay, requests.next().await.expect("a request").expect("no end").id);
        next.await.expect("no panic").expect("an answer");
    }

    #[tokio::test]
    async fn who_gives_up_is_forgotten() {
        let relay = UiRelay::default();
        let _requests = relay.wait_for_requests(agent()).expect("open");
        assert!(asked(relay.clone(), "w").now_or_never().is_none());
        assert!(relay.inner().waiting.is_empty());
    }
}
