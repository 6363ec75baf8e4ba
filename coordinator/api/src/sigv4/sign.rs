//! Making signatures: the client's side, for the command line and for tests.

use super::presented::Scope;
use super::{ALGORITHM, canonical, stamp};
use hearth_types::Timestamp;
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{HeaderName, HeaderValue};

/// Credentials, and what requests are signed for.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// Access key id.
    pub access_key_id: &'a str,
    /// Secret access key.
    pub secret_access_key: &'a str,
    /// Session token of temporary credentials.
    pub session_token: Option<&'a str>,
    /// Region.
    pub region: &'a str,
    /// Service's signing name.
    pub service: &'a str,
}

impl Signer<'_> {
    /// Signs the request in its `Authorization` header, adding `Host` (from the target) where it lacks it,
    /// `X-Amz-Date`, the session token, and for S3 the payload's digest (or a literal such as `UNSIGNED-PAYLOAD`).
    /// Fails if a value is no header value.
    pub fn sign(
        &self,
        parts: &mut Parts,
        payload_sha256: &str,
        now: Timestamp,
    ) -> Result<(), http::header::InvalidHeaderValue> {
        let stamp = stamp::write(now);
        if !parts.headers.contains_key(HOST)
            && let Some(authority) = parts.uri.authority()
        {
            parts.headers.insert(HOST, HeaderValue::from_str(authority.as_str())?);
        }
        parts.headers.insert("x-amz-date", HeaderValue::from_str(&stamp)?);
        if let Some(token) = self.session_token {
            parts.headers.insert("x-amz-security-token", HeaderValue::from_str(token)?);
        }
        if self.service == "s3" {
            parts.headers.insert("x-amz-content-sha256", HeaderValue::from_str(payload_sha256)?);
        }
        let mut signed: Vec<String> = parts
            .headers
            .keys()
            .map(HeaderName::as_str)
            .filter(|name| matches!(*name, "host" | "content-type") || name.starts_with("x-amz-"))
            .map(str::to_owned)
            .collect();
        signed.sort();
        let scope = Scope {
            date: stamp[..8].to_owned(),
            region: self.region.to_owned(),
            service: self.service.to_owned(),
        };
        let canonical_request = canonical::request(parts, self.service, &signed, payload_sha256);
        let string_to_sign = canonical::string_to_sign(&stamp, &scope, &canonical_request);
        let signature = hex::encode(canonical::signature(self.secret_access_key, &scope, &string_to_sign));
        let authorization = format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
            self.access_key_id,
            signed.join(";")
        );
        parts.headers.insert(AUTHORIZATION, HeaderValue::from_str(&authorization)?);
        Ok(())
    }
}
