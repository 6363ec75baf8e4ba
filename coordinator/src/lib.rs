//! The coordinator's daemon and the `hearth` command line: wiring alone.

pub mod cli;
