//! Requests that are nearly right, many of them: nothing that a client sends may break the coordinator.

mod judge;
mod mutate;
mod seeds;

use crate::clients::connect;
use crate::requests::Endpoint;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use judge::Tally;
use mutate::{Mutated, mutated};
use rand::SeedableRng;
use rand::rngs::StdRng;
use seeds::seeds;
use serde_json::Value;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;
use tokio::time::timeout;

/// An answer takes no longer; else the request hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many, and which.
#[derive(Debug, clap::Args)]
pub(crate) struct Extent {
    /// Requests in all
    #[arg(long, default_value_t = 1_000_000)]
    requests: u64,
    /// Clients at the same time
    #[arg(long, default_value_t = 32)]
    clients: u64,
    /// The same seed sends the same requests, time apart
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Sends requests that are changed at random from right ones; says what was answered, and what should not have been.
pub(crate) async fn fuzz(endpoint: &Endpoint, extent: &Extent) -> anyhow::Result<Value> {
    let tally = Rc::new(RefCell::new(Tally::default()));
    let local = LocalSet::new();
    let seeds = Rc::new(seeds(endpoint)?);
    let clients: Vec<_> = (0..extent.clients)
        .map(|number| {
            let (endpoint, seeds, tally) = (endpoint.clone(), seeds.clone(), tally.clone());
            let count = extent.requests / extent.clients;
            // Far apart, so that the clients of one seed are not those of the next.
            let random = StdRng::seed_from_u64(extent.seed << 32 | number);
            local.spawn_local(async move { client(&endpoint, &seeds, random, count, &tally).await })
        })
        .collect();
    local
        .run_until(async {
            for client in clients {
                client.await??;
            }
            anyhow::Ok(())
        })
        .await?;
    let tally = tally.borrow();
    Ok(tally.report())
}

async fn client(
    endpoint: &Endpoint,
    seeds: &[seeds::Seed],
    mut random: StdRng,
    count: u64,
    tally: &RefCell<Tally>,
) -> anyhow::Result<()> {
    let authority = endpoint.authority()?;
    let mut connection = None;
    for _ in 0..count {
        match mutated(endpoint, seeds, &mut random)? {
            Mutated::Http { request, said, may_be_cut } => {
                let Some(answer) = ask(&authority, &mut connection, request).await? else {
                    tally.borrow_mut().no_answer(&said, may_be_cut);
                    continue;
                };
                tally.borrow_mut().answer(&said, &answer);
            }
            Mutated::Bytes(bytes) => {
                let answer = say(&authority, &bytes).await;
                tally.borrow_mut().bytes(&bytes, answer.as_deref());
            }
        }
    }
    Ok(())
}

/// Sends a request. A server may close a kept connection just then, for which clients ask again over a new one; nothing is
/// answered by one that hangs up on that, too.
async fn ask(
    authority: &str,
    kept: &mut Option<SendRequest<Full<Bytes>>>,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<Option<http::Response<Bytes>>> {
    for _ in 0..2 {
        let (mut connection, is_new) = match kept.take().filter(|connection| !connection.is_closed()) {
            Some(connection) => (connection, false),
            None => (connect(authority).await?, true),
        };
        let exchange = async {
            connection.ready().await?;
            let answer = connection.send_request(request.clone()).await?;
            let (parts, body) = answer.into_parts();
            Ok::<_, hyper::Error>(http::Response::from_parts(parts, body.collect().await?.to_bytes()))
        };
        match timeout(PATIENCE, exchange).await {
            Ok(Ok(answer)) => {
                *kept = Some(connection);
                return Ok(Some(answer));
            }
            Ok(Err(_)) if is_new => break,
            Ok(Err(_)) => {}
            Err(_) => anyhow::bail!("a request hangs"),
        }
    }
    Ok(None)
}

/// Says something that need not be HTTP, and hears what comes back until the server hangs up; nothing if it never does.
async fn say(authority: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let exchange = async {
        let mut stream = TcpStream::connect(authority).await.ok()?;
        // It may have hung up before all was said.
        drop(stream.write_all(bytes).await);
        drop(stream.shutdown().await);
        let mut heard = Vec::new();
        drop(stream.read_to_end(&mut heard).await);
        Some(heard)
    };
    timeout(PATIENCE, exchange).await.ok().flatten()
}
