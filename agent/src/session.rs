//! The ordered stream to the coordinator: greeting, heartbeats, orders down, reports up, and back again after every loss.

use crate::leases::Contacts;
use crate::outbox::Outbox;
use crate::roster::RosterHandle;
use crate::uplink::UplinkSetter;
use backon::{BackoffBuilder, ExponentialBuilder};
use hearth_agent_core::fence::StaleSender;
use hearth_faults::{Point, reach};
use hearth_mtls::{ClientIdentity, MtlsError, agents_channel};
use hearth_proto::PROTOCOL;
use hearth_proto::v1::agents_client::AgentsClient;
use hearth_proto::v1::{self, FromAgent, ToAgent, from_agent, to_agent};
use hearth_telemetry::error_chain;
use hearth_types::Epoch;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

/// Messages on their way up; when it is full, what changes meanwhile is merged in the outbox.
const UP: usize = 64;
/// How long the coordinator may take to answer the greeting.
const WELCOME_WITHIN: Duration = Duration::from_secs(10);
/// Bounds on what a coordinator may ask for.
const HEARTBEATS: std::ops::RangeInclusive<u32> = 100..=60_000;
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// Where to find a coordinator.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    pub(crate) fixed: Vec<String>,
    pub(crate) file: Option<PathBuf>,
}

impl Addresses {
    /// The addresses to try, in order; the file's is read anew.
    async fn now(&self) -> Vec<String> {
        let mut addresses = Vec::new();
        if let Some(path) = &self.file {
            match tokio::fs::read_to_string(path).await {
                Ok(text) => addresses.push(text.trim().to_owned()),
                Err(error) => tracing::debug!(path = %path.display(), %error, "no coordinator's address yet"),
            }
        }
        addresses.extend(self.fixed.iter().cloned());
        addresses
    }
}

/// What the session works with.
pub(crate) struct Session {
    pub(crate) addresses: Addresses,
    pub(crate) identity: ClientIdentity,
    pub(crate) outbox: Outbox,
    pub(crate) roster: RosterHandle,
    pub(crate) contacts: Contacts,
    pub(crate) uplink: UplinkSetter,
    /// Told of each welcome; orders are taken once it has been acted upon.
    pub(crate) welcomed: mpsc::Sender<(v1::Welcome, oneshot::Sender<()>)>,
    pub(crate) status: tokio::sync::watch::Sender<bool>,
    pub(crate) inventory: Box<dyn Fn() -> v1::Inventory + Send + Sync>,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("dialling")]
    Dial(#[from] MtlsError),
    #[error("stream failed: {}", .0.message())]
    Stream(#[from] Status),
    #[error("the coordinator closed the stream")]
    Closed,
    #[error("the coordinator did not answer the greeting within {WELCOME_WITHIN:?}")]
    NoWelcome,
    #[error("the coordinator refused this agent: {0}")]
    Refused(String),
    #[error("the coordinator speaks protocol {0}, this agent {PROTOCOL}")]
    Protocol(u32),
    #[error(transparent)]
    Stale(#[from] StaleSender),
    #[error("no heartbeat was answered for {0:?}")]
    Silent(Duration),
}

impl Session {
    /// Stays in touch until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = self.stay_in_touch() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn stay_in_touch(&self) {
        let mut delays = delays();
        loop {
            for address in self.addresses.now().await {
                let began = Instant::now();
                let ended = self.attach(&address).await;
                let was_attached = self.status.send_replace(false);
                self.uplink.set(None);
                if was_attached {
                    delays = self::delays();
                    let seconds = began.elapsed().as_secs();
                    tracing::warn!(
                        address,
                        seconds,
                        error = error_chain(&ended),
                        "connection to the coordinator lost"
                    );
                } else {
                    tracing::info!(address, error = error_chain(&ended), "coordinator not reached");
                }
            }
            sleep(delays.next().unwrap_or(LONGEST_DELAY)).await;
        }
    }

    /// Serves one stream to its end.
    async fn attach(&self, address: &str) -> Ended {
        match self.try_attach(address).await {
            Ok(never) => match never {},
            Err(ended) => ended,
        }
    }

    async fn try_attach(&self, address: &str) -> Result<std::convert::Infallible, Ended> {
        let channel = agents_channel(address, &self.identity).await?;
        let (up, messages) = mpsc::channel(UP);
        // A worker that a former stream's order is just bringing here is said to be here: the coordinator takes what is
        // not said for gone.
        self.roster.caught_up().await;
        let greeted_at = hearth_keeper::system::boottime();
        let hello = v1::Hello {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            inventory: Some((self.inventory)()),
            workers: self.outbox.begin(),
        };
        send(&up, from_agent::Message::Hello(hello)).await?;
        let mut client = AgentsClient::new(channel);
        let greeted = async {
            let mut stream = client.attach(ReceiverStream::new(messages)).await?.into_inner();
            let first = stream.message().await?.and_then(|first| first.message);
            Ok::<_, Status>((stream, first))
        };
        let (stream, first) = timeout(WELCOME_WITHIN, greeted).await.map_err(|_| Ended::NoWelcome)??;
        let welcome = match first {
            Some(to_agent::Message::Welcome(welcome)) => welcome,
            Some(to_agent::Message::Refused(refused)) => return Err(Ended::Refused(refused.reason)),
            _ => return Err(Ended::Closed),
        };
        if welcome.protocol != PROTOCOL {
            return Err(Ended::Protocol(welcome.protocol));
        }
        self.roster.admit(Epoch(welcome.epoch)).await?;
        self.contacts.welcomed(greeted_at);
        tracing::info!(
            address,
            agent_id = welcome.agent_id,
            epoch = welcome.epoch,
            "attached to the coordinator"
        );
        self.status.send_replace(true);
        let bulk: Channel = agents_channel(address, &self.identity).await?;
        self.uplink.set(Some(bulk));
        let (done, is_done) = oneshot::channel();
        if self.welcomed.send((welcome.clone(), done)).await.is_err() || is_done.await.is_err() {
            return Err(Ended::Closed); // The agent is stopping.
        }
        self.converse(&welcome, up, stream).await
    }

    async fn converse(
        &self,
        welcome: &v1::Welcome,
        up: mpsc::Sender<FromAgent>,
        mut stream: Streaming<ToAgent>,
    ) -> Result<std::convert::Infallible, Ended> {
        let every =
            Duration::from_millis(welcome.heartbeat_ms.clamp(*HEARTBEATS.start(), *HEARTBEATS.end()).into());
        let lease = Duration::from_millis(welcome.lease_ms.into()).max(every * 3);
        let mut beats = interval(every);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sequence = 0;
        let mut answered_at = Instant::now();
        self.tell(&up).await?;
        loop {
            tokio::select! {
                message = stream.message() => match message?.map(|message| message.message) {
                    None => return Err(Ended::Closed),
                    Some(Some(to_agent::Message::HeartbeatAnswer(answer))) => {
                        answered_at = Instant::now();
                        self.contacts.answered(Duration::from_nanos(answer.sent_boottime_ns));
                    }
                    Some(Some(to_agent::Message::LeaseExtension(extension))) => {
                        tracing::info!(length_ms = extension.length_ms, "the coordinator extends all leases");
                        self.contacts.extended(Duration::from_millis(extension.length_ms.into()));
                    }
                    Some(Some(to_agent::Message::Settled(settled))) => {
                        self.roster.settle(settled.current_drivers).await;
                        // Leases are renewed from here on: what is frozen is not to wait for the next beat.
                        beats.reset_immediately();
                    }
                    Some(Some(to_agent::Message::Refused(refused))) => return Err(Ended::Refused(refused.reason)),
                    Some(Some(order)) => self.roster.order(order).await,
                    // A kind of message that a newer coordinator knows.
                    Some(None) => {}
                },
                () = self.outbox.changed() => self.tell(&up).await?,
                _ = beats.tick() => {
                    if answered_at.elapsed() > lease {
                        return Err(Ended::Silent(lease));
                    }
                    sequence += 1;
                    let sent_boottime_ns = hearth_keeper::system::boottime_ns();
                    send(&up, from_agent::Message::Heartbeat(v1::Heartbeat { sequence, sent_boottime_ns })).await?;
                }
            }
        }
    }

    async fn tell(&self, up: &mpsc::Sender<FromAgent>) -> Result<(), Ended> {
        for message in self.outbox.take() {
            up.send(message).await.map_err(|_| Ended::Closed)?;
            reach(Point::AgentMessageSent);
        }
        Ok(())
    }
}

async fn send(up: &mpsc::Sender<FromAgent>, message: from_agent::Message) -> Result<(), Ended> {
    up.send(FromAgent { message: Some(message) }).await.map_err(|_| Ended::Closed)
}

fn delays() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_DELAY)
        .with_max_delay(LONGEST_DELAY)
        .with_jitter()
        .without_max_times()
        .build()
}
