//! Signed requests to the endpoint, as an AWS client sends them.

use hearth_api::sigv4::{Signer, sha256_hex};
use http::Method;
use serde_json::Value;
use std::net::SocketAddr;

/// Credentials.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: Option<String>,
}

/// A client with one set of keys.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    endpoint: SocketAddr,
    keys: Keys,
    http: reqwest::Client,
}

/// An answer of any status.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// The body of a good answer as JSON; fails the test otherwise.
    pub(crate) fn json(&self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Client {
    pub(crate) fn new(endpoint: SocketAddr, keys: Keys) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { endpoint, keys, http }
    }

    /// A request of the service's own API.
    pub(crate) async fn emr(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.send("emr-serverless", method, path, "application/json", body).await
    }

    /// A request of a query service: `iam` or `sts`.
    pub(crate) async fn query(&self, service: &str, parameters: &[(&str, &str)]) -> Answer {
        let body = reqwest::Url::parse_with_params("http://x/", parameters).expect("parameters");
        let body = body.query().unwrap_or_default().to_owned();
        self.send(service, Method::POST, "/", "application/x-www-form-urlencoded; charset=utf-8", body).await
    }

    /// Stores an object; `path` is bucket and key.
    pub(crate) async fn put_object(&self, path: &str, content: &str) -> Answer {
        self.send("s3", Method::PUT, &format!("/{path}"), "text/plain", content.to_owned()).await
    }

    /// Reads an object.
    pub(crate) async fn get_object(&self, path: &str) -> Answer {
        self.send("s3", Method::GET, &format!("/{path}"), "text/plain", String::new()).await
    }

    async fn send(&self, service: &str, method: Method, path: &str, kind: &str, body: String) -> Answer {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.endpoint))
            .header(http::header::CONTENT_TYPE, kind)
            .body(())
            .expect("a request");
        let (mut parts, ()) = request.into_parts();
        let signer = Signer {
            access_key_id: &self.keys.access_key_id,
            secret_access_key: &self.keys.secret_access_key,
            session_token: self.keys.session_token.as_deref(),
            region: "us-east-1",
            service,
        };
        signer.sign(&mut parts, &sha256_hex(body.as_bytes()), hearth_engine::now()).expect("header values");
        let request = http::Request::from_parts(parts, reqwest::Body::from(body));
        let request = reqwest::Request::try_from(request).expect("a request");
        let answer = self.http.execute(request).await.expect("an answer");
        Answer { status: answer.status().as_u16(), body: answer.text().await.expect("a body") }
    }
}
