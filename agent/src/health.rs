//! Health and metrics over HTTP.

use crate::outbox::Outbox;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::routing::get;
use hearth_telemetry::{CONTENT_TYPE, Metrics};
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What the endpoint answers from.
#[derive(Clone)]
pub(crate) struct Health {
    /// Whether the coordinator is in touch.
    pub(crate) attached: watch::Receiver<bool>,
    pub(crate) metrics: Metrics,
    pub(crate) outbox: Outbox,
}

/// Serves `/healthz` and `/metrics` on `address` until `stop`.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) async fn serve(
    address: SocketAddr,
    health: Health,
    stop: CancellationToken,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let gauges = Gauges::register(&health.metrics);
    let app = Router::new()
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .with_state((health, gauges));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await {
            tracing::error!(%error, "health endpoint ended");
        }
    });
    Ok(address)
}

/// Figures read at the moment they are asked for.
#[derive(Clone)]
struct Gauges {
    attached: hearth_telemetry::prometheus_client::metrics::gauge::Gauge,
    workers: hearth_telemetry::prometheus_client::metrics::family::Family<
        hearth_telemetry::Labels,
        hearth_telemetry::prometheus_client::metrics::gauge::Gauge,
    >,
}

impl Gauges {
    fn register(metrics: &Metrics) -> Self {
        Self {
            attached: metrics.gauge("attached", "Whether the coordinator is in touch"),
            workers: metrics.gauges("workers", "Workers by state"),
        }
    }
}

/// Alive means able to answer; a coordinator that is away is no reason to restart an agent that holds workers.
async fn healthz(State((health, _)): State<(Health, Gauges)>) -> (StatusCode, &'static str) {
    let text = if *health.attached.borrow() { "ok\n" } else { "ok, coordinator away\n" };
    (StatusCode::OK, text)
}

async fn metrics(
    State((health, gauges)): State<(Health, Gauges)>,
) -> ([(header::HeaderName, &'static str); 1], String) {
    gauges.attached.set(i64::from(*health.attached.borrow()));
    for (state, count) in health.outbox.count() {
        gauges.workers.get_or_create(&[("state", state)]).set(count);
    }
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], health.metrics.encode())
}
