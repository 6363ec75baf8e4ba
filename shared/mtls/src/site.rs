//! The site's own certificate for the AWS-compatible endpoint: two PEM files that somebody else renews.

use crate::{MtlsError, files};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use x509_parser::extensions::GeneralName;

/// A certificate with its chain and its key, read again when the files change.
pub struct SiteCertificate {
    certificate: PathBuf,
    key: PathBuf,
    loaded: RwLock<Arc<CertifiedKey>>,
}

impl SiteCertificate {
    /// Reads `certificate` (PEM: the certificate, then those between it and its root) and `key` (PEM). Blocks.
    ///
    /// # Errors
    /// File errors, files that hold something else, and a key that is another certificate's.
    pub fn load(certificate: &Path, key: &Path) -> Result<Arc<Self>, MtlsError> {
        let loaded = read(certificate, key)?;
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        Ok(Arc::new(Self { certificate, key, loaded: RwLock::new(Arc::new(loaded)) }))
    }

    /// Shows what the files hold now to every new connection; answers whether that is another certificate. Blocks.
    ///
    /// # Errors
    /// As [`SiteCertificate::load`], also while only one of the files is replaced yet; what was loaded then stays.
    pub fn reload(&self) -> Result<bool, MtlsError> {
        let fresh = read(&self.certificate, &self.key)?;
        if fresh.cert == self.current().cert {
            return Ok(false);
        }
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        Ok(true)
    }

    /// A host name or address that the certificate is good for; `None` if it names but wildcards.
    pub fn host(&self) -> Option<String> {
        let current = self.current();
        let (_, certificate) = x509_parser::parse_x509_certificate(current.cert.first()?).ok()?;
        let names = certificate.subject_alternative_name().ok()??;
        names.value.general_names.iter().find_map(|name| match name {
            GeneralName::DNSName(name) if !name.starts_with('*') => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
            _ => None,
        })
    }

    pub(crate) fn current(&self) -> Arc<CertifiedKey> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for SiteCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SiteCertificate")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, MtlsError> {
    let lacks = |path: &Path, expected| MtlsError::Content { path: path.to_owned(), expected };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&files::read(certificate)?).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| lacks(certificate, "a certificate in PEM"))?;
    let private = PrivateKeyDer::from_pem_slice(&files::read(key)?)
        .map_err(|_| lacks(key, "a private key in PEM without a passphrase"))?;
    let private = any_supported_type(&private).map_err(MtlsError::Tls)?;
    let certified = CertifiedKey::new(chain, private);
    certified.keys_match().map_err(|_| lacks(key, "the private key of the certificate"))?;
    Ok(certified)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}
