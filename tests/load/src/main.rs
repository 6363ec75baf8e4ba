//! Fills a coordinator's database with job runs, and loads its endpoint with signed requests, right or wrong ones;
//! `tests/benchmarks` and `tests/endurance` drive it.

#![expect(clippy::print_stdout, reason = "what is printed here is what was asked for")]

mod clients;
mod fuzz;
mod requests;
mod seed;

use clap::{Parser, Subcommand};
use clients::Manner;
use requests::{Endpoint, Operation};
use std::path::PathBuf;

/// Fills databases, and loads endpoints.
#[derive(Debug, Parser)]
#[command(name = "hearth-load")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Makes a release ready in the database of a stopped coordinator, so that job runs do not wait for its bundle
    Release {
        /// The database
        #[arg(long)]
        database: PathBuf,
        /// The release's label
        #[arg(long)]
        label: String,
    },
    /// Copies an ended job run, with its workers, in the database of a stopped coordinator, and prints the copies' ids
    Seed {
        /// The database
        #[arg(long)]
        database: PathBuf,
        /// The job run to copy
        #[arg(long)]
        like: String,
        /// How many copies
        #[arg(long)]
        count: u32,
    },
    /// Sends signed requests over kept connections, and prints what was measured as JSON
    Drive {
        /// What is asked: `start`, `get` or `list`
        operation: Operation,
        #[command(flatten)]
        endpoint: Endpoint,
        #[command(flatten)]
        manner: Manner,
        /// Requests that are signed beforehand; `start` ends when they run out, the others begin anew
        #[arg(long, default_value_t = 20_000)]
        signed: usize,
    },
    /// Sends requests that are nearly right, and prints what was answered as JSON; the job run named first is theirs
    Fuzz {
        #[command(flatten)]
        endpoint: Endpoint,
        #[command(flatten)]
        extent: fuzz::Extent,
    },
}

fn main() -> anyhow::Result<()> {
    // One thread: the endpoint is to have the machine.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match Arguments::parse().task {
        Task::Release { database, label } => runtime.block_on(seed::release(&database, &label)),
        Task::Seed { database, like, count } => {
            for id in runtime.block_on(seed::copies(&database, &like, count))? {
                println!("{id}");
            }
            Ok(())
        }
        Task::Drive { operation, endpoint, manner, signed } => {
            let requests = endpoint.sign(operation, signed)?;
            let measured = runtime.block_on(clients::drive(&endpoint.authority()?, requests, &manner))?;
            println!("{measured}");
            Ok(())
        }
        Task::Fuzz { endpoint, extent } => {
            println!("{}", runtime.block_on(fuzz::fuzz(&endpoint, &extent))?);
            Ok(())
        }
    }
}
