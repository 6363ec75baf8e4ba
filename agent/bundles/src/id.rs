//! The name of a bundle.

use std::fmt;
use std::str::FromStr;

use sha2::digest::Output;
use sha2::{Digest, Sha256};

/// SHA-256 of a bundle's `tar.zst`, as 64 lower-case hex digits; safe as a directory name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleId(String);

/// The text is not a bundle id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a bundle id is 64 lower-case hex digits, got {0:?}")]
pub struct NotABundleId(String);

impl BundleId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of bytes that were all fed to `hasher`.
    pub(crate) fn of(hasher: Sha256) -> Self {
        let digest: Output<Sha256> = hasher.finalize();
        Self(hex::encode(digest))
    }
}

impl FromStr for BundleId {
    type Err = NotABundleId;

    fn from_str(text: &str) -> Result<Self, NotABundleId> {
        let fits = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if fits { Ok(Self(text.to_owned())) } else { Err(NotABundleId(text.to_owned())) }
    }
}

impl fmt::Display for BundleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
