//! The keeper: the tiny parent process of one worker.
//!
//! An agent starts `hearth-keeper <worker-dir>`, which starts the worker described by the directory's `launch`
//! file, outlives the agent, kills whatever the worker leaves behind and writes `exit.json`. The library part holds
//! the formats that the agent shares with it ([`launch`], [`record`]) and the two roles of the program
//! ([`supervise`], [`child`]). It uses the standard library, `nix` and the arithmetic of leases alone, so that a host
//! can afford hundreds.
//!
//! Threads: none. The worker's death signal is bound to the thread that started it, which here is the process.

pub mod child;
mod descendants;
pub mod durable;
mod freezer;
pub mod groups;
mod hold;
pub mod launch;
pub mod mounts;
pub mod record;
pub mod step;
pub mod supervise;
pub mod system;
pub mod wake;

/// Name of the file in a worker directory that says what to start.
pub const LAUNCH_FILE: &str = "launch";
/// Name of the file in a worker directory that identifies the running keeper and worker.
pub const KEEPER_FILE: &str = "keeper.json";
/// Name of the file in a worker directory that holds the worker's outcome.
pub const EXIT_FILE: &str = "exit.json";
