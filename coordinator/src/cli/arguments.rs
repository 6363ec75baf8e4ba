//! What may be typed: verbs, options and the help that teaches them.

use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (agent protocol 1)");
const _: () = assert!(hearth_proto::PROTOCOL == 1, "VERSION above names the agent protocol");

const EXAMPLES: &str = "\
Examples:
  hearth up                         start everything on this machine; leave it running
  hearth run count.py s3://hearth/out   (another terminal) run a script, watch it, get its output
  hearth list                       what ran, and how it ended
  hearth logs JOB --stderr          what the driver said
  set -a; . ~/.local/share/hearth/env; set +a
  aws emr-serverless list-applications     the same endpoint for any AWS client

Exit codes:
  0  done; for `run`: the job run succeeded
  1  refused or failed; for `run`: the job run failed; for `doctor`: something needed is missing
  2  wrong usage
  3  no endpoint to talk to (is `hearth up` running?)
  4  what was named does not exist
  5  the job run was cancelled";

/// Serverless Spark on your own machines.
///
/// `hearth up` makes this machine an EMR-Serverless-compatible endpoint. Every other verb is a client of that endpoint,
/// found in this order: --data-dir, then the exported AWS_ENDPOINT_URL and keys, then ~/.local/share/hearth/env.
#[derive(Debug, Parser)]
#[command(name = "hearth", version = VERSION, after_help = EXAMPLES, max_term_width = 110)]
pub(super) struct Cli {
    /// Where `hearth up` keeps its data, and where its address and keys are found.
    #[arg(long, global = true, env = "HEARTH_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Start a coordinator and an agent on this machine, and stay until stopped.
    Up(Up),
    /// Stop what `hearth up` started; running job runs end as CANCELLED.
    Down,
    /// Say whether the endpoint answers, and what it holds.
    Status(Listing),
    /// Upload a script, run it, watch it, and exit with its outcome.
    Run(Run),
    /// List job runs, newest first.
    List(List),
    /// Cancel a job run.
    Cancel(JobRef),
    /// Print what a job run's driver or executors wrote.
    Logs(Logs),
    /// Say what a job run does, waits for, or failed of.
    Explain(Explain),
    /// Say what this machine cannot do for jobs, and how to mend it.
    Doctor(Listing),
    /// Releases: what a label such as emr-7.6.0 carries, and its bundles.
    #[command(subcommand)]
    Release(Release),
    /// Hosts: let other machines join, see what they do, take them out of service.
    #[command(subcommand)]
    Agent(Agent),
    /// Say what job runs used that have ended, by application or by a tag.
    Usage(Usage),
    /// Copy all that the coordinator needs to come back, on this host or another, while it runs.
    Backup(Backup),
    /// Bring a backup back into an empty data directory.
    Restore(Restore),
    /// Print a completion script for your shell.
    ///
    /// bash: `hearth completion bash > ~/.local/share/bash-completion/completions/hearth`
    Completion {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// `hearth up`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearth up
  hearth up --data-dir /srv/hearth --listen 127.0.0.1:9000
  hearth up --capacity real              queue jobs that would not fit into this machine
  hearth up --listen 0.0.0.0:8420 --tls --tls-name hearth.example

As root, workers are held to their limits by control groups and live in file system views of their
own. As an ordinary user hearth works too and says which limits are then only advice.")]
pub(super) struct Up {
    /// Address of the endpoint. One that other machines can reach needs TLS, or --insecure-http.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8420")]
    pub listen: SocketAddr,
    /// What to offer: `generous` is at least 64 vCPU and 256 GB whatever the machine has, `real` is what it has.
    #[arg(long, value_enum, default_value = "generous")]
    pub capacity: Capacity,
    /// Have the default quotas of EMR Serverless: 16 vCPUs for all job runs, and a limit of requests for each operation,
    /// beyond which clients are told to wait.
    #[arg(long)]
    pub service_quotas: bool,
    /// Serve other machines without TLS. Signatures protect requests; nothing protects what they carry.
    #[arg(long)]
    pub insecure_http: bool,
    /// Serve within TLS, under a certificate of hearth's own authority for this host's name and addresses. Clients need
    /// AWS_CA_BUNDLE, as DIR/env says.
    #[arg(long)]
    pub tls: bool,
    /// A further name or address that clients reach this host at; may be repeated.
    #[arg(long = "tls-name", value_name = "NAME")]
    pub tls_names: Vec<String>,
    /// Your own certificate with its chain (PEM), instead of one of hearth's authority. Read again when it changes.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// Address at which live UIs of job runs are shown; needs --ui-url if other machines can reach it.
    #[arg(long, value_name = "ADDR:PORT")]
    pub ui_listen: Option<SocketAddr>,
    /// How browsers reach it: https://*.NAME[:PORT], with a host name per job run in place of the asterisk. By default
    /// names below ui.localhost, which lead browsers to their own machine.
    #[arg(long, value_name = "URL")]
    pub ui_url: Option<String>,
    /// The private key of --tls-certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
}

/// What the machine's agent offers to the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Capacity {
    /// At least 64 vCPU and 256 GB, so that default-sized jobs run on a laptop.
    Generous,
    /// The machine's own cores and memory.
    Real,
}

/// Verbs that only list.
#[derive(Debug, Args)]
pub(super) struct Listing {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `hearth run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearth run wordcount.py s3://hearth/out
  hearth run --py-files lib.zip --conf spark.executor.memory=4g job.py --day 2026-01-31
  hearth run --class a.b.Main --jars lib.jar app.jar 100
  hearth run --detach nightly.py; hearth list

Local files (the script, --py-files, --jars, --files, --archives) are first uploaded to the bucket
that HEARTH_BUCKET names; names with a scheme (s3://, local://) and paths under /usr/lib/spark are
taken as they are. Workers are small unless you say otherwise: driver and executors have 1 core and
2 GB each, one or two executors. Interrupting (Ctrl-C) cancels the job run; a second Ctrl-C leaves it.")]
pub(super) struct Run {
    /// A Python script, jar or SQL file (a local path, or a URI that workers can read), and its arguments: all that
    /// follows it, options too.
    #[arg(
        required = true,
        num_args = 1..,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_names = ["SCRIPT", "ARGS"]
    )]
    pub command: Vec<String>,
    /// Name of the job run; the script's file name by default.
    #[arg(long)]
    pub name: Option<String>,
    /// A Spark property; may be repeated.
    #[arg(long = "conf", value_name = "KEY=VALUE", value_parser = parse_conf)]
    pub conf: Vec<(String, String)>,
    /// Main class of a jar.
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,
    /// Python modules, comma-separated: .py, .zip, .egg.
    #[arg(long, value_name = "FILES")]
    pub py_files: Option<String>,
    /// Jars for the class path, comma-separated.
    #[arg(long, value_name = "FILES")]
    pub jars: Option<String>,
    /// Files for the working directories, comma-separated.
    #[arg(long, value_name = "FILES")]
    pub files: Option<String>,
    /// Archives to unpack in the working directories, comma-separated, each with #NAME.
    #[arg(long, value_name = "FILES")]
    pub archives: Option<String>,
    /// Maven coordinates of packages for the class path, comma-separated.
    #[arg(long, value_name = "COORDINATES")]
    pub packages: Option<String>,
    /// Release label; an application hearth-run-LABEL is found or created for it.
    #[arg(long, value_name = "LABEL", default_value = "emr-7.6.0")]
    pub release: String,
    /// Run in this application instead.
    #[arg(long, value_name = "ID", conflicts_with = "release")]
    pub application: Option<String>,
    /// Runtime role; HEARTH_ROLE_ARN by default.
    #[arg(long, value_name = "ARN")]
    pub role: Option<String>,
    /// Where logs go, s3://BUCKET/PREFIX; hearth's own storage by default.
    #[arg(long, value_name = "URI")]
    pub log_uri: Option<String>,
    /// Print the job run's id and return without waiting.
    #[arg(long)]
    pub detach: bool,
}

/// `hearth list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only of this application.
    #[arg(long, value_name = "ID")]
    pub application: Option<String>,
    /// Only in this state, such as RUNNING or FAILED; may be repeated.
    #[arg(long, value_name = "STATE", ignore_case = true)]
    pub state: Vec<String>,
    /// At most so many.
    #[arg(long, short = 'n', default_value_t = 50)]
    pub limit: usize,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `hearth usage`.
#[derive(Debug, Args)]
#[command(after_help = "\
A job run counts where it ended. The billed columns count a minute for each worker at least, and no storage below 20 GB a
worker; idle pre-initialized workers are in neither.")]
pub(super) struct Usage {
    /// By the values of this tag of the job runs, or else of their applications.
    #[arg(long, value_name = "KEY")]
    pub tag: Option<String>,
    /// From the beginning of this day on, such as 2026-01-31 (UTC).
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub since: Option<time::Date>,
    /// Until before the beginning of this day (UTC).
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub until: Option<time::Date>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

fn day(text: &str) -> Result<time::Date, String> {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    time::Date::parse(text, format).map_err(|_| "a day is written as 2026-01-31".to_owned())
}

/// Which job run.
#[derive(Debug, Args)]
pub(super) struct JobRef {
    /// The job run's id, as `hearth list` shows it.
    pub job: String,
    /// Its application, where known: saves a search.
    #[arg(long, value_name = "ID")]
    pub application: Option<String>,
}

/// `hearth logs`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearth logs 00g1abc                    the driver's standard output
  hearth logs 00g1abc --stderr --follow  its log, until the job run ends
  hearth logs 00g1abc --executor 2       an executor's standard output

Logs are read from where the job run was told to put them, or else from hearth's own storage. They
arrive there every few seconds while a worker runs.")]
pub(super) struct Logs {
    /// Which job run.
    #[command(flatten)]
    pub job: JobRef,
    /// Standard error, where Spark logs, instead of standard output.
    #[arg(long)]
    pub stderr: bool,
    /// Of this executor instead of the driver.
    #[arg(long, value_name = "N")]
    pub executor: Option<u32>,
    /// Of this attempt, for job runs with retries; the latest by default.
    #[arg(long, value_name = "N")]
    pub attempt: Option<u32>,
    /// Go on until the job run has ended.
    #[arg(long, short = 'f')]
    pub follow: bool,
}

/// `hearth explain`.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Which job run.
    #[command(flatten)]
    pub job: JobRef,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `hearth release …`.
#[derive(Debug, Subcommand)]
pub(super) enum Release {
    /// List the labels, and which of them are built.
    List(Listing),
    /// Say what a label carries, and where that is not what it means at its origin.
    Describe {
        /// The label.
        label: String,
    },
    /// Build a label's bundle now; otherwise the first job run on it does.
    Build {
        /// The label.
        label: String,
    },
    /// Take a bundle file in, for a site without network.
    Import {
        /// A file that `export` made.
        file: PathBuf,
        /// Its SHA-256, as `export` printed it; else that in FILE.sha256, if it is there.
        #[arg(long)]
        sha256: Option<String>,
    },
    /// Write a label's bundle to a file, and its digest to FILE.sha256.
    Export {
        /// The label.
        label: String,
        /// The file to write.
        file: PathBuf,
    },
}

/// `hearth agent …`.
#[derive(Debug, Subcommand)]
pub(super) enum Agent {
    /// Print a token with which one host may join within the hour; on the coordinator's machine.
    JoinToken,
    /// List the hosts that ever joined and were in contact.
    List(Listing),
    /// Say what a host is, and which workers run there.
    Describe {
        /// Which.
        #[command(flatten)]
        agent: AgentRef,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Place no new workers on a host; those it has run to their end.
    Drain(AgentRef),
    /// Place workers on a drained host again.
    Undrain(AgentRef),
    /// Never let a host in again: its executors are given up at once, its drivers when their leases are over.
    Revoke(AgentRef),
}

/// Which agent.
#[derive(Debug, Args)]
pub(super) struct AgentRef {
    /// The agent's id, as `hearth agent list` shows it.
    pub agent: String,
}

/// `hearth backup`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hearth backup /mnt/backups/hearth-$(date +%F).tar.zst
  hearth backup --data-dir /var/lib/hearth/coordinator --without-objects state.tar.zst

Run it on the coordinator's host, as root or as the owner of the data directory. The file holds keys
and secrets: it is readable by its owner alone, and should stay so.")]
pub(super) struct Backup {
    /// The file to write; it must not be there.
    pub file: PathBuf,
    /// Leave out the objects: only state, keys and certificate authority. Logs and data in hearth's buckets are then lost
    /// with the host; releases are built again.
    #[arg(long)]
    pub without_objects: bool,
}

/// `hearth restore`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mv ~/.local/share/hearth/coordinator ~/hearth.before; hearth restore hearth-2026-01-31.tar.zst; hearth up
  hearth restore --data-dir /var/lib/hearth/coordinator hearth-2026-01-31.tar.zst

The coordinator that the backup is of must never run again: agents refuse it once they have met the
restored one. What happened since the backup is unknown to the restored one; see docs/operations.md.")]
pub(super) struct Restore {
    /// A file that `hearth backup` wrote.
    pub file: PathBuf,
}

fn parse_conf(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a property is KEY=VALUE, such as spark.executor.memory=4g".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_the_script_is_the_scripts() {
        let cli = Cli::try_parse_from(["hearth", "run", "--name", "n", "job.py", "--conf", "x"]).unwrap();
        let Verb::Run(run) = cli.verb else { panic!("not run") };
        assert_eq!((run.conf.len(), run.name.as_deref()), (0, Some("n")));
        assert_eq!(run.command, ["job.py", "--conf", "x"]);
    }

    #[test]
    fn a_property_needs_a_key_and_a_value() {
        assert!(Cli::try_parse_from(["hearth", "run", "--conf", "spark.x", "job.py"]).is_err());
        assert!(Cli::try_parse_from(["hearth", "run", "--conf", "spark.x=a=b", "job.py"]).is_ok());
    }
}
