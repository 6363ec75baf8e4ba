//! The coordinator as one running thing: opens what it keeps, starts what it serves.

mod agents_page;
mod builds;
mod bundles;
mod certificates;
mod documents;
mod env_file;
mod gatekeeper;
mod http;
mod kept;
mod listener;
mod progress;
mod retention;
mod seeds;
mod signed;
mod supplies;
mod usage_page;

pub(crate) use kept::{private_dir, write_private};

use crate::config::{CoordinatorConfig, EndpointTls};
use crate::control::{Control, Site, Updates};
use crate::ui::{Door, Passes, UiOrigin};
use anyhow::Context;
use axum::Router;
use certificates::Certificates;
use hearth_agents::{
    ANSWER_WINDOW, AgentService, CONNECTION_WINDOW, EnrolmentService, Sessions, Supplies, UiRelay,
    perform_effects,
};
use hearth_coordinator_core::command::Command;
use hearth_engine::Engine;
use hearth_identity::{Identity, JobClaim, LaunchGuard, NewAccessKey, Standing};
use hearth_mtls::{Admission, Authority, LiveCredential, MtlsListener};
use hearth_objects::ObjectStore;
use hearth_proto::v1::agents_server::AgentsServer;
use hearth_proto::v1::enrolment_server::EnrolmentServer;
use hearth_releases::Catalog;
use hearth_store::Store;
use hearth_types::AgentId;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Effects that may wait to be performed.
const EFFECTS: usize = 4096;
/// How long open requests may take once the coordinator is told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Where the database is.
pub fn database(data_dir: &Path) -> PathBuf {
    data_dir.join("hearth.db")
}

/// Port of the enrolment service of the coordinator that keeps its data in `data_dir`.
pub(crate) fn enrolment_port(data_dir: &Path) -> anyhow::Result<u16> {
    Ok(kept::Ports::read(data_dir)?.enrolment)
}

/// A running coordinator.
pub struct Coordinator {
    /// Address of the AWS-compatible endpoint.
    pub endpoint: SocketAddr,
    /// Its URL for clients on this machine.
    pub endpoint_url: String,
    /// Address of the agents' service.
    pub agents: SocketAddr,
    /// Address of the enrolment service.
    pub enrolment: SocketAddr,
    /// Address at which live UIs are shown, if they are.
    pub ui: Option<SocketAddr>,
    /// Certificate of the authority (PEM).
    pub ca_certificate: String,
    /// Fingerprint of the certificate authority, as `hearth-agent join` takes it.
    pub ca_fingerprint: String,
    /// The administrator's access key.
    pub administrator: NewAccessKey,
    /// Decides.
    pub engine: Engine,
    /// Remembers.
    pub store: Store,
    sessions: Sessions,
    lease_extension: Duration,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

struct Guard(Engine);

impl LaunchGuard for Guard {
    /// Credentials are good until a newer launch is durable or the run has ended; for a worker's own logs they are good as
    /// long as it is not gone.
    fn standing(&self, job: &JobClaim) -> Standing {
        let given = hearth_types::Launch { attempt: job.attempt, launch: job.launch };
        let world = self.0.snapshot();
        if world.run(&job.job_run_id).is_some_and(|run| run.launch <= given) {
            return Standing::Current;
        }
        match world.worker(&job.worker_id) {
            Some(worker) if worker.launch == given => Standing::LogsOnly,
            Some(_) | None => Standing::Over,
        }
    }
}

/// What the parts of a coordinator share.
struct Parts {
    store: Store,
    objects: ObjectStore,
    identity: Arc<Identity>,
    engine: Engine,
    catalog: Arc<Catalog>,
    master_key: [u8; 32],
    removed: Arc<retention::Counts>,
}

impl Coordinator {
    /// Opens everything and serves. Fails, having served nothing, when something cannot be opened.
    pub async fn start(config: &CoordinatorConfig) -> anyhow::Result<Self> {
        config.check()?;
        hearth_mtls::install_provider();
        kept::private_dir(&config.data_dir.join("ca"))?;
        let authority = Arc::new(
            Authority::open_or_create(
                &config.data_dir.join("ca"),
                &config.cluster,
                std::time::SystemTime::now(),
            )
            .context("opening the certificate authority")?,
        );
        let certificates = Certificates::open(config, authority.clone())?;
        let (effects, owed) = mpsc::channel(EFFECTS);
        let parts = open_parts(config, effects).await?;
        let seeds = seeds::plant(&parts, config).await?;

        let ports = kept::Ports::read(&config.data_dir)?;
        let endpoint = bind(config.listen).await?;
        let agents = kept::bind_kept(config.agents_listen, ports.agents).await?;
        let enrolment = kept::bind_kept(config.enrolment_listen, ports.enrolment).await?;
        let (endpoint_addr, agents_addr, enrolment_addr) =
            (endpoint.local_addr()?, agents.local_addr()?, enrolment.local_addr()?);
        let ui = UiListener::open(config, ports.ui).await?;
        let ui_addr = ui.as_ref().map(|ui| ui.address);
        let site_host = certificates.site.as_ref().and_then(|site| site.host());
        let endpoint_url = config.endpoint_url(endpoint_addr.port(), site_host)?;
        let service_endpoint = config.service_url(endpoint_addr.port())?;
        let ui_port = ui_addr.map_or(ports.ui, |address| address.port());
        kept::Ports { agents: agents_addr.port(), enrolment: enrolment_addr.port(), ui: ui_port }
            .write(&config.data_dir)?;

        let epoch = parts.store.next_epoch().await?;
        let stopping = CancellationToken::new();
        let tasks = TaskTracker::new();
        let supplies: Arc<dyn Supplies> = Arc::new(supplies::DaemonSupplies {
            identity: parts.identity.clone(),
            engine: parts.engine.clone(),
            objects: parts.objects.clone(),
            store: parts.store.clone(),
            master_key: parts.master_key,
        });
        let sessions = Sessions::default();
        let uis = UiRelay::default();
        let (builds, to_build) = mpsc::unbounded_channel();
        // What is not performed when we stop is derived again.
        let performing =
            perform_effects(owed, parts.engine.clone(), epoch, sessions.clone(), supplies.clone(), builds);
        tasks.spawn(stopping.clone().run_until_cancelled_owned(performing));
        let retention = retention::Retention::new(&parts, config.keep());
        tasks.spawn(stopping.clone().run_until_cancelled_owned(retention.run()));
        let builder = builds::Builder::new(&parts, config.keep().bundles);
        tasks.spawn(builds::build_releases(to_build, builder, stopping.clone()));

        let service = AgentService {
            engine: parts.engine.clone(),
            sessions: sessions.clone(),
            uis: uis.clone(),
            supplies,
            authority: authority.clone(),
            terms: hearth_agents::Terms {
                epoch,
                lease: config.lease_terms().lease,
                heartbeat: config.heartbeat(),
                service_endpoint,
                region: config.region.clone(),
                certificate_lifetime: config.certificate_lifetime(),
            },
        };
        let enrolment_service = EnrolmentService {
            store: parts.store.clone(),
            authority: authority.clone(),
            agents_endpoint: format!("{}:{}", config.advertise_host, agents_addr.port()),
            certificate_lifetime: config.certificate_lifetime(),
        };
        serve_agents(&tasks, &stopping, agents, &authority, certificates.own.clone(), service)?;
        serve_enrolment(
            &tasks,
            &stopping,
            enrolment,
            &authority,
            certificates.own.clone(),
            enrolment_service,
        )?;
        let control = Arc::new(Control {
            engine: parts.engine.clone(),
            store: parts.store.clone(),
            identity: parts.identity.clone(),
            catalog: parts.catalog.clone(),
            objects: parts.objects.clone(),
            links: Passes::default(),
            door: ui.as_ref().map(|ui| ui.door.clone()),
            site: Site { account_id: config.account_id.clone(), region: config.region.clone() },
            updates: if config.strict_updates { Updates::Strict } else { Updates::WhileStarted },
        });
        if let Some(UiListener { listener, door, .. }) = ui {
            let router = crate::ui::router(crate::ui::Front { door, control: control.clone(), relay: uis });
            serve_http(&tasks, &stopping, listener, router, &certificates, config)?;
        }
        let router = http::router(http::Front::new(config, &parts, control)?);
        serve_http(&tasks, &stopping, endpoint, router, &certificates, config)?;
        tasks.spawn(certificates.keep_fresh(stopping.clone()));
        Ok(Self {
            endpoint: endpoint_addr,
            endpoint_url,
            ca_certificate: authority.certificate_pem(),
            agents: agents_addr,
            enrolment: enrolment_addr,
            ui: ui_addr,
            ca_fingerprint: authority.fingerprint().to_string(),
            administrator: seeds.administrator,
            engine: parts.engine,
            store: parts.store,
            sessions,
            lease_extension: config.lease_extension(),
            stopping,
            tasks,
        })
    }

    /// Stops serving for a while: every agent's leases are extended first, so that no worker is frozen meanwhile.
    pub async fn leave(self) {
        let extension = self.lease_extension;
        let end = self.engine.clock().now().moment.plus(extension);
        match self.engine.ask(Command::Leaving { extension }).await {
            // What is recorded may be told: the next coordinator waits for as long as agents may have heard of.
            Ok(_) => {
                let world = self.engine.snapshot();
                let is_recorded =
                    |id: &AgentId| world.agent(id).is_some_and(|agent| agent.is_extended_to(end));
                self.sessions.extend_leases(extension, is_recorded);
            }
            Err(error) => {
                tracing::error!(error = %error, "extending leases; drivers are frozen if this takes long");
            }
        }
        self.stop().await;
    }

    /// Stops serving; running jobs are left alone. Everything answered is durable already.
    pub async fn stop(self) {
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("some requests were still open when the coordinator stopped");
        }
    }
}

async fn open_parts(
    config: &CoordinatorConfig,
    effects: mpsc::Sender<hearth_coordinator_core::command::Effect>,
) -> anyhow::Result<Parts> {
    let store = Store::open(&database(&config.data_dir)).await?;
    let objects =
        ObjectStore::open(&config.data_dir.join("objects")).await.context("opening the object store")?;
    let master_key = kept::master_key(&config.data_dir)?;
    let documents = Arc::new(documents::StoredDocuments(store.clone()));
    let identity =
        Identity::open(documents, &master_key, &config.account_id).await.context("opening identities")?;
    let catalog = Catalog::load(&config.releases()?).context("reading the release catalog")?;
    let engine = Engine::start(store.clone(), effects, config.lease_terms(), config.quotas()).await?;
    let identity = Arc::new(identity);
    identity.guard_launches(Arc::new(Guard(engine.clone())));
    Ok(Parts {
        store,
        objects,
        identity,
        engine,
        catalog: Arc::new(catalog),
        master_key,
        removed: Arc::default(),
    })
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("listening on {address}; is another hearth running? `hearth down` stops it, --listen takes another port")
    })
}

/// Where live UIs are shown.
struct UiListener {
    listener: TcpListener,
    address: SocketAddr,
    door: Arc<Door>,
}

impl UiListener {
    /// Listens, if it is known by which names browsers come here. A port that is 0 is chosen, and kept.
    async fn open(config: &CoordinatorConfig, kept: u16) -> anyhow::Result<Option<Self>> {
        if !config.shows_live_uis()? {
            return Ok(None);
        }
        let listener = kept::bind_kept(config.ui_listen, kept).await?;
        let address = listener.local_addr()?;
        let origin = UiOrigin::parse(&config.ui_url(address.port())?)?;
        Ok(Some(Self { listener, address, door: Arc::new(Door::new(origin)) }))
    }
}

fn serve_http(
    tasks: &TaskTracker,
    stopping: &CancellationToken,
    listener: TcpListener,
    router: Router,
    certificates: &Certificates,
    config: &CoordinatorConfig,
) -> anyhow::Result<()> {
    match config.endpoint_tls()? {
        EndpointTls::Off => {
            tasks.spawn(http::serve(listener::Plain(listener), router, stopping.clone()));
        }
        EndpointTls::OwnAuthority | EndpointTls::Site { .. } => {
            let tls =
                hearth_mtls::endpoint_server_config(certificates.own.clone(), certificates.site.clone())?;
            let listener = MtlsListener::new(listener, tls, Admission::Anybody, &config.cluster)?;
            tasks.spawn(http::serve(listener::Tls(listener), router, stopping.clone()));
        }
    }
    Ok(())
}

fn serve_agents(
    tasks: &TaskTracker,
    stopping: &CancellationToken,
    listener: TcpListener,
    authority: &Authority,
    credential: Arc<LiveCredential>,
    service: AgentService,
) -> anyhow::Result<()> {
    let config = hearth_mtls::agents_server_config(authority.certificate(), credential)?;
    let incoming = MtlsListener::new(listener, config, Admission::Agents, authority.cluster())?;
    let (stopping, sessions, uis) = (stopping.clone(), service.sessions.clone(), service.uis.clone());
    tasks.spawn(async move {
        let server = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(service.terms.heartbeat))
            .initial_stream_window_size(ANSWER_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .add_service(AgentsServer::new(service));
        let stop = async {
            stopping.cancelled().await;
            // A stream lives as long as its agent; the server would wait for it.
            sessions.close_all();
            uis.close();
        };
        report(server.serve_with_incoming_shutdown(incoming, stop).await, "serving agents");
    });
    Ok(())
}

fn serve_enrolment(
    tasks: &TaskTracker,
    stopping: &CancellationToken,
    listener: TcpListener,
    authority: &Authority,
    credential: Arc<LiveCredential>,
    service: EnrolmentService,
) -> anyhow::Result<()> {
    let config = hearth_mtls::enrolment_server_config(credential)?;
    let incoming = MtlsListener::new(listener, config, Admission::Anybody, authority.cluster())?;
    let stopping = stopping.clone();
    tasks.spawn(async move {
        let server = tonic::transport::Server::builder().add_service(EnrolmentServer::new(service));
        let stop = stopping.cancelled_owned();
        report(server.serve_with_incoming_shutdown(incoming, stop).await, "serving enrolment");
    });
    Ok(())
}

fn report(served: Result<(), tonic::transport::Error>, doing: &'static str) {
    if let Err(error) = served {
        tracing::error!(error = %hearth_telemetry::error_chain(&error), doing, "a service ended");
    }
}
