//! The embedded object store and its S3 gateway.
//!
//! [`ObjectStore`] keeps buckets and objects in one directory: an index in SQLite, which is the truth, and immutable
//! blob files. Keys never become paths, so every key S3 allows is exact. [`Gateway`] speaks S3 over it and asks a
//! [`Gatekeeper`] for secrets and permissions; the coordinator itself uses the store directly.
//!
//! In an axum router the gateway is a fallback service (its error is `Infallible`), or is called from a handler that
//! has already found the request to be for `s3`:
//!
//! ```ignore
//! let mut request = request; // axum::extract::Request
//! request.extensions_mut().insert(hearth_objects::Peer { address: Some(peer.ip()), is_tls: false });
//! gateway.serve(request).await.map(axum::body::Body::new)
//! ```
//!
//! Connections should have `TCP_NODELAY` set: an object's bytes follow its headers in a write of their own.
//!
//! The crate `s3s` logs every refused request as an error under its own target; a subscriber silences `s3s`.

mod access;
mod admission;
mod blobs;
mod chunks;
mod conversion;
mod digests;
mod error;
mod expect;
mod expiry;
mod gatekeeper;
mod gateway;
mod hold;
mod listing;
mod model;
mod multipart;
mod objects;
mod operations;
mod pins;
mod reader;
mod room;
mod schema;
mod store;
mod uploads;
mod writer;

pub use admission::QuerySigV2;
pub use digests::{Checksum, ChecksumKind};
pub use error::{BodyError, OpenError, StoreError};
pub use gatekeeper::{DenialBasis, Denied, Gatekeeper, ObjectCall};
pub use gateway::{Body, Gateway, Peer, gateway};
pub use hold::{HeldObjects, HoldError, INDEX, examine_index};
pub use listing::{ListPage, ListQuery, MAX_PAGE};
pub use model::{Attributes, Bucket, BucketAccess, Creation, ObjectInfo, WriteCondition};
pub use objects::CopyAttributes;
pub use reader::ObjectReader;
pub use store::ObjectStore;

#[cfg(test)]
mod store_tests;

#[cfg(test)]
mod gateway_tests;

#[cfg(test)]
mod full_disk_tests;

#[cfg(test)]
#[path = "../../engine/tests/small_disk/mod.rs"]
mod small_disk;
