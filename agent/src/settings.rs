//! What the agent chose or was told once and must keep: `agent.json`.

use crate::durable;
use hearth_mtls::EndpointDialer;
use hearth_network::Upstream;
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
    /// URL of the coordinator's services, `http` being meant where it has no scheme; empty before the first connection.
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

    /// Where to forward to: within TLS if the endpoint says `https://`.
    pub(crate) fn upstream(&self, dialer: &EndpointDialer) -> Upstream {
        match self.service_endpoint.split_once("://") {
            Some(("https", address)) => Upstream::Tls(address.to_owned(), dialer.clone()),
            Some((_, address)) => Upstream::Plain(address.to_owned()),
            None => Upstream::Plain(self.service_endpoint.clone()),
        }
    }

    /// The URL at which this host's workers reach the services. Never TLS: that begins behind the forwarder.
    pub(crate) fn service_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.forward_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_mtls::Authority;
    use std::time::SystemTime;

    #[test]
    fn the_scheme_decides_about_tls_behind_the_forwarder() {
        let authority = Authority::create("home", SystemTime::now()).unwrap();
        let dialer = EndpointDialer::new(authority.certificate(), "home").unwrap();
        for (service_endpoint, is_tls) in [("c:1", false), ("http://c:1", false), ("https://c:1", true)] {
            let service_endpoint = service_endpoint.to_owned();
            let settings = Settings { service_endpoint, forward_port: 9, ..Settings::default() };
            match settings.upstream(&dialer) {
                Upstream::Plain(address) => assert_eq!((address.as_str(), false), ("c:1", is_tls)),
                Upstream::Tls(address, _) => assert_eq!((address.as_str(), true), ("c:1", is_tls)),
            }
            assert_eq!(settings.service_url(), "http://127.0.0.1:9");
        }
    }
}
