//! Values both daemons speak of: ids, states, sizes, tokens. Values only: no I/O, no clock, no async.

mod failure;
mod ids;
mod sizes;
mod states;
mod time;
mod token;

pub use failure::FailureCause;
pub use ids::{AgentId, ApplicationId, IdError, JobRunId, ReleaseLabel, WorkerId};
pub use sizes::{Architecture, UnknownArchitecture, WorkerSize};
pub use states::{ApplicationState, JobRunState, UnknownState, WorkerKind};
pub use time::{Moment, Now, Timestamp};
pub use token::{Epoch, FencingToken, Launch};
