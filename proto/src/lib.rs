//! The contract between coordinator and agents, compiled from `hearth/agent/v1/*.proto`.

/// Version of the contract. Coordinator and agent refuse each other when theirs differ.
pub const PROTOCOL: u32 = 1;

/// Messages and services of `hearth.agent.v1`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used)]
pub mod v1 {
    tonic::include_proto!("hearth.agent.v1");
}
