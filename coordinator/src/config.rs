//! Configuration of the coordinator: a TOML file, every key optional, `HEARTH_COORDINATOR_<KEY>` in the environment above it.

use anyhow::Context;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod endpoint;
mod leases;
mod quotas;
mod retention;

pub use endpoint::EndpointTls;
pub use quotas::ApiLimit;
pub(crate) use retention::Keep;

/// Prefix of environment variables that override keys.
const OVERRIDE_PREFIX: &str = "HEARTH_COORDINATOR_";

/// The shortest life of a certificate.
const LEAST_CERTIFICATE_SECONDS: u32 = 10;

/// What a coordinator is started with; `coordinator.example.toml` documents every key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoordinatorConfig {
    /// Directory of everything the coordinator keeps: database, objects, certificate authority, master key.
    pub data_dir: PathBuf,
    /// Address of the AWS-compatible endpoint.
    pub listen: SocketAddr,
    /// Whether the endpoint may be served without TLS on an address that is not loopback.
    pub insecure_http: bool,
    /// Whether the endpoint is served within TLS; a certificate of one's own implies it.
    pub tls: bool,
    /// Further host names and addresses that clients reach the endpoint at. With one's own certificate, the first is the
    /// one in `AWS_ENDPOINT_URL`.
    pub tls_names: Vec<String>,
    /// The endpoint's certificate with its chain (PEM), instead of one of hearth's own authority. Read again when it changes.
    pub tls_certificate: Option<PathBuf>,
    /// The private key of `tls_certificate` (PEM).
    pub tls_key: Option<PathBuf>,
    /// Address of the agents' service (mutual TLS); port 0 chooses one and keeps it.
    pub agents_listen: SocketAddr,
    /// Address of the enrolment service; port 0 chooses one and keeps it.
    pub enrolment_listen: SocketAddr,
    /// Address at which live UIs of job runs are shown, with TLS as the endpoint's; port 0 chooses one and keeps it.
    pub ui_listen: SocketAddr,
    /// How browsers reach it: `https://*.NAME[:PORT]`, with a host name of its own for each attempt in place of the
    /// asterisk. By default names below `ui.localhost`, where it listens on loopback.
    pub ui_url: Option<String>,
    /// Name or address at which agents reach this host.
    pub advertise_host: String,
    /// Name of the cluster, part of every certificate's name.
    pub cluster: String,
    /// Seconds that certificates of agents and of the coordinator live; each is renewed at half its life.
    pub certificate_seconds: u32,
    /// Account id, twelve digits.
    pub account_id: String,
    /// Region.
    pub region: String,
    /// Milliseconds that a driver may run out of contact where another attempt can start on another host (design §9).
    pub lease_ms: u32,
    /// Milliseconds that are waited beyond the end of a lease before somebody else acts.
    pub lease_skew_ms: u32,
    /// Milliseconds after which an agent out of contact has lost its workers.
    pub lost_after_ms: u32,
    /// Milliseconds between an agent's heartbeats.
    pub heartbeat_ms: u32,
    /// Milliseconds that leases are extended to when the coordinator is stopped in good order; 30 minutes at the most.
    pub lease_extension_ms: u32,
    /// Whether started applications are updated only as the service does: in what concerns concurrency and queueing.
    pub strict_updates: bool,
    /// Whether the account has the service's default quotas and limits of requests, where no key below says otherwise.
    pub service_quotas: bool,
    /// vCPUs that all workers may hold together.
    pub quota_vcpus: Option<u32>,
    /// Job runs that may wait in QUEUED.
    pub quota_queued_job_runs: u32,
    /// How often operations may be asked for, by the model's name.
    pub api_limits: BTreeMap<String, ApiLimit>,
    /// Days that job runs are kept after their end.
    pub job_run_retention_days: u32,
    /// Days that what `hearth run` uploaded is kept.
    pub source_retention_days: u32,
    /// Days that a release bundle is kept which no application is on.
    pub bundle_retention_days: u32,
    /// Days that logs stay in managed storage (guide:4642).
    pub managed_log_retention_days: u32,
    /// Whether S3 requests may be signed with version 2 in the query, as boto3's default presigned URLs are.
    pub query_sigv2: bool,
    /// Directory of release manifests; the one in the share directory by default.
    pub releases_dir: Option<PathBuf>,
    /// Directory of what is installed with the program: release manifests, samples. By default the one beside it.
    pub share_dir: Option<PathBuf>,
}

impl Default for CoordinatorConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("/var/lib/hearth/coordinator"),
            listen: SocketAddr::from(([127, 0, 0, 1], 8420)),
            insecure_http: false,
            tls: false,
            tls_names: Vec::new(),
            tls_certificate: None,
            tls_key: None,
            agents_listen: SocketAddr::from(([127, 0, 0, 1], 8421)),
            enrolment_listen: SocketAddr::from(([127, 0, 0, 1], 8422)),
            ui_listen: SocketAddr::from(([127, 0, 0, 1], 8423)),
            ui_url: None,
            advertise_host: "127.0.0.1".to_owned(),
            cluster: "hearth".to_owned(),
            certificate_seconds: 86_400,
            account_id: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            lease_ms: 30_000,
            lease_skew_ms: 5_000,
            lost_after_ms: 600_000,
            heartbeat_ms: 5_000,
            lease_extension_ms: 300_000,
            strict_updates: false,
            service_quotas: false,
            quota_vcpus: None,
            quota_queued_job_runs: 2000,
            api_limits: BTreeMap::new(),
            job_run_retention_days: 90,
            source_retention_days: 30,
            bundle_retention_days: 30,
            managed_log_retention_days: 30,
            query_sigv2: true,
            releases_dir: None,
            share_dir: None,
        }
    }
}

impl CoordinatorConfig {
    /// Reads a file; the environment overrides its keys.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let config: Self = hearth_configuration::read(file, OVERRIDE_PREFIX)?;
        config.check()?;
        Ok(config)
    }

    /// Refuses what could only fail later.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.account_id.len() == 12 && self.account_id.bytes().all(|b| b.is_ascii_digit()),
            "account_id must be twelve digits, got {:?}",
            self.account_id
        );
        anyhow::ensure!(
            self.certificate_seconds >= LEAST_CERTIFICATE_SECONDS,
            "certificate_seconds must be at least {LEAST_CERTIFICATE_SECONDS}, or renewals come too late"
        );
        self.check_retention()?;
        self.check_quotas()?;
        self.check_endpoint()?;
        let serves_others =
            [self.agents_listen, self.enrolment_listen].iter().any(|address| !address.ip().is_loopback());
        anyhow::ensure!(
            !(serves_others && self.advertises_loopback()),
            "advertise_host must be a name or address at which agents on other hosts reach this one, got {:?}",
            self.advertise_host
        );
        self.check_leases()
    }

    /// How long certificates of agents and of the coordinator live.
    pub(crate) fn certificate_lifetime(&self) -> Duration {
        Duration::from_secs(u64::from(self.certificate_seconds))
    }

    /// Where the release manifests are.
    pub fn releases(&self) -> anyhow::Result<PathBuf> {
        match &self.releases_dir {
            Some(dir) => Ok(dir.clone()),
            None => Ok(self.share()?.join("releases")),
        }
    }

    /// Where what is installed with the program is.
    pub(crate) fn share(&self) -> anyhow::Result<PathBuf> {
        match &self.share_dir {
            Some(dir) => Ok(dir.clone()),
            None => share_dir(),
        }
    }
}

/// `share/hearth` beside the program's own `bin`, or what `HEARTH_SHARE` names.
pub fn share_dir() -> anyhow::Result<PathBuf> {
    if let Some(dir) = std::env::var_os("HEARTH_SHARE") {
        return Ok(PathBuf::from(dir));
    }
    let program = std::env::current_exe().context("finding this program's own path")?;
    let bin = program.parent().context("this program has no directory")?;
    let share = bin.parent().unwrap_or(bin).join("share/hearth");
    anyhow::ensure!(
        share.is_dir(),
        "{} does not exist; run `./deploy/build.sh` and start hearth from target/dist/bin, or set HEARTH_SHARE",
        share.display()
    );
    Ok(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../coordinator.example.toml");

    fn parse(text: &str) -> CoordinatorConfig {
        hearth_configuration::parse(text, std::iter::empty()).unwrap()
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example = parse(EXAMPLE);
        example.check().unwrap();
        assert_eq!(example, CoordinatorConfig::default());
    }

    #[test]
    fn the_example_names_every_key() {
        let text: String = EXAMPLE
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        let all: toml::Table = toml::from_str(&text).unwrap();
        let refused = hearth_configuration::parse::<CoordinatorConfig>("nothing = 1", std::iter::empty());
        let known = refused.unwrap_err().to_string();
        let (_, known) = known.split_once("expected one of").unwrap();
        let names: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        assert!(names.contains(&"data_dir") && names.contains(&"share_dir"), "{names:?}");
        for name in names {
            assert!(all.contains_key(name), "{name} is not in the example");
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for text in [
            "account_id = \"1\"",
            "certificate_seconds = 9",
            "listen = \"0.0.0.0:8420\"",
            "agents_listen = \"10.0.0.1:8421\"",
            "enrolment_listen = \"0.0.0.0:8422\"\nadvertise_host = \"localhost\"",
            "ui_url = \"https://ui.example\"",
            "ui_listen = \"10.0.0.1:8423\"",
            "ui_listen = \"10.0.0.1:8423\"\nui_url = \"https://*.ui.example\"",
        ] {
            assert!(parse(text).check().is_err(), "{text}");
        }
        parse("agents_listen = \"10.0.0.1:8421\"\nadvertise_host = \"10.0.0.1\"").check().unwrap();
        parse("ui_listen = \"10.0.0.1:8423\"\nui_url = \"https://*.ui.example\"\ntls = true")
            .check()
            .unwrap();
        parse("ui_url = \"https://*.ui.example\"").check().unwrap();
    }
}
