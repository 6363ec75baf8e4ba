//! The listener and the byte pump.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::upstream::{self, Upstream};

/// How many clients are forwarded at once. Each takes two descriptors and two 8 KiB buffers; a full host runs
/// some hundred workers with a few dozen S3 connections each. Further clients wait in the listen queue.
pub const MAX_CONNECTIONS: usize = 4096;

/// How long accepting rests after it failed, which is nearly always for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a forwarder could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// Neither the wanted address nor another port of the same host address can be listened on.
    #[error("listening for workers on {address}")]
    Listen {
        /// The wanted address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A running forwarder from one loopback address to the coordinator.
///
/// Dropping it stops accepting and cuts every connection; [`Forwarder::shutdown`] lets them end.
#[derive(Debug)]
pub struct Forwarder {
    local_addr: SocketAddr,
    stop_accepting: CancellationToken,
    cut: CancellationToken,
    acceptor: JoinHandle<()>,
    connections: TaskTracker,
}

impl Forwarder {
    /// Listens on `address` and forwards to the latest value of `upstream`.
    ///
    /// If another process holds the port, a free one of the same host address is taken instead and logged:
    /// workers started earlier then cannot reach the coordinator, but new ones can. The caller persists the
    /// port of [`Forwarder::local_addr`] and passes it again after a restart; port 0 chooses one.
    pub async fn bind(
        address: SocketAddr,
        upstream: watch::Receiver<Upstream>,
    ) -> Result<Self, ForwardError> {
        let listener = listen(address).await.map_err(|source| ForwardError::Listen { address, source })?;
        let local_addr = listener.local_addr().map_err(|source| ForwardError::Listen { address, source })?;
        let stop_accepting = CancellationToken::new();
        let cut = CancellationToken::new();
        let connections = TaskTracker::new();
        let acceptor = tokio::spawn(accept(
            listener,
            upstream,
            stop_accepting.clone(),
            cut.clone(),
            connections.clone(),
        ));
        Ok(Self { local_addr, stop_accepting, cut, acceptor, connections })
    }

    /// The address that workers connect to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops accepting, gives open connections `grace` to end, then cuts the rest.
    pub async fn shutdown(mut self, grace: Duration) {
        self.stop_accepting.cancel();
        if let Err(error) = (&mut self.acceptor).await {
            tracing::warn!(%error, "forwarder's accept task ended badly");
        }
        self.connections.close();
        if tokio::time::timeout(grace, self.connections.wait()).await.is_err() {
            tracing::info!(connections = self.connections.len(), "cutting forwarded connections");
            self.cut.cancel();
            self.connections.wait().await;
        }
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.stop_accepting.cancel();
        self.cut.cancel();
    }
}

async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && address.port() != 0 => {
            tracing::warn!(%address, "port for workers is taken, using another");
            TcpListener::bind(SocketAddr::new(address.ip(), 0)).await
        }
        listened => listened,
    }
}

async fn accept(
    listener: TcpListener,
    upstream: watch::Receiver<Upstream>,
    stop: CancellationToken,
    cut: CancellationToken,
    connections: TaskTracker,
) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let next = async {
            let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            () = stop.cancelled() => return,
            next = next => next,
        };
        match accepted {
            Ok((client, peer)) => {
                let forwarded = forward(client, peer, upstream.clone(), slot);
                let cut = cut.clone();
                connections.spawn(async move {
                    tokio::select! {
                        () = cut.cancelled() => {}
                        () = forwarded => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a worker's connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn forward(
    mut client: TcpStream,
    peer: SocketAddr,
    mut upstream: watch::Receiver<Upstream>,
    _slot: OwnedSemaphorePermit,
) {
    let mut coordinator = match upstream::connect(&mut upstream).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%peer, %error, "coordinator not reachable, closing a worker's connection");
            return;
        }
    };
    if let Err(error) = client.set_nodelay(true) {
        tracing::debug!(%peer, %error, "setting TCP_NODELAY failed");
    }
    if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut coordinator).await {
        tracing::debug!(%peer, %error, "forwarded connection broke");
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use std::time::SystemTime;

    use hearth_mtls::{
        Admission, Authority, Connection, EndpointDialer, LiveCredential, MtlsListener, MtlsStream, PeerName,
        Terms, endpoint_server_config,
    };
    use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

    use super::*;
    use crate::upstream::CONNECT_WITHIN;

    const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    fn plain(address: SocketAddr) -> Upstream {
        Upstream::Plain(address.to_string())
    }

    async fn forwarder_to(address: SocketAddr) -> (Forwarder, watch::Sender<Upstream>) {
        let (sender, receiver) = watch::channel(plain(address));
        (Forwarder::bind(ANY_PORT, receiver).await.unwrap(), sender)
    }

    /// An address where nothing listens (any more).
    async fn dead_address() -> SocketAddr {
        TcpListener::bind(ANY_PORT).await.unwrap().local_addr().unwrap()
    }

    /// A TLS endpoint of `authority`'s coordinator.
    fn tls_endpoint(authority: &Authority, listener: TcpListener) -> MtlsListener {
        let issued = authority.issue(&PeerName::Coordinator, &[], Terms::from_now()).unwrap();
        let config = endpoint_server_config(LiveCredential::new(&issued).unwrap(), None).unwrap();
        MtlsListener::new(listener, config, Admission::Anybody, "home").unwrap()
    }

    /// The next client; one that does not speak TLS is never admitted.
    async fn admitted(server: &mut MtlsListener) -> MtlsStream {
        tokio::time::timeout(Duration::from_secs(30), server.accept()).await.expect("a client within TLS")
    }

    /// An upstream within TLS whose agent trusts `authority`.
    fn tls(address: SocketAddr, authority: &Authority) -> Upstream {
        let dialer = EndpointDialer::new(authority.certificate(), "home").unwrap();
        Upstream::Tls(address.to_string(), dialer)
    }

    async fn exchange(client: &mut TcpStream, server: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
        const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: signed.example\r\n\r\n";
        client.write_all(REQUEST).await.unwrap();
        let mut request = [0; REQUEST.len()];
        server.read_exact(&mut request).await.unwrap();
        assert_eq!(request, REQUEST);
        server.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
    }

    #[tokio::test]
    async fn bytes_pass_unchanged_both_ways() {
        let server = TcpListener::bind(ANY_PORT).await.unwrap();
        let (forwarder, _upstream) = forwarder_to(server.local_addr().unwrap()).await;
        let mut client = TcpStream::connect(forwarder.local_addr()).await.unwrap();
        let (mut served, _) = server.accept().await.unwrap();
        exchange(&mut client, &mut served).await;
    }

    #[tokio::test]
    async fn a_client_is_held_until_the_coordinator_is_up_again() {
        let address = dead_address().await;
        let (forwarder, _upstream) = forwarder_to(address).await;
        let mut client = TcpStream::connect(forwarder.local_addr()).await.unwrap();
        client.write_all(b"early").await.unwrap();
        let server = TcpListener::bind(address).await.unwrap();
        let (mut served, _) = server.accept().await.unwrap();
        let mut early = [0; 5];
        served.read_exact(&mut early).await.unwrap();
        assert_eq!(&early, b"early");
        exchange(&mut client, &mut served).await;
    }

    #[tokio::test]
    async fn a_new_address_is_used_at_once_and_old_connections_live_on() {
        let old = TcpListener::bind(ANY_PORT).await.unwrap();
        let new = TcpListener::bind(ANY_PORT).await.unwrap();
        let (forwarder, upstream) = forwarder_to(old.local_addr().unwrap()).await;
        let mut before = TcpStream::connect(forwarder.local_addr()).await.unwrap();
        let (mut served_by_old, _) = old.accept().await.unwrap();
        upstream.send(plain(new.local_addr().unwrap())).unwrap();
        let mut after = TcpStream::connect(forwarder.local_addr()).await.unwrap();
        let (mut served_by_new, _) = new.accept().await.unwrap();
        exchange(&mut after, &mut served_by_new).await;
        exchange(&mut before, &mut served_by_old).await;
    }

    #[tokio::test]
    async fn a_waiting_client_goes_to_the_new_address() {
        let (forwarder, upstream) = forwarder_to(dead_address().await).await;
        let mut client = TcpStream::connect(forwarder.local_addr()).await.unwrap();
        let server = TcpListener::bind(ANY_PORT).await.unwrap();
        upstream.send(plain(server.local_addr().unwrap())).unwrap();
        let (mut served, _) = server.accept().await.unwrap();
        exchange(&mut client, &mut served).await;
    }

    #[tokio::test]
    async fn a_half_closed_connection_still_carries_the_answer() {
        let server = TcpListener::bind(ANY_PORT).await.unwrap();
        let (forwarder, _upstream) = forwarder_to(server.local_addr().unwrap()).await;
        let mut client = TcpStream::connect(forwarder.local_addr()).await.unwrap();
        let (mut served, _) = server.accept().await.unwrap();
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut question = Vec::new();
        served.read_to_end(&mut question).await.unwrap();
        assert_eq!(question, b"question");
        served.write_all(b"late answer").await.unwrap();
        drop(served);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"late answer");
    }

    #[tokio::test]
    async fn a_large_transfer_arrives_whole() {
        const BYTES: usize = 32 * 1024 * 1024;
        let server = TcpListener::bind(ANY_PORT).await.unwrap();
        let (forwarder, _upstream) = forwarder_to(server.local_addr().unwrap()).await;
        let mut client = TcpStream::connect(forwarder.local_addr()).await.unwrap();
        let (mut served, _) = server.accept().await.unwrap();
        let sent: Vec<u8> = (0..BYTES).map(|at| (at % 251) as u8).collect();
        let expected = sent.clone();
        let sender = tokio::spawn(async move {
            client.write_all(&sent).await.unwrap();
            client.shutdown().await.unwrap();
        });
        let mut received = Vec::with_capacity(BYTES);
        served.read_to_end(&mut received).await.unwrap();
        sender.await.unwrap();
        assert!(received == expected, "{} of {BYTES} bytes", received.len());
    }

    #[tokio::test]
    async fn plain_bytes_of_a_worker_reach_a_tls_endpoint_and_come_back() {
        const BYTES: usize = 4 * 1024 * 1024;
        let authority = Authority::create("home", SystemTime::now()).unwrap();
        let listener = TcpListener::bind(ANY_PORT).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = tls_endpoint(&authority, listener);
        let (forwarder, upstream) = forwarder_to(dead_address().await).await;
        upstream.send(tls(address, &authority)).unwrap();
        let mut client = TcpStream::connect(forwarder.local_addr()).await.unwrap();
        let mut served = admitted(&mut server).await;
        exchange(&mut client, &mut served).await;
        // The client's end passes as an end, and what is answered after it arrives whole.
        client.shutdown().await.unwrap();
        assert_eq!(served.read(&mut [0; 1]).await.unwrap(), 0);
        let answer: Vec<u8> = (0..BYTES).map(|at| (at % 251) as u8).collect();
        let expected = answer.clone();
        let answering = tokio::spawn(async move {
            served.write_all(&answer).await.unwrap();
            served.shutdown().await.unwrap();
        });
        let mut received = Vec::with_capacity(BYTES);
        client.read_to_end(&mut received).await.unwrap();
        answering.await.unwrap();
        assert!(received == expected, "{} of {BYTES} bytes", received.len());
    }

    #[tokio::test]
    async fn nothing_is_sent_to_an_endpoint_of_a_foreign_authority() {
        let [ours, theirs] = [(); 2].map(|()| Authority::create("home", SystemTime::now()).unwrap());
        let (foreign, own) =
            (TcpListener::bind(ANY_PORT).await.unwrap(), TcpListener::bind(ANY_PORT).await.unwrap());
        let (foreign_address, own_address) = (foreign.local_addr().unwrap(), own.local_addr().unwrap());
        let (forwarder, upstream) = forwarder_to(dead_address().await).await;
        upstream.send(tls(foreign_address, &ours)).unwrap();
        let mut client = TcpStream::connect(forwarder.local_addr()).await.unwrap();
        client.write_all(b"secret").await.unwrap();
        // The handshake never ends, so that no byte of the client's can have been sent.
        let (stream, address) = foreign.accept().await.unwrap();
        let issued = theirs.issue(&PeerName::Coordinator, &[], Terms::from_now()).unwrap();
        let config = endpoint_server_config(LiveCredential::new(&issued).unwrap(), None).unwrap();
        let connection = Connection { stream, address, number: 1 };
        hearth_mtls::accept(connection, config, Admission::Anybody, "home").await.unwrap_err();
        drop(foreign);
        // The client is held meanwhile, and served once the right one answers.
        let mut server = tls_endpoint(&ours, own);
        upstream.send(tls(own_address, &ours)).unwrap();
        let mut served = admitted(&mut server).await;
        let mut secret = [0; 6];
        served.read_exact(&mut secret).await.unwrap();
        assert_eq!(&secret, b"secret");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_closed_when_the_coordinator_stays_away() {
        let (forwarder, _upstream) = forwarder_to(dead_address().await).await;
        let began = tokio::time::Instant::now();
        let mut client = TcpStream::connect(forwarder.local_addr()).await.unwrap();
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
        let held = began.elapsed();
        assert!(held > CONNECT_WITHIN - Duration::from_secs(10), "held for {held:?} only");
        assert!(held < CONNECT_WITHIN + Duration::from_secs(10), "held for {held:?}");
    }

    #[tokio::test]
    async fn shutdown_lets_open_connections_end_and_refuses_new_ones() {
        let server = TcpListener::bind(ANY_PORT).await.unwrap();
        let (forwarder, _upstream) = forwarder_to(server.local_addr().unwrap()).await;
        let address = forwarder.local_addr();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut served, _) = server.accept().await.unwrap();
        exchange(&mut client, &mut served).await;
        let shutdown = tokio::spawn(forwarder.shutdown(Duration::from_secs(30)));
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        exchange(&mut client, &mut served).await;
        drop((client, served, server));
        shutdown.await.unwrap();
    }

    #[tokio::test]
    async fn shutdown_cuts_what_outlasts_the_grace() {
        let server = TcpListener::bind(ANY_PORT).await.unwrap();
        let (forwarder, _upstream) = forwarder_to(server.local_addr().unwrap()).await;
        let mut client = TcpStream::connect(forwarder.local_addr()).await.unwrap();
        let (mut served, _) = server.accept().await.unwrap();
        exchange(&mut client, &mut served).await;
        forwarder.shutdown(Duration::ZERO).await;
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_taken_port_falls_back_to_another() {
        let holder = TcpListener::bind(ANY_PORT).await.unwrap();
        let taken = holder.local_addr().unwrap();
        let (_sender, receiver) = watch::channel(Upstream::Plain("127.0.0.1:1".to_owned()));
        let forwarder = Forwarder::bind(taken, receiver).await.unwrap();
        assert_ne!(forwarder.local_addr().port(), taken.port());
    }
}
