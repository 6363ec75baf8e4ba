//! AWS Signature Version 4: reading, verifying and making signatures.
//!
//! One canonicalisation serves both sides, so what [`Signer`] makes is what [`Presented::verify`] expects; tests compare
//! it with botocore's. Region is taken from the request's own scope: one endpoint serves whatever Region clients name.

mod canonical;
mod error;
mod presented;
mod sign;
mod stamp;

pub use canonical::sha256_hex;
pub use error::SignatureError;
pub(crate) use presented::query_value;
pub use presented::{Placement, Presented, Scope};
pub use sign::Signer;

/// How far a signature's time may be from ours, in minutes, either way.
pub const MAX_SKEW_MINUTES: i64 = 15;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
