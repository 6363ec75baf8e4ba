//! `hearth-coordinator`: the cluster's daemon.

use anyhow::Context;
use clap::Parser;
use hearth_coordinator::config::CoordinatorConfig;
use hearth_coordinator::daemon::Coordinator;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// Serves a hearth cluster: the AWS-compatible API, the scheduler and the agents' service
#[derive(Debug, Parser)]
#[command(name = "hearth-coordinator", disable_version_flag = true)]
struct Arguments {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", required_unless_present = "version")]
    config: Option<PathBuf>,
    /// Check the configuration and exit
    #[arg(long)]
    check_config: bool,
    /// Form of log lines: "human" or "json"
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    log_format: String,
    /// Print the version of the program and of the agents' protocol
    #[arg(long, short = 'V')]
    version: bool,
}

#[tokio::main]
#[allow(clippy::print_stdout, reason = "what is printed here is what was asked for")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.version {
        println!(
            "hearth-coordinator {} (agent protocol {})",
            env!("CARGO_PKG_VERSION"),
            hearth_proto::PROTOCOL
        );
        return Ok(());
    }
    let file = arguments.config.context("--config is required")?;
    let config = CoordinatorConfig::read(&file)?;
    if arguments.check_config {
        println!("{} is fine", file.display());
        return Ok(());
    }
    hearth_telemetry::start_logging(arguments.log_format.parse()?)?;
    let coordinator = Coordinator::start(&config).await?;
    coordinator.write_env(&config.data_dir, &config)?;
    tracing::info!(
        endpoint = coordinator.endpoint_url, agents = %coordinator.agents, enrolment = %coordinator.enrolment,
        ca_fingerprint = coordinator.ca_fingerprint, "coordinator ready"
    );
    let mut terminate = signal(SignalKind::terminate()).context("handling SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("handling SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping; workers are left running");
    coordinator.leave().await;
    Ok(())
}
