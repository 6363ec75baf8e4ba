//! From a `StartJobRun` request for Spark to the arguments its driver's SparkSubmit gets.
//!
//! [`tokens`] splits `sparkSubmitParameters`, [`options`] reads the tokens as SparkSubmit 3.5 would, [`memory`] and
//! [`sizing`] turn settings into worker sizes, [`defaults`] and [`layers`] hold what applies below the job's own
//! words, `log4j2` writes the logging configuration, [`entry_point`] classifies the program, and [`launch`] puts them together.

mod classifications;
pub mod defaults;
pub mod entry_point;
mod fault;
pub mod launch;
pub mod layers;
mod log4j2;
pub mod memory;
pub mod options;
pub mod sizing;
pub mod tokens;

pub use entry_point::{EntryKind, EntryPoint};
pub use fault::{Fault, Faults, Reserved};
pub use launch::{DriverJvm, DriverLaunch, LaunchRequest, MASTER, launch};
pub use options::SubmitOptions;
pub use sizing::{ProcessSize, Role};
