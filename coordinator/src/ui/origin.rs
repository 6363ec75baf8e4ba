//! The origins of live UIs: one host name per attempt of a job run, below a name that is configured.

use std::net::IpAddr;
use url::{Position, Url};

/// Where live UIs are found: `https://*.ui.example:8423`, with the attempt's label in place of the asterisk. A browser
/// keeps pages of different labels apart, so that one job run's page cannot read another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UiOrigin {
    is_tls: bool,
    /// What follows the label: `.ui.example`, in lower case.
    domain: String,
    /// `:8423`, or nothing for the scheme's own port.
    port: String,
}

/// Why a text names no origins.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "ui_url must be http:// or https://, an asterisk, a dot, a host name and if need be a port, as in \
     \"https://*.ui.hearth.example\", got {0:?}"
)]
pub struct OriginError(String);

impl UiOrigin {
    /// Reads `https://*.NAME[:PORT]`.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let wrong = || OriginError(text.to_owned());
        let (scheme, rest) = text.split_once("://*.").ok_or_else(wrong)?;
        let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| wrong())?;
        let host = url.host_str().filter(|host| host.parse::<IpAddr>().is_err()).ok_or_else(wrong)?;
        let is_origin_alone = &url[Position::AfterPort..] == "/"
            && url.username().is_empty()
            && url.password().is_none()
            && !host.starts_with('[');
        if !is_origin_alone || !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        Ok(Self {
            is_tls: url.scheme() == "https",
            domain: format!(".{host}"),
            port: url.port().map(|port| format!(":{port}")).unwrap_or_default(),
        })
    }

    /// Whether browsers reach it within TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The host name that a certificate must be good for: `*.ui.example`.
    pub fn certified_host(&self) -> String {
        format!("*{}", self.domain)
    }

    /// URL of a path under the origin of a label.
    pub fn url(&self, label: &str, path: &str) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{label}{}{}{path}", self.domain, self.port)
    }

    /// The label in the host that a request names, with or without port; nothing for a host that is none of ours. The port
    /// may be another: a browser may come through a tunnel.
    pub fn label(&self, host: &str) -> Option<String> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_ascii_lowercase();
        let label = name.strip_suffix(&self.domain)?;
        (!label.is_empty() && !label.contains('.')).then(|| label.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempts_origin_is_its_label_below_the_name() {
        for (text, url, host) in [
            ("https://*.ui.example", "https://a-1.ui.example/x", "A-1.ui.Example"),
            ("https://*.UI.example:443", "https://a-1.ui.example/x", "a-1.ui.example:443"),
            ("http://*.ui.localhost:8423", "http://a-1.ui.localhost:8423/x", "a-1.ui.localhost:9000"),
        ] {
            let origin = UiOrigin::parse(text).unwrap();
            assert_eq!(origin.url("a-1", "/x"), url);
            assert_eq!(origin.label(host).as_deref(), Some("a-1"), "{host}");
        }
    }

    #[test]
    fn foreign_hosts_have_no_label() {
        let origin = UiOrigin::parse("https://*.ui.example").unwrap();
        for host in [
            "",
            "ui.example",
            ".ui.example",
            "a.b.ui.example",
            "a-1.ui.example.evil",
            "a-1ui.example",
            "127.0.0.1",
        ] {
            assert_eq!(origin.label(host), None, "{host}");
        }
    }

    #[test]
    fn what_is_no_pattern_of_origins_is_refused() {
        for text in [
            "",
            "ui.example",
            "https://ui.example",
            "https://*",
            "https://*.",
            "ftp://*.ui.example",
            "https://*.ui.example/path",
            "https://*.ui.example?x",
            "https://*.user@ui.example",
            "https://*.10.0.0.7",
            "https://*.[::1]",
        ] {
            assert!(UiOrigin::parse(text).is_err(), "{text}");
        }
    }
}
