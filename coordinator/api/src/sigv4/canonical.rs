//! The canonical request, the string to sign and the signing key.

use super::ALGORITHM;
use super::presented::Scope;
use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sha2::{Digest, Sha256};

const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const UNRESERVED_AND_SLASH: AsciiSet = UNRESERVED.remove(b'/');

/// SHA-256 as lower-case hex: the form in which a body's digest is signed.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The canonical request of `parts` for these signed headers (lower case, sorted) and this payload digest.
pub(super) fn request(parts: &Parts, service: &str, signed_headers: &[String], payload: &str) -> String {
    let headers: String =
        signed_headers.iter().map(|name| format!("{name}:{}\n", header_value(parts, name))).collect();
    format!(
        "{}\n{}\n{}\n{headers}\n{}\n{payload}",
        parts.method.as_str(),
        path(parts.uri.path(), service),
        query(parts.uri.query().unwrap_or("")),
        signed_headers.join(";"),
    )
}

/// What is signed: algorithm, time, scope and the canonical request's digest.
pub(super) fn string_to_sign(stamp: &str, scope: &Scope, canonical_request: &str) -> String {
    format!("{ALGORITHM}\n{stamp}\n{scope}\n{}", sha256_hex(canonical_request.as_bytes()))
}

/// The signature, 32 bytes.
pub(super) fn signature(secret: &str, scope: &Scope, string_to_sign: &str) -> Vec<u8> {
    let day = mac(format!("AWS4{secret}").as_bytes(), &scope.date);
    let region = mac(&day, &scope.region);
    let service = mac(&region, &scope.service);
    mac(&mac(&service, "aws4_request"), string_to_sign)
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The path: S3's keys are encoded once and otherwise as they are; every other service's path is normalised, and what
/// arrived encoded is encoded again.
fn path(raw: &str, service: &str) -> String {
    if service == "s3" {
        let decoded: Vec<u8> = percent_decode_str(raw).collect();
        return percent_encode(&decoded, &UNRESERVED_AND_SLASH).to_string();
    }
    percent_encode(without_dot_segments(raw).as_bytes(), &UNRESERVED_AND_SLASH).to_string()
}

fn without_dot_segments(raw: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in raw.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let tail = if raw.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{tail}", kept.join("/"))
}

/// The query, each name and value encoded strictly, sorted by name and then value; never the signature itself.
fn query(raw: &str) -> String {
    let encode = |text: &str| {
        let decoded: Vec<u8> = percent_decode_str(text).collect();
        percent_encode(&decoded, &UNRESERVED).to_string()
    };
    let mut pairs: Vec<(String, String)> = raw
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(name), encode(value)))
        .filter(|(name, _)| name != "X-Amz-Signature")
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// All values of a header, each folded (runs of blanks become one space, none at the ends), joined by commas.
fn header_value(parts: &Parts, name: &str) -> String {
    let values: Vec<String> = parts
        .headers
        .get_all(name)
        .iter()
        .map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            text.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
        })
        .collect();
    if values.is_empty() && name == "host" {
        // HTTP/2 carries the host as the authority of the request's target.
        return parts.uri.authority().map(|authority| authority.to_string()).unwrap_or_default();
    }
    values.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_and_encoded_twice_except_for_s3() {
        for (service, raw, expected) in [
            ("emr-serverless", "/", "/"),
            ("emr-serverless", "", "/"),
            ("emr-serverless", "/tags/arn%3Aaws%2Fx", "/tags/arn%253Aaws%252Fx"),
            ("emr-serverless", "//a//b/", "/a/b/"),
            ("emr-serverless", "/a/./../b/..", "/"),
            ("emr-serverless", "/a/../../b", "/b"),
            ("s3", "/b/a//x/../y%20z%2Bq+", "/b/a//x/../y%20z%2Bq%2B"),
            ("s3", "/b/%C3%A4", "/b/%C3%A4"),
        ] {
            assert_eq!(path(raw, service), expected, "{service} {raw}");
        }
    }

    #[test]
    fn queries_are_encoded_strictly_and_sorted_by_name_then_value() {
        for (raw, expected) in [
            ("", ""),
            ("b=2&a=1", "a=1&b=2"),
            ("states=B&states=A", "states=A&states=B"),
            ("flag&x=", "flag=&x="),
            ("a=b=c&k=%e1%88%b4", "a=b%3Dc&k=%E1%88%B4"),
            ("p=a/b:c~*", "p=a%2Fb%3Ac~%2A"),
            ("a=1&X-Amz-Signature=ff", "a=1"),
            ("Param-3=Value3&Param=Value2&%E1%88%B4=Value1", "%E1%88%B4=Value1&Param=Value2&Param-3=Value3"),
        ] {
            assert_eq!(query(raw), expected, "{raw}");
        }
    }

    #[test]
    fn headers_are_folded_and_joined() {
        let (parts, ()) = http::Request::builder()
            .header("X-One", "  a   b\t c ")
            .header("X-One", "d")
            .body(())
            .expect("request")
            .into_parts();
        assert_eq!(header_value(&parts, "x-one"), "a b c,d");
        assert_eq!(header_value(&parts, "x-absent"), "");
    }
}
