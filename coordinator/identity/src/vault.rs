//! What the master key protects: secrets of access keys at rest, and sessions in their tokens.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// The sealed text was made by another master key or for another purpose, or was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("opening what the master key sealed")]
pub(crate) struct Unsealable;

/// Keys derived from the master key, one for each purpose.
pub(crate) struct Vault {
    secrets: RandomizedNonceKey,
    tokens: RandomizedNonceKey,
    session_secrets: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    pub(crate) fn new(master_key: &[u8; 32]) -> Self {
        let derive = |purpose: &str| Zeroizing::new(mac(master_key, purpose.as_bytes()));
        let aead = |purpose: &str| {
            RandomizedNonceKey::new(&AES_256_GCM, &derive(purpose)).expect("derived keys have 32 bytes")
        };
        Self {
            secrets: aead("hearth access key secrets v1"),
            tokens: aead("hearth session tokens v1"),
            session_secrets: derive("hearth session secrets v1"),
        }
    }

    /// Seals an access key's secret; bound to the key's id, so that sealed texts cannot be exchanged.
    pub(crate) fn seal_secret(&self, access_key_id: &str, secret: &str) -> String {
        seal(&self.secrets, access_key_id.as_bytes(), secret.as_bytes())
    }

    pub(crate) fn open_secret(&self, access_key_id: &str, sealed: &str) -> Result<String, Unsealable> {
        let opened = open(&self.secrets, access_key_id.as_bytes(), sealed)?;
        String::from_utf8(opened).map_err(|_| Unsealable)
    }

    /// Seals a session's claims; bound to the access key they belong to.
    pub(crate) fn seal_token(&self, access_key_id: &str, claims: &[u8]) -> String {
        seal(&self.tokens, access_key_id.as_bytes(), claims)
    }

    pub(crate) fn open_token(&self, access_key_id: &str, token: &str) -> Result<Vec<u8>, Unsealable> {
        open(&self.tokens, access_key_id.as_bytes(), token)
    }

    /// The secret of a temporary access key: 40 characters, a function of its id.
    pub(crate) fn session_secret(&self, access_key_id: &str) -> String {
        STANDARD.encode(&mac(&self.session_secrets, access_key_id.as_bytes())[..30])
    }
}

/// A new secret access key: 40 characters.
pub(crate) fn random_secret() -> String {
    let mut bytes = Zeroizing::new([0; 30]);
    aws_lc_rs::rand::fill(bytes.as_mut()).expect("the system's random source works");
    STANDARD.encode(bytes)
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn seal(key: &RandomizedNonceKey, bound_to: &[u8], plain: &[u8]) -> String {
    let mut sealed = plain.to_vec();
    let nonce = key
        .seal_in_place_append_tag(Aad::from(bound_to), &mut sealed)
        .expect("texts are far below the limit");
    let mut whole = nonce.as_ref().to_vec();
    whole.append(&mut sealed);
    STANDARD.encode(whole)
}

fn open(key: &RandomizedNonceKey, bound_to: &[u8], sealed: &str) -> Result<Vec<u8>, Unsealable> {
    let whole = STANDARD.decode(sealed).map_err(|_| Unsealable)?;
    let (nonce, sealed) = whole.split_at_checked(NONCE_LEN).ok_or(Unsealable)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unsealable)?;
    let mut buffer = sealed.to_vec();
    let plain = key.open_in_place(nonce, Aad::from(bound_to), &mut buffer).map_err(|_| Unsealable)?;
    Ok(plain.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_key_and_master_alone() {
        let vault = Vault::new(&[1; 32]);
        let sealed = vault.seal_secret("AKIA1", "hush");
        assert_eq!(vault.open_secret("AKIA1", &sealed), Ok("hush".to_owned()));
        assert_eq!(vault.open_secret("AKIA2", &sealed), Err(Unsealable));
        assert_eq!(Vault::new(&[2; 32]).open_secret("AKIA1", &sealed), Err(Unsealable));
        assert_eq!(vault.open_token("AKIA1", &sealed), Err(Unsealable));
        assert_eq!(vault.open_secret("AKIA1", "AAAA"), Err(Unsealable));
        assert_ne!(sealed, vault.seal_secret("AKIA1", "hush"));
    }

    #[test]
    fn session_secrets_look_like_secrets_and_differ() {
        let vault = Vault::new(&[1; 32]);
        assert_eq!(vault.session_secret("ASIA1").len(), 40);
        assert_eq!(vault.session_secret("ASIA1"), vault.session_secret("ASIA1"));
        assert_ne!(vault.session_secret("ASIA1"), vault.session_secret("ASIA2"));
        assert_ne!(vault.session_secret("ASIA1"), Vault::new(&[2; 32]).session_secret("ASIA1"));
        assert_eq!(random_secret().len(), 40);
    }
}
