//! Configuration of the coordinator: a TOML file, every key optional, `HEARTH_<KEY>` in the environment above it.

use anyhow::Context;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What a coordinator is started with.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoordinatorConfig {
    /// Directory of everything the coordinator keeps: database, objects, certificate authority, master key.
    pub data_dir: PathBuf,
    /// Address of the AWS-compatible endpoint.
    pub listen: SocketAddr,
    /// Whether the endpoint may be served without TLS on an address that is not loopback.
    pub insecure_http: bool,
    /// Address of the agents' service (mutual TLS); port 0 chooses one and keeps it.
    pub agents_listen: SocketAddr,
    /// Address of the enrolment service; port 0 chooses one and keeps it.
    pub enrolment_listen: SocketAddr,
    /// Name or address at which agents reach this host.
    pub advertise_host: String,
    /// Name of the cluster, part of every certificate's name.
    pub cluster: String,
    /// Account id, twelve digits.
    pub account_id: String,
    /// Region.
    pub region: String,
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
            agents_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            enrolment_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            advertise_host: "127.0.0.1".to_owned(),
            cluster: "hearth".to_owned(),
            account_id: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            query_sigv2: true,
            releases_dir: None,
            share_dir: None,
        }
    }
}

impl CoordinatorConfig {
    /// Reads a file; the environment overrides its keys.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        let mut table: toml::Table =
            toml::from_str(&text).with_context(|| format!("{} is not TOML", file.display()))?;
        for key in [
            "data_dir",
            "listen",
            "agents_listen",
            "enrolment_listen",
            "advertise_host",
            "cluster",
            "account_id",
            "region",
            "releases_dir",
            "share_dir",
        ] {
            if let Ok(value) = std::env::var(format!("HEARTH_{}", key.to_ascii_uppercase())) {
                table.insert(key.to_owned(), toml::Value::String(value));
            }
        }
        let config: Self =
            table.try_into().with_context(|| format!("{} has a wrong key or value", file.display()))?;
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
            self.listen.ip().is_loopback() || self.insecure_http,
            "listening on {} needs TLS, which this version does not serve yet; use a loopback address, or \
             --insecure-http (insecure_http = true) behind a TLS proxy",
            self.listen
        );
        Ok(())
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
