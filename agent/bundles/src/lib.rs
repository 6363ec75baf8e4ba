//! The host's cache of unpacked release bundles (design §6.3).
//!
//! A bundle is a `tar.zst` named by the SHA-256 of its bytes. It is fetched once per host, verified before a byte of
//! it is unpacked, and then kept as a plain tree that workers of any uid can read and none can write. A tree appears
//! under its final name whole or not at all, whatever crashes.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cache;
mod download;
mod error;
mod id;
mod unpack;

pub use cache::{BundleCache, Progress};
pub use error::{BundleError, UnpackError};
pub use id::{BundleId, NotABundleId};
