//! A whole coordinator in the test's own process, on loopback, with its own data directory; and a client of its endpoint.

mod client;
mod cluster;
mod jobs;
mod users;

pub(crate) use client::{Answer, Client, Keys};
pub(crate) use cluster::{BUNDLE, Cluster, PATIENCE, Timing};
pub(crate) use jobs::{Job, Submission};
