//! Signed requests to the endpoint: one way to send for every service behind it.

use super::connection::Connection;
use super::error::CliError;
use hearth_api::sigv4::{Signer, sha256_hex};
use hearth_types::Timestamp;
use http::{HeaderMap, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What stays as it is in a path segment or query value (RFC 3986, unreserved).
const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same for an object's key, whose slashes separate.
const UNRESERVED_AND_SLASH: AsciiSet = UNRESERVED.remove(b'/');
/// A connection is made within this time or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Silence of this length in the middle of an answer ends the request.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// A client of one endpoint; clones share connections.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    connection: Connection,
    http: reqwest::Client,
}

/// What is sent.
pub(super) struct Request {
    /// Signing name of the service.
    pub service: &'static str,
    /// The API's operation, for messages.
    pub operation: &'static str,
    /// Method.
    pub method: Method,
    /// Encoded path, beginning with a slash.
    pub path: String,
    /// Decoded query parameters.
    pub query: Vec<(&'static str, String)>,
    /// Content type, if there is a body.
    pub content_type: Option<&'static str>,
    /// Entity tag that the answer must not have.
    pub unless_tagged: Option<String>,
    /// Body.
    pub body: Body,
}

/// A request's body.
pub(super) enum Body {
    /// In memory.
    Bytes(Vec<u8>),
    /// A file of known length and SHA-256 (lower-case hex), streamed.
    File {
        /// Opened for reading, at its beginning.
        file: tokio::fs::File,
        /// Length in bytes.
        bytes: u64,
        /// Digest.
        sha256: String,
    },
}

/// An answer of any status.
pub(super) struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    response: reqwest::Response,
    operation: &'static str,
    endpoint: String,
}

impl Request {
    /// A request without body and query.
    pub(super) fn new(service: &'static str, operation: &'static str, method: Method, path: String) -> Self {
        let body = Body::Bytes(Vec::new());
        Self {
            service,
            operation,
            method,
            path,
            query: Vec::new(),
            content_type: None,
            unless_tagged: None,
            body,
        }
    }

    /// With one more query parameter.
    #[must_use]
    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// With a JSON body.
    #[must_use]
    pub(super) fn json(mut self, body: &Value) -> Self {
        self.content_type = Some("application/json");
        self.body = Body::Bytes(body.to_string().into_bytes());
        self
    }

    fn target(&self) -> String {
        let pairs: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, &UNRESERVED)))
            .collect();
        if pairs.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, pairs.join("&")) }
    }
}

impl Endpoint {
    /// A client for `connection`. A proxy from the environment is used, except for this machine itself.
    pub(super) fn new(connection: Connection) -> Result<Self, CliError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("hearth/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT);
        if is_this_machine(&connection.endpoint) {
            builder = builder.no_proxy();
        }
        if let Some(bundle) = trusted(&connection)? {
            builder = builder.tls_certs_only(bundle);
        }
        let http = builder
            .build()
            .map_err(|source| CliError::Unreachable { endpoint: connection.endpoint.clone(), source })?;
        Ok(Self { connection, http })
    }

    /// Where this client sends to, and as whom.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sends and gives any answer. Fails with [`CliError::Unreachable`] where there is none.
    pub(super) async fn send(&self, request: Request) -> Result<Answer, CliError> {
        let operation = request.operation;
        let signed = self.signed(request)?;
        let unreachable =
            |source| CliError::Unreachable { endpoint: self.connection.endpoint.clone(), source };
        let signed = reqwest::Request::try_from(signed).map_err(unreachable)?;
        let response = self.http.execute(signed).await.map_err(unreachable)?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            response,
            operation,
            endpoint: self.connection.endpoint.clone(),
        })
    }

    fn signed(&self, request: Request) -> Result<http::Request<reqwest::Body>, CliError> {
        let unformed = |source: http::Error| CliError::Request { what: request.operation.to_owned(), source };
        let mut builder = http::Request::builder().method(request.method.clone()).uri(format!(
            "{}{}",
            self.connection.endpoint,
            request.target()
        ));
        if let Some(kind) = request.content_type {
            builder = builder.header(http::header::CONTENT_TYPE, kind);
        }
        if let Some(tag) = &request.unless_tagged {
            builder = builder.header(http::header::IF_NONE_MATCH, tag);
        }
        if let Body::File { bytes, .. } = &request.body {
            builder = builder.header(http::header::CONTENT_LENGTH, *bytes);
        }
        let (mut parts, ()) = builder.body(()).map_err(unformed)?.into_parts();
        let (digest, body) = match request.body {
            Body::Bytes(bytes) => (sha256_hex(&bytes), reqwest::Body::from(bytes)),
            Body::File { file, sha256, .. } => (sha256, reqwest::Body::from(file)),
        };
        let Connection { access_key_id, secret_access_key, session_token, region, .. } = &self.connection;
        let signer = Signer {
            access_key_id,
            secret_access_key,
            session_token: session_token.as_deref(),
            region,
            service: request.service,
        };
        signer.sign(&mut parts, &digest, now()).map_err(|source| CliError::Request {
            what: request.operation.to_owned(),
            source: source.into(),
        })?;
        Ok(http::Request::from_parts(parts, body))
    }
}

impl Answer {
    /// The body of a good answer; otherwise the refusal it carries, in JSON or XML.
    pub(super) async fn accepted(self) -> Result<Vec<u8>, CliError> {
        let (status, operation) = (self.status, self.operation);
        let kind =
            self.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let endpoint = self.endpoint;
        let body =
            self.response.bytes().await.map_err(|source| CliError::Unreachable { endpoint, source })?;
        if (200..300).contains(&status) {
            return Ok(body.into());
        }
        let (code, message) = refusal(&body);
        Err(CliError::Refused {
            operation: operation.to_owned(),
            code: kind.or(code).unwrap_or_else(|| format!("HTTP {status}")),
            message: message.unwrap_or_else(|| "no reason was given".to_owned()),
            status,
        })
    }

    /// A good answer's body as JSON.
    pub(super) async fn json<T: serde::de::DeserializeOwned>(self) -> Result<T, CliError> {
        let operation = self.operation.to_owned();
        let body = self.accepted().await?;
        serde_json::from_slice(&body).map_err(|source| CliError::Answer { operation, source })
    }
}

/// Encodes one segment of a path.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, &UNRESERVED).to_string()
}

/// Encodes an object's key as the path it has below its bucket.
pub(super) fn key_path(key: &str) -> String {
    utf8_percent_encode(key, &UNRESERVED_AND_SLASH).to_string()
}

/// The wall clock.
pub(super) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// The text between `<name>` and `</name>`, with XML's five entities replaced.
pub(super) fn xml_text(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(entities.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character)))
}

/// Code and message of a refusal: JSON with `message`, or S3's XML.
fn refusal(body: &[u8]) -> (Option<String>, Option<String>) {
    if let Ok(json) = serde_json::from_slice::<Value>(body) {
        let text = |names: [&str; 2]| names.iter().find_map(|name| json[*name].as_str()).map(str::to_owned);
        return (text(["__type", "code"]), text(["message", "Message"]));
    }
    let xml = String::from_utf8_lossy(body);
    (xml_text(&xml, "Code"), xml_text(&xml, "Message"))
}

/// The certificates of `AWS_CA_BUNDLE`, as other AWS clients take them: instead of the system's.
fn trusted(connection: &Connection) -> Result<Option<Vec<reqwest::Certificate>>, CliError> {
    let Some(path) = connection.ca_bundle.as_ref().filter(|_| connection.endpoint.starts_with("https://"))
    else {
        return Ok(None);
    };
    let pem = std::fs::read(path).map_err(|source| CliError::File {
        action: "reading AWS_CA_BUNDLE",
        path: path.clone(),
        source,
    })?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if certificates.is_empty() {
        return Err(CliError::Usage(format!(
            "{} (AWS_CA_BUNDLE) holds no certificate in PEM",
            path.display()
        )));
    }
    Ok(Some(certificates))
}

fn is_this_machine(endpoint: &str) -> bool {
    let Ok(uri) = endpoint.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_in_both_protocols() {
        let json = br#"{"message":"Application 00f is not known."}"#;
        assert_eq!(refusal(json), (None, Some("Application 00f is not known.".to_owned())));
        let xml = b"<Error><Code>NoSuchKey</Code><Message>a &amp;lt; b</Message></Error>";
        assert_eq!(refusal(xml), (Some("NoSuchKey".to_owned()), Some("a &lt; b".to_owned())));
        assert_eq!(refusal(b"gateway down"), (None, None));
    }

    #[test]
    fn a_ca_bundle_counts_for_https_and_must_hold_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let (empty, good) = (dir.path().join("empty.pem"), dir.path().join("good.pem"));
        std::fs::write(&empty, "nothing of the kind\n").unwrap();
        let authority = hearth_mtls::Authority::create("home", SystemTime::now()).unwrap();
        std::fs::write(&good, authority.certificate_pem()).unwrap();
        let trusted_by = |endpoint: &str, file: &std::path::Path| {
            trusted(&Connection {
                endpoint: endpoint.to_owned(),
                ca_bundle: Some(file.to_owned()),
                ..Connection::default()
            })
        };
        assert!(trusted_by("http://h:1", &empty).unwrap().is_none());
        assert_eq!(trusted_by("https://h:1", &good).unwrap().unwrap().len(), 1);
        assert!(matches!(trusted_by("https://h:1", &empty), Err(CliError::Usage(_))));
        assert!(matches!(trusted_by("https://h:1", &dir.path().join("none")), Err(CliError::File { .. })));
    }

    #[test]
    fn only_this_machine_is_reached_without_a_proxy() {
        for (endpoint, here) in [
            ("http://127.0.0.1:8420", true),
            ("http://[::1]:8420", true),
            ("http://localhost:1", true),
            ("http://10.0.0.7:8420", false),
            ("https://hearth.example", false),
        ] {
            assert_eq!(is_this_machine(endpoint), here, "{endpoint}");
        }
    }

    #[test]
    fn queries_and_keys_are_encoded_once() {
        let request = Request::new("s3", "ListObjectsV2", Method::GET, format!("/b/{}", key_path("a b/ü+c")))
            .query("prefix", "x/y z");
        assert_eq!(request.target(), "/b/a%20b/%C3%BC%2Bc?prefix=x%2Fy%20z");
    }
}
