//! A signature as a request presents it, in its header or its query, and the verdict over it.

use super::error::SignatureError;
use super::{ALGORITHM, MAX_SKEW_MINUTES, canonical, stamp};
use hearth_types::Timestamp;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// The longest a presigned request may hold, in seconds: seven days.
const MAX_EXPIRES: i64 = 604_800;

/// What a signing key is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Day, `YYYYMMDD`.
    pub date: String,
    /// Region.
    pub region: String,
    /// Service's signing name, such as `emr-serverless`.
    pub service: String,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

/// Where the signature stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// In the `Authorization` header.
    Header,
    /// In the query (presigned), for so many seconds.
    Query {
        /// `X-Amz-Expires`, 1 to 604,800.
        expires_seconds: i64,
    },
}

/// A signature, read and not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// Whose key.
    pub access_key_id: String,
    /// What the key was made for.
    pub scope: Scope,
    /// The session token that goes with a temporary key; it is covered by the signature.
    pub session_token: Option<String>,
    /// Where it stood.
    pub placement: Placement,
    signed_headers: Vec<String>,
    signature: String,
    signed_at: Timestamp,
    stamp: String,
}

impl Presented {
    /// Reads the signature of a request. [`SignatureError::Missing`] if there is none of version 4.
    pub fn read(parts: &Parts) -> Result<Self, SignatureError> {
        let header = parts.headers.get(http::header::AUTHORIZATION);
        let presigned = query_value(parts, "X-Amz-Algorithm").is_some();
        match (header, presigned) {
            (Some(_), true) => Err(SignatureError::Incomplete(
                "Only one authentication mechanism is allowed: the Authorization header or the query."
                    .to_owned(),
            )),
            (Some(header), false) => Self::read_header(parts, header.to_str().unwrap_or("")),
            (None, true) => Self::read_query(parts),
            (None, false) => Err(SignatureError::Missing),
        }
    }

    fn read_header(parts: &Parts, authorization: &str) -> Result<Self, SignatureError> {
        let Some(fields) = authorization.strip_prefix(ALGORITHM) else {
            return Err(SignatureError::Incomplete(format!(
                "Unsupported AWS 'algorithm': '{}', only {ALGORITHM} is supported.",
                authorization.split(' ').next().unwrap_or("")
            )));
        };
        let field = |name: &str| {
            fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let date = header_text(parts, "x-amz-date");
        let http_date = header_text(parts, "date");
        let mut missing = Vec::new();
        for name in ["Credential", "Signature", "SignedHeaders"] {
            if field(name).is_none_or(str::is_empty) {
                missing.push(format!("Authorization header requires '{name}' parameter."));
            }
        }
        if date.is_none() && http_date.is_none() {
            missing.push(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
                    .to_owned(),
            );
        }
        if !missing.is_empty() {
            return Err(SignatureError::Incomplete(missing.join(" ")));
        }
        let (signed_at, stamp) = match (date, http_date) {
            (Some(text), _) => (stamp::read(&text).or_else(|| stamp::read_http_date(&text)), text),
            (None, Some(text)) => (stamp::read(&text).or_else(|| stamp::read_http_date(&text)), text),
            (None, None) => (None, String::new()),
        };
        let Some(signed_at) = signed_at else {
            return Err(SignatureError::Incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{stamp}'. See http://en.wikipedia.org/wiki/ISO_8601"
            )));
        };
        let (access_key_id, scope) = read_credential(field("Credential").unwrap_or(""))?;
        let signed_headers = read_signed_headers(field("SignedHeaders").unwrap_or(""))?;
        let session_token = header_text(parts, "x-amz-security-token");
        if session_token.is_some() && !signed_headers.iter().any(|name| name == "x-amz-security-token") {
            return Err(SignatureError::Incomplete(
                "'X-Amz-Security-Token' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
            ));
        }
        Ok(Self {
            access_key_id,
            scope,
            session_token,
            placement: Placement::Header,
            signed_headers,
            signature: field("Signature").unwrap_or("").to_owned(),
            signed_at,
            stamp: stamp::write(signed_at),
        })
    }

    fn read_query(parts: &Parts) -> Result<Self, SignatureError> {
        let required = |name: &str| {
            query_value(parts, name).filter(|value| !value.is_empty()).ok_or_else(|| {
                SignatureError::Incomplete(format!("AWS query-string parameters must include '{name}'."))
            })
        };
        let algorithm = required("X-Amz-Algorithm")?;
        if algorithm != ALGORITHM {
            return Err(SignatureError::Incomplete(format!(
                "Unsupported AWS 'algorithm': '{algorithm}', only {ALGORITHM} is supported."
            )));
        }
        let (access_key_id, scope) = read_credential(&required("X-Amz-Credential")?)?;
        let text = required("X-Amz-Date")?;
        let signed_at = stamp::read(&text).ok_or_else(|| {
            SignatureError::Incomplete(format!(
                "X-Amz-Date must be in ISO-8601 'basic format'. Got '{text}'."
            ))
        })?;
        let expires_seconds = required("X-Amz-Expires")?
            .parse::<i64>()
            .ok()
            .filter(|seconds| (1..=MAX_EXPIRES).contains(seconds))
            .ok_or_else(|| {
                SignatureError::Incomplete(format!(
                    "X-Amz-Expires must be between 1 and {MAX_EXPIRES} seconds."
                ))
            })?;
        Ok(Self {
            access_key_id,
            scope,
            session_token: query_value(parts, "X-Amz-Security-Token"),
            placement: Placement::Query { expires_seconds },
            signed_headers: read_signed_headers(&required("X-Amz-SignedHeaders")?)?,
            signature: required("X-Amz-Signature")?,
            signed_at,
            stamp: text,
        })
    }

    /// Verifies the signature against the secret of [`Self::access_key_id`] (and [`Self::session_token`]), our time
    /// and the digest of the body that really arrived (lower-case hex; for S3 also its literals such as
    /// `UNSIGNED-PAYLOAD`). Time is checked first, as the services do.
    pub fn verify(
        &self,
        parts: &Parts,
        payload_sha256: &str,
        secret: &str,
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        self.check_time(now)?;
        let canonical_request =
            canonical::request(parts, &self.scope.service, &self.signed_headers, payload_sha256);
        let string_to_sign = canonical::string_to_sign(&self.stamp, &self.scope, &canonical_request);
        let expected = hex::encode(canonical::signature(secret, &self.scope, &string_to_sign));
        if bool::from(expected.as_bytes().ct_eq(self.signature.as_bytes())) {
            Ok(())
        } else {
            Err(SignatureError::Mismatch { canonical_request, string_to_sign })
        }
    }

    fn check_time(&self, now: Timestamp) -> Result<(), SignatureError> {
        if !self.stamp.starts_with(&self.scope.date) {
            return Err(SignatureError::ScopeDate {
                scope: self.scope.clone(),
                date: self.stamp.get(..8).unwrap_or("").to_owned(),
                stamp: self.stamp.clone(),
            });
        }
        let skew = Duration::from_secs(MAX_SKEW_MINUTES.unsigned_abs() * 60);
        if self.signed_at > now.plus(skew) {
            return Err(SignatureError::NotYetCurrent {
                signed: self.stamp.clone(),
                limit: stamp::write(now.plus(skew)),
                now: stamp::write(now),
                minutes: MAX_SKEW_MINUTES,
            });
        }
        match self.placement {
            Placement::Header if self.signed_at.plus(skew) < now => Err(SignatureError::Expired {
                signed: self.stamp.clone(),
                limit: stamp::write(Timestamp::from_millis(now.as_millis() - MAX_SKEW_MINUTES * 60_000)),
                now: stamp::write(now),
                minutes: MAX_SKEW_MINUTES,
            }),
            Placement::Query { expires_seconds } => {
                let until = self.signed_at.plus(Duration::from_secs(expires_seconds.unsigned_abs()));
                if until < now {
                    return Err(SignatureError::RanOut {
                        signed: self.stamp.clone(),
                        until: stamp::write(until),
                        now: stamp::write(now),
                        seconds: expires_seconds,
                    });
                }
                Ok(())
            }
            Placement::Header => Ok(()),
        }
    }
}

/// The value of a query parameter, decoded.
pub(crate) fn query_value(parts: &Parts, name: &str) -> Option<String> {
    parts.uri.query()?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decode_str(key).decode_utf8_lossy() == name)
            .then(|| percent_decode_str(value).decode_utf8_lossy().into_owned())
    })
}

fn header_text(parts: &Parts, name: &str) -> Option<String> {
    parts.headers.get(name).and_then(|value| value.to_str().ok()).map(|text| text.trim().to_owned())
}

fn read_credential(text: &str) -> Result<(String, Scope), SignatureError> {
    // Read from the right: nothing but the key id could hold a slash.
    let mut fields = text.rsplitn(5, '/');
    let (terminator, service, region, date, access_key_id) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next());
    match (access_key_id, date, region, service, terminator) {
        (Some(key), Some(date), Some(region), Some(service), Some("aws4_request"))
            if !key.is_empty() && date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()) =>
        {
            let (date, region, service) = (date.to_owned(), region.to_owned(), service.to_owned());
            Ok((key.to_owned(), Scope { date, region, service }))
        }
        _ => Err(SignatureError::Incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. \
             keyid/date/region/service/aws4_request, got '{text}'"
        ))),
    }
}

fn read_signed_headers(text: &str) -> Result<Vec<String>, SignatureError> {
    let mut names: Vec<String> = text.split(';').map(str::to_ascii_lowercase).collect();
    names.sort();
    names.dedup();
    if names.iter().any(|name| name == "host") {
        Ok(names)
    } else {
        Err(SignatureError::Incomplete(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
        ))
    }
}
