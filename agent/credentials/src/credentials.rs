//! The values that are served.

use std::fmt;
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

/// Least time that served credentials have left (design §8): longer than any SDK's own margin for renewing, and
/// than a request that was just signed may wait in a queue.
pub(crate) const LEAST_LEFT: Duration = Duration::from_secs(20 * 60);

/// A text that is wiped from memory when dropped and never shown.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes over a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Temporary credentials of a runtime role.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// `ASIA…`; not secret.
    pub access_key_id: String,
    /// Signs requests.
    pub secret_access_key: Secret,
    /// Accompanies every request signed with it.
    pub session_token: Secret,
    /// Wall-clock time from which they are refused.
    pub expires_at: SystemTime,
    /// The role they act as.
    pub role_arn: String,
}

impl Credentials {
    /// Whether they may still be handed out at `now`.
    pub(crate) fn are_servable(&self, now: SystemTime) -> bool {
        self.expires_at.duration_since(now).is_ok_and(|left| left >= LEAST_LEFT)
    }
}
