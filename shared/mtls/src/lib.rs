//! Machine identity: the cluster's own certificate authority, and TLS 1.3 in which both sides show a certificate.
//!
//! Every machine and every worker has one certificate whose only URI subject alternative name says what it is
//! ([`PeerName`], design §8). The coordinator holds the [`Authority`]; an agent makes its own key and has it signed
//! ([`Authority::sign_request`]), so private keys never travel. Certificates live a day and are replaced while
//! connections go on: a [`LiveCredential`] is what configurations point to.
//!
//! The AWS-compatible endpoint is served over TLS from here too ([`endpoint_server_config`]), to clients without certificates.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod authority;
mod client;
mod config;
mod credential;
mod endpoint;
mod enrolment;
mod error;
mod files;
mod fingerprint;
mod listener;
mod name;
mod plain;
mod refusal;
mod site;

pub use authority::{Authority, LEAF_LIFETIME, Terms};
pub use client::{ClientIdentity, agents_channel, enrolment_channel};
pub use config::{agents_server_config, enrolment_server_config, install_provider};
pub use credential::{Credential, LiveCredential, PendingKey};
pub use endpoint::{EndpointDialer, endpoint_server_config};
pub use error::MtlsError;
pub use fingerprint::Fingerprint;
pub use listener::{Admission, Connection, MtlsListener, MtlsStream, PeerInfo, accept};
pub use name::{COORDINATOR_HOST, NameError, PeerName};
pub use refusal::Refusal;
pub use site::SiteCertificate;
