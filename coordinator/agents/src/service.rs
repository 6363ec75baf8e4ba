//! The agents' service: the ordered stream, and the calls for bulk and credentials.

use crate::convert::{self, Malformed, Said};
use crate::orders::to_credentials;
use crate::sessions::{OUTBOX, Sessions};
use crate::supplies::{Supplies, SupplyError};
use crate::ui::UiRelay;
use futures::{Stream, StreamExt};
use hearth_coordinator_core::agent::Standing;
use hearth_coordinator_core::command::{Command, Refusal};
use hearth_engine::{Engine, EngineError};
use hearth_faults::{Point, reach};
use hearth_mtls::{Authority, PeerInfo, PeerName};
use hearth_proto::v1::agents_server::Agents;
use hearth_proto::v1::to_agent::Message;
use hearth_proto::v1::{self, FromAgent, ToAgent, from_agent};
use hearth_types::{AgentId, Epoch, JobRunId, Moment, WorkerId};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// How long an agent may take to say hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// How long is waited before something is recorded again that could not be.
const STORE_PAUSE: Duration = Duration::from_millis(500);
/// Bytes of a bundle in one message.
const CHUNK: usize = 1 << 20;

/// What an agent is told when it attaches.
#[derive(Debug, Clone)]
pub struct Terms {
    /// This coordinator's term of office.
    pub epoch: Epoch,
    /// Length of a lease.
    pub lease: Duration,
    /// Time between heartbeats.
    pub heartbeat: Duration,
    /// `host:port` of the AWS-compatible endpoint.
    pub service_endpoint: String,
    /// The Region.
    pub region: String,
    /// How long a certificate lives.
    pub certificate_lifetime: Duration,
}

/// The agents' service.
#[derive(Clone)]
pub struct AgentService {
    /// Decides.
    pub engine: Engine,
    /// The open streams.
    pub sessions: Sessions,
    /// Requests to engines' own UIs.
    pub uis: UiRelay,
    /// Credentials, secrets, bundles.
    pub supplies: Arc<dyn Supplies>,
    /// Renews certificates.
    pub authority: Arc<Authority>,
    /// What an attaching agent is told.
    pub terms: Terms,
}

impl std::fmt::Debug for AgentService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentService").field("terms", &self.terms).finish_non_exhaustive()
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Agents for AgentService {
    type AttachStream = ReceiverStream<Result<ToAgent, Status>>;
    type FetchBundleStream = Answers<v1::BundleChunk>;
    type AwaitUiRequestsStream = ReceiverStream<Result<v1::UiRequest, Status>>;

    async fn attach(
        &self,
        request: Request<Streaming<FromAgent>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let agent = self.caller(&request)?;
        let connection = request.extensions().get::<PeerInfo>().map_or(0, |peer| peer.connection);
        let mut messages = request.into_inner();
        let hello = tokio::time::timeout(HELLO_WITHIN, messages.next())
            .await
            .map_err(|_| Status::deadline_exceeded("no hello"))?
            .ok_or_else(|| Status::invalid_argument("no hello"))??;
        let Some(from_agent::Message::Hello(hello)) = hello.message else {
            return Err(Status::invalid_argument("the first message must be hello"));
        };
        let (outbox, answers) = mpsc::channel(OUTBOX);
        if hello.protocol == hearth_proto::PROTOCOL {
            let service = self.clone();
            let greeting = Greeting { agent, connection, hello };
            tokio::spawn(service.serve(greeting, messages, outbox));
        } else {
            let reason = format!(
                "agent speaks protocol {} and the coordinator {}; install the same version on both",
                hello.protocol,
                hearth_proto::PROTOCOL
            );
            tracing::warn!(agent_id = %agent, reason, "agent refused");
            let refused = ToAgent { message: Some(Message::Refused(v1::Refused { reason })) };
            drop(outbox.try_send(Ok(refused)));
        }
        Ok(Response::new(ReceiverStream::new(answers)))
    }

    async fn renew_certificate(
        &self,
        request: Request<v1::RenewCertificateRequest>,
    ) -> Result<Response<v1::RenewCertificateResponse>, Status> {
        let agent = self.caller(&request)?;
        let terms = hearth_mtls::Terms::lasting(self.terms.certificate_lifetime);
        let certificate = self
            .authority
            .sign_request(&request.into_inner().csr_der, &PeerName::Agent(agent.clone()), terms)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        reach(Point::AgentsCertificateSigned);
        tracing::info!(agent_id = %agent, "certificate renewed");
        Ok(Response::new(v1::RenewCertificateResponse { certificate_der: certificate.to_vec() }))
    }

    async fn worker_credentials(
        &self,
        request: Request<v1::WorkerCredentialsRequest>,
    ) -> Result<Response<v1::Credentials>, Status> {
        let agent = self.caller(&request)?;
        let id = WorkerId::new(request.into_inner().worker_id).map_err(malformed)?;
        let world = self.engine.snapshot();
        // An agent gets credentials of its own workers alone (design §8).
        let worker = world.worker(&id).filter(|worker| worker.agent == agent);
        let worker = worker.ok_or_else(|| Status::not_found("the worker is not on this agent"))?;
        let credentials = self.supplies.worker_credentials(worker).await.map_err(unsupplied)?;
        reach(Point::AgentsCredentialsMade);
        Ok(Response::new(to_credentials(credentials)))
    }

    async fn managed_credentials(
        &self,
        request: Request<v1::ManagedCredentialsRequest>,
    ) -> Result<Response<v1::Credentials>, Status> {
        let agent = self.caller(&request)?;
        let run = JobRunId::new(request.into_inner().job_run_id).map_err(malformed)?;
        let world = self.engine.snapshot();
        if !world.workers_on(&agent).any(|worker| worker.run == run) {
            return Err(Status::not_found("no worker of the job run is on this agent"));
        }
        let credentials = self.supplies.managed_credentials(&run).await.map_err(unsupplied)?;
        Ok(Response::new(to_credentials(credentials)))
    }

    async fn fetch_bundle(
        &self,
        request: Request<v1::FetchBundleRequest>,
    ) -> Result<Response<Self::FetchBundleStream>, Status> {
        let agent = self.caller(&request)?;
        let sha256 = request.into_inner().sha256;
        let bundle = self.supplies.bundle(&sha256).await.map_err(unsupplied)?;
        tracing::info!(agent_id = %agent, sha256, bytes = bundle.total, "sending a bundle");
        let total_bytes = bundle.total;
        let chunks = bundle.bytes.flat_map(move |read| {
            let parts: Vec<Result<v1::BundleChunk, Status>> = match read {
                Ok(bytes) => bytes
                    .chunks(CHUNK)
                    .map(|part| Ok(v1::BundleChunk { data: part.to_vec(), total_bytes }))
                    .collect(),
                Err(error) => vec![Err(Status::internal(error.to_string()))],
            };
            futures::stream::iter(parts)
        });
        Ok(Response::new(Box::pin(chunks)))
    }

    async fn await_ui_requests(
        &self,
        request: Request<v1::AwaitUiRequestsRequest>,
    ) -> Result<Response<Self::AwaitUiRequestsStream>, Status> {
        let agent = self.caller(&request)?;
        Ok(Response::new(self.uis.wait_for_requests(agent)?))
    }

    async fn answer_ui_request(
        &self,
        request: Request<Streaming<v1::UiAnswer>>,
    ) -> Result<Response<v1::UiAnswered>, Status> {
        let agent = self.caller(&request)?;
        self.uis.take_answer(&agent, request.into_inner()).await?;
        Ok(Response::new(v1::UiAnswered {}))
    }
}

impl AgentService {
    /// The agent that calls, from its certificate. One that was revoked is nobody, whatever certificate it has.
    fn caller<T>(&self, request: &Request<T>) -> Result<AgentId, Status> {
        let id = match request.extensions().get::<PeerInfo>().and_then(|peer| peer.name.clone()) {
            Some(PeerName::Agent(id)) => id,
            Some(PeerName::Worker { .. } | PeerName::Coordinator) | None => {
                return Err(Status::permission_denied("only agents are served here"));
            }
        };
        match self.engine.snapshot().agent(&id).map(|agent| agent.standing) {
            Some(Standing::Revoked) => {
                tracing::warn!(agent_id = %id, "revoked agent refused");
                Err(Status::permission_denied(Refusal::AgentRevoked(id).to_string()))
            }
            Some(Standing::InService | Standing::Draining) | None => Ok(id),
        }
    }

    /// Serves one stream to its end.
    async fn serve(
        self,
        greeting: Greeting,
        mut messages: Streaming<FromAgent>,
        outbox: mpsc::Sender<Result<ToAgent, Status>>,
    ) {
        let Greeting { agent, connection, hello } = greeting;
        let welcome = self.welcome(&agent);
        let Some(place) = self.sessions.open(&agent, connection, outbox.clone(), welcome) else { return };
        // Otherwise the word that the former stream is closed could come after the word that this one is open.
        place.former_over.cancelled().await;
        tracing::info!(agent_id = %agent, version = hello.version, workers = hello.workers.len(), "agent attached");
        let answered = Answered::now(&self.engine);
        let reason = tokio::select! {
            ended = self.converse(&agent, hello, place.number, &mut messages, &outbox, &answered) => ended,
            () = place.closed.cancelled() => "replaced or cut off".to_owned(),
        };
        if self.sessions.close(&agent, &place) {
            tracing::warn!(agent_id = %agent, reason, "agent detached");
            self.detach(agent, answered.last()).await;
        }
    }

    /// Records that a stream is closed. Until that is durable the agent's next stream has to wait.
    async fn detach(&self, agent: AgentId, answered: Moment) {
        loop {
            match self.engine.ask(Command::AgentDetached { agent: agent.clone(), answered }).await {
                Ok(_) | Err(EngineError::Stopped) => return,
                Err(error @ (EngineError::Store(_) | EngineError::Refused(_))) => {
                    tracing::error!(agent_id = %agent, error = %error, "recording that an agent detached");
                }
            }
            tokio::time::sleep(STORE_PAUSE).await;
        }
    }

    fn welcome(&self, agent: &AgentId) -> v1::Welcome {
        let millis = |span: Duration| u32::try_from(span.as_millis()).unwrap_or(u32::MAX);
        v1::Welcome {
            protocol: hearth_proto::PROTOCOL,
            epoch: self.terms.epoch.0,
            agent_id: agent.to_string(),
            lease_ms: millis(self.terms.lease),
            heartbeat_ms: millis(self.terms.heartbeat),
            service_endpoint: self.terms.service_endpoint.clone(),
            region: self.terms.region.clone(),
        }
    }

    /// Handles messages until the stream ends; says why it did.
    async fn converse(
        &self,
        agent: &AgentId,
        hello: v1::Hello,
        stream: u64,
        messages: &mut Streaming<FromAgent>,
        outbox: &mpsc::Sender<Result<ToAgent, Status>>,
        answered: &Answered,
    ) -> String {
        reach(Point::AgentsGreeted);
        let attached = match attached(agent, hello, stream) {
            Ok(command) => self.tell(command).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = attached {
            return error.to_string();
        }
        reach(Point::AgentsAttached);
        answered.touch(&self.engine);
        // A silent connection is as good as none: the agent itself gives up on it after a lease.
        let patience = self.terms.lease;
        loop {
            let message = match tokio::time::timeout(patience, messages.message()).await {
                Ok(Ok(Some(FromAgent { message: Some(message) }))) => message,
                Ok(Ok(Some(FromAgent { message: None }))) => continue,
                Ok(Ok(None)) => return "the agent closed the stream".to_owned(),
                Ok(Err(status)) => return status.message().to_owned(),
                Err(_) => return format!("nothing was heard for {} s", patience.as_secs()),
            };
            if let from_agent::Message::Heartbeat(beat) = message {
                let answer =
                    v1::HeartbeatAnswer { sequence: beat.sequence, sent_boottime_ns: beat.sent_boottime_ns };
                let answer = ToAgent { message: Some(Message::HeartbeatAnswer(answer)) };
                if outbox.send(Ok(answer)).await.is_err() {
                    return "the agent takes no answers".to_owned();
                }
                answered.touch(&self.engine);
            } else if let Err(error) = self.handle(agent, message).await {
                return error.to_string();
            }
        }
    }

    async fn handle(&self, agent: &AgentId, message: from_agent::Message) -> Result<(), Cut> {
        match message {
            from_agent::Message::WorkerReport(report) => {
                let report = convert::report(report)?;
                reach(Point::AgentsReportHeard);
                self.tell(Command::WorkerReported { agent: agent.clone(), report }).await?;
                reach(Point::AgentsReportRecorded);
            }
            from_agent::Message::DriverMessage(message) => self.driver_said(agent, message).await?,
            from_agent::Message::Hello(_) | from_agent::Message::Heartbeat(_) => {}
        }
        Ok(())
    }

    async fn driver_said(&self, agent: &AgentId, message: v1::DriverMessage) -> Result<(), Cut> {
        let worker = WorkerId::new(message.worker_id).map_err(Malformed::from)?;
        let launch = convert::launch(message.launch)?;
        let said = match convert::said(message.message.ok_or(Malformed::Missing("driver message"))?) {
            Ok(said) => said,
            // It comes from a user's JVM: nonsense in it must not cut off the host.
            Err(error) => {
                tracing::warn!(agent_id = %agent, worker_id = %worker, error = %error, "a driver's message is not understood");
                return Ok(());
            }
        };
        match said {
            Said::Word(word) => {
                self.tell(Command::DriverSaid { agent: agent.clone(), worker, launch, word }).await?;
            }
            Said::Progress(progress) => {
                let world = self.engine.snapshot();
                if let Some(driver) = world.worker(&worker).filter(|driver| driver.agent == *agent) {
                    self.engine.board().put(driver.run.clone(), progress);
                }
            }
        }
        Ok(())
    }

    /// Hands a command over. One that cannot be stored ends the stream: the agent tells all it knows when it attaches again.
    async fn tell(&self, command: Command) -> Result<(), Cut> {
        self.engine.ask(command).await.map(|_| ()).map_err(Cut::NotTaken)
    }
}

/// Why a stream is cut.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("a message is not understood: {0}")]
    Malformed(#[from] Malformed),
    #[error("a message could not be recorded: {0}")]
    NotTaken(#[source] EngineError),
}

/// The first message of a stream, who sent it, and the number of its connection.
struct Greeting {
    agent: AgentId,
    connection: u64,
    hello: v1::Hello,
}

/// When an agent was last answered.
struct Answered(AtomicU64);

impl Answered {
    fn now(engine: &Engine) -> Self {
        Self(AtomicU64::new(engine.clock().now().moment.as_millis()))
    }

    fn touch(&self, engine: &Engine) {
        self.0.store(engine.clock().now().moment.as_millis(), Ordering::Relaxed);
    }

    fn last(&self) -> Moment {
        Moment::from_millis(self.0.load(Ordering::Relaxed))
    }
}

fn attached(agent: &AgentId, hello: v1::Hello, stream: u64) -> Result<Command, Malformed> {
    let inventory = hello.inventory.ok_or(Malformed::Missing("inventory"))?;
    Ok(Command::AgentAttached {
        agent: convert::agent(agent.clone(), inventory)?,
        reports: hello.workers.into_iter().map(convert::report).collect::<Result<_, _>>()?,
        stream,
    })
}

fn malformed(error: hearth_types::IdError) -> Status {
    Status::invalid_argument(error.to_string())
}

fn unsupplied(error: SupplyError) -> Status {
    match error {
        SupplyError::Missing(what) => Status::not_found(format!("{what} does not exist")),
        SupplyError::Impossible(reason) => Status::failed_precondition(reason),
        SupplyError::Failed { .. } => {
            tracing::error!(error = %error, cause = ?std::error::Error::source(&error), "supplying an agent");
            Status::unavailable(error.to_string())
        }
    }
}
