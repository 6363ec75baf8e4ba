//! One worker on this host: a task that does what its [`hearth_agent_core::life::Life`] calls for.

mod fetch;
mod launch;
mod outcome;
mod prepare;
mod removal;
mod task;

pub(crate) use removal::remove_stray;
pub(crate) use task::{Command, Reins, WorkerTask, own_uid};
