//! `hearth-agent`: the daemon of one host. It offers the host to a coordinator and prepares, runs, watches and removes
//! workers for it. Stopped, it leaves its workers running; started again, it adopts them.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod archives;
mod config;
mod control;
mod daemon;
mod durable;
mod health;
mod host;
mod identity;
mod join;
mod leases;
mod memory;
mod outbox;
mod roster;
mod session;
mod settings;
mod shipping;
mod spec;
mod superseded;
mod ui;
mod uplink;
mod worker;

use clap::Parser;
use config::Config;
use hearth_telemetry::{LogFormat, start_logging};
use std::path::PathBuf;
use std::process::ExitCode;

/// Offers this host to a hearth cluster
#[derive(Debug, Parser)]
#[command(name = "hearth-agent", disable_version_flag = true, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", required_unless_present = "version")]
    config: Option<PathBuf>,
    /// Check the configuration and exit
    #[arg(long)]
    check_config: bool,
    /// Form of log lines: "human" or "json"
    #[arg(long, value_name = "FORMAT", default_value = "human", global = true)]
    log_format: String,
    /// Print the version of the program and of its protocol
    #[arg(long, short = 'V')]
    version: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Enrol this host with a join token
    Join(join::Join),
}

fn main() -> ExitCode {
    memory::share_one_heap();
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("hearth-agent: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    if arguments.version {
        say(&format!("hearth-agent {} (protocol {})", env!("CARGO_PKG_VERSION"), hearth_proto::PROTOCOL));
        return Ok(());
    }
    start_logging(arguments.log_format.parse::<LogFormat>()?)?;
    hearth_mtls::install_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match (arguments.command, arguments.config) {
        (Some(Command::Join(join)), _) => runtime.block_on(join::join(join)),
        (None, Some(path)) => {
            let config = Config::load(&path)?;
            if arguments.check_config {
                say(&format!("{} is fine", path.display()));
                return Ok(());
            }
            let done = runtime.block_on(daemon::run(config));
            // Calls that still block must not hold up a stop; what they do is repeatable.
            runtime.shutdown_background();
            done
        }
        (None, None) => anyhow::bail!("--config is required"),
    }
}

#[expect(clippy::print_stdout, reason = "a person asked")]
fn say(text: &str) {
    println!("{text}");
}

fn tell(text: &str) {
    use std::io::Write;
    // A standard error that nobody reads is no reason to fail differently.
    let _ = writeln!(std::io::stderr(), "{text}");
}
