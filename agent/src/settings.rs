//! What the agent chose or was told once and must keep: `agent.json`.

use crate::durable;
use serde::{Deserialize, Serialize};
use std::path::Path;

const FILE: &str = "agent.json";

/// Ports are in the environment of running workers, and the endpoint is needed before the coordinator can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Port of the credentials endpoint; 0 before one was chosen.
    pub(crate) credentials_port: u16,
    /// Port of the forwarder; 0 before one was chosen.
    pub(crate) forward_port: u16,
    /// `host:port` of the coordinator's services, possibly with a scheme; empty before the first connection.
    pub(crate) service_endpoint: String,
    /// Region of those services; empty before the first connection.
    pub(crate) region: String,
}

impl Settings {
    /// Reads what was kept. Blocks.
    pub(crate) fn read(state: &Path) -> Result<Self, durable::ReadError> {
        Ok(durable::read(state, FILE)?.unwrap_or_default())
    }

    /// Keeps this.
    pub(crate) async fn write(&self, state: &Path) -> std::io::Result<()> {
        durable::write(state, FILE, self).await
    }

    /// The address to forward to, without scheme.
    pub(crate) fn upstream(&self) -> &str {
        self.service_endpoint.split_once("://").map_or(self.service_endpoint.as_str(), |(_, address)| address)
    }

    /// The URL at which this host's workers reach the services.
    pub(crate) fn service_url(&self) -> String {
        let scheme = self.service_endpoint.split_once("://").map_or("http", |(scheme, _)| scheme);
        format!("{scheme}://127.0.0.1:{}", self.forward_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_is_kept_for_workers_and_left_out_for_dialling() {
        for (service_endpoint, upstream, url) in
            [("c:1", "c:1", "http://127.0.0.1:9"), ("https://c:1", "c:1", "https://127.0.0.1:9")]
        {
            let settings = Settings {
                service_endpoint: service_endpoint.into(),
                forward_port: 9,
                ..Settings::default()
            };
            assert_eq!((settings.upstream(), settings.service_url().as_str()), (upstream, url));
        }
    }
}
