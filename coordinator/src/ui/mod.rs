//! Live UIs of job runs: pages that a user's own code can make say and do anything, served under an origin of their own
//! for each attempt of a job run, to whoever has logged in to it with a link of `GetDashboardForJobRun` (design §8).
//!
//! Browser → here → a request on the call that the driver's agent made → the UI on its host. Only `GET` and `HEAD` are
//! passed on, without cookies; of the answer, only what shows a page.

mod door;
mod exchange;
mod origin;
mod pages;
mod passes;
mod server;

pub use door::{Door, Subject};
pub use origin::{OriginError, UiOrigin};
pub use passes::{GOOD_FOR, Passes};
pub(crate) use server::{Front, as_file, router};
