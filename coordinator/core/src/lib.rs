//! The coordinator's rules, pure: no I/O, no clock, no randomness, no async. Time and ids come in as arguments.
//!
//! [`decide::decide`] turns a [`world::World`], a [`command::Command`] and a time into a [`command::Decision`] or a
//! refusal; [`world::World::apply`] is the only way the world changes; [`schedule::schedule`] plans placements;
//! [`turn::Turn`] puts them together.

pub mod agent;
pub mod application;
pub mod command;
pub mod configuration;
pub mod decide;
pub mod job_run;
pub mod lease;
pub mod live_ui;
pub mod policy;
pub mod preflight;
pub mod queueing;
pub mod quotas;
pub mod release;
pub mod retention;
pub mod rules;
mod run_index;
pub mod schedule;
pub mod silence;
pub mod spark_submit;
pub mod telling;
pub mod timeline;
pub mod tokens;
mod triage;
pub mod turn;
pub mod usage;
pub mod worker;
pub mod worker_size;
pub mod world;
