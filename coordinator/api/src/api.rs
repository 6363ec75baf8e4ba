//! The front: every request is identified, read, authenticated and handed to the service it is signed for.

use crate::emr::control_plane::ControlPlane;
use crate::emr::{PageTokens, Throttle};
use crate::route::{Route, Service, route};
use crate::sigv4::{Presented, SignatureError, sha256_hex};
use crate::{emr, query};
use axum::body::Body;
use bytes::Bytes;
use hearth_identity::{Circumstances, Context, CredentialError, Identity, Principal};
use hearth_types::Timestamp;
use http::request::Parts;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Largest body of a request, in bytes.
const MAX_BODY: usize = 1 << 20;

/// How a request reached us.
#[derive(Debug, Clone, Copy, Default)]
pub struct Connection {
    /// The peer (`aws:SourceIp`).
    pub source_ip: Option<IpAddr>,
    /// Whether it came over TLS (`aws:SecureTransport`).
    pub is_tls: bool,
}

/// The AWS-compatible surface, the object gateway apart.
pub struct Api {
    identity: Arc<Identity>,
    control: Arc<dyn ControlPlane>,
    page_tokens: PageTokens,
    throttle: Throttle,
    region: String,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Api {
    /// A surface for one account in one Region, with a clock for signatures, sessions and conditions.
    pub fn new(
        identity: Arc<Identity>,
        control: Arc<dyn ControlPlane>,
        page_tokens: PageTokens,
        throttle: Throttle,
        region: impl Into<String>,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self { identity, control, page_tokens, throttle, region: region.into(), clock: Arc::new(clock) }
    }

    /// The limits of the operations.
    pub fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    /// Answers a request for any service but S3 (see [`route`]); unsigned requests, those for the gateway included, are
    /// refused. Every answer carries `x-amzn-requestid`.
    pub async fn handle(&self, request: Request<Body>, connection: Connection) -> Response<Body> {
        let request_id = request_id();
        let (parts, body) = request.into_parts();
        let mut response = match route(&parts) {
            Route::To(service) => self.serve(&service, &parts, body, connection, &request_id).await,
            Route::Refused { likely, error } => refuse(&likely, &error, &request_id),
        };
        let value = HeaderValue::from_str(&request_id).expect("request ids are ASCII");
        response.headers_mut().insert("x-amzn-requestid", value);
        response
    }

    async fn serve(
        &self,
        service: &Service,
        parts: &Parts,
        body: Body,
        connection: Connection,
        request_id: &str,
    ) -> Response<Body> {
        let body = match read(body).await {
            Ok(body) => body,
            Err(TooLarge) => {
                return match service {
                    Service::Iam | Service::Sts | Service::S3 => query::refuse_too_large(request_id),
                    Service::EmrServerless | Service::Other(_) => emr::refuse_too_large(),
                };
            }
        };
        let now = (self.clock)();
        let principal = match self.authenticate(parts, &body, now) {
            Ok(principal) => principal,
            Err(error) => return refuse(service, &error, request_id),
        };
        let context = self.context(connection, now);
        match service {
            Service::EmrServerless => {
                let call = emr::Call {
                    identity: &self.identity,
                    control: &*self.control,
                    page_tokens: &self.page_tokens,
                    throttle: &self.throttle,
                    now,
                    region: &self.region,
                    principal: &principal,
                    context,
                    request_id,
                    origin: &origin(parts, connection),
                };
                emr::serve(call, parts, &body).await
            }
            Service::Iam | Service::Sts => {
                let call = query::Call {
                    identity: &self.identity,
                    principal: &principal,
                    context: &context,
                    request_id,
                    now,
                };
                query::serve(call, service, parts, &body).await
            }
            Service::S3 | Service::Other(_) => emr::refuse_service(),
        }
    }

    /// Who made the request: the signature must be theirs, over this very body.
    fn authenticate(&self, parts: &Parts, body: &[u8], now: Timestamp) -> Result<Principal, SignatureError> {
        let presented = Presented::read(parts)?;
        let found = self
            .identity
            .secret_for(&presented.access_key_id, presented.session_token.as_deref(), now)
            .map_err(|error| match error {
                CredentialError::Unknown => SignatureError::UnknownKey,
                CredentialError::Expired | CredentialError::Superseded => SignatureError::ExpiredToken,
            })?;
        presented.verify(parts, &sha256_hex(body), &found.secret_access_key, now)?;
        self.identity.note_use(&found.principal, &presented.scope.service, &presented.scope.region, now);
        Ok(found.principal)
    }

    fn context(&self, connection: Connection, now: Timestamp) -> Context {
        let Connection { source_ip, is_tls } = connection;
        Circumstances { at: now, source_ip, is_tls, region: &self.region }.context()
    }
}

fn refuse(service: &Service, error: &SignatureError, request_id: &str) -> Response<Body> {
    match service {
        Service::EmrServerless | Service::Other(_) => emr::refuse(error),
        Service::Iam | Service::Sts => query::refuse(error, request_id),
        Service::S3 => query::refuse_object_call(error, request_id),
    }
}

struct TooLarge;

/// Reads a body. One that breaks off reads as empty: its signature cannot fit, and nobody is left to answer.
async fn read(body: Body) -> Result<Bytes, TooLarge> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(TooLarge),
        Err(_) => Ok(Bytes::new()),
    }
}

/// Where the client reached us. What it signed is where it believes to be; a proxy that ends TLS is unknown to us.
fn origin(parts: &Parts, connection: Connection) -> String {
    let host = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or(parts.uri.authority().map(|authority| authority.as_str())).unwrap_or_default();
    format!("{}://{host}", if connection.is_tls { "https" } else { "http" })
}

/// A random UUID.
fn request_id() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works");
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
