//! Why a connection was refused, in terms an operator can act on.

use crate::{NameError, PeerName};
use rustls::{CertificateError, Error};
use std::io;
use std::time::Duration;

/// Why an incoming connection is not served.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The client showed no certificate.
    #[error("client showed no certificate")]
    NoCertificate,
    /// The certificate was signed by somebody else: another cluster's, or an older authority.
    #[error("client's certificate is not of this cluster's authority")]
    ForeignAuthority,
    /// The certificate's time is over.
    #[error("client's certificate has expired")]
    Expired,
    /// The certificate's time has not begun; the clocks differ.
    #[error("client's certificate is not valid yet")]
    NotYetValid,
    /// The certificate is good but names nobody.
    #[error("client's certificate names nobody of this cluster")]
    Unnamed(#[source] NameError),
    /// The certificate is good but not for this service.
    #[error("{0} has no business with this service")]
    NotAdmitted(PeerName),
    /// The client speaks HTTP without TLS; it was told so.
    #[error("client speaks plain HTTP on a TLS port")]
    PlainHttp,
    /// The client did not finish in time.
    #[error("handshake not finished within {0:?}")]
    TimedOut(Duration),
    /// Anything else in the handshake: no TLS 1.3, a port scan, a broken connection.
    #[error("handshake failed")]
    Handshake(#[source] io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        match tls {
            Some(Error::NoCertificatesPresented) => Self::NoCertificate,
            Some(Error::InvalidCertificate(reason)) => match reason {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::ForeignAuthority,
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::NotYetValid
                }
                _ => Self::Handshake(error),
            },
            _ => Self::Handshake(error),
        }
    }
}
