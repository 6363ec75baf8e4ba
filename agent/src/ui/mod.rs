//! Passes requests of people's browsers on to the UIs that drivers of this host serve themselves.
//!
//! The agent waits for requests on a call that it made, on the connection for calls; it connects to nothing but the port
//! that a live driver reported as its UI's, on loopback, and only while that worker's own user listens there.

mod fetch;
mod relay;

pub(crate) use relay::keep_passing_on;
