//! TLS for the AWS-compatible endpoint: which certificate its clients are shown, and how agents reach it.
//!
//! Clients of the API show no certificate; their signatures say who they are. Agents ask for [`COORDINATOR_HOST`] and
//! are shown the certificate of hearth's own authority, whatever the site shows to everybody else: an agent needs no
//! other trust than the one it enrolled with.

use crate::config::{provider, roots};
use crate::{COORDINATOR_HOST, LiveCredential, MtlsError, SiteCertificate, client};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig, version};
use rustls_pki_types::CertificateDer;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// What is spoken within TLS. SigV4 clients speak HTTP/1.1, as S3 itself does.
const HTTP_1: &[u8] = b"http/1.1";

/// Configures the endpoint (TLS 1.2 and 1.3): `site`'s certificate for everybody but agents if there is one, else `own`.
///
/// # Errors
/// When the provider lacks a version of TLS.
pub fn endpoint_server_config(
    own: Arc<LiveCredential>,
    site: Option<Arc<SiteCertificate>>,
) -> Result<Arc<ServerConfig>, MtlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(MtlsError::Tls)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shown { own, site }));
    config.alpn_protocols = vec![HTTP_1.to_vec()];
    Ok(Arc::new(config))
}

/// Chooses the certificate by the name that a client asks for.
#[derive(Debug)]
struct Shown {
    own: Arc<LiveCredential>,
    site: Option<Arc<SiteCertificate>>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match &self.site {
            Some(site) if hello.server_name() != Some(COORDINATOR_HOST) => Some(site.current()),
            Some(_) | None => Some(self.own.current()),
        }
    }
}

/// An agent's way to the endpoint: TLS 1.3 to a server that its cluster's authority names as the coordinator.
#[derive(Debug, Clone)]
pub struct EndpointDialer {
    config: Arc<ClientConfig>,
    cluster: Arc<str>,
}

impl EndpointDialer {
    /// Trusts `authority` to vouch for the coordinator of `cluster`.
    ///
    /// # Errors
    /// When `authority` is not fit to be one.
    pub fn new(authority: &CertificateDer<'static>, cluster: &str) -> Result<Self, MtlsError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])
            .map_err(MtlsError::Tls)?
            .with_root_certificates(roots(authority)?)
            .with_no_client_auth();
        config.alpn_protocols = vec![HTTP_1.to_vec()];
        Ok(Self { config: Arc::new(config), cluster: cluster.into() })
    }

    /// Connects to `address` (`host:port`) and makes sure that the coordinator answers there.
    ///
    /// # Errors
    /// When nobody answers, or somebody else. Cancel safe: the connection is closed.
    pub async fn dial(&self, address: &str) -> io::Result<TlsStream<TcpStream>> {
        client::dial(address, self.config.clone(), Some(&self.cluster)).await
    }
}
