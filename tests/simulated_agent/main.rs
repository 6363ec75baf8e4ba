//! The coordinator as its agents see it: lateness, loss, repetition, restarts and refusals, over real gRPC and mTLS.
//!
//! The agent here is simulated: it enrols, attaches and reports like a real one, and starts no process. Each test
//! waits for conditions; that something does *not* happen is shown with [`stream::Stream::settled`].

#[path = "../harness/mod.rs"]
mod harness;
#[path = "../../coordinator/api/tests/model/mod.rs"]
#[allow(dead_code, reason = "its probes are for the walk")]
mod model;

mod admission;
mod attempts;
mod autopilot;
mod cancelling;
mod capacity;
mod conditions;
mod credentials;
mod dashboards;
mod enrolment;
mod executors;
mod host;
mod leases;
mod live_ui;
mod members;
mod one_job;
mod orders;
mod preflight;
mod quotas;
mod restarts;
mod restores;
mod standing;
mod stream;
mod updates;
mod usage;
mod validation;
mod worker;
