//! Accepting connections: handshake, name, admission; refusals are logged with their reason.

use crate::{PeerName, Refusal, plain};
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tonic::transport::server::Connected;

/// How long a client may take for its handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Handshakes at once; a thousand agents that reconnect after an outage are through in seconds, and a few dozen idle
/// clients hold up nobody.
const HANDSHAKES: usize = 256;
/// Finished connections that wait for the server to take them; it takes them at once.
const READY: usize = 16;
/// How long accepting rests after it failed, which is nearly always for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whom a service admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Agents alone, each with a certificate.
    Agents,
    /// Anybody, without a certificate: enrolment, and the AWS-compatible endpoint, whose requests are signed.
    Anybody,
}

/// A connection that was just made.
#[derive(Debug)]
pub struct Connection {
    /// Nothing was read from it or written to it yet.
    pub stream: TcpStream,
    /// The peer's address.
    pub address: SocketAddr,
    /// As in [`PeerInfo::connection`].
    pub number: u64,
}

/// Who is at the other end; a request's extensions hold one.
#[derive(Debug, Clone)]
pub struct PeerInfo {
    /// Numbers the listener's connections as they are made. A peer speaks only once it is heard, so what it says on a
    /// connection that it dialled after it gave up another has the higher number, whichever of them is read first.
    pub connection: u64,
    /// The peer's address.
    pub address: SocketAddr,
    /// The peer's name; `None` where no certificate is asked for.
    pub name: Option<PeerName>,
    /// The peer's certificate.
    pub certificate: Option<CertificateDer<'static>>,
}

/// An admitted connection.
#[derive(Debug)]
pub struct MtlsStream {
    stream: TlsStream<TcpStream>,
    peer: PeerInfo,
}

impl MtlsStream {
    /// Who is at the other end.
    pub fn peer(&self) -> &PeerInfo {
        &self.peer
    }
}

impl Connected for MtlsStream {
    type ConnectInfo = PeerInfo;

    fn connect_info(&self) -> PeerInfo {
        self.peer.clone()
    }
}

impl AsyncRead for MtlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for MtlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Admitted connections, as a stream for tonic's `serve_with_incoming` too. Dropping it stops accepting.
#[derive(Debug)]
pub struct MtlsListener {
    local_addr: SocketAddr,
    ready: mpsc::Receiver<MtlsStream>,
    acceptor: JoinHandle<()>,
}

impl MtlsListener {
    /// Starts accepting on `listener`; must be called within a tokio runtime.
    ///
    /// `cluster` is the one whose names are known. A slow or hostile client holds up nobody but itself.
    ///
    /// # Errors
    /// When the listener has no local address.
    pub fn new(
        listener: TcpListener,
        config: Arc<ServerConfig>,
        admission: Admission,
        cluster: &str,
    ) -> io::Result<Self> {
        let local_addr = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(READY);
        let door = Door { config, admission, cluster: cluster.into() };
        let acceptor = tokio::spawn(accept_all(listener, door, sender));
        Ok(Self { local_addr, ready, acceptor })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The next admitted connection; none ever comes once the runtime is shutting down. Cancel safe.
    pub async fn accept(&mut self) -> MtlsStream {
        match self.ready.recv().await {
            Some(stream) => stream,
            None => std::future::pending().await,
        }
    }
}

impl Drop for MtlsListener {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

impl Stream for MtlsListener {
    type Item = io::Result<MtlsStream>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.ready.poll_recv(context).map(|next| next.map(Ok))
    }
}

#[derive(Clone)]
struct Door {
    config: Arc<ServerConfig>,
    admission: Admission,
    cluster: Arc<str>,
}

async fn accept_all(listener: TcpListener, door: Door, ready: mpsc::Sender<MtlsStream>) {
    let slots = Arc::new(Semaphore::new(HANDSHAKES));
    let mut handshakes = JoinSet::new();
    for number in 1.. {
        let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
        while handshakes.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, address)) => {
                let connection = Connection { stream, address, number };
                handshakes.spawn(admit(connection, door.clone(), ready.clone(), slot));
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn admit(
    connection: Connection,
    door: Door,
    ready: mpsc::Sender<MtlsStream>,
    _slot: OwnedSemaphorePermit,
) {
    let address = connection.address;
    match accept(connection, door.config, door.admission, &door.cluster).await {
        // A server that is shutting down takes no more connections.
        Ok(stream) => drop(ready.send(stream).await),
        Err(refusal) => {
            let cause = std::error::Error::source(&refusal).map(ToString::to_string);
            match door.admission {
                Admission::Agents => {
                    tracing::warn!(peer = %address, reason = %refusal, cause, "refused a connection");
                }
                // Anybody may knock there, and many do.
                Admission::Anybody => {
                    tracing::info!(peer = %address, reason = %refusal, cause, "refused a connection");
                }
            }
        }
    }
}

/// Shakes hands with one client and decides whether it is admitted.
///
/// # Errors
/// The reason it is not. Cancel safe: the connection is closed.
pub async fn accept(
    connection: Connection,
    config: Arc<ServerConfig>,
    admission: Admission,
    cluster: &str,
) -> Result<MtlsStream, Refusal> {
    let Connection { stream, address, number } = connection;
    stream.set_nodelay(true)?;
    let handshake = async {
        if plain::is_http(&stream).await? {
            plain::refuse(stream).await?;
            return Err(Refusal::PlainHttp);
        }
        Ok(TlsAcceptor::from(config).accept(stream).await?)
    };
    let stream = match tokio::time::timeout(HANDSHAKE_WITHIN, handshake).await {
        Ok(finished) => finished?,
        Err(_) => return Err(Refusal::TimedOut(HANDSHAKE_WITHIN)),
    };
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|first| first.clone().into_owned());
    let name = match admission {
        Admission::Anybody => None,
        Admission::Agents => {
            let certificate = certificate.as_ref().ok_or(Refusal::NoCertificate)?;
            match PeerName::of_certificate(certificate, cluster).map_err(Refusal::Unnamed)? {
                name @ PeerName::Agent(_) => Some(name),
                other @ (PeerName::Worker { .. } | PeerName::Coordinator) => {
                    return Err(Refusal::NotAdmitted(other));
                }
            }
        }
    };
    Ok(MtlsStream { stream, peer: PeerInfo { connection: number, address, name, certificate } })
}
