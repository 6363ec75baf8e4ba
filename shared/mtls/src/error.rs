//! What can go wrong with keys, certificates and their files.

use std::io;
use std::path::PathBuf;

/// Why an identity could not be made, read, kept or used.
#[derive(Debug, thiserror::Error)]
pub enum MtlsError {
    /// A cluster's name must be fit for a URI's authority.
    #[error("cluster name must be 1 to 64 characters of a-z, 0-9, '.' and '-', got {0:?}")]
    ClusterName(String),
    /// Making a key, a certificate or a request failed.
    #[error("{doing}")]
    Certificate {
        /// What was being done.
        doing: &'static str,
        /// The cryptographic library's reason.
        #[source]
        source: rcgen::Error,
    },
    /// A TLS configuration cannot be built from these credentials.
    #[error("configuring TLS")]
    Tls(#[source] rustls::Error),
    /// The trust anchor was not accepted as one.
    #[error("configuring TLS: {0}")]
    Verifier(String),
    /// A file of the identity cannot be read or written.
    #[error("{doing} {path}")]
    File {
        /// "reading" or "writing".
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file lacks a part or holds something else.
    #[error("{path} does not hold {expected}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
    },
    /// A certificate lacks the name it must have.
    #[error("reading a certificate's name")]
    Name(#[from] crate::NameError),
    /// An address is not `host:port`.
    #[error("address {0:?} is not host:port")]
    Address(String),
    /// A fingerprint is not 64 hexadecimal digits.
    #[error("fingerprint must be 64 hexadecimal digits")]
    Fingerprint,
    /// The other side cannot be reached, or is not who it should be.
    #[error("connecting to {address}")]
    Connect {
        /// Whom we dialled.
        address: String,
        /// The transport's reason.
        #[source]
        source: tonic::transport::Error,
    },
}
