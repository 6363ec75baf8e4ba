//! What a request must satisfy before the S3 protocol crate sees it.
//!
//! `s3s` verifies signatures; these checks close what it leaves open: `x-amz-*` headers that the signature does not
//! cover (with one, the holder of a presigned PUT could turn it into a copy of any object the signer may read),
//! parameters given twice, SigV2 in the `Authorization` header (no expiry), form uploads (buffered before they are
//! authorised), and refusals that do not say both times. Nothing here replaces the signature check that follows.

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

/// How far a client's clock may be off.
const MAX_SKEW: Duration = Duration::minutes(15);

/// The longest life of a presigned SigV4 URL: seven days.
const MAX_PRESIGNED_SECONDS: i64 = 604_800;

/// The query parameters of a presigned SigV4 URL that belong to the signature itself.
const SIGNATURE_PARAMETERS: [&str; 8] = [
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// Whether presigned URLs of signature version 2 are taken. boto3 still makes them by default in us-east-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuerySigV2 {
    /// They are verified like any other signature.
    Accepted,
    /// They are refused.
    Refused,
}

/// What the checks learned about a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// The session token, covered by the signature.
    pub(crate) session_token: Option<String>,
}

/// A refusal in S3's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Further elements of the answer, in order.
    pub(crate) details: Vec<(&'static str, String)>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: &str) -> Self {
        Self { status, code, message: message.to_owned(), details: Vec::new() }
    }

    fn denied(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "AccessDenied", message)
    }

    fn bad_request(code: &'static str, message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    /// The body, as S3 writes it.
    pub(crate) fn xml(&self, request_id: &str) -> String {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
        let fixed = [("Code", self.code), ("Message", self.message.as_str())];
        let details = self.details.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in fixed.into_iter().chain(details).chain([("RequestId", request_id)]) {
            xml.push_str(&format!("<{name}>{}</{name}>", escaped(value)));
        }
        xml.push_str("</Error>");
        xml
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

type Query = Vec<(String, String)>;

fn one<'a>(query: &'a Query, name: &str) -> Option<&'a str> {
    query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

/// Checks a request's outer form at a time. May add headers that SigV2 carries in the query.
pub(crate) fn admit(parts: &mut Parts, now: OffsetDateTime, sig_v2: QuerySigV2) -> Result<Admitted, Refusal> {
    let query = parse_query(parts)?;
    refuse_repeated_headers(parts)?;
    refuse_form_upload(parts)?;
    let is_header = parts.headers.contains_key(AUTHORIZATION);
    let is_query_v4 = one(&query, "X-Amz-Signature").is_some();
    let is_query_v2 = one(&query, "Signature").is_some();
    match (is_header, is_query_v4, is_query_v2) {
        (false, false, false) => Err(Refusal::denied("Access Denied")),
        (true, false, false) => admit_header(parts, now),
        (false, true, false) => admit_query_v4(parts, &query, now),
        (false, false, true) => match sig_v2 {
            QuerySigV2::Accepted => admit_query_v2(parts, &query, now),
            QuerySigV2::Refused => Err(unsupported_mechanism()),
        },
        _ => Err(Refusal::bad_request(
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string \
             parameter or the Authorization header should be specified",
        )),
    }
}

fn unsupported_mechanism() -> Refusal {
    Refusal::bad_request(
        "InvalidRequest",
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    )
}

fn parse_query(parts: &Parts) -> Result<Query, Refusal> {
    let raw = parts.uri.query().unwrap_or_default();
    let mut query: Query = Vec::new();
    for (name, value) in url::form_urlencoded::parse(raw.as_bytes()) {
        if one(&query, &name).is_some() {
            let message = "A query parameter was given more than once";
            return Err(
                Refusal::bad_request("InvalidArgument", message).with("ArgumentName", name.into_owned())
            );
        }
        query.push((name.into_owned(), value.into_owned()));
    }
    Ok(query)
}

/// A header given twice could be read one way here and another way by whoever signs or acts on it.
fn refuse_repeated_headers(parts: &Parts) -> Result<(), Refusal> {
    let is_sensitive = |name: &HeaderName| name == AUTHORIZATION || name == HOST || is_amz(name.as_str());
    for name in parts.headers.keys().filter(|name| is_sensitive(name)) {
        if parts.headers.get_all(name).iter().nth(1).is_some() {
            let message = format!("The header {name} was given more than once");
            return Err(Refusal::bad_request("InvalidRequest", &message));
        }
    }
    Ok(())
}

fn refuse_form_upload(parts: &Parts) -> Result<(), Refusal> {
    let is_form = parts
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"multipart/form-data"));
    if parts.method == Method::POST && is_form {
        let message = "Uploads by browser form (POST Object) are not available in this store";
        return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message));
    }
    Ok(())
}

fn is_amz(name: &str) -> bool {
    name.starts_with("x-amz-")
}

fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

/// Refuses a request with `host` or an `x-amz-*` header that its signature does not cover.
fn require_signed(parts: &Parts, signed: &str, exempt: &[&str]) -> Result<(), Refusal> {
    let covers = |name: &str| signed.split(';').any(|signed| signed.eq_ignore_ascii_case(name));
    let amz = parts.headers.keys().map(HeaderName::as_str).filter(|name| is_amz(name));
    let unsigned: Vec<&str> =
        std::iter::once("host").chain(amz).filter(|name| !covers(name) && !exempt.contains(name)).collect();
    if unsigned.is_empty() {
        return Ok(());
    }
    Err(Refusal::denied("There were headers present in the request which were not signed")
        .with("HeadersNotSigned", unsigned.join(", ")))
}

fn require_s3_scope(credential: &str) -> Result<(), Refusal> {
    match credential.rsplit('/').nth(1) {
        Some("s3") => Ok(()),
        _ => Err(Refusal::bad_request(
            "AuthorizationHeaderMalformed",
            "The authorization header is malformed; the credential scope must name the service s3",
        )),
    }
}

fn admit_header(parts: &Parts, now: OffsetDateTime) -> Result<Admitted, Refusal> {
    let authorization = header(parts, "authorization").unwrap_or_default();
    let Some(fields) = authorization.strip_prefix("AWS4-HMAC-SHA256") else {
        return Err(unsupported_mechanism());
    };
    let field = |name: &str| {
        fields
            .split(',')
            .find_map(|field| field.trim().strip_prefix(name).and_then(|rest| rest.strip_prefix('=')))
    };
    require_s3_scope(field("Credential").unwrap_or_default())?;
    require_signed(parts, field("SignedHeaders").unwrap_or_default(), &[])?;
    let Some(signed_at) = header(parts, "x-amz-date").and_then(parse_amz_date) else {
        let message = "AWS authentication requires a valid x-amz-date header";
        return Err(Refusal::denied(message));
    };
    check_skew(signed_at, now)?;
    let session_token = header(parts, "x-amz-security-token").map(str::to_owned);
    Ok(Admitted { session_token })
}

fn check_skew(signed_at: OffsetDateTime, now: OffsetDateTime) -> Result<(), Refusal> {
    if (now - signed_at).abs() <= MAX_SKEW {
        return Ok(());
    }
    let message = "The difference between the request time and the current time is too large.";
    Err(Refusal::new(StatusCode::FORBIDDEN, "RequestTimeTooSkewed", message)
        .with("RequestTime", compact(signed_at))
        .with("ServerTime", rfc3339(now))
        .with("MaxAllowedSkewMilliseconds", MAX_SKEW.whole_milliseconds().to_string()))
}

fn admit_query_v4(parts: &mut Parts, query: &Query, now: OffsetDateTime) -> Result<Admitted, Refusal> {
    let malformed = |message: &str| Refusal::bad_request("AuthorizationQueryParametersError", message);
    require_s3_scope(one(query, "X-Amz-Credential").unwrap_or_default())?;
    let signed = one(query, "X-Amz-SignedHeaders").unwrap_or_default();
    require_signed(parts, signed, &["x-amz-content-sha256"])?;
    let signed_at = one(query, "X-Amz-Date")
        .and_then(parse_amz_date)
        .ok_or_else(|| malformed("X-Amz-Date must be in the ISO8601 format \"yyyyMMdd'T'HHmmss'Z'\""))?;
    let seconds = one(query, "X-Amz-Expires")
        .and_then(|value| value.parse::<i64>().ok())
        .ok_or_else(|| malformed("X-Amz-Expires should be a number"))?;
    if !(1..=MAX_PRESIGNED_SECONDS).contains(&seconds) {
        return Err(malformed(
            "X-Amz-Expires must be between 1 second and a week (in seconds); that is, from 1 to 604800",
        ));
    }
    if signed_at - now > MAX_SKEW {
        return check_skew(signed_at, now).map(|()| Admitted::default());
    }
    let expires = signed_at + Duration::seconds(seconds);
    if now > expires {
        return Err(expired(expires, now).with("X-Amz-Expires", seconds.to_string()));
    }
    carry_to_headers(parts, query, |name| is_amz(name) && !SIGNATURE_PARAMETERS.contains(&name))?;
    Ok(Admitted { session_token: one(query, "X-Amz-Security-Token").map(str::to_owned) })
}

fn expired(expires: OffsetDateTime, now: OffsetDateTime) -> Refusal {
    Refusal::denied("Request has expired").with("Expires", rfc3339(expires)).with("ServerTime", rfc3339(now))
}

/// SigV2 signs `x-amz-*`, `content-type` and `content-md5` as headers, but a presigned URL carries them in its query.
fn admit_query_v2(parts: &mut Parts, query: &Query, now: OffsetDateTime) -> Result<Admitted, Refusal> {
    let expires = one(query, "Expires")
        .and_then(|value| value.parse().ok())
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or_else(|| Refusal::denied("Invalid date (should be seconds since epoch)"))?;
    if now > expires {
        return Err(expired(expires, now));
    }
    carry_to_headers(parts, query, |name| is_amz(name) || name == "content-type" || name == "content-md5")?;
    let session_token = header(parts, "x-amz-security-token").map(str::to_owned);
    Ok(Admitted { session_token })
}

/// Makes headers of the query parameters that stand for them; the signature covers the whole query of a presigned URL.
fn carry_to_headers(
    parts: &mut Parts,
    query: &Query,
    is_header: impl Fn(&str) -> bool,
) -> Result<(), Refusal> {
    for (name, value) in query {
        let name = name.to_ascii_lowercase();
        if !is_header(&name) {
            continue;
        }
        let invalid = || Refusal::bad_request("InvalidArgument", "Invalid query parameter");
        let name = HeaderName::try_from(name).map_err(|_| invalid())?;
        let value = HeaderValue::try_from(value).map_err(|_| invalid())?;
        if is_amz(name.as_str()) && parts.headers.contains_key(&name) {
            return Err(Refusal::bad_request("InvalidRequest", "A signed value was given twice"));
        }
        parts.headers.entry(name).or_insert(value);
    }
    Ok(())
}

fn parse_amz_date(value: &str) -> Option<OffsetDateTime> {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    PrimitiveDateTime::parse(value, format).ok().map(PrimitiveDateTime::assume_utc)
}

fn compact(time: OffsetDateTime) -> String {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    time.format(format).expect("the format has no part a time lacks")
}

fn rfc3339(time: OffsetDateTime) -> String {
    let time = time.replace_nanosecond(0).unwrap_or(time);
    time.format(&Rfc3339).expect("a time of this era has an RFC 3339 form")
}

#[cfg(test)]
mod tests {
    use http::Request;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00:00 UTC);
    const SCOPE: &str = "AKID/20260301/us-east-1/s3/aws4_request";

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("request").into_parts().0
    }

    fn refused(mut parts: Parts) -> Refusal {
        admit(&mut parts, NOW, QuerySigV2::Accepted).expect_err("refused")
    }

    fn signed(headers: &str) -> String {
        format!("AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders={headers}, Signature=00")
    }

    fn presigned(date: &str, expires: &str) -> String {
        format!(
            "/b/k?X-Amz-Credential={SCOPE}&X-Amz-Date={date}&X-Amz-Expires={expires}\
             &X-Amz-SignedHeaders=host&X-Amz-Signature=00"
        )
    }

    #[test]
    fn an_unsigned_request_is_refused() {
        let refusal = refused(parts("GET", "/b/k", &[]));
        assert_eq!((refusal.status, refusal.code), (StatusCode::FORBIDDEN, "AccessDenied"));
    }

    #[test]
    fn a_signed_session_token_is_found() {
        let authorization = signed("host;x-amz-date;x-amz-security-token");
        let headers = [
            ("authorization", authorization.as_str()),
            ("x-amz-date", "20260301T120100Z"),
            ("x-amz-security-token", "token"),
        ];
        let mut request = parts("GET", "/b/k", &headers);
        let admitted = admit(&mut request, NOW, QuerySigV2::Accepted).expect("admitted");
        assert_eq!(admitted.session_token.as_deref(), Some("token"));
    }

    #[test]
    fn a_header_beyond_the_signature_is_refused() {
        let copy = [("x-amz-copy-source", "/secret/key")];
        let refusal = refused(parts("PUT", &presigned("20260301T120000Z", "60"), &copy));
        assert_eq!(refusal.code, "AccessDenied");
        assert_eq!(refusal.details, [("HeadersNotSigned", "x-amz-copy-source".to_owned())]);
        let authorization = signed("host;x-amz-date");
        let headers = [
            ("authorization", authorization.as_str()),
            ("x-amz-date", "20260301T120000Z"),
            ("x-amz-security-token", "another's"),
        ];
        assert_eq!(refused(parts("GET", "/b/k", &headers)).code, "AccessDenied");
    }

    #[test]
    fn a_skewed_clock_is_told_both_times() {
        let authorization = signed("host;x-amz-date");
        let headers = [("authorization", authorization.as_str()), ("x-amz-date", "20260301T114459Z")];
        let refusal = refused(parts("GET", "/b/k", &headers));
        assert_eq!(refusal.code, "RequestTimeTooSkewed");
        let xml = refusal.xml("ID");
        for element in [
            "<RequestTime>20260301T114459Z</RequestTime>",
            "<ServerTime>2026-03-01T12:00:00Z</ServerTime>",
            "<MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>",
        ] {
            assert!(xml.contains(element), "{xml}");
        }
    }

    #[test]
    fn a_presigned_url_has_its_time() {
        let cases = [
            ("20260301T115900Z", "60", None),
            ("20260301T115859Z", "60", Some("AccessDenied")),
            ("20260301T121501Z", "60", Some("RequestTimeTooSkewed")),
            ("20260301T120000Z", "604801", Some("AuthorizationQueryParametersError")),
            ("20260301T120000Z", "-1", Some("AuthorizationQueryParametersError")),
        ];
        for (date, expires, expected) in cases {
            let mut request = parts("GET", &presigned(date, expires), &[]);
            let code = admit(&mut request, NOW, QuerySigV2::Refused).err().map(|refusal| refusal.code);
            assert_eq!(code, expected, "{date} {expires}");
        }
    }

    #[test]
    fn query_sig_v2_can_be_switched_off_and_expires() {
        let uri = |expires: i64| format!("/b/k?AWSAccessKeyId=A&Signature=s&Expires={expires}");
        let soon = NOW.unix_timestamp() + 1;
        let mut request = parts("GET", &uri(soon), &[]);
        let refusal = admit(&mut request, NOW, QuerySigV2::Refused).expect_err("refused");
        assert_eq!(refusal.code, "InvalidRequest");
        assert_eq!(refused(parts("GET", &uri(soon - 2), &[])).message, "Request has expired");
        let mut request = parts("GET", &(uri(soon) + "&x-amz-security-token=t%2B"), &[]);
        let admitted = admit(&mut request, NOW, QuerySigV2::Accepted).expect("admitted");
        assert_eq!(admitted.session_token.as_deref(), Some("t+"));
        assert_eq!(request.headers["x-amz-security-token"], "t+");
    }

    #[test]
    fn ambiguous_or_unbounded_requests_are_refused() {
        let v2 = [("authorization", "AWS AKID:signature")];
        assert_eq!(refused(parts("GET", "/b/k", &v2)).code, "InvalidRequest");
        let both = [("authorization", "AWS4-HMAC-SHA256 …")];
        let uri = presigned("20260301T120000Z", "60");
        assert_eq!(refused(parts("GET", &uri, &both)).code, "InvalidArgument");
        assert_eq!(refused(parts("GET", "/b?prefix=a&prefix=b", &[])).code, "InvalidArgument");
        let twice = [("x-amz-date", "1"), ("x-amz-date", "2")];
        assert_eq!(refused(parts("GET", "/b", &twice)).code, "InvalidRequest");
        let form = [("content-type", "multipart/form-data; boundary=x")];
        assert_eq!(refused(parts("POST", "/b", &form)).code, "NotImplemented");
        let other = SCOPE.replace("/s3/", "/sts/");
        let authorization = signed("host;x-amz-date").replace(SCOPE, &other);
        let headers = [("authorization", authorization.as_str()), ("x-amz-date", "20260301T120000Z")];
        assert_eq!(refused(parts("GET", "/", &headers)).code, "AuthorizationHeaderMalformed");
    }
}
