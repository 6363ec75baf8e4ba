//! The whole cluster in one thread, deterministic: the coordinator's and the agents' cores with simulated time, network,
//! disks and crashes. One seed, one trace.
//!
//! The decisions are hearth's own: a coordinator's turns ([`hearth_coordinator_core::turn::Turn`]), what it owes after a
//! restart, an agent's fence and its workers' lives. What carries them out in the daemons is written with sockets and
//! files, so its order of things is mirrored here, each part naming the file it mirrors: `coordinator` (engine and
//! store), `stream` (the agents' service), `agent` (session and roster), `task`, `outbox`, `host` (disk, keepers and
//! processes), `leash` (the agent's leases and the keeper's hold). Each change there wants the same change here.
//!
//! [`simulate`] runs a [`Selection`] of a seed's plan and checks the promises after each step.

mod agent;
mod checker;
mod client;
mod cluster;
mod coordinator;
mod event;
mod host;
mod leash;
mod minimise;
mod mutation;
mod outbox;
mod plan;
mod queue;
mod random;
mod store;
mod stream;
mod task;
mod trace;
mod wire;

pub use checker::{Promise, Violation};
pub use cluster::{Report, simulate};
pub use minimise::minimise;
pub use mutation::Mutation;
pub use plan::Selection;
pub use trace::TraceHash;
