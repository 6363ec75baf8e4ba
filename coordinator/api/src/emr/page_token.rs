//! `nextToken`: where a listing goes on, opaque to clients and good for the same listing and filter only.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Bytes of the digest that ties a token to its listing.
const TIE: usize = 12;

/// Wraps the control plane's own words; `listing` says operation and filter.
pub(super) fn wrap(listing: &str, cursor: &str) -> String {
    let mut bytes = tie(listing, cursor.as_bytes());
    bytes.extend_from_slice(cursor.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Unwraps; `None` for a token that was not made for this listing.
pub(super) fn unwrap(listing: &str, token: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (tied, cursor) = bytes.split_at_checked(TIE)?;
    (tied == tie(listing, cursor)).then(|| String::from_utf8(cursor.to_vec()).ok()).flatten()
}

fn tie(listing: &str, cursor: &[u8]) -> Vec<u8> {
    let digest = Sha256::new().chain_update(listing).chain_update([0]).chain_update(cursor).finalize();
    digest[..TIE].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_own_listing_only() {
        let token = wrap("ListJobRuns 00f", "17:00g");
        assert_eq!(unwrap("ListJobRuns 00f", &token).as_deref(), Some("17:00g"));
        assert_eq!(unwrap("ListJobRuns 00e", &token), None);
        let mut other = token.clone();
        other.replace_range(20..21, if &token[20..21] == "A" { "B" } else { "A" });
        for bad in ["", "AAAA", "===", other.as_str()] {
            assert_eq!(unwrap("ListJobRuns 00f", bad), None, "{bad}");
        }
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"_=-".contains(&b)));
    }
}
