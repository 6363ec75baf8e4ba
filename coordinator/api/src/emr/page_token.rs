//! `nextToken`: where a listing goes on, signed, and good for the same operation, scope and filter only.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// Bytes of a token's signature.
const SIGNATURE: usize = 16;

/// Gives out tokens and reads them again.
#[derive(Clone)]
pub struct PageTokens {
    key: Hmac<Sha256>,
}

impl fmt::Debug for PageTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageTokens")
    }
}

impl PageTokens {
    /// Tokens of the cluster that has this master key: what it gave out stays good when it is started anew.
    pub fn new(master_key: &[u8; 32]) -> Self {
        let mut derived = Hmac::<Sha256>::new_from_slice(master_key).expect("any length is a key");
        derived.update(b"hearth page tokens v1");
        let key = derived.finalize().into_bytes();
        Self { key: Hmac::new_from_slice(&key).expect("any length is a key") }
    }

    /// Wraps the control plane's own words; `listing` says operation, scope and filter.
    pub(super) fn wrap(&self, listing: &str, cursor: &str) -> String {
        let mut bytes =
            self.signing(listing, cursor.as_bytes()).finalize().into_bytes()[..SIGNATURE].to_vec();
        bytes.extend_from_slice(cursor.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Unwraps; `None` for a token that was not given out for this listing.
    pub(super) fn unwrap(&self, listing: &str, token: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (signature, cursor) = bytes.split_at_checked(SIGNATURE)?;
        self.signing(listing, cursor).verify_truncated_left(signature).ok()?;
        String::from_utf8(cursor.to_vec()).ok()
    }

    fn signing(&self, listing: &str, cursor: &[u8]) -> Hmac<Sha256> {
        // No listing's name holds the byte 0, so name and cursor cannot be shifted against each other.
        self.key.clone().chain_update(listing).chain_update([0]).chain_update(cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "ListJobRuns 00f";

    #[test]
    fn a_token_is_good_for_its_own_listing_and_cluster_only() {
        let tokens = PageTokens::new(&[7; 32]);
        let token = tokens.wrap(LISTING, "17|00g");
        assert_eq!(tokens.unwrap(LISTING, &token).as_deref(), Some("17|00g"));
        let started_anew = PageTokens::new(&[7; 32]);
        assert_eq!(started_anew.unwrap(LISTING, &token).as_deref(), Some("17|00g"));
        assert_eq!(tokens.unwrap("ListJobRuns 00e", &token), None);
        assert_eq!(PageTokens::new(&[8; 32]).unwrap(LISTING, &token), None);
        for bad in ["", "AAAA", "==="] {
            assert_eq!(tokens.unwrap(LISTING, bad), None, "{bad}");
        }
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"_=-".contains(&b)));
    }

    #[test]
    fn no_bit_of_a_token_can_be_changed_and_no_end_cut_off() {
        let tokens = PageTokens::new(&[7; 32]);
        let whole = URL_SAFE_NO_PAD.decode(tokens.wrap(LISTING, "17|00g")).expect("base64");
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(tokens.unwrap(LISTING, &URL_SAFE_NO_PAD.encode(changed)), None, "bit {bit}");
        }
        for length in 0..whole.len() {
            assert_eq!(tokens.unwrap(LISTING, &URL_SAFE_NO_PAD.encode(&whole[..length])), None, "{length}");
        }
    }
}
