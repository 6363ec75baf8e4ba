//! Configuration of the coordinator: a TOML file, every key optional, `HEARTH_<KEY>` in the environment above it.

use anyhow::Context;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

mod endpoint;

pub use endpoint::EndpointTls;

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
            tls: false,
            tls_names: Vec::new(),
            tls_certificate: None,
            tls_key: None,
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
        let config = Self::parse(&text, |name| std::env::var(name).ok())
            .with_context(|| format!("{} has a wrong key or value", file.display()))?;
        config.check()?;
        Ok(config)
    }

    /// Reads TOML, and above it what `environment` has.
    fn parse(text: &str, environment: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let mut table: toml::Table = toml::from_str(text)?;
        let given = |key: &str| environment(&format!("HEARTH_{}", key.to_ascii_uppercase()));
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
            "tls_certificate",
            "tls_key",
        ] {
            if let Some(value) = given(key) {
                table.insert(key.to_owned(), toml::Value::String(value));
            }
        }
        // Written as in the file: true, ["a.example", "b.example"].
        for key in ["insecure_http", "query_sigv2", "tls", "tls_names"] {
            if let Some(value) = given(key) {
                let value = value.parse().with_context(|| format!("HEARTH_{}", key.to_ascii_uppercase()))?;
                table.insert(key.to_owned(), value);
            }
        }
        Ok(table.try_into()?)
    }

    /// Refuses what could only fail later.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.account_id.len() == 12 && self.account_id.bytes().all(|b| b.is_ascii_digit()),
            "account_id must be twelve digits, got {:?}",
            self.account_id
        );
        self.check_endpoint()
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

    #[test]
    fn the_environment_overrides_the_file() {
        let environment = |name: &str| match name {
            "HEARTH_REGION" => Some("eu-central-1".to_owned()),
            "HEARTH_TLS" => Some("true".to_owned()),
            "HEARTH_TLS_NAMES" => Some("[\"a.example\", \"10.0.0.7\"]".to_owned()),
            _ => None,
        };
        let text = "region = \"us-east-1\"\ntls_key = \"/k.pem\"\ntls_certificate = \"/c.pem\"";
        let config = CoordinatorConfig::parse(text, environment).unwrap();
        assert_eq!((config.region.as_str(), config.tls), ("eu-central-1", true));
        assert_eq!(config.tls_names, ["a.example", "10.0.0.7"]);
        assert_eq!(config.tls_key.as_deref(), Some(Path::new("/k.pem")));
        assert!(
            CoordinatorConfig::parse("", |name| (name == "HEARTH_TLS").then(|| "maybe".to_owned())).is_err()
        );
        assert!(CoordinatorConfig::parse("tsl = true", |_| None).is_err());
    }
}
