//! The stable address at which workers reach the coordinator's services.
//!
//! Workers are told one loopback address for their whole life (design §6.2). A [`Forwarder`] listens there and
//! splices bytes to wherever the coordinator answers now, so that a restart or a new port of the coordinator is
//! a slow request and not a failed one. Nothing is parsed: the `Host` header, and with it the signature over it,
//! passes untouched. Workers speak plain HTTP to their own host; where the coordinator serves TLS, the forwarder wraps
//! the bytes in it and makes sure that the coordinator answers, so that no worker needs to trust anything.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod forwarder;
mod upstream;

pub use forwarder::{ForwardError, Forwarder, MAX_CONNECTIONS};
pub use upstream::{CONNECT_WITHIN, Upstream};
