//! The AWS-compatible surface of the coordinator: signatures, routing by service, and the protocols behind it.
//!
//! One endpoint answers for the service that a request's signature names (design §6.2). An adapter: it authenticates,
//! authorises, checks a request against the service model and hands it on as typed structures; it decides nothing else.

mod api;
pub mod emr;
mod iam;
mod query;
pub mod route;
pub mod sigv4;
mod sts;

pub use api::{Api, Connection};
