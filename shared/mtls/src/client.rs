//! Dialling the coordinator.

use crate::enrolment::FingerprintVerifier;
use crate::{COORDINATOR_HOST, Fingerprint, LiveCredential, MtlsError, PeerName, config};
use hyper_util::rt::TokioIo;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::{ClientConfig, version};
use rustls_pki_types::{CertificateDer, ServerName};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

/// How long reaching the coordinator may take, TLS included.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How often an idle connection is tried, and how long the answer may take: what notices a vanished peer.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// What an agent needs to dial the coordinator: its own credential and whom it trusts.
#[derive(Debug, Clone)]
pub struct ClientIdentity {
    config: Arc<ClientConfig>,
    cluster: Arc<str>,
}

impl ClientIdentity {
    /// Trusts `authority` to vouch for the coordinator of `cluster`, and shows `credential`.
    ///
    /// # Errors
    /// When `authority` is not fit to be one.
    pub fn new(
        authority: &CertificateDer<'static>,
        cluster: &str,
        credential: Arc<LiveCredential>,
    ) -> Result<Self, MtlsError> {
        let verifier =
            WebPkiServerVerifier::builder_with_provider(config::roots(authority)?, config::provider())
                .build()
                .map_err(|error| MtlsError::Verifier(error.to_string()))?;
        let config = ClientConfig::builder_with_provider(config::provider())
            .with_protocol_versions(&[&version::TLS13])
            .map_err(MtlsError::Tls)?
            .with_webpki_verifier(verifier)
            .with_client_cert_resolver(credential);
        Ok(Self { config: finished(config), cluster: cluster.into() })
    }
}

/// Connects to the agents' service at `address` (`host:port`) and makes sure that the coordinator answers there.
///
/// # Errors
/// [`MtlsError::Connect`] within ten seconds. A refusal by the coordinator shows at the first call.
pub async fn agents_channel(address: &str, identity: &ClientIdentity) -> Result<Channel, MtlsError> {
    connect(address, identity.config.clone(), Some(identity.cluster.clone())).await
}

/// Connects to the enrolment service at `address` (`host:port`), whose chain must end in the authority with
/// `fingerprint`. Nothing is sent to a server that cannot show it.
///
/// # Errors
/// [`MtlsError::Connect`] within ten seconds.
pub async fn enrolment_channel(address: &str, fingerprint: Fingerprint) -> Result<Channel, MtlsError> {
    let config = ClientConfig::builder_with_provider(config::provider())
        .with_protocol_versions(&[&version::TLS13])
        .map_err(MtlsError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(FingerprintVerifier::new(fingerprint)))
        .with_no_client_auth();
    connect(address, finished(config), None).await
}

fn finished(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

async fn connect(
    address: &str,
    config: Arc<ClientConfig>,
    cluster: Option<Arc<str>>,
) -> Result<Channel, MtlsError> {
    // The connector speaks TLS; for `https` tonic would insist on doing so itself, with no say in verification.
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|_| MtlsError::Address(address.to_owned()))?
        .connect_timeout(CONNECT_WITHIN)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    let dialled = address.to_owned();
    let connector = tower::service_fn(move |_: http::Uri| {
        let (dialled, config, cluster) = (dialled.clone(), config.clone(), cluster.clone());
        async move { dial(&dialled, config, cluster.as_deref()).await.map(TokioIo::new) }
    });
    endpoint
        .connect_with_connector(connector)
        .await
        .map_err(|source| MtlsError::Connect { address: address.to_owned(), source })
}

pub(crate) async fn dial(
    address: &str,
    config: Arc<ClientConfig>,
    cluster: Option<&str>,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(COORDINATOR_HOST).expect("the constant is a DNS name");
    let stream = TlsConnector::from(config).connect(name, stream).await?;
    if let Some(cluster) = cluster {
        let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let first = certificates.first().map(AsRef::as_ref).unwrap_or_default();
        match PeerName::of_certificate(first, cluster) {
            Ok(PeerName::Coordinator) => {}
            Ok(other) => return Err(io::Error::other(format!("{other} answers in the coordinator's place"))),
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    Ok(stream)
}
