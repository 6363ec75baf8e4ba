//! Wiring: reads the identity, builds the adapters, runs, drains.

use crate::archives::{self, Archives, Wanted};
use crate::config::Config;
use crate::health::{self, Health};
use crate::host::{self, Host, Service, Uids};
use crate::identity::Identity;
use crate::leases::Contacts;
use crate::memory;
use crate::outbox::Outbox;
use crate::roster::Roster;
use crate::session::{Addresses, Session};
use crate::settings::Settings;
use crate::superseded::remove_superseded;
use crate::ui;
use crate::uplink::{Uplink, uplink};
use crate::worker::remove_stray;
use anyhow::Context as _;
use hearth_bundles::BundleCache;
use hearth_cgroups::Cgroups;
use hearth_credentials::{CredentialServer, Registry};
use hearth_logs::UPLOADS_PER_HOST;
use hearth_mtls::EndpointDialer;
use hearth_network::{Forwarder, Upstream};
use hearth_processes::host::HostInventory;
use hearth_processes::{KeeperProgram, UidRange, WorkerDirs};
use hearth_proto::v1;
use hearth_telemetry::{Metrics, error_chain};
use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long tasks may take to let go of their workers.
const DRAIN: Duration = Duration::from_secs(5);
/// How often workers' credentials are looked at.
const RENEW_EVERY: Duration = Duration::from_secs(60);
/// A daemon outlives every worker when memory runs out (design §6.1).
const OOM_SCORE_ADJUSTMENT: &str = "-900";

/// Runs the agent until it is told to stop; its workers stay.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let state = config.state_dir.clone();
    let _lock = lock(&state)?;
    protect_this_process();
    let identity = Identity::load(&state)?;
    let settings = Settings::read(&state)?;
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    let outbox = Outbox::default();
    let (uplink_setter, uplink) = uplink();

    let registry = Registry::new(Arc::new(uplink.clone()));
    let credentials_port = chosen(config.ports.credentials, settings.credentials_port);
    // Before anything that takes time, lest workers of a former agent are refused a connection.
    let known = CancellationToken::new();
    let credentials =
        CredentialServer::start(credentials_port, registry.clone(), known.clone().cancelled_owned()).await?;
    let (upstream_setter, upstream) = watch::channel(settings.upstream(&identity.services));
    let forward_port = chosen(config.ports.forward, settings.forward_port);
    let forwarder = Forwarder::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, forward_port)), upstream).await?;
    let settings = Settings {
        credentials_port: credentials.local_addr().port(),
        forward_port: forwarder.local_addr().port(),
        ..settings
    };
    settings.write(&state).await.context("keeping the chosen ports")?;
    let (service_setter, service) =
        watch::channel(Service { url: settings.service_url(), region: settings.region.clone() });

    let inventory = HostInventory::read(&state)?;
    let (host, archive_orders) = make_host(
        &config,
        &identity,
        &inventory,
        Parts { outbox: outbox.clone(), uplink: uplink.clone(), registry: registry.clone(), service },
        credentials.full_uri(),
    )
    .await?;
    let host = Arc::new(host);
    for advice in host.advisory() {
        tracing::warn!(advice, "limit is only advisory");
    }

    let (roster, roster_handle, found) = {
        let (host, tasks, stop) = (host.clone(), tasks.clone(), stop.clone());
        // Within the runtime: the workers' tasks begin here.
        tokio::task::spawn_blocking(move || Roster::open(host, tasks, stop)).await??
    };
    known.cancel();
    tasks.spawn(roster.run());
    for stray in &found.strays {
        remove_stray(&host, stray).await;
    }
    remove_superseded(&host, found.bundles).await;

    let (status, attached) = watch::channel(false);
    let metrics = Metrics::new("hearth_agent", env!("CARGO_PKG_VERSION"));
    let health = Health { attached, metrics, outbox: outbox.clone() };
    let listening = health::serve(config.health.listen, health, stop.clone())
        .await
        .with_context(|| format!("listening for health requests on {}", config.health.listen))?;

    // One welcome at a time is enough: the next is taken when this one is kept.
    let (welcomed, welcomes) = mpsc::channel(1);
    let session = Session {
        addresses: Addresses { fixed: config.coordinators.clone(), file: config.coordinator_file.clone() },
        identity: identity.client.clone(),
        outbox,
        roster: roster_handle,
        contacts: host.contacts.clone(),
        uplink: uplink_setter,
        welcomed,
        status,
        inventory: {
            let host = host.clone();
            Box::new(move || host.inventory(&inventory))
        },
    };
    tracing::info!(
        agent_id = %identity.agent,
        version = env!("CARGO_PKG_VERSION"),
        health = %listening,
        isolation = ?host.isolation,
        "agent started"
    );
    if config.archives.enabled {
        tasks.spawn(until(stop.clone(), archives::keep_making(host.clone(), archive_orders)));
    }
    tasks.spawn(session.run(stop.clone()));
    tasks.spawn(until(stop.clone(), ui::keep_passing_on(host.clone())));
    let services =
        Services { dialer: identity.services.clone(), upstream: upstream_setter, service: service_setter };
    tasks.spawn(until(stop.clone(), identity.keep_fresh(uplink)));
    tasks.spawn(until(stop.clone(), renew_credentials(registry)));
    tasks.spawn(until(stop.clone(), memory::keep_giving_back()));
    tasks.spawn(until(stop.clone(), follow_coordinator(welcomes, settings, state, services)));

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("agent stops, its workers stay");
    stop.cancel();
    tasks.close();
    if timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::warn!(left = tasks.len(), "some tasks did not end in time");
    }
    credentials.shutdown().await;
    drop(forwarder);
    if let Err(error) = archives::clear_training(&host).await {
        tracing::warn!(error = error_chain(&error), "ending a training failed");
    }
    tokio::task::spawn_blocking(move || remove_empty_parent(&host)).await?;
    Ok(())
}

/// Leaves no control group on a host without workers; the next agent makes it again. Blocks.
fn remove_empty_parent(host: &Host) {
    if host.cgroups.list().is_empty()
        && let Err(error) = host.cgroups.remove()
    {
        tracing::warn!(error = error_chain(&error), "removing the control group of all workers failed");
    }
}

async fn until(stop: CancellationToken, task: impl Future<Output = ()>) {
    tokio::select! {
        () = task => {}
        () = stop.cancelled() => {}
    }
}

/// Makes the state directory if need be and takes it for this process alone. The file says which process that is.
fn lock(state: &Path) -> anyhow::Result<File> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state)
        .with_context(|| format!("making {}", state.display()))?;
    let path = state.join("lock");
    let opened = File::options().write(true).create(true).truncate(false).open(&path);
    let mut file = opened.with_context(|| format!("opening {}", path.display()))?;
    file.try_lock().with_context(|| format!("another agent works in {}", state.display()))?;
    let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.with_context(|| format!("writing {}", path.display()))?;
    Ok(file)
}

/// Makes workers the first to go when memory runs out; needs root, and is only then claimed.
fn protect_this_process() {
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJUSTMENT) {
        tracing::debug!(%error, "this process is not protected from the kernel's memory killer");
    }
}

/// What the configuration says, else what was chosen before.
fn chosen(configured: u16, kept: u16) -> u16 {
    if configured == 0 { kept } else { configured }
}

/// What is shared with other tasks.
struct Parts {
    outbox: Outbox,
    uplink: Uplink,
    registry: Registry,
    service: watch::Receiver<Service>,
}

async fn make_host(
    config: &Config,
    identity: &Identity,
    inventory: &HostInventory,
    parts: Parts,
    credentials_uri: String,
) -> anyhow::Result<(Host, mpsc::Receiver<Wanted>)> {
    let isolation = host::isolation();
    let cgroup = config.host.cgroup.clone().unwrap_or_else(|| identity.agent.to_string());
    let memory = host::memory_of_all_workers(config, inventory);
    let found = config.clone();
    let (cgroups, (java, python), dirs, training_dirs, (archives, orders)) =
        tokio::task::spawn_blocking(move || {
            let cgroups = Cgroups::prepare(&cgroup, Some(memory))?;
            let dirs = WorkerDirs::open(&found.state_dir)?;
            let training_dirs = WorkerDirs::open(&found.state_dir.join("training"))?;
            let archives = Archives::open(&found.state_dir).context("opening the class-data archives")?;
            anyhow::Ok((cgroups, host::installations(&found, isolation), dirs, training_dirs, archives))
        })
        .await??;
    let jvm_dir = share_dir(config)?.join("jvm");
    let host = Host {
        isolation,
        dirs,
        cgroups,
        keeper: KeeperProgram::beside_this_program()
            .context("looking for hearth-keeper beside this program")?,
        bundles: BundleCache::open(config.state_dir.join("bundles")).await?,
        archives,
        training_dirs,
        credentials: parts.registry,
        credentials_uri,
        service: parts.service,
        java,
        python,
        jvm_dir,
        uids: Uids::new(UidRange { first: config.host.first_uid, count: config.host.uids }),
        outbox: parts.outbox,
        uplink: parts.uplink,
        contacts: Contacts::default(),
        uploads: Arc::new(Semaphore::new(UPLOADS_PER_HOST)),
        config: config.clone(),
    };
    Ok((host, orders))
}

/// The installation's share directory: configured, in `HEARTH_SHARE`, or beside the program.
fn share_dir(config: &Config) -> anyhow::Result<PathBuf> {
    if let Some(directory) = &config.host.share_dir {
        return Ok(directory.clone());
    }
    if let Some(directory) = std::env::var_os("HEARTH_SHARE") {
        return Ok(directory.into());
    }
    let program = std::env::current_exe().context("finding this program")?;
    let prefix = program.parent().and_then(Path::parent).context("finding this program's installation")?;
    Ok(prefix.join("share/hearth"))
}

/// Renews workers' credentials at half their life.
async fn renew_credentials(registry: Registry) {
    let mut ticks = interval(RENEW_EVERY);
    loop {
        ticks.tick().await;
        for worker in registry.due_for_refresh(SystemTime::now()) {
            if let Err(error) = registry.renew(&worker).await {
                tracing::warn!(worker_id = %worker, error = error_chain(&error), "renewing credentials failed");
            }
        }
    }
}

/// What learns where the coordinator's services are.
struct Services {
    dialer: EndpointDialer,
    upstream: watch::Sender<Upstream>,
    service: watch::Sender<Service>,
}

/// Keeps what each welcome says about the coordinator's services, and points this host's workers there.
async fn follow_coordinator(
    mut welcomes: mpsc::Receiver<(v1::Welcome, oneshot::Sender<()>)>,
    mut settings: Settings,
    state: PathBuf,
    services: Services,
) {
    while let Some((welcome, done)) = welcomes.recv().await {
        let told = Settings {
            service_endpoint: welcome.service_endpoint,
            region: welcome.region,
            ..settings.clone()
        };
        if told != settings {
            settings = told;
            services.upstream.send_replace(settings.upstream(&services.dialer));
            services
                .service
                .send_replace(Service { url: settings.service_url(), region: settings.region.clone() });
            if let Err(error) = settings.write(&state).await {
                tracing::error!(%error, "keeping the coordinator's address failed");
            }
        }
        // A session that is gone needs no answer.
        let _ = done.send(());
    }
}
