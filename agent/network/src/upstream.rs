//! Reaching the coordinator's present address, patiently.

use std::io;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use hearth_mtls::EndpointDialer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

/// How long a client's connection is held while the coordinator cannot be reached. The retries of the AWS
/// clients inside a worker ride out what lies beyond.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(60);

/// How long one attempt to connect may take; a host that drops packets must not use up [`CONNECT_WITHIN`].
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// Where and how the coordinator answers. Addresses are `host:port`, an IPv6 address in brackets, and resolved anew on
/// every attempt.
#[derive(Clone, Debug)]
pub enum Upstream {
    /// As it is.
    Plain(String),
    /// Within TLS.
    Tls(String, EndpointDialer),
}

impl Upstream {
    /// The address.
    fn address(&self) -> &str {
        match self {
            Self::Plain(address) | Self::Tls(address, _) => address,
        }
    }

    async fn dial(&self) -> io::Result<Box<dyn Connection>> {
        match self {
            Self::Plain(address) => {
                let stream = TcpStream::connect(address).await?;
                // Small requests and answers would otherwise wait for the other side's delayed acknowledgement.
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Self::Tls(address, dialer) => Ok(Box::new(dialer.dial(address).await?)),
        }
    }
}

/// A connection to the coordinator, within TLS or not.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Connects to the latest address in `upstream`, with backoff, for [`CONNECT_WITHIN`].
///
/// A change of the address ends the wait between two attempts and starts the backoff anew. Fails with the last
/// attempt's error. Cancel safe: nothing but the attempt is lost.
pub(crate) async fn connect(upstream: &mut watch::Receiver<Upstream>) -> io::Result<Box<dyn Connection>> {
    let deadline = Instant::now() + CONNECT_WITHIN;
    let mut delays = delays();
    loop {
        let current = upstream.borrow_and_update().clone();
        let error = match timeout(ATTEMPT_TIMEOUT, current.dial()).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error,
            Err(_) => io::Error::from(io::ErrorKind::TimedOut),
        };
        tracing::debug!(upstream = current.address(), %error, "coordinator not reachable, trying again");
        let delay = delays.next().unwrap_or(LONGEST_DELAY);
        if Instant::now() + delay >= deadline {
            return Err(error);
        }
        if address_changed(upstream, Instant::now() + delay).await {
            delays = self::delays();
        }
    }
}

/// Waits until `until`, or for a new address; answers whether there is one.
async fn address_changed(upstream: &mut watch::Receiver<Upstream>, until: Instant) -> bool {
    match timeout_at(until, upstream.changed()).await {
        Ok(Ok(())) => true,
        Ok(Err(_closed)) => {
            // No more changes will come, but the last address may still come up.
            tokio::time::sleep_until(until).await;
            false
        }
        Err(_elapsed) => false,
    }
}

fn delays() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_DELAY)
        .with_max_delay(LONGEST_DELAY)
        .with_jitter()
        .without_max_times()
        .build()
}
