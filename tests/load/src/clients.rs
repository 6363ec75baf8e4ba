//! Clients, in a closed loop: each sends its next request when its last one is answered; or in an open one: requests are due
//! at a steady rate, whatever becomes of those before, and how long one takes counts from then.

use crate::requests::Requests;
use anyhow::Context;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// What the clients share.
struct Shared {
    requests: Requests,
    next: usize,
    begin: Instant,
    until: Instant,
    /// Requests a second in an open loop.
    rate: Option<f64>,
    latencies: Vec<Duration>,
}

impl Shared {
    /// The next request and when it is due.
    fn take(&mut self) -> Option<(Request<Full<Bytes>>, Instant)> {
        let due = match self.rate {
            None => Instant::now(),
            Some(rate) => self.begin + Duration::from_secs_f64(self.next as f64 / rate),
        };
        if due >= self.until || (!self.requests.repeatable && self.next >= self.requests.signed.len()) {
            return None;
        }
        let request = self.requests.signed[self.next % self.requests.signed.len()].clone();
        self.next += 1;
        Some((request, due))
    }
}

/// How requests are sent.
#[derive(Debug, clap::Args)]
pub(crate) struct Manner {
    /// Clients at the same time
    #[arg(long, default_value_t = 32)]
    clients: usize,
    /// How long the measurement lasts, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Requests a second, due at this rate whatever becomes of those before; without it, each client sends one after another
    #[arg(long)]
    rate: Option<f64>,
}

/// Sends requests; says what was measured. An answer that is none of success ends it.
pub(crate) async fn drive(
    authority: &str,
    requests: Requests,
    &Manner { clients, seconds, rate }: &Manner,
) -> anyhow::Result<Value> {
    anyhow::ensure!(!requests.signed.is_empty(), "there is nothing to send");
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(connect(authority).await?);
    }
    let begin = Instant::now();
    let until = begin + Duration::from_secs(seconds);
    let shared = Shared { requests, next: 0, begin, until, rate, latencies: Vec::new() };
    let shared = Rc::new(RefCell::new(shared));
    let local = LocalSet::new();
    let all: Vec<_> = connections
        .into_iter()
        .map(|connection| local.spawn_local(client(connection, shared.clone())))
        .collect();
    local
        .run_until(async {
            for client in all {
                client.await??;
            }
            anyhow::Ok(())
        })
        .await?;
    let seconds = begin.elapsed().as_secs_f64();
    let mut latencies = std::mem::take(&mut shared.borrow_mut().latencies);
    latencies.sort_unstable();
    Ok(report(&latencies, clients, seconds))
}

pub(crate) async fn connect(authority: &str) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(authority).await.with_context(|| format!("connecting to {authority}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // It ends with its sender; what breaks it shows there.
    tokio::spawn(connection);
    Ok(sender)
}

async fn client(mut connection: SendRequest<Full<Bytes>>, shared: Rc<RefCell<Shared>>) -> anyhow::Result<()> {
    loop {
        let Some((request, due)) = shared.borrow_mut().take() else { return Ok(()) };
        tokio::time::sleep_until(due.into()).await;
        connection.ready().await?;
        let answer = connection.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        anyhow::ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        shared.borrow_mut().latencies.push(due.elapsed());
    }
}

fn report(sorted: &[Duration], clients: usize, seconds: f64) -> Value {
    let at = |share: f64| {
        let place = (sorted.len() as f64 * share) as usize;
        sorted
            .get(place.min(sorted.len().saturating_sub(1)))
            .map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    };
    json!({
        "clients": clients, "requests": sorted.len(), "seconds": seconds, "rate": sorted.len() as f64 / seconds,
        "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0),
    })
}
