//! The bearer token by which a worker is known.

use std::fmt;

use rand::Rng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// 32 random bytes as 64 hex digits, given to one worker as `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
#[derive(Clone)]
pub struct WorkerToken(Zeroizing<String>);

impl WorkerToken {
    /// Draws a token from the thread's cryptographic generator, which the system seeds.
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new([0u8; 32]);
        rand::rng().fill_bytes(bytes.as_mut());
        Self(Zeroizing::new(hex::encode(bytes.as_ref())))
    }

    /// Takes back a token drawn earlier, when a restarted agent adopts a worker; `None` unless it is 64 lower-case
    /// hex digits.
    pub fn adopt(text: &str) -> Option<Self> {
        let fits = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        fits.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The text for the worker's environment.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in time that does not depend on where the texts differ.
    pub(crate) fn matches(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(presented).into()
    }
}

impl fmt::Debug for WorkerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorkerToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_match_themselves_and_are_not_shown() {
        let (one, other) = (WorkerToken::random(), WorkerToken::random());
        assert_eq!(one.expose().len(), 64);
        assert!(one.matches(one.expose().as_bytes()));
        assert!(!one.matches(other.expose().as_bytes()));
        assert!(!one.matches(b""));
        assert!(!format!("{one:?}").contains(one.expose()));
        assert!(WorkerToken::adopt(one.expose()).unwrap().matches(one.expose().as_bytes()));
        assert!(WorkerToken::adopt("short").is_none());
    }
}
