//! The arithmetic of workers' leases (design §9), without clock, file or process.
//!
//! A worker with a [`Lease`] may run for so long without contact between its host and the coordinator. The agent turns
//! what it knows of that contact ([`Contact`]) into [`Deadlines`] and keeps them in a file; the worker's keeper holds the
//! [`Leash`]: it reads the file and freezes, kills or thaws, whether the agent lives or not. Depends on the standard
//! library alone, because the keeper does.
//!
//! Every moment is a time since boot (`CLOCK_BOOTTIME`), so that a host that was suspended knows how late it is.

mod contact;
mod deadlines;
mod leash;

pub use contact::Contact;
pub use deadlines::{AtEnd, Deadlines, Lease, NEVER, TEXT_LENGTH};
pub use leash::{Act, Leash, Look};
