//! A certificate with its private key, and the slot that running connections take it from.

use crate::authority::CLOCK_SKEW;
use crate::{MtlsError, files};
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::ClientHello;
use rustls::sign::CertifiedKey;
use rustls::{SignatureScheme, client, server};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A certificate, the authority that signed it, and the private key of its holder.
pub struct Credential {
    certificate: CertificateDer<'static>,
    authority: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Credential {
    /// From a certificate and its authority (both DER) and the private key (PKCS#8 DER).
    pub fn new(
        certificate: CertificateDer<'static>,
        authority: CertificateDer<'static>,
        key: Vec<u8>,
    ) -> Self {
        Self { certificate, authority, key: PrivatePkcs8KeyDer::from(key) }
    }

    /// The holder's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate of the authority, which is what this holder trusts.
    pub fn authority(&self) -> &CertificateDer<'static> {
        &self.authority
    }

    /// The cluster that the authority vouches for.
    ///
    /// # Errors
    /// When the authority's certificate names no cluster.
    pub fn cluster(&self) -> Result<String, MtlsError> {
        let uri = crate::name::only_uri(&self.authority)?;
        match uri.strip_prefix("spiffe://") {
            Some(cluster) if !cluster.contains('/') => Ok(cluster.to_owned()),
            _ => Err(crate::NameError::Unknown(uri).into()),
        }
    }

    /// When half of the certificate's life, counted from its signing, is over: the time to replace it.
    ///
    /// # Errors
    /// When the certificate is malformed.
    pub fn renew_at(&self) -> Result<SystemTime, MtlsError> {
        let (begin, end) = self.validity()?;
        let signed = begin + CLOCK_SKEW;
        Ok(signed + end.duration_since(signed).unwrap_or_default() / 2)
    }

    /// When the certificate ceases to be accepted.
    ///
    /// # Errors
    /// When the certificate is malformed.
    pub fn expires_at(&self) -> Result<SystemTime, MtlsError> {
        Ok(self.validity()?.1)
    }

    fn validity(&self) -> Result<(SystemTime, SystemTime), MtlsError> {
        let (_, certificate) = x509_parser::parse_x509_certificate(&self.certificate)
            .map_err(|_| crate::NameError::Malformed)?;
        let at = |seconds: i64| UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let validity = certificate.validity();
        Ok((at(validity.not_before.timestamp()), at(validity.not_after.timestamp())))
    }

    /// Keeps all three parts in one PEM file (mode 0600), so that certificate and key always belong together.
    ///
    /// # Errors
    /// File errors.
    pub fn save(&self, path: &Path) -> Result<(), MtlsError> {
        let text = files::pem("PRIVATE KEY", self.key.secret_pkcs8_der())
            + &files::pem("CERTIFICATE", &self.certificate)
            + &files::pem("CERTIFICATE", &self.authority);
        files::replace(path, &text, 0o600)
    }

    /// Reads what [`Credential::save`] wrote.
    ///
    /// # Errors
    /// File errors, and a file that lacks a part.
    pub fn load(path: &Path) -> Result<Self, MtlsError> {
        let lacks = |expected| MtlsError::Content { path: path.to_owned(), expected };
        let text = files::read(path)?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(&text).map_err(|_| lacks("a private key"))?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        match certificates.map_err(|_| lacks("two certificates"))?.as_slice() {
            [certificate, authority] => {
                Ok(Self { certificate: certificate.clone(), authority: authority.clone(), key })
            }
            _ => Err(lacks("two certificates")),
        }
    }

    /// The form TLS uses. The authority goes along in the chain: a host that enrols knows only its fingerprint.
    fn certified(&self) -> Result<Arc<CertifiedKey>, MtlsError> {
        let key = any_supported_type(&PrivateKeyDer::Pkcs8(self.key.clone_key())).map_err(MtlsError::Tls)?;
        let certified = CertifiedKey::new(vec![self.certificate.clone(), self.authority.clone()], key);
        certified.keys_match().map_err(MtlsError::Tls)?;
        Ok(Arc::new(certified))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credential").finish_non_exhaustive()
    }
}

/// The private key of somebody who has no certificate for it yet.
pub struct PendingKey(KeyPair);

impl PendingKey {
    /// Makes a key (ECDSA P-256).
    ///
    /// # Errors
    /// The cryptographic library's.
    pub fn generate() -> Result<Self, MtlsError> {
        let made = KeyPair::generate();
        Ok(Self(made.map_err(|source| MtlsError::Certificate { doing: "making a key", source })?))
    }

    /// Asks for a certificate: a PKCS#10 request in DER without any name.
    ///
    /// # Errors
    /// The cryptographic library's.
    pub fn request(&self) -> Result<Vec<u8>, MtlsError> {
        let made = CertificateParams::default().serialize_request(&self.0);
        let doing = "making a certificate signing request";
        Ok(made.map_err(|source| MtlsError::Certificate { doing, source })?.der().to_vec())
    }

    /// Joins the key with the certificate (DER) that answered the request.
    ///
    /// # Errors
    /// When the certificate is for another key.
    pub fn certified(self, certificate: Vec<u8>, authority: Vec<u8>) -> Result<Credential, MtlsError> {
        let credential = Credential::new(certificate.into(), authority.into(), self.0.serialize_der());
        credential.certified()?;
        Ok(credential)
    }
}

impl fmt::Debug for PendingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PendingKey")
    }
}

/// The credential that new connections use; it is replaced while old connections go on.
pub struct LiveCredential(RwLock<Arc<CertifiedKey>>);

impl LiveCredential {
    /// Starts with `credential`.
    ///
    /// # Errors
    /// When certificate and key do not belong together.
    pub fn new(credential: &Credential) -> Result<Arc<Self>, MtlsError> {
        Ok(Arc::new(Self(RwLock::new(credential.certified()?))))
    }

    /// Uses `credential` for every connection from now on.
    ///
    /// # Errors
    /// When certificate and key do not belong together; the old one then stays.
    pub fn replace(&self, credential: &Credential) -> Result<(), MtlsError> {
        let certified = credential.certified()?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
        Ok(())
    }

    pub(crate) fn current(&self) -> Arc<CertifiedKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for LiveCredential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LiveCredential")
    }
}

impl server::ResolvesServerCert for LiveCredential {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl client::ResolvesClientCert for LiveCredential {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, PeerName, Terms};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_saved_credential_loads_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("identity.pem");
        let authority = Authority::create("home", SystemTime::now()).unwrap();
        let credential = authority.issue(&PeerName::Coordinator, &[], Terms::from_now()).unwrap();
        credential.save(&path).unwrap();
        credential.save(&path).unwrap();
        let loaded = Credential::load(&path).unwrap();
        assert_eq!(loaded.certificate(), credential.certificate());
        assert_eq!(loaded.cluster().unwrap(), "home");
        LiveCredential::new(&loaded).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_certificate_for_another_key_is_noticed() {
        let authority = Authority::create("home", SystemTime::now()).unwrap();
        let request = PendingKey::generate().unwrap().request().unwrap();
        let agent = PeerName::Agent("h1".parse().unwrap());
        let signed = authority.sign_request(&request, &agent, Terms::from_now()).unwrap();
        let other = PendingKey::generate().unwrap();
        assert!(other.certified(signed.to_vec(), authority.certificate().to_vec()).is_err());
    }

    #[test]
    fn renewal_is_due_at_half_life_however_short_that_is() {
        let authority = Authority::create("home", SystemTime::now()).unwrap();
        for seconds in [20, 3600, 86_400] {
            let terms = Terms::lasting(Duration::from_secs(seconds));
            let credential = authority.issue(&PeerName::Coordinator, &[], terms).unwrap();
            let due = credential.renew_at().unwrap().duration_since(terms.now).unwrap();
            // Certificates count whole seconds.
            let half = Duration::from_secs(seconds / 2);
            assert!(due <= half && half <= due + Duration::from_secs(1), "{due:?} of {seconds} s");
        }
    }
}
