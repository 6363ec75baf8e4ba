//! TLS configurations: version 1.3 alone, both sides certified, no resumption.

use crate::{LiveCredential, MtlsError};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, version};
use rustls_pki_types::CertificateDer;
use std::sync::Arc;

/// The one cryptographic provider of both daemons.
pub(crate) fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Makes aws-lc-rs the process's default provider, for libraries that ask for one. Repeating it changes nothing.
pub fn install_provider() {
    // It fails only when one is installed already, and there is but one to install.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// The trust in exactly one authority.
pub(crate) fn roots(authority: &CertificateDer<'static>) -> Result<Arc<RootCertStore>, MtlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).map_err(MtlsError::Tls)?;
    Ok(Arc::new(roots))
}

/// Configures the service for agents: a client must show a certificate of `authority`.
///
/// Sessions are not resumed: a resumed one would outlive the certificate it was opened with.
///
/// # Errors
/// When `authority` is not fit to be one.
pub fn agents_server_config(
    authority: &CertificateDer<'static>,
    credential: Arc<LiveCredential>,
) -> Result<Arc<ServerConfig>, MtlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(authority)?, provider())
        .build()
        .map_err(|error| MtlsError::Verifier(error.to_string()))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])
        .map_err(MtlsError::Tls)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(credential);
    Ok(without_resumption(config))
}

/// Configures the enrolment service: clients show no certificate, for they have none yet.
///
/// # Errors
/// When the provider lacks TLS 1.3.
pub fn enrolment_server_config(credential: Arc<LiveCredential>) -> Result<Arc<ServerConfig>, MtlsError> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])
        .map_err(MtlsError::Tls)?
        .with_no_client_auth()
        .with_cert_resolver(credential);
    Ok(without_resumption(config))
}

fn without_resumption(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}
