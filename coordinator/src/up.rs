//! `hearth up`: a whole cluster on one machine, without configuration.

use crate::config::CoordinatorConfig;
use crate::daemon::Coordinator;
use crate::process::Process;
use anyhow::Context;
use hearth_coordinator_core::command::Command as EngineCommand;
use hearth_coordinator_core::job_run::CancelCause;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod agent;
mod restarts;

/// How long the agent may take to attach before the ready line is printed.
const ATTACH_WITHIN: Duration = Duration::from_secs(60);
/// How long drivers may take to end by themselves when hearth is stopped.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// How long all job runs may take to end when hearth is stopped.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// What a person may choose.
#[derive(Debug, Clone)]
pub struct UpOptions {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Address of the endpoint.
    pub listen: SocketAddr,
    /// Offer what the machine has, and no more.
    pub capacity_real: bool,
    /// Have the service's default quotas and limits of requests.
    pub service_quotas: bool,
    /// Serve plain HTTP on an address that is not loopback.
    pub insecure_http: bool,
    /// Serve within TLS.
    pub tls: bool,
    /// Further names of the endpoint.
    pub tls_names: Vec<String>,
    /// Address at which live UIs are shown; on loopback with a port that is kept unless given.
    pub ui_listen: Option<SocketAddr>,
    /// How browsers reach it.
    pub ui_url: Option<String>,
    /// The site's own certificate (PEM).
    pub tls_certificate: Option<PathBuf>,
    /// Its private key (PEM).
    pub tls_key: Option<PathBuf>,
}

/// Starts everything, prints one ready line, and stops everything on SIGINT or SIGTERM.
pub async fn run(options: UpOptions) -> anyhow::Result<()> {
    let data_dir = std::path::absolute(&options.data_dir).context("finding the data directory")?;
    crate::daemon::private_dir(&data_dir)?;
    let _running = RunningFile::claim(&data_dir)?;
    hearth_telemetry::start_logging_to(log_file(&data_dir)?)?;
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = CoordinatorConfig {
        data_dir: data_dir.join("coordinator"),
        listen: options.listen,
        service_quotas: options.service_quotas,
        insecure_http: options.insecure_http,
        tls: options.tls,
        tls_names: options.tls_names,
        tls_certificate: options.tls_certificate,
        tls_key: options.tls_key,
        agents_listen: any_port,
        enrolment_listen: any_port,
        ui_listen: options.ui_listen.unwrap_or(any_port),
        ui_url: options.ui_url,
        ..CoordinatorConfig::default()
    };
    let coordinator = Coordinator::start(&config).await?;
    coordinator.write_env(&data_dir, &config)?;
    let mut agent = agent::Agent::start(&data_dir, &coordinator, options.capacity_real).await?;
    tokio::select! {
        attached = wait_for_agent(&coordinator, &mut agent) => attached?,
        () = told_to_stop() => return stop(coordinator, agent).await,
    }
    announce(&data_dir, &coordinator);
    tokio::select! {
        () = told_to_stop() => {}
        never = agent.keep_alive() => match never {},
    }
    stop(coordinator, agent).await
}

/// The terminal is the user's: what the daemon has to say goes to `DIR/hearth.log`.
fn log_file(data_dir: &Path) -> anyhow::Result<std::fs::File> {
    let path = data_dir.join("hearth.log");
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    opened.with_context(|| format!("opening {}", path.display()))
}

async fn wait_for_agent(coordinator: &Coordinator, agent: &mut agent::Agent) -> anyhow::Result<()> {
    let mut worlds = coordinator.engine.changes();
    let attached = worlds.wait_for(|world| world.agents().any(|agent| agent.is_in_contact()));
    tokio::select! {
        waited = tokio::time::timeout(ATTACH_WITHIN, attached) => {
            waited.with_context(|| format!("the agent did not attach within {} s; see {}", ATTACH_WITHIN.as_secs(), agent.log().display()))?
                .context("the engine ended")?;
            Ok(())
        }
        never = agent.keep_alive() => match never {},
    }
}

fn announce(data_dir: &Path, coordinator: &Coordinator) {
    let advisory = if nix::unistd::geteuid().is_root() {
        ""
    } else {
        "\nnot running as root: worker limits are advisory, and jobs share one user: they can read each other's credentials"
    };
    let line = format!(
        "hearth is ready at {} — to use it: set -a; . {}/env; set +a{advisory}",
        coordinator.endpoint_url,
        data_dir.display()
    );
    #[allow(clippy::print_stdout, reason = "the ready line is this command's output")]
    {
        println!("{line}");
    }
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be handled");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Ends every job run as CANCELLED, then the agent, then ourselves.
async fn stop(coordinator: Coordinator, agent: agent::Agent) -> anyhow::Result<()> {
    tracing::info!("stopping");
    for run in coordinator.engine.snapshot().runs() {
        let command = EngineCommand::CancelJobRun {
            application: run.application.clone(),
            run: run.id.clone(),
            cause: CancelCause::Shutdown,
            grace: STOP_GRACE,
        };
        // One that ended meanwhile needs no cancelling.
        let _ended_meanwhile = coordinator.engine.ask(command).await;
    }
    let mut worlds = coordinator.engine.changes();
    let all_ended =
        worlds.wait_for(|world| world.runs().next().is_none() && world.workers().next().is_none());
    if tokio::time::timeout(STOP_WITHIN, all_ended).await.is_err() {
        tracing::warn!("some workers did not end in time; they are ended with the agent at its next start");
    }
    agent.stop().await;
    coordinator.stop().await;
    Ok(())
}

/// `DIR/up.pid`: which process this directory's `hearth up` is. A lock on it keeps a second one out.
struct RunningFile {
    path: PathBuf,
    _lock: nix::fcntl::Flock<std::fs::File>,
}

impl RunningFile {
    fn claim(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join("up.pid");
        let file = std::fs::OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        let lock = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusiveNonblock).map_err(
            |(_, _)| {
                anyhow::anyhow!(
                    "hearth is already running on {}; `hearth down --data-dir {}` stops it",
                    data_dir.display(),
                    data_dir.display()
                )
            },
        )?;
        let content = serde_json::to_vec(&Process::own()).context("writing up.pid")?;
        use std::os::unix::fs::FileExt;
        lock.set_len(0).and_then(|()| lock.write_all_at(&content, 0)).context("writing up.pid")?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for RunningFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(error = %error, path = %self.path.display(), "removing up.pid");
        }
    }
}
