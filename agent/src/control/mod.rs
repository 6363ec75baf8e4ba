//! The agent's end of the control channel to one worker's JVM: JSON lines over a Unix socket.
//!
//! Either side may lose the connection, and the agent may lose its memory, without the job noticing: reliable messages
//! are numbered, kept until acknowledged and sent again, and a JVM whose agent has forgotten what it was told tells it
//! anew.

mod message;
mod protocol;
mod server;
mod socket;

pub(crate) use message::{Order, Report, RunOrder};
pub(crate) use server::{Control, Incoming};
pub(crate) use socket::listen;
