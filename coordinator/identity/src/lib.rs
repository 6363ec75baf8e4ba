//! Identity: users with access keys, roles, policies, and the sessions made of them (design §8).
//!
//! [`Identity`] keeps everything in memory, so that a request is authenticated and authorised without I/O, and writes
//! each change through [`Documents`] before it shows. Policies are evaluated by the pure
//! [`hearth_coordinator_core::policy`]; sessions are sealed into their own token, so none is stored.

mod access;
mod circumstances;
mod directory;
mod documents;
mod entities;
mod error;
mod identity;
mod key_use;
mod names;
mod policies;
mod policy_text;
mod roles;
mod session;
mod tags;
mod users;
mod vault;
mod versions;

pub use access::{Authenticated, CredentialError, Denied, Principal, ServiceRefused};
pub use circumstances::{Circumstances, iso8601};
pub use documents::{Document, DocumentError, Documents, MemoryDocuments};
pub use entities::{AccessKey, KeyStatus, ManagedPolicy, Role, User};
pub use error::IdentityError;
pub use hearth_coordinator_core::policy::Context;
pub use identity::{Identity, LaunchGuard, Standing};
pub use key_use::KeyUse;
pub use policies::ADMINISTRATOR_ACCESS;
pub use policy_text::{IdentityPolicy, TrustPolicy};
pub use roles::NewRole;
pub use session::{JobClaim, SessionClaims, SessionPolicies, SessionRequest, Subject, TemporaryCredentials};
pub use users::NewAccessKey;
pub use versions::{InForce, PolicyVersion};
