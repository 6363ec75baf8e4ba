//! Reaching the coordinator's present address, patiently.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use hearth_mtls::EndpointDialer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};

/// How long a client's connection is held while the coordinator cannot be reached. The retries of the AWS
/// clients inside a worker ride out what lies beyond.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(60);

/// How long one attempt to connect may take; a host that drops packets must not use up [`CONNECT_WITHIN`].
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// How many names are looked up at once, by all forwarders. Where no name server answers, a lookup keeps its thread for up to
/// half a minute after nobody waits for it any more, and those threads are also what the agent's leases are written by.
const LOOKUPS: usize = 16;
static LOOKING_UP: Semaphore = Semaphore::const_new(LOOKUPS);

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
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in addresses(self.address()).await? {
            match self.dial_at(address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn dial_at(&self, address: SocketAddr) -> io::Result<Box<dyn Connection>> {
        match self {
            Self::Plain(_) => {
                let stream = TcpStream::connect(address).await?;
                // Small requests and answers would otherwise wait for the other side's delayed acknowledgement.
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Self::Tls(_, dialer) => Ok(Box::new(dialer.dial(&address.to_string()).await?)),
        }
    }
}

async fn addresses(name: &str) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let name = name.to_owned();
    look_up(move || Ok(name.to_socket_addrs()?.collect())).await
}

/// Runs a blocking lookup, of which there are never more than [`LOOKUPS`]. Cancel safe: one that runs is counted until it ends.
async fn look_up<T: Send + 'static>(
    lookup: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let permit = LOOKING_UP.acquire().await.expect("the semaphore is never closed");
    let looked_up = tokio::task::spawn_blocking(move || {
        let _until_it_ends = permit;
        lookup()
    });
    looked_up.await.unwrap_or_else(|cut| Err(io::Error::other(cut)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, RwLock};

    #[test]
    fn lookups_that_nobody_answers_leave_threads_for_other_work() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .max_blocking_threads(LOOKUPS + 1)
            .build()
            .unwrap();
        let name_server = Arc::new(RwLock::new(()));
        let gone = name_server.write().unwrap();
        let worked = runtime.block_on(async {
            for _ in 0..3 * LOOKUPS {
                let name_server = name_server.clone();
                let asked = look_up(move || {
                    drop(name_server.read());
                    Ok(())
                });
                // Nobody waits for it for long.
                assert!(timeout(Duration::from_millis(1), asked).await.is_err());
            }
            timeout(Duration::from_secs(20), tokio::task::spawn_blocking(|| ())).await
        });
        drop(gone);
        worked.expect("a thread that is free").unwrap();
        let asked = runtime.block_on(async { timeout(Duration::from_secs(20), look_up(|| Ok(7))).await });
        assert_eq!(asked.expect("answered again").unwrap(), 7);
    }
}
