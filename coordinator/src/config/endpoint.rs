//! How the AWS-compatible endpoint is reached: within TLS or not, under which names, at which URLs.

use super::CoordinatorConfig;
use crate::ui::UiOrigin;
use anyhow::Context;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// What live UIs' names end in, where none is configured: browsers take such names for this machine's, without asking.
/// (Certificates for any name need two labels behind the asterisk.)
const LOCAL_UIS: &str = "ui.localhost";

/// How the endpoint is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointTls {
    /// Plain HTTP.
    Off,
    /// Within TLS, under a certificate of hearth's own authority.
    OwnAuthority,
    /// Within TLS, under the site's certificate.
    Site {
        /// PEM file: the certificate, then those between it and its root.
        certificate: PathBuf,
        /// PEM file: its private key.
        key: PathBuf,
    },
}

impl CoordinatorConfig {
    /// How the endpoint is served. Fails when the keys contradict each other.
    pub fn endpoint_tls(&self) -> anyhow::Result<EndpointTls> {
        match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Ok(EndpointTls::Site { certificate: certificate.clone(), key: key.clone() })
            }
            (None, None) if self.tls => Ok(EndpointTls::OwnAuthority),
            (None, None) => {
                anyhow::ensure!(
                    self.tls_names.is_empty(),
                    "a name for TLS is given without TLS: add --tls (tls = true)"
                );
                Ok(EndpointTls::Off)
            }
            (Some(_), None) => anyhow::bail!("tls_certificate needs tls_key, the file of its private key"),
            (None, Some(_)) => anyhow::bail!("tls_key needs tls_certificate, the file of its certificate"),
        }
    }

    pub(super) fn check_endpoint(&self) -> anyhow::Result<()> {
        let tls = self.endpoint_tls()?;
        for name in &self.tls_names {
            anyhow::ensure!(
                name.parse::<IpAddr>().is_ok() || is_host(name.strip_prefix("*.").unwrap_or(name)),
                "{name:?} is neither a host name nor an address, as --tls-name (tls_names) takes them"
            );
        }
        anyhow::ensure!(
            self.listen.ip().is_loopback() || tls != EndpointTls::Off || self.insecure_http,
            "listening on {} needs TLS: --tls (tls = true) for a certificate of hearth's own authority, --tls-certificate and \
             --tls-key (tls_certificate, tls_key) for your own; or --insecure-http (insecure_http = true) behind a TLS proxy",
            self.listen
        );
        self.check_ui(&tls)
    }

    fn check_ui(&self, tls: &EndpointTls) -> anyhow::Result<()> {
        if let Some(url) = &self.ui_url {
            UiOrigin::parse(url)?;
        }
        let serves_others = !self.ui_listen.ip().is_loopback();
        anyhow::ensure!(
            !(serves_others && self.ui_url.is_none()),
            "ui_listen on {} needs ui_url, the name that browsers reach it by: \"https://*.ui.hearth.example\"",
            self.ui_listen
        );
        anyhow::ensure!(
            !serves_others || *tls != EndpointTls::Off || self.insecure_http,
            "listening on {} needs TLS for the endpoint and this, or insecure_http behind a TLS proxy",
            self.ui_listen
        );
        Ok(())
    }

    /// Whether there is a name that live UIs can be shown under: a site's certificate is good for no names of our choice.
    pub(crate) fn shows_live_uis(&self) -> anyhow::Result<bool> {
        Ok(match self.endpoint_tls()? {
            EndpointTls::Off | EndpointTls::OwnAuthority => true,
            EndpointTls::Site { .. } => self.ui_url.is_some(),
        })
    }

    /// The pattern of live UIs' origins, served on `port`.
    pub(crate) fn ui_url(&self, port: u16) -> anyhow::Result<String> {
        let scheme = if self.endpoint_tls()? == EndpointTls::Off { "http" } else { "https" };
        Ok(self.ui_url.clone().unwrap_or_else(|| format!("{scheme}://*.{LOCAL_UIS}:{port}")))
    }

    /// Names that our own certificate is good for, each once: where agents find this host, and with `OwnAuthority` also
    /// this host's name, its loopback addresses, where we listen, and the names given.
    pub(crate) fn certified_hosts(&self, host_name: Option<&str>) -> anyhow::Result<Vec<String>> {
        let mut hosts = vec![self.advertise_host.clone()];
        if self.endpoint_tls()? == EndpointTls::OwnAuthority {
            hosts.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
            hosts.extend(host_name.filter(|name| is_host(name)).map(str::to_owned));
            if !self.listen.ip().is_unspecified() {
                hosts.push(self.listen.ip().to_string());
            }
            hosts.extend(self.tls_names.iter().cloned());
            hosts.push(UiOrigin::parse(&self.ui_url(self.ui_listen.port())?)?.certified_host());
        }
        let mut once = Vec::new();
        for host in hosts {
            if !once.contains(&host) {
                once.push(host);
            }
        }
        Ok(once)
    }

    /// URL for clients on this machine, of the endpoint that listens on `port`. `site_host` is what the site's
    /// certificate is good for: a loopback address would not be.
    pub(crate) fn endpoint_url(&self, port: u16, site_host: Option<String>) -> anyhow::Result<String> {
        let listened = match self.listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        Ok(match self.endpoint_tls()? {
            EndpointTls::Off => format!("http://{}", SocketAddr::new(listened, port)),
            EndpointTls::OwnAuthority => format!("https://{}", SocketAddr::new(listened, port)),
            EndpointTls::Site { .. } => {
                let given = self.tls_names.iter().find(|name| !name.starts_with('*')).cloned();
                let advertised = Some(self.advertise_host.clone()).filter(|_| !self.advertises_loopback());
                let host = given.or(site_host).or(advertised).context(
                    "the certificate names no host; say with --tls-name (tls_names) which one clients use",
                )?;
                format!("https://{}", with_port(&host, port))
            }
        })
    }

    /// URL for agents' forwarders.
    pub(crate) fn service_url(&self, port: u16) -> anyhow::Result<String> {
        let listened = self.listen.ip();
        // One who listens at one address alone is not reached at loopback.
        let host = if self.advertises_loopback() && !listened.is_unspecified() {
            listened.to_string()
        } else {
            self.advertise_host.clone()
        };
        let scheme = if self.endpoint_tls()? == EndpointTls::Off { "http" } else { "https" };
        Ok(format!("{scheme}://{}", with_port(&host, port)))
    }

    pub(super) fn advertises_loopback(&self) -> bool {
        self.advertise_host == "localhost"
            || self.advertise_host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

/// `host:port`, with an IPv6 address in brackets.
fn with_port(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, port).to_string(),
        Err(_) => format!("{host}:{port}"),
    }
}

/// Whether `name` can stand in a certificate as a host's name.
fn is_host(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(on: &str) -> CoordinatorConfig {
        CoordinatorConfig { listen: on.parse().unwrap(), ..CoordinatorConfig::default() }
    }

    fn with_site(on: &str) -> CoordinatorConfig {
        let (certificate, key) = (Some("c.pem".into()), Some("k.pem".into()));
        CoordinatorConfig { tls_certificate: certificate, tls_key: key, ..listening(on) }
    }

    #[test]
    fn other_machines_are_served_within_tls_or_at_ones_own_risk() {
        for (config, is_fine) in [
            (listening("127.0.0.1:1"), true),
            (listening("[::1]:1"), true),
            (listening("10.0.0.1:1"), false),
            (listening("0.0.0.0:1"), false),
            (CoordinatorConfig { insecure_http: true, ..listening("10.0.0.1:1") }, true),
            (CoordinatorConfig { tls: true, ..listening("10.0.0.1:1") }, true),
            (with_site("10.0.0.1:1"), true),
        ] {
            assert_eq!(config.check().is_ok(), is_fine, "{config:?}");
        }
    }

    #[test]
    fn half_a_certificate_and_unfit_names_are_refused() {
        let named = |name: &str, tls| CoordinatorConfig {
            tls,
            tls_names: vec![name.to_owned()],
            ..CoordinatorConfig::default()
        };
        for config in [
            CoordinatorConfig { tls_key: None, ..with_site("127.0.0.1:1") },
            CoordinatorConfig { tls_certificate: None, tls: true, ..with_site("127.0.0.1:1") },
            named("hearth.example", false),
            named("https://hearth.example", true),
            named("hearth.example:8420", true),
            named("", true),
        ] {
            assert!(config.check().is_err(), "{config:?}");
        }
        for name in ["hearth.example", "*.hearth.example", "10.0.0.7", "fd00::7"] {
            named(name, true).check().unwrap();
        }
    }

    #[test]
    fn the_certificate_names_what_clients_dial() {
        let config = CoordinatorConfig {
            tls: true,
            advertise_host: "hearth-1".to_owned(),
            tls_names: vec!["hearth.example".to_owned(), "localhost".to_owned()],
            ..listening("10.0.0.1:1")
        };
        let expected = [
            "hearth-1",
            "localhost",
            "127.0.0.1",
            "::1",
            "workshop",
            "10.0.0.1",
            "hearth.example",
            "*.ui.localhost",
        ];
        assert_eq!(config.certified_hosts(Some("workshop")).unwrap(), expected);
        let named = CoordinatorConfig { ui_url: Some("https://*.ui.example".to_owned()), ..config.clone() };
        assert!(named.certified_hosts(None).unwrap().contains(&"*.ui.example".to_owned()));
        let everywhere = CoordinatorConfig { listen: "0.0.0.0:1".parse().unwrap(), ..config };
        assert!(!everywhere.certified_hosts(Some("no name")).unwrap().contains(&"0.0.0.0".to_owned()));
        assert_eq!(listening("127.0.0.1:1").certified_hosts(Some("workshop")).unwrap(), ["127.0.0.1"]);
    }

    #[test]
    fn urls_are_ones_that_the_certificate_is_good_for() {
        let own = |on| CoordinatorConfig { tls: true, ..listening(on) };
        let named = CoordinatorConfig { tls_names: vec!["b.example".to_owned()], ..with_site("127.0.0.1:1") };
        for (config, url) in [
            (listening("127.0.0.1:1"), "http://127.0.0.1:9"),
            (listening("0.0.0.0:1"), "http://127.0.0.1:9"),
            (own("[::]:1"), "https://[::1]:9"),
            (own("10.0.0.1:1"), "https://10.0.0.1:9"),
            (with_site("10.0.0.1:1"), "https://a.example:9"),
            (named, "https://b.example:9"),
        ] {
            assert_eq!(config.endpoint_url(9, Some("a.example".to_owned())).unwrap(), url);
        }
        // A wildcard alone.
        assert!(with_site("127.0.0.1:1").endpoint_url(9, None).is_err());
        let advertised =
            CoordinatorConfig { advertise_host: "c.example".to_owned(), ..with_site("10.0.0.1:1") };
        assert_eq!(advertised.endpoint_url(9, None).unwrap(), "https://c.example:9");
    }

    #[test]
    fn live_uis_have_names_that_browsers_reach() {
        let shown =
            |config: &CoordinatorConfig| config.shows_live_uis().unwrap().then(|| config.ui_url(9).unwrap());
        let here = listening("127.0.0.1:1");
        assert_eq!(shown(&here).as_deref(), Some("http://*.ui.localhost:9"));
        let tls = CoordinatorConfig { tls: true, ..here.clone() };
        assert_eq!(shown(&tls).as_deref(), Some("https://*.ui.localhost:9"));
        assert_eq!(shown(&with_site("127.0.0.1:1")), None);
        let url = "https://*.ui.example".to_owned();
        for config in [here, with_site("127.0.0.1:1")] {
            let named = CoordinatorConfig { ui_url: Some(url.clone()), ..config };
            assert_eq!(shown(&named).as_ref(), Some(&url));
        }
    }

    #[test]
    fn agents_are_sent_where_the_endpoint_listens() {
        let advertised = |host: &str, on| CoordinatorConfig {
            advertise_host: host.to_owned(),
            insecure_http: true,
            ..listening(on)
        };
        for (config, url) in [
            (listening("127.0.0.1:1"), "http://127.0.0.1:9"),
            (advertised("127.0.0.1", "10.0.0.1:1"), "http://10.0.0.1:9"),
            (advertised("127.0.0.1", "0.0.0.0:1"), "http://127.0.0.1:9"),
            (advertised("hearth-1", "10.0.0.1:1"), "http://hearth-1:9"),
            (advertised("fd00::7", "[::]:1"), "http://[fd00::7]:9"),
            (with_site("127.0.0.1:1"), "https://127.0.0.1:9"),
        ] {
            assert_eq!(config.service_url(9).unwrap(), url);
        }
    }
}
