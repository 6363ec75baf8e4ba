//! The one endpoint: health and metrics for anybody on the host, event logs for who holds a link, everything else by the
//! service a signature names.

use super::Parts;
use super::agents_page::AgentsPage;
use super::gatekeeper::IdentityGate;
use super::listener::Caller;
use super::progress::ProgressPage;
use super::retention::{Counts, Kind};
use super::usage_page::UsagePage;
use crate::config::CoordinatorConfig;
use crate::control::{Control, LINKS, secret_of};
use crate::ui::as_file;
use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::serve::{IncomingStream, Listener};
use hearth_api::emr::PageTokens;
use hearth_api::route::{Route, Service, route};
use hearth_api::{Api, Connection};
use hearth_engine::{Engine, now};
use hearth_objects::{Gateway, Peer, QuerySigV2, gateway};
use hearth_telemetry::Metrics;
use hearth_types::JobRunState;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What answers requests; cheap to clone.
#[derive(Clone)]
pub(super) struct Front {
    api: Arc<Api>,
    objects: Gateway,
    progress: Arc<ProgressPage>,
    agents: Arc<AgentsPage>,
    usage: Arc<UsagePage>,
    control: Arc<Control>,
    metrics: Arc<CoordinatorMetrics>,
}

impl Front {
    pub(super) fn new(
        config: &CoordinatorConfig,
        parts: &Parts,
        control: Arc<Control>,
    ) -> anyhow::Result<Self> {
        let sig_v2 = if config.query_sigv2 { QuerySigV2::Accepted } else { QuerySigV2::Refused };
        let gate = Arc::new(IdentityGate { identity: parts.identity.clone(), region: config.region.clone() });
        let api = Arc::new(Api::new(
            parts.identity.clone(),
            control.clone(),
            PageTokens::new(&parts.master_key),
            config.throttle()?,
            config.region.clone(),
            now,
        ));
        Ok(Self {
            metrics: Arc::new(CoordinatorMetrics {
                engine: parts.engine.clone(),
                api: api.clone(),
                removed: parts.removed.clone(),
            }),
            api,
            objects: gateway(parts.objects.clone(), gate, &config.region, sig_v2),
            progress: Arc::new(ProgressPage {
                identity: parts.identity.clone(),
                engine: parts.engine.clone(),
                store: parts.store.clone(),
                control: control.clone(),
                region: config.region.clone(),
                account_id: config.account_id.clone(),
            }),
            agents: Arc::new(AgentsPage {
                identity: parts.identity.clone(),
                engine: parts.engine.clone(),
                region: config.region.clone(),
                account_id: config.account_id.clone(),
            }),
            usage: Arc::new(UsagePage {
                identity: parts.identity.clone(),
                store: parts.store.clone(),
                control: control.clone(),
                region: config.region.clone(),
                account_id: config.account_id.clone(),
            }),
            control,
        })
    }
}

/// Answers whatever is asked at the endpoint.
pub(super) fn router(front: Front) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics))
        .route("/hearth/v1/job-runs/{id}/progress", get(progress))
        .route("/hearth/v1/job-runs/{id}/timeline", get(timeline))
        .route("/hearth/v1/agents", any(agents))
        .route("/hearth/v1/agents/{*rest}", any(agents))
        .route("/hearth/v1/usage", get(usage))
        .route(LINKS, get(dashboard))
        .fallback(answer)
        .with_state(front)
}

/// Serves until told to stop.
pub(super) async fn serve<L>(listener: L, router: Router, stopping: CancellationToken)
where
    L: Listener<Addr: std::fmt::Debug>,
    Caller: for<'a> Connected<IncomingStream<'a, L>>,
{
    let service = router.into_make_service_with_connect_info::<Caller>();
    let served = axum::serve(listener, service).with_graceful_shutdown(stopping.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(error = %error, "serving HTTP");
    }
}

async fn metrics(State(front): State<Front>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], front.metrics.encode())
}

async fn progress(State(front): State<Front>, request: Request) -> Response {
    front.progress.progress(request).await
}

async fn timeline(State(front): State<Front>, request: Request) -> Response {
    front.progress.timeline(request).await
}

async fn agents(State(front): State<Front>, request: Request) -> Response {
    front.agents.answer(request).await
}

async fn usage(State(front): State<Front>, request: Request) -> Response {
    front.usage.answer(request).await
}

async fn dashboard(State(front): State<Front>, uri: Uri) -> Response {
    let (secret, _) = secret_of(&uri).unwrap_or_default();
    behind_link(&front, secret, None).await
}

/// Secret and log of a link whose path was put in place of a dashboard's. A bucket may be called `logs`, but who asks for
/// its objects signs.
fn link_to_log(request: &Request) -> Option<(&str, &str)> {
    if request.method() != Method::GET || request.headers().contains_key(AUTHORIZATION) {
        return None;
    }
    let (secret, log) = secret_of(request.uri())?;
    Some((secret, log?))
}

/// What a link leads to, as a file.
async fn behind_link(front: &Front, secret: &str, log: Option<&str>) -> Response {
    let Some(log) = front.control.follow_link(secret, log).await else {
        let gone = "This link was used or is over. Ask GetDashboardForJobRun for another.\n";
        return (StatusCode::NOT_FOUND, gone).into_response();
    };
    as_file(log)
}

async fn answer(
    State(front): State<Front>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    request: Request,
) -> Response {
    if let Some((secret, log)) = link_to_log(&request) {
        return behind_link(&front, secret, Some(log)).await;
    }
    let source_ip = Some(caller.address.ip());
    let (parts, body) = request.into_parts();
    let is_s3 = matches!(route(&parts), Route::To(Service::S3));
    let mut request = Request::from_parts(parts, body);
    if is_s3 {
        request.extensions_mut().insert(Peer { address: source_ip, is_tls: caller.is_tls });
        return front.objects.serve(request).await.map(Body::new);
    }
    front.api.handle(request, Connection { source_ip, is_tls: caller.is_tls }).await
}

/// Counts of the world as it is when they are asked for.
struct CoordinatorMetrics {
    engine: Engine,
    api: Arc<Api>,
    removed: Arc<Counts>,
}

impl CoordinatorMetrics {
    fn encode(&self) -> String {
        let metrics = Metrics::new("hearth_coordinator", env!("CARGO_PKG_VERSION"));
        let world = self.engine.snapshot();
        let count = |items: usize| i64::try_from(items).unwrap_or(i64::MAX);
        metrics.gauge("applications", "Applications").set(count(world.applications().count()));
        metrics.gauge("job_runs_waiting", "Job runs without driver").set(count(world.waiting().count()));
        metrics.gauge("job_runs_active", "Job runs that have not ended").set(count(world.runs().count()));
        let queued = world.waiting().filter(|run| run.state() == JobRunState::Queued).count();
        metrics.gauge("job_runs_queued", "Job runs in QUEUED").set(count(queued));
        let millis = i64::try_from(world.cpu_millis_held()).unwrap_or(i64::MAX);
        metrics.gauge("vcpu_millis_held", "Thousandths of vCPUs that live workers hold").set(millis);
        let throttled =
            metrics.counters("requests_throttled", "Requests refused beyond their operation's limit");
        for (operation, refused) in self.api.throttle().refusals() {
            throttled.get_or_create(&[("operation", operation)]).inc_by(refused);
        }
        let removed = metrics.counters("removed", "What was kept for long enough and removed");
        for kind in Kind::ALL {
            removed.get_or_create(&[("kind", kind.as_str())]).inc_by(self.removed.of(kind));
        }
        metrics.gauge("workers", "Live workers").set(count(world.workers().count()));
        let attached = world.agents().filter(|agent| agent.is_in_contact()).count();
        metrics.gauge("agents_attached", "Agents in contact").set(count(attached));
        metrics.encode()
    }
}
