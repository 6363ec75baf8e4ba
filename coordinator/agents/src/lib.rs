//! The coordinator's side of the agents: the gRPC services, one session per agent, and the orders that effects become.
//!
//! Nothing here decides anything: messages become commands for the engine, effects become messages.

mod convert;
mod enrolment;
mod orders;
mod performer;
mod service;
mod sessions;
mod supplies;
mod ui;

pub use enrolment::{EnrolmentService, new_join_token};
pub use orders::{MANAGED_BUCKET, attempt_log_path, worker_log_path};
pub use performer::perform_effects;
pub use service::{AgentService, Terms};
pub use sessions::Sessions;
pub use supplies::{BundleStream, Supplies, SupplyError, WorkerCredentials};
pub use ui::{ANSWER_WINDOW, CONNECTION_WINDOW, UiAnswer, UiBody, UiCall, UiError, UiRelay};
