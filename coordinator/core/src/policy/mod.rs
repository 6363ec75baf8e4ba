//! The IAM policy language and its evaluation.
//!
//! [`PolicyDocument::parse`] reads a document and refuses what IAM refuses; [`evaluate`] decides whether a caller's
//! identity policies, narrowed by session policies, allow a request; [`evaluate_trust`] decides who may assume a role.

mod caller;
mod condition;
mod context;
mod document;
mod evaluate;
mod json;
mod malformed;
mod operand;
mod pattern;
mod principal;
mod statement;

pub use caller::Caller;
pub use context::Context;
pub use document::{PolicyDocument, PolicyKind};
pub use evaluate::{Decision, Request, Source, TrustDecision, evaluate, evaluate_trust};
pub use malformed::MalformedPolicy;
