//! The stable address at which workers reach the coordinator's services.
//!
//! Workers are told one loopback address for their whole life (design §6.2). A [`Forwarder`] listens there and
//! splices bytes to wherever the coordinator answers now, so that a restart or a new port of the coordinator is
//! a slow request and not a failed one. Nothing is parsed: the `Host` header, and with it the signature over it,
//! passes untouched, and TLS passes through.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod forwarder;
mod upstream;

pub use forwarder::{ForwardError, Forwarder, MAX_CONNECTIONS};
pub use upstream::{CONNECT_WITHIN, Upstream};
