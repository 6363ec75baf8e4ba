//! The `hearth` command line.
//!
//! Apart from `up`, `doctor`, `release`, `agent join-token`, `backup` and `restore`, which work on this machine, every verb is a client of the
//! public API and nothing else: what a person can do here, a program can do with any AWS SDK.

mod agent;
mod arguments;
mod backup;
mod cancel;
mod connection;
mod doctor;
mod down;
mod emr;
mod endpoint;
mod error;
mod explain;
mod list;
mod log_stream;
mod logs;
mod objects;
mod progress;
mod release;
mod run;
mod screen;
mod status;
mod submission;
mod timeline;
mod up;
mod up_pid;
mod usage;
mod watch;

use arguments::{Cli, Verb};
use clap::{CommandFactory, Parser};
use connection::{Connection, data_dir};
use emr::Emr;
use endpoint::Endpoint;
use error::{CliError, FAILED};
use hearth_telemetry::error_chain;
use objects::Objects;
use std::process::ExitCode;

/// Reads the command line, does what it says and returns the exit code that its help documents.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            screen::note(&format!("hearth: cannot start threads: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    match runtime.block_on(perform(cli)) {
        Ok(code) => ExitCode::from(code),
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            screen::note(&format!("hearth: {}", error_chain(&error)));
            if let Some(step) = error.next_step() {
                screen::note(&format!("  next: {step}"));
            }
            ExitCode::from(error.exit_code())
        }
    }
}

async fn perform(cli: Cli) -> Result<u8, CliError> {
    let given = cli.data_dir.as_deref();
    let endpoint = || Endpoint::new(Connection::find(given)?);
    let emr = || endpoint().map(Emr::new);
    match &cli.verb {
        Verb::Up(options) => up::up(given, options).await?,
        Verb::Down => down::down(&data_dir(given)).await?,
        Verb::Status(options) => status::status(&emr()?, options.json).await?,
        Verb::Run(options) => return run::run(endpoint()?, options).await,
        Verb::List(options) => list::list(&emr()?, options).await?,
        Verb::Cancel(job) => cancel::cancel(&emr()?, job).await?,
        Verb::Logs(options) => logs::logs(&emr()?, Objects::new(endpoint()?), options).await?,
        Verb::Explain(options) => explain::explain(&emr()?, options).await?,
        Verb::Doctor(options) => {
            let can_run_jobs = doctor::doctor(&data_dir(given), options.json)?;
            return Ok(if can_run_jobs { 0 } else { FAILED });
        }
        Verb::Release(verb) => release::release(verb)?,
        Verb::Agent(verb) => agent::agent(verb, given, endpoint).await?,
        Verb::Usage(options) => usage::usage(&endpoint()?, options).await?,
        Verb::Backup(options) => backup::back_up(&data_dir(given), options).await?,
        Verb::Restore(options) => backup::restore(&data_dir(given), options).await?,
        Verb::Completion { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "hearth", &mut std::io::stdout());
        }
    }
    Ok(0)
}
