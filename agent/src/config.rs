//! The configuration: one TOML file, overridable by environment variables.

use hearth_configuration::ReadError;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Prefix of environment variables that override keys.
const OVERRIDE_PREFIX: &str = "HEARTH_AGENT_";
/// Where workers are found that nobody on another host needs to find.
const THIS_HOST: &str = "127.0.0.1";

/// The agent's configuration; `agent.example.toml` documents every key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) state_dir: PathBuf,
    #[serde(default)]
    pub(crate) coordinators: Vec<String>,
    pub(crate) coordinator_file: Option<PathBuf>,
    #[serde(default = "default_worker_address")]
    pub(crate) worker_address: String,
    #[serde(default)]
    pub(crate) capacity: Capacity,
    #[serde(default)]
    pub(crate) reserve: Reserve,
    #[serde(default)]
    pub(crate) host: HostConfig,
    #[serde(default)]
    pub(crate) archives: ArchivesConfig,
    #[serde(default)]
    pub(crate) ports: Ports,
    #[serde(default)]
    pub(crate) health: Health,
}

/// What the host offers, where it is not what it has.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Capacity {
    pub(crate) vcpu: Option<u64>,
    pub(crate) memory_gib: Option<u64>,
    pub(crate) disk_gib: Option<u64>,
}

/// What is kept from workers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reserve {
    pub(crate) vcpu: u64,
    pub(crate) memory_gib: u64,
    pub(crate) disk_gib: u64,
}

impl Default for Reserve {
    fn default() -> Self {
        Self { vcpu: 0, memory_gib: 1, disk_gib: 5 }
    }
}

/// How workers are confined and what they run on.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HostConfig {
    pub(crate) cgroup: Option<String>,
    pub(crate) first_uid: u32,
    pub(crate) uids: u32,
    pub(crate) java_homes: Option<Vec<PathBuf>>,
    pub(crate) share_dir: Option<PathBuf>,
    pub(crate) pids: u64,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self { cgroup: None, first_uid: 700_000, uids: 10_000, java_homes: None, share_dir: None, pids: 8192 }
    }
}

/// Class-data archives.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ArchivesConfig {
    pub(crate) enabled: bool,
    pub(crate) quiet_seconds: u64,
}

impl Default for ArchivesConfig {
    fn default() -> Self {
        Self { enabled: true, quiet_seconds: 10 }
    }
}

/// Loopback ports for workers; 0 chooses.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ports {
    pub(crate) credentials: u16,
    pub(crate) forward: u16,
}

/// Where health and metrics are served.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Health {
    pub(crate) listen: SocketAddr,
}

impl Default for Health {
    fn default() -> Self {
        Self { listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8425) }
    }
}

fn default_worker_address() -> String {
    THIS_HOST.to_owned()
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error(transparent)]
    Unread(#[from] ReadError),
    #[error("state_dir must be an absolute path, got {0}")]
    RelativeState(PathBuf),
    #[error("either coordinators or coordinator_file must be set")]
    NoCoordinator,
    #[error("{key} must be host:port, got {value:?}")]
    Address { key: &'static str, value: String },
    #[error(
        "worker_address must be this host's own address: {coordinator} is another host, so this one's workers have \
         company there that cannot reach {address}"
    )]
    Unreachable { coordinator: String, address: String },
    #[error("host.first_uid must leave ordinary users alone (at least 1000), got {0}")]
    Uids(u32),
}

impl Config {
    /// Reads and checks a file, with overrides from this process's environment.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        hearth_configuration::read::<Self>(path, OVERRIDE_PREFIX)?.checked()
    }

    fn checked(self) -> Result<Self, ConfigError> {
        if !self.state_dir.is_absolute() {
            return Err(ConfigError::RelativeState(self.state_dir));
        }
        if self.coordinators.is_empty() && self.coordinator_file.is_none() {
            return Err(ConfigError::NoCoordinator);
        }
        for value in &self.coordinators {
            if !is_host_and_port(value) {
                return Err(ConfigError::Address { key: "coordinators", value: value.clone() });
            }
        }
        let elsewhere = self.coordinators.iter().find(|coordinator| !is_this_host(host_of(coordinator)));
        if let Some(coordinator) = elsewhere
            && is_this_host(&self.worker_address)
        {
            let (coordinator, address) = (coordinator.clone(), self.worker_address);
            return Err(ConfigError::Unreachable { coordinator, address });
        }
        if self.host.first_uid < 1000 {
            return Err(ConfigError::Uids(self.host.first_uid));
        }
        Ok(self)
    }
}

/// Whether `text` is an address to dial, such as `host:1`, `10.0.0.1:1` or `[::1]:1`.
pub(crate) fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

fn is_this_host(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../agent.example.toml");

    fn parse(text: &str) -> Result<Config, toml::de::Error> {
        hearth_configuration::parse(text, std::iter::empty())
    }

    #[test]
    fn the_example_shows_the_defaults() {
        let example = parse(EXAMPLE).unwrap().checked().unwrap();
        let minimal = "state_dir = \"/var/lib/hearth/agent\"\ncoordinators = [\"coordinator.example:8421\"]\n\
             worker_address = \"10.0.0.11\"";
        assert_eq!(example, parse(minimal).unwrap());
    }

    #[test]
    fn the_example_names_every_key() {
        let text: String = EXAMPLE
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        let all = parse(&text).unwrap();
        assert!(all.coordinator_file.is_some() && all.host.cgroup.is_some() && all.host.share_dir.is_some());
        assert!(all.host.java_homes.is_some() && all.capacity.disk_gib.is_some());
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for text in [
            "state_dir = \"relative\"\ncoordinators = [\"c:1\"]",
            "state_dir = \"/s\"",
            "state_dir = \"/s\"\ncoordinators = [\"c\"]",
            "state_dir = \"/s\"\ncoordinators = [\"c:1\"]",
            "state_dir = \"/s\"\ncoordinators = [\"127.0.0.1:1\", \"[fd00::1]:1\"]\nworker_address = \"::1\"",
            "state_dir = \"/s\"\ncoordinators = [\"127.0.0.1:1\"]\nhost.first_uid = 0",
        ] {
            assert!(parse(text).unwrap().checked().is_err(), "{text}");
        }
        for text in [
            "state_dir = \"/s\"\ncoordinators = [\"[::1]:1\", \"localhost:1\"]",
            "state_dir = \"/s\"\ncoordinators = [\"c:1\"]\nworker_address = \"10.0.0.5\"",
        ] {
            parse(text).unwrap().checked().unwrap();
        }
        assert!(parse("state_dir = \"/s\"\nstate_dri = \"/s\"").is_err());
    }
}
