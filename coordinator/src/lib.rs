//! The coordinator's daemon and the `hearth` command line: wiring alone.

pub mod backup;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod enrolment;
mod process;
pub mod ui;
pub mod up;
