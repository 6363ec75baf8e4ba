//! Control groups of workers: one group for each worker below one parent for all of an agent's workers.
//!
//! Four kinds of hosts are served through the same calls ([`Hierarchy`]): cgroup v2, v1 controllers, v1 controllers
//! with a v2 tree beside them (used for `cgroup.kill` and `cgroup.freeze`), and hosts where nothing is permitted, where
//! limits are only advice ([`Enforcement`] says so, limit by limit). Calls block for as long as the kernel takes, which
//! is usually well below a millisecond; those that wait for processes to go say so.

mod detect;
mod error;
mod files;
mod group;
mod limits;
mod parent;
mod report;

pub use detect::{Hierarchy, Tree, Unavailable};
pub use error::CgroupError;
pub use group::{Usage, WorkerGroup};
pub use limits::{Limits, Share};
pub use parent::Cgroups;
pub use report::{Advice, Enforcement, EnforcementReport};
