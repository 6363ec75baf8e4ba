//! The S3 gateway as a service: admission, then the protocol, then the store.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, StatusCode};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto::StreamingBlob;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::stream::DynByteStream;
use time::OffsetDateTime;

use crate::access::Access;
use crate::admission::{QuerySigV2, Refusal, admit};
use crate::chunks::{Chunks, bounded};
use crate::expect::Expectation;
use crate::gatekeeper::Gatekeeper;
use crate::operations::Operations;
use crate::store::ObjectStore;

/// The body of an answer.
pub type Body = s3s::Body;

/// The largest XML body of a request: a completion of ten thousand parts with checksums needs some 2 MB.
const MAX_XML_BYTES: usize = 8 << 20;

/// Where a request came from. The server puts it into the request's extensions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peer {
    /// The caller's address, where known.
    pub address: Option<IpAddr>,
    /// Whether the request came over TLS.
    pub is_tls: bool,
}

/// The S3 gateway; a tower service that always answers. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    protocol: S3Service,
    sig_v2: QuerySigV2,
}

/// Makes the gateway of a store. `region` is what buckets say they are in; signatures for any Region are taken.
pub fn gateway(
    store: ObjectStore,
    gatekeeper: Arc<dyn Gatekeeper>,
    region: &str,
    sig_v2: QuerySigV2,
) -> Gateway {
    let access = Access { store: store.clone(), gatekeeper };
    let mut config = S3Config::default();
    config.xml_max_body_size = MAX_XML_BYTES;
    let mut builder =
        S3ServiceBuilder::new(Operations { store, access: access.clone(), region: region.to_owned() });
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    builder.set_auth(access.clone());
    builder.set_access(access);
    Gateway { protocol: builder.build(), sig_v2 }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("sig_v2", &self.sig_v2).finish_non_exhaustive()
    }
}

impl Gateway {
    /// Answers a request. Bodies stream both ways. The future may be dropped: a write is then done or not done.
    pub async fn serve<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let request_id = hex::encode_upper(rand::random::<[u8; 8]>());
        let (mut parts, body) = request.into_parts();
        let (expectation, mut body) = Expectation::watch(&parts, Body::http_body_unsync(body));
        let mut response = match admit(&mut parts, OffsetDateTime::now_utc(), self.sig_v2) {
            Ok(admitted) => {
                parts.extensions.insert(admitted);
                if let Some(chunks) = Chunks::of(&parts.headers) {
                    let bounded = StreamingBlob::wrap(bounded(body, chunks));
                    body = Body::from(DynByteStream::from(bounded));
                }
                let request = Request::from_parts(parts, body);
                match self.protocol.call(request).await {
                    Ok(response) => response,
                    Err(error) => {
                        tracing::error!(request_id, ?error, "object request not answered");
                        empty(StatusCode::INTERNAL_SERVER_ERROR)
                    }
                }
            }
            Err(refusal) => answer(&refusal, &request_id),
        };
        if let Some(expectation) = expectation {
            expectation.settle(&mut response);
        }
        if let Ok(value) = HeaderValue::try_from(request_id) {
            response.headers_mut().insert("x-amz-request-id", value);
        }
        response
    }
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn answer(refusal: &Refusal, request_id: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(refusal.xml(request_id)));
    *response.status_mut() = refusal.status;
    let xml = HeaderValue::from_static("application/xml");
    response.headers_mut().insert(http::header::CONTENT_TYPE, xml);
    response
}

impl<B> tower::Service<Request<B>> for Gateway
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let gateway = self.clone();
        Box::pin(async move { Ok(gateway.serve(request).await) })
    }
}
