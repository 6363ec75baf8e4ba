//! Workers' processes as the agent sees them.
//!
//! The agent never is a worker's parent: it starts a keeper ([`KeeperProgram`]), which outlives it, and later waits for
//! or adopts what runs ([`KeeperHandle`], [`adopt`]). A process is recognised by boot id and start time, never by its
//! id alone. Beside that: the worker's directory ([`WorkerDirs`]), its user ([`UidRange`]), and what the host offers to
//! workers ([`java`], [`python`], [`host`]).

mod adopt;
mod exit;
mod handle;
pub mod host;
pub mod java;
mod lease_file;
mod leftovers;
pub mod python;
mod reach;
mod spawn;
mod uids;
mod worker_dir;

pub use adopt::{AdoptError, Adoption, adopt};
pub use exit::{End, Exit, RecordError};
pub use handle::{KeeperHandle, WaitError, WorkerSignal};
pub use hearth_keeper::launch::{Access, Identity, LaunchFormatError, LaunchPlan, Mount, View};
pub use lease_file::{LeaseFile, LeaseFileError};
pub use leftovers::{kill_processes_of, mounts_below, processes_of, unmount};
pub use reach::Reach;
pub use spawn::{KeeperProgram, SpawnError, Spawned};
pub use uids::{NoFreeUid, UidRange};
pub use worker_dir::{WorkerDir, WorkerDirError, WorkerDirs};
