//! The container-credentials endpoint over HTTP.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::credentials::Credentials;
use crate::peer::{self, PeerError};
use crate::registry::{Denied, Registry};

/// Path that `AWS_CONTAINER_CREDENTIALS_FULL_URI` names.
pub const PATH: &str = "/v1/credentials";

/// How long open requests may take once the server is told to stop.
const DRAIN: Duration = Duration::from_secs(2);

/// Why the endpoint could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No loopback port can be listened on.
    #[error("listening for credential requests on {address}")]
    Listen {
        /// The wanted address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The running endpoint. Dropping it stops it at the next request boundary.
#[derive(Debug)]
pub struct CredentialServer {
    local_addr: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl CredentialServer {
    /// Listens on 127.0.0.1, on `port` or, if that is 0 or taken, on a free one, and serves `registry` once `complete` is
    /// done. Who asks before waits: a refusal would end a job, though its worker only is not known yet.
    ///
    /// The caller persists the port of [`CredentialServer::local_addr`] and passes it again after a restart: it is
    /// in the environment of running workers. When it had to change, those keep what their SDKs hold.
    pub async fn start(
        port: u16,
        registry: Registry,
        complete: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self, ServerError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let refused = |source| ServerError::Listen { address, source };
        let listener = listen(address).await.map_err(refused)?;
        let local_addr = listener.local_addr().map_err(refused)?;
        let app = Router::new()
            .route(PATH, get(credentials))
            .with_state(Endpoint { registry, local_addr })
            .into_make_service_with_connect_info::<SocketAddr>();
        let (stop, mut stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            // A dropped sender means the same as a sent stop.
            tokio::select! {
                () = complete => {}
                _ = &mut stopped => return,
            }
            let told_to_stop = async {
                let _ = stopped.await;
            };
            if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(told_to_stop).await {
                tracing::error!(%error, "credentials endpoint ended");
            }
        });
        Ok(Self { local_addr, stop, serving })
    }

    /// Where workers find the endpoint.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Value of `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    pub fn full_uri(&self) -> String {
        format!("http://{}{PATH}", self.local_addr)
    }

    /// Stops accepting, and lets open requests end for two seconds.
    pub async fn shutdown(self) {
        let Self { stop, mut serving, .. } = self;
        drop(stop);
        if tokio::time::timeout(DRAIN, &mut serving).await.is_err() {
            serving.abort();
        }
    }
}

async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && address.port() != 0 => {
            tracing::warn!(%address, "port for credentials is taken, using another");
            TcpListener::bind(SocketAddr::new(address.ip(), 0)).await
        }
        listened => listened,
    }
}

#[derive(Clone)]
struct Endpoint {
    registry: Registry,
    local_addr: SocketAddr,
}

/// Why a request was refused; the client is told less than the log.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the request has no Authorization header")]
    NoToken,
    #[error(transparent)]
    Denied(Denied),
    #[error("finding the owner of the connection")]
    Owner(#[source] PeerError),
    #[error("finding the owner of the connection was cut short")]
    Interrupted,
}

async fn credentials(
    State(endpoint): State<Endpoint>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    match endpoint.authorized(peer, &headers).await {
        Ok(credentials) => {
            ([(header::CACHE_CONTROL, "no-store")], Json(Answer::from(&credentials))).into_response()
        }
        Err(refusal) => {
            let chain = &refusal as &dyn std::error::Error;
            tracing::warn!(%peer, error = chain, "credentials refused");
            refusal.into_response()
        }
    }
}

impl Endpoint {
    async fn authorized(&self, peer: SocketAddr, headers: &HeaderMap) -> Result<Credentials, Refusal> {
        let token = headers.get(header::AUTHORIZATION).ok_or(Refusal::NoToken)?;
        let claim = self.registry.identify(token.as_bytes()).map_err(Refusal::Denied)?;
        let local = self.local_addr;
        let owner = tokio::task::spawn_blocking(move || peer::owner(peer, local))
            .await
            .map_err(|_cancelled| Refusal::Interrupted)?
            .map_err(Refusal::Owner)?;
        self.registry.answer(claim, owner).await.map_err(Refusal::Denied)
    }
}

/// The protocol's answer; names to the letter.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    access_key_id: &'a str,
    secret_access_key: &'a str,
    token: &'a str,
    expiration: String,
    role_arn: &'a str,
}

impl<'a> From<&'a Credentials> for Answer<'a> {
    fn from(credentials: &'a Credentials) -> Self {
        // SDK v1 parses whole seconds alone.
        let expiration = OffsetDateTime::from(credentials.expires_at).truncate_to_second();
        Self {
            access_key_id: &credentials.access_key_id,
            secret_access_key: credentials.secret_access_key.expose(),
            token: credentials.session_token.expose(),
            expiration: expiration.format(&Rfc3339).expect("a year of four digits"),
            role_arn: &credentials.role_arn,
        }
    }
}

/// The protocol's error body.
#[derive(Serialize)]
struct Failure {
    code: &'static str,
    message: &'static str,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            // The SDKs try again on 5xx and use what they hold meanwhile.
            Self::Denied(Denied::NotFresh { .. }) | Self::Interrupted => (
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                "Fresh credentials cannot be had at the moment",
            ),
            Self::NoToken
            | Self::Owner(_)
            | Self::Denied(Denied::UnknownToken | Denied::WrongOwner { .. }) => (
                StatusCode::FORBIDDEN,
                "AccessDenied",
                "The token and the owner of the connection do not belong to a worker",
            ),
        };
        (status, Json(Failure { code, message })).into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::time::SystemTime;

    use super::*;
    use crate::registry::tests::{Fetch, credentials, worker};
    use crate::token::WorkerToken;

    const HOUR: Duration = Duration::from_secs(3600);

    async fn ask(server: &CredentialServer, token: Option<&str>) -> (StatusCode, serde_json::Value) {
        let mut request = reqwest::Client::new().get(server.full_uri());
        if let Some(token) = token {
            request = request.header("Authorization", token);
        }
        let response = request.send().await.unwrap();
        let status = StatusCode::from_u16(response.status().as_u16()).unwrap();
        (status, response.json().await.unwrap())
    }

    fn own_uid() -> u32 {
        rustix::process::getuid().as_raw()
    }

    #[tokio::test]
    async fn our_own_process_is_served_in_the_protocols_form() {
        let registry = Registry::new(Fetch::failing());
        let token = WorkerToken::random();
        let expires_at = SystemTime::UNIX_EPOCH + Duration::from_millis(4_102_444_800_123);
        registry.insert(
            worker("w1"),
            token.clone(),
            own_uid(),
            Some(credentials("ONE", expires_at)),
            SystemTime::now(),
        );
        let server = CredentialServer::start(0, registry, ready(())).await.unwrap();
        let (status, body) = ask(&server, Some(token.expose())).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(
            body,
            serde_json::json!({
                "AccessKeyId": "ASIAONE",
                "SecretAccessKey": "sesame",
                "Token": "session",
                "Expiration": "2100-01-01T00:00:00Z",
                "RoleArn": "arn:aws:iam::000000000000:role/hearth-job",
            })
        );
        server.shutdown().await;
    }

    #[tokio::test]
    async fn who_asks_before_all_workers_are_known_waits_and_is_served() {
        let registry = Registry::new(Fetch::failing());
        let (complete, completed) = oneshot::channel::<()>();
        let known = async { drop(completed.await) };
        let server = CredentialServer::start(0, registry.clone(), known).await.unwrap();
        let token = WorkerToken::random();
        let mut asked = std::pin::pin!(ask(&server, Some(token.expose())));
        // Long enough for a refusal, were it not to wait.
        tokio::time::timeout(Duration::from_millis(300), &mut asked).await.unwrap_err();
        let fresh = Some(credentials("ONE", SystemTime::now() + HOUR));
        registry.insert(worker("w1"), token.clone(), own_uid(), fresh, SystemTime::now());
        complete.send(()).unwrap();
        let (status, _) = asked.await;
        assert_eq!(status, StatusCode::OK);
    }

    #[tokio::test]
    async fn a_right_token_under_a_wrong_uid_is_refused() {
        let registry = Registry::new(Fetch::failing());
        let token = WorkerToken::random();
        let now = SystemTime::now();
        registry.insert(
            worker("w1"),
            token.clone(),
            own_uid() + 1,
            Some(credentials("ONE", now + HOUR)),
            now,
        );
        let server = CredentialServer::start(0, registry, ready(())).await.unwrap();
        for presented in [Some(token.expose()), Some("guess"), None] {
            let (status, body) = ask(&server, presented).await;
            assert_eq!(status, StatusCode::FORBIDDEN);
            assert_eq!(body["code"], "AccessDenied");
        }
    }

    #[tokio::test]
    async fn an_unreachable_coordinator_is_a_retryable_answer() {
        let registry = Registry::new(Fetch::failing());
        let token = WorkerToken::random();
        registry.insert(worker("w1"), token.clone(), own_uid(), None, SystemTime::now());
        let server = CredentialServer::start(0, registry, ready(())).await.unwrap();
        let (status, _) = ask(&server, Some(token.expose())).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn the_same_port_can_be_had_again_and_a_taken_one_is_replaced() {
        let registry = Registry::new(Fetch::failing());
        let first = CredentialServer::start(0, registry.clone(), ready(())).await.unwrap();
        let port = first.local_addr().port();
        let other = CredentialServer::start(port, registry.clone(), ready(())).await.unwrap();
        assert_ne!(other.local_addr().port(), port);
        first.shutdown().await;
        let again = CredentialServer::start(port, registry, ready(())).await.unwrap();
        assert_eq!(again.local_addr().port(), port);
    }
}
