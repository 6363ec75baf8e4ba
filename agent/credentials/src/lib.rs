//! Credentials of the job's runtime role, served to one worker's own processes and to nobody else (design §8).
//!
//! The agent serves the container-credentials protocol of the AWS SDKs on one loopback port for all workers. A
//! worker is known by a bearer token in its environment **and** by the uid that owns the connecting socket: a token
//! that leaked through a log or a core file is useless to another worker. Secrets live in memory alone.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod credentials;
mod peer;
mod registry;
mod server;
mod token;

pub use credentials::{Credentials, Secret};
pub use peer::{PeerError, is_listened_on_by};
pub use registry::{Denied, Refresh, RefreshError, Registry};
pub use server::{CredentialServer, PATH, ServerError};
pub use token::WorkerToken;
