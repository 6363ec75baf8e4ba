//! What of a browser's request reaches a UI, and what of its answer reaches the browser.

use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING,
    CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, HeaderName, HeaderValue,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use url::{Position, Url};

/// What a UI may know of a browser. Its cookies and other credentials are not for the job's own code.
const TO_UI: [HeaderName; 5] = [ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, IF_MODIFIED_SINCE, IF_NONE_MATCH];

/// What a UI may tell a browser about a page. It sets no cookies and no policies.
const TO_BROWSER: [HeaderName; 9] = [
    CACHE_CONTROL,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    ETAG,
    LAST_MODIFIED,
    LOCATION,
    VARY,
];

/// Whatever a page holds, it loads from and sends to its own origin alone, and nobody frames it. Spark's pages have scripts
/// and styles in line.
const POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; \
    frame-ancestors 'none'";

/// Headers for the UI; `host` is what the browser calls it by.
pub(super) fn to_ui(browsers: &HeaderMap, host: &str) -> Vec<(String, Vec<u8>)> {
    let of = |name: &HeaderName, value: &[u8]| (name.as_str().to_owned(), value.to_vec());
    let mut headers = vec![of(&HOST, host.as_bytes())];
    for name in &TO_UI {
        headers.extend(browsers.get_all(name).iter().map(|value| of(name, value.as_bytes())));
    }
    headers
}

/// Status and headers for the browser; nothing when the UI's are none of HTTP.
pub(super) fn to_browser(status: u32, uis: &[(String, Vec<u8>)]) -> Option<(StatusCode, HeaderMap)> {
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok())?;
    // A change of protocol would leave what the agent can pass on.
    if status.is_informational() {
        return None;
    }
    let mut headers = HeaderMap::new();
    for (name, value) in uis {
        let Some(name) = TO_BROWSER.iter().find(|known| known.as_str() == name) else { continue };
        let value = match *name {
            LOCATION => HeaderValue::from_str(&within_origin(std::str::from_utf8(value).ok()?)?).ok()?,
            _ => HeaderValue::from_bytes(value).ok()?,
        };
        headers.append(name, value);
    }
    Some((status, headers))
}

/// Where a redirect leads, as a path: a UI knows neither the scheme nor the port that browsers use, and has nowhere else to
/// send them.
fn within_origin(location: &str) -> Option<String> {
    let base = Url::parse("http://ui.invalid/").expect("it is a URL");
    let url = base.join(location).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let path = &url[Position::BeforePath..];
    // Two slashes would make a host of what follows.
    Some(format!("/{}", path.trim_start_matches('/')))
}

/// Puts in force what holds for every answer under such an origin.
pub(super) fn guard(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    let same_origin = || HeaderValue::from_static("same-origin");
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), same_origin());
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), same_origin());
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_do_not_reach_the_ui() {
        let mut browsers = HeaderMap::new();
        for (name, value) in [
            ("cookie", "hearth-ui=x"),
            ("authorization", "Bearer x"),
            ("accept", "text/html"),
            ("x-forwarded-for", "10.0.0.1"),
            ("host", "elsewhere"),
        ] {
            browsers.insert(name, HeaderValue::from_static(value));
        }
        let headers = to_ui(&browsers, "a-1.ui.example");
        let expected = [("host", "a-1.ui.example"), ("accept", "text/html")];
        let expected: Vec<_> =
            expected.into_iter().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect();
        assert_eq!(headers, expected);
    }

    fn answered(headers: &[(&str, &str)]) -> HeaderMap {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        to_browser(200, &headers).expect("an answer").1
    }

    #[test]
    fn a_ui_sets_no_cookies_and_no_policies() {
        let mut headers = answered(&[
            ("content-type", "text/html"),
            ("set-cookie", "hearth-ui=planted"),
            ("content-security-policy", "default-src *"),
            ("access-control-allow-origin", "*"),
            ("clear-site-data", "*"),
        ]);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["content-type"]);
        guard(&mut headers);
        assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'self';"));
        assert_eq!(headers["cache-control"], "no-store");
    }

    #[test]
    fn redirects_stay_within_the_origin() {
        for (location, expected) in [
            ("http://10.0.0.7:4040/jobs/?a=b", "/jobs/?a=b"),
            ("https://evil.example//evil.example/x", "/evil.example/x"),
            ("//evil.example/x", "/x"),
            ("/stages/", "/stages/"),
            ("stages/#x", "/stages/#x"),
            ("http://h", "/"),
        ] {
            assert_eq!(answered(&[("location", location)])["location"], expected, "{location}");
        }
        let script = [("location".to_owned(), b"javascript:alert(1)".to_vec())];
        assert!(to_browser(302, &script).is_none());
    }

    #[test]
    fn what_is_none_of_http_is_no_answer() {
        for status in [0, 101, 1000, 70_000] {
            assert!(to_browser(status, &[]).is_none(), "{status}");
        }
    }
}
