//! The cluster's certificate authority.

use crate::{COORDINATOR_HOST, Credential, Fingerprint, MtlsError, PeerName, files, name};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};
use time::OffsetDateTime;

/// How long agents', workers' and coordinators' certificates live (design §8).
pub const LEAF_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an authority lives: longer than any cluster should go without being renewed by hand.
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(20 * 365 * 24 * 60 * 60);

/// How far hosts' clocks may lag behind the authority's; certificates are valid from this long before they are signed.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

const CERTIFICATE_FILE: &str = "ca.pem";
const KEY_FILE: &str = "ca.key";

/// When a certificate is made and how long it lives from then on.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Wall clock at signing; the certificate is valid from five minutes before it.
    pub now: SystemTime,
    /// Validity after `now`.
    pub lifetime: Duration,
}

impl Terms {
    /// A [`LEAF_LIFETIME`] from now on.
    pub fn from_now() -> Self {
        Self::lasting(LEAF_LIFETIME)
    }

    /// `lifetime` from now on.
    pub fn lasting(lifetime: Duration) -> Self {
        Self { now: SystemTime::now(), lifetime }
    }
}

/// The key that vouches for every machine of a cluster.
#[derive(Debug)]
pub struct Authority {
    cluster: String,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority for `cluster`, whose name becomes the authority part of every URI it signs.
    ///
    /// # Errors
    /// [`MtlsError::ClusterName`], or the cryptographic library's.
    pub fn create(cluster: &str, now: SystemTime) -> Result<Self, MtlsError> {
        check_cluster(cluster)?;
        let doing = "making the certificate authority";
        let key = KeyPair::generate().map_err(|source| MtlsError::Certificate { doing, source })?;
        let mut params = params(&format!("hearth CA {cluster}"), Terms { now, lifetime: AUTHORITY_LIFETIME });
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.subject_alt_names = vec![uri(&format!("spiffe://{cluster}"))?];
        let certificate =
            params.self_signed(&key).map_err(|source| MtlsError::Certificate { doing, source })?.into();
        Ok(Self { cluster: cluster.to_owned(), certificate, issuer: Issuer::new(params, key) })
    }

    /// Opens the authority kept in `directory` (`ca.pem`, and `ca.key` with mode 0600), or makes one there.
    ///
    /// # Errors
    /// File errors; also when only one of the two files is there, so that a lost key is never papered over by
    /// another authority that no agent trusts.
    pub fn open_or_create(directory: &Path, cluster: &str, now: SystemTime) -> Result<Self, MtlsError> {
        let (certificate, key) = (directory.join(CERTIFICATE_FILE), directory.join(KEY_FILE));
        if certificate.exists() || key.exists() {
            return Self::open(directory);
        }
        let authority = Self::create(cluster, now)?;
        files::replace(&key, &authority.issuer.key().serialize_pem(), 0o600)?;
        files::replace(&certificate, &authority.certificate_pem(), 0o644)?;
        Ok(authority)
    }

    /// Opens the authority kept in `directory`; its cluster's name is read from its certificate.
    ///
    /// # Errors
    /// File errors, and files that do not hold what they should.
    pub fn open(directory: &Path) -> Result<Self, MtlsError> {
        let (certificate_path, key_path) = (directory.join(CERTIFICATE_FILE), directory.join(KEY_FILE));
        let certificate = CertificateDer::from_pem_slice(&files::read(&certificate_path)?)
            .map_err(|_| MtlsError::Content { path: certificate_path.clone(), expected: "a certificate" })?;
        let bad_key = || MtlsError::Content { path: key_path.clone(), expected: "a private key" };
        let key_pem = String::from_utf8(files::read(&key_path)?).map_err(|_| bad_key())?;
        let key = KeyPair::from_pem(&key_pem).map_err(|_| bad_key())?;
        let uri = name::only_uri(&certificate)?;
        let cluster = uri.strip_prefix("spiffe://").unwrap_or_default().to_owned();
        check_cluster(&cluster)?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|source| {
            MtlsError::Certificate { doing: "reading the certificate authority", source }
        })?;
        Ok(Self { cluster, certificate, issuer })
    }

    /// The cluster this authority vouches for.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The authority's own certificate as PEM.
    pub fn certificate_pem(&self) -> String {
        files::pem("CERTIFICATE", &self.certificate)
    }

    /// What people pass to `hearth-agent join --ca-fingerprint`.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// Makes a key and a certificate for `name`. `hosts` (DNS names and IP addresses) are added for a coordinator;
    /// for all others they must be empty, since they never serve under a host's name.
    ///
    /// # Errors
    /// The cryptographic library's.
    pub fn issue(&self, name: &PeerName, hosts: &[String], terms: Terms) -> Result<Credential, MtlsError> {
        let doing = "making a key";
        let key = KeyPair::generate().map_err(|source| MtlsError::Certificate { doing, source })?;
        let certificate = self.sign(name, hosts, &key, terms)?;
        Ok(Credential::new(certificate, self.certificate.clone(), key.serialize_der()))
    }

    /// Signs the public key of a PKCS#10 request (DER) for `name`. Nothing else of the request is used: who the
    /// holder is, is ours to say. The request's signature is checked, which proves possession of the private key.
    ///
    /// # Errors
    /// A malformed or wrongly signed request.
    pub fn sign_request(
        &self,
        request_der: &[u8],
        name: &PeerName,
        terms: Terms,
    ) -> Result<CertificateDer<'static>, MtlsError> {
        let request =
            CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request_der))
                .map_err(|source| MtlsError::Certificate {
                    doing: "reading a certificate signing request",
                    source,
                })?;
        self.sign(name, &[], &request.public_key, terms)
    }

    fn sign(
        &self,
        name: &PeerName,
        hosts: &[String],
        key: &impl rcgen::PublicKeyData,
        terms: Terms,
    ) -> Result<CertificateDer<'static>, MtlsError> {
        let mut params = params(&name.to_string(), terms);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = vec![uri(&name.to_uri(&self.cluster))?];
        // A stolen agent's certificate must not be able to stand in for the coordinator.
        params.extended_key_usages = match name {
            PeerName::Coordinator => {
                params.subject_alt_names.push(host(COORDINATOR_HOST)?);
                for name in hosts {
                    params.subject_alt_names.push(host(name)?);
                }
                vec![ExtendedKeyUsagePurpose::ServerAuth]
            }
            PeerName::Agent(_) | PeerName::Worker { .. } => {
                debug_assert!(hosts.is_empty(), "only coordinators serve under a host's name");
                vec![ExtendedKeyUsagePurpose::ClientAuth]
            }
        };
        let certificate = params
            .signed_by(key, &self.issuer)
            .map_err(|source| MtlsError::Certificate { doing: "signing a certificate", source })?;
        Ok(certificate.into())
    }
}

fn params(common_name: &str, terms: Terms) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = OffsetDateTime::from(terms.now - CLOCK_SKEW);
    params.not_after = OffsetDateTime::from(terms.now + terms.lifetime);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn uri(text: &str) -> Result<SanType, MtlsError> {
    Ok(SanType::URI(text.try_into().map_err(bad_name)?))
}

fn host(text: &str) -> Result<SanType, MtlsError> {
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => Ok(SanType::DnsName(text.try_into().map_err(bad_name)?)),
    }
}

fn bad_name(source: rcgen::Error) -> MtlsError {
    MtlsError::Certificate { doing: "naming a certificate's holder", source }
}

fn check_cluster(cluster: &str) -> Result<(), MtlsError> {
    let fits = (1..=64).contains(&cluster.len())
        && cluster
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte));
    if fits { Ok(()) } else { Err(MtlsError::ClusterName(cluster.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PendingKey;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn an_authority_reopened_is_the_same_and_its_key_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let made = Authority::open_or_create(directory.path(), "home", SystemTime::now()).unwrap();
        let opened = Authority::open_or_create(directory.path(), "ignored", SystemTime::now()).unwrap();
        assert_eq!(made.fingerprint(), opened.fingerprint());
        assert_eq!(opened.cluster(), "home");
        let mode = std::fs::metadata(directory.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_lost_key_is_not_replaced_in_silence() {
        let directory = tempfile::tempdir().unwrap();
        Authority::open_or_create(directory.path(), "home", SystemTime::now()).unwrap();
        std::fs::remove_file(directory.path().join(KEY_FILE)).unwrap();
        assert!(Authority::open_or_create(directory.path(), "home", SystemTime::now()).is_err());
    }

    #[test]
    fn a_request_gets_our_name_whatever_it_asks_for() {
        let authority = Authority::create("home", SystemTime::now()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut wish = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
        wish.subject_alt_names.push(uri("spiffe://home/coordinator").unwrap());
        let request = wish.serialize_request(&key).unwrap();
        let agent = PeerName::Agent("h1".parse().unwrap());
        let signed = authority.sign_request(request.der(), &agent, Terms::from_now()).unwrap();
        assert_eq!(PeerName::of_certificate(&signed, "home").unwrap(), agent);
        let text = String::from_utf8_lossy(&signed).into_owned();
        assert!(!text.contains("evil.example") && !text.contains("coordinator"), "{text}");
    }

    #[test]
    fn a_request_somebody_changed_is_refused() {
        let authority = Authority::create("home", SystemTime::now()).unwrap();
        let mut request = PendingKey::generate().unwrap().request().unwrap();
        *request.last_mut().unwrap() ^= 1;
        assert!(authority.sign_request(&request, &PeerName::Coordinator, Terms::from_now()).is_err());
    }

    #[test]
    fn an_unfit_cluster_name_is_refused() {
        for name in ["", "a/b", "A", "a b"] {
            assert!(Authority::create(name, SystemTime::now()).is_err(), "{name:?}");
        }
    }
}
