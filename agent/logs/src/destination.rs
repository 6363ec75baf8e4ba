//! Places that logs are shipped to.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, CredentialProvider, ObjectStore, RetryConfig};
use url::Url;

/// How long one request may take; one multipart part is the most it carries.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Quick retries of single requests; patience over minutes is the shipper's.
const RETRIES: usize = 2;
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);

/// Which of the two places a destination is (guide:4634-4660).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DestinationKind {
    /// The user's `logUri`, reached with the job's credentials.
    LogUri,
    /// Hearth's own storage, reached with the agent's credentials.
    ManagedStorage,
}

/// Where S3 requests go.
#[derive(Debug, Clone)]
pub struct ObjectService {
    /// Such as `http://127.0.0.1:4021`.
    pub endpoint: String,
    /// Such as `us-east-1`.
    pub region: String,
}

/// Credentials as S3 takes them; never shown.
pub struct S3Credentials {
    /// `AKIA…` or `ASIA…`.
    pub access_key_id: String,
    /// Signs requests.
    pub secret_access_key: String,
    /// Goes with temporary credentials.
    pub session_token: Option<String>,
}

/// Holds the credentials a destination uses at the moment; clones share them, so the agent can renew them under a
/// running upload.
#[derive(Debug, Clone)]
pub struct CredentialSlot(Arc<RwLock<Arc<AwsCredential>>>);

impl CredentialSlot {
    /// Makes a slot with its first credentials.
    pub fn new(credentials: S3Credentials) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(credentials.into()))))
    }

    /// Replaces the credentials for all requests signed from now on.
    pub fn set(&self, credentials: S3Credentials) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(credentials.into());
    }
}

impl From<S3Credentials> for AwsCredential {
    fn from(credentials: S3Credentials) -> Self {
        Self {
            key_id: credentials.access_key_id,
            secret_key: credentials.secret_access_key,
            token: credentials.session_token,
        }
    }
}

#[async_trait]
impl CredentialProvider for CredentialSlot {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// Why a destination cannot be addressed at all.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// Not `s3://bucket[/prefix]`, nor the same with `s3a` or `s3n`.
    #[error("log URI {0:?} is not of the form s3://bucket/prefix")]
    Uri(String),
    /// The store's client or directory could not be set up.
    #[error("setting up the log destination {uri}")]
    Store {
        /// Which one.
        uri: String,
        /// What was wrong.
        #[source]
        source: object_store::Error,
    },
}

/// One place for one worker's logs; clones are the same place.
#[derive(Debug, Clone)]
pub struct Destination {
    pub(crate) kind: DestinationKind,
    pub(crate) uri: String,
    pub(crate) store: Arc<dyn ObjectStore>,
}

impl Destination {
    /// Addresses `key_prefix` (`applications/<app>/jobs/<job>[/attempts/<n>]`) below the log URI `uri`, an
    /// `s3://bucket[/prefix]`. Nothing is sent yet.
    pub fn s3(
        kind: DestinationKind,
        uri: &str,
        key_prefix: &str,
        service: &ObjectService,
        credentials: CredentialSlot,
    ) -> Result<Self, DestinationError> {
        let (bucket, prefix) = parse_s3(uri).ok_or_else(|| DestinationError::Uri(uri.to_owned()))?;
        let client = ClientOptions::new()
            .with_allow_http(true)
            .with_timeout(REQUEST_TIMEOUT)
            .with_connect_timeout(CONNECT_TIMEOUT);
        let retry =
            RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() };
        let s3 = AmazonS3Builder::new()
            .with_endpoint(&service.endpoint)
            .with_region(&service.region)
            .with_bucket_name(bucket)
            .with_virtual_hosted_style_request(false)
            .with_credentials(Arc::new(credentials))
            .with_client_options(client)
            .with_retry(retry)
            .build()
            .map_err(|source| DestinationError::Store { uri: uri.to_owned(), source })?;
        Ok(Self::within(kind, uri, &prefix, key_prefix, s3))
    }

    /// Addresses `key_prefix` below the directory `dir` of this host, which must exist.
    ///
    /// For an operator's choice alone and for tests: the agent may write where a user may not, so a `file://` URI
    /// of a request must not lead here.
    pub fn directory(
        kind: DestinationKind,
        dir: PathBuf,
        key_prefix: &str,
    ) -> Result<Self, DestinationError> {
        let uri = format!("file://{}", dir.display());
        let store = LocalFileSystem::new_with_prefix(dir)
            .map_err(|source| DestinationError::Store { uri: uri.clone(), source })?
            .with_fsync(true);
        Ok(Self::within(kind, &uri, "", key_prefix, store))
    }

    /// Addresses `key_prefix` in `store`, which messages call `uri`; for tests and measurements.
    pub fn in_store(kind: DestinationKind, uri: &str, key_prefix: &str, store: impl ObjectStore) -> Self {
        Self::within(kind, uri, "", key_prefix, store)
    }

    fn within(
        kind: DestinationKind,
        uri: &str,
        prefix: &str,
        key_prefix: &str,
        store: impl ObjectStore,
    ) -> Self {
        let key = literal(&format!("{prefix}/{key_prefix}"));
        let uri = format!("{}/{}", uri.trim_end_matches('/'), key_prefix.trim_matches('/'));
        Self { kind, uri, store: Arc::new(PrefixStore::new(store, key)) }
    }
}

/// The key as the user wrote it, where the store's rules allow; else with the offending bytes escaped.
fn literal(key: &str) -> Path {
    let segments: Vec<&str> = key.split('/').filter(|segment| !segment.is_empty()).collect();
    let key = segments.join("/");
    Path::parse(&key).unwrap_or_else(|_| Path::from(key))
}

fn parse_s3(uri: &str) -> Option<(String, String)> {
    let url = Url::parse(uri).ok()?;
    if !matches!(url.scheme(), "s3" | "s3a" | "s3n") {
        return None;
    }
    // Taken from the text: `Url` would escape the prefix.
    let (bucket, prefix) = match uri.split_once("://")?.1.split_once('/') {
        Some((bucket, prefix)) => (bucket, prefix),
        None => (uri.split_once("://")?.1, ""),
    };
    (!bucket.is_empty()).then(|| (bucket.to_owned(), prefix.to_owned()))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, StatusCode, Uri};
    use object_store::ObjectStoreExt;

    use super::*;
    use crate::error::ShipError;

    #[test]
    fn only_s3_uris_of_a_request_are_taken() {
        let cases = [
            ("s3://bucket/logs/", Some(("bucket", "logs/"))),
            ("s3://bucket", Some(("bucket", ""))),
            ("s3a://bucket/a b", Some(("bucket", "a b"))),
            ("file:///etc", None),
            ("s3://", None),
            ("bucket/logs", None),
        ];
        for (uri, expected) in cases {
            let expected = expected.map(|(bucket, prefix)| (bucket.to_owned(), prefix.to_owned()));
            assert_eq!(parse_s3(uri), expected, "{uri}");
        }
    }

    #[test]
    fn a_key_stays_as_it_was_written_where_possible() {
        assert_eq!(literal("/my logs//x/applications/a").as_ref(), "my logs/x/applications/a");
        assert_eq!(literal("a/../b").as_ref(), "a/%2E%2E/b");
    }

    /// What a store saw of one request.
    #[derive(Debug, PartialEq, Eq)]
    struct Seen {
        path: String,
        access_key_id: String,
        session_token: String,
    }

    /// Answers puts below `/refused` with 403, those into `/absent` with 404, others with 200.
    async fn store() -> (String, tokio::sync::mpsc::Receiver<Seen>) {
        let (sender, seen) = tokio::sync::mpsc::channel(16);
        let app = axum::Router::new().fallback(move |uri: Uri, headers: HeaderMap| async move {
            let header = |name| {
                let value = headers.get(name).and_then(|value| value.to_str().ok());
                value.unwrap_or_default().to_owned()
            };
            let access_key_id =
                header("authorization").split(['=', '/']).nth(1).unwrap_or_default().to_owned();
            let session_token = header("x-amz-security-token");
            sender.send(Seen { path: uri.path().to_owned(), access_key_id, session_token }).await.unwrap();
            let (status, body) = match uri.path().split('/').nth(1) {
                Some("refused") => (StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code></Error>"),
                Some("absent") => (StatusCode::NOT_FOUND, "<Error><Code>NoSuchBucket</Code></Error>"),
                _ => (StatusCode::OK, ""),
            };
            (status, [("etag", "\"1\"")], body)
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (endpoint, seen)
    }

    #[tokio::test]
    async fn s3_is_addressed_by_path_with_the_credentials_of_the_moment() {
        let (endpoint, mut seen) = store().await;
        let service = ObjectService { endpoint, region: "us-east-1".into() };
        let credentials = |name: &str| S3Credentials {
            access_key_id: format!("ASIA{name}"),
            secret_access_key: "secret".into(),
            session_token: Some(format!("token-{name}")),
        };
        let slot = CredentialSlot::new(credentials("ONE"));
        let put = async |bucket: &str| {
            let uri = format!("s3://{bucket}/my logs/");
            let key_prefix = "applications/a/jobs/j";
            let kind = DestinationKind::LogUri;
            let to = Destination::s3(kind, &uri, key_prefix, &service, slot.clone()).unwrap();
            to.store.put(&Path::from("SPARK_DRIVER/stderr.gz"), "x".into()).await
        };
        put("bucket").await.unwrap();
        slot.set(credentials("TWO"));
        put("bucket").await.unwrap();
        for name in ["ONE", "TWO"] {
            let expected = Seen {
                path: "/bucket/my%20logs/applications/a/jobs/j/SPARK_DRIVER/stderr.gz".into(),
                access_key_id: format!("ASIA{name}"),
                session_token: format!("token-{name}"),
            };
            assert_eq!(seen.recv().await.unwrap(), expected);
        }
        for bucket in ["refused", "absent"] {
            let error = ShipError::from_store(put(bucket).await.unwrap_err());
            assert!(matches!(error, ShipError::Refused(_)), "{bucket}: {error:?}");
        }
    }
}
