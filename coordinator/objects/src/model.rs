//! What the store holds, in its own words: buckets, objects and their attributes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::digests::Checksum;

/// Who may write to a bucket through the gateway. The in-process API is not bound by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketAccess {
    /// Whoever the policies allow.
    ReadWrite,
    /// Nobody: the bucket is filled by the coordinator alone.
    ReadOnly,
}

impl BucketAccess {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ReadWrite => "read-write",
            Self::ReadOnly => "read-only",
        }
    }

    pub(crate) fn from_index(value: &str) -> Self {
        if value == "read-write" { Self::ReadWrite } else { Self::ReadOnly }
    }
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// When it was created, to the millisecond.
    pub created: OffsetDateTime,
    /// Who may write to it.
    pub access: BucketAccess,
}

/// Whether a creation made something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It is new.
    Created,
    /// It was there already and is unchanged.
    Existed,
}

/// The headers kept with an object and given back with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attributes {
    /// `Content-Type`; `binary/octet-stream` when absent, as S3 says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `Content-Encoding`, without `aws-chunked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// `Content-Disposition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    /// `Cache-Control`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// `Expires`, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// The user's metadata, names without `x-amz-meta-`, in lower case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The checksum of the bytes, when the uploader gave or asked for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Checksum>,
}

impl Attributes {
    /// Attributes with a content type and nothing else.
    pub fn with_content_type(content_type: &str) -> Self {
        Self { content_type: Some(content_type.to_owned()), ..Self::default() }
    }
}

/// An object as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Without quotes: the MD5 of the bytes, or that of the parts' MD5s with the number of parts behind it.
    pub etag: String,
    /// When it was written, to the millisecond.
    pub modified: OffsetDateTime,
    /// What was kept with it.
    pub attributes: Attributes,
}

/// A condition on the object a write replaces, checked in the transaction that replaces it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WriteCondition {
    /// None.
    #[default]
    Always,
    /// `If-None-Match: *`: there must be none.
    IfAbsent,
    /// `If-Match: *`: there must be one.
    IfPresent,
    /// `If-Match: "…"`: there must be one with this ETag (without quotes).
    IfEtag(String),
}

/// Milliseconds since 1970 of now.
pub(crate) fn now_ms() -> i64 {
    (OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000) as i64
}

/// The time of milliseconds since 1970; the index holds only what [`now_ms`] made.
pub(crate) fn from_ms(ms: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
