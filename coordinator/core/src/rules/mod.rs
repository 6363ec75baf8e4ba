//! What requests must satisfy beyond the service model: the rules that it cannot state.
//!
//! Each rule says what is wrong as one [`Broken`], so that whoever checks a request can tell everything at once.
//! `CreateApplication` and `UpdateApplication` are held against the same rules, and so are the settings that an application and its job
//! runs have in common. [`job_terms`] holds how a job run may be run, [`releases`] which release has what, and
//! [`places`] the form of what lies outside.

mod broken;
pub mod job_terms;
mod log_types;
pub mod places;
pub mod releases;

pub use broken::Broken;
pub use log_types::check_log_types;
pub use releases::{Feature, NeedsRelease};
