//! One request to a UI on this host.

use hearth_credentials::{PeerError, is_listened_on_by};
use hearth_proto::v1;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    CONNECTION, HeaderName, HeaderValue, PROXY_AUTHENTICATE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// How long connecting may take, on loopback.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long the UI may take before its answer begins: that of a large job computes its pages.
const HEAD_WITHIN: Duration = Duration::from_secs(60);
/// What concerns one connection alone, and never the next.
const OF_ONE_CONNECTION: [HeaderName; 7] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// Where a UI is, and whose it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// On loopback.
    pub(super) port: u16,
    /// The worker's user.
    pub(super) uid: u32,
}

/// An answer whose body is still to come; dropping it closes the connection.
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    pub(super) _connection: AbortOnDropHandle<()>,
}

/// Why a UI was not asked, or did not answer. `Display` is for people.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("only GET and HEAD are passed on, of a path that begins with a slash")]
    Request,
    #[error("connecting to the driver's UI on its host")]
    Connect(#[source] io::Error),
    #[error("finding out who serves the driver's UI")]
    Owner(#[source] PeerError),
    #[error("the port of the driver's UI belongs to somebody else by now")]
    Stranger,
    #[error("the driver's UI does not answer as HTTP prescribes")]
    Http(#[source] hyper::Error),
    #[error("the driver's UI did not answer in time")]
    Silent,
}

/// Makes of what the coordinator asks a request with what a UI may be told. Its method and target are held to what this
/// agent lets through, whatever the coordinator thinks.
pub(super) fn checked(request: &v1::UiRequest) -> Result<Request<Empty<Bytes>>, Fault> {
    let method = match request.method.as_str() {
        "GET" => Method::GET,
        "HEAD" => Method::HEAD,
        _ => return Err(Fault::Request),
    };
    if !request.target.starts_with('/') {
        return Err(Fault::Request);
    }
    let target: PathAndQuery = request.target.parse().map_err(|_| Fault::Request)?;
    let mut checked = Request::new(Empty::new());
    *checked.method_mut() = method;
    *checked.uri_mut() = Uri::from(target);
    for header in &request.headers {
        let name: HeaderName = header.name.parse().map_err(|_| Fault::Request)?;
        let value = HeaderValue::from_bytes(&header.value).map_err(|_| Fault::Request)?;
        checked.headers_mut().append(name, value);
    }
    remove_connections_own(checked.headers_mut());
    checked.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(checked)
}

/// The head of an answer for the coordinator.
pub(super) fn head(response: &Response<Incoming>) -> v1::UiHead {
    let mut headers = response.headers().clone();
    remove_connections_own(&mut headers);
    let header = |(name, value): (&HeaderName, &HeaderValue)| v1::UiHeader {
        name: name.as_str().to_owned(),
        value: value.as_bytes().to_vec(),
    };
    v1::UiHead { status: response.status().as_u16().into(), headers: headers.iter().map(header).collect() }
}

fn remove_connections_own(headers: &mut HeaderMap) {
    for name in OF_ONE_CONNECTION {
        headers.remove(name);
    }
}

/// Asks a UI; answers once the head is there. Cancel safe: nothing goes on.
pub(super) async fn fetch(place: Place, request: Request<Empty<Bytes>>) -> Result<Answer, Fault> {
    let Place { port, uid } = place;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = match timeout(CONNECT_WITHIN, TcpStream::connect(address)).await {
        Ok(connected) => connected.map_err(Fault::Connect)?,
        Err(elapsed) => return Err(Fault::Connect(elapsed.into())),
    };
    // The port may be another worker's since its driver gave it back, and that one's pages are not for these eyes.
    let is_its_own = tokio::task::spawn_blocking(move || is_listened_on_by(port, uid)).await;
    if !is_its_own.map_err(|cut_short| Fault::Connect(cut_short.into()))?.map_err(Fault::Owner)? {
        return Err(Fault::Stranger);
    }
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Fault::Http)?;
    let connection = AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, port, "a connection to a driver's UI broke");
        }
    }));
    match timeout(HEAD_WITHIN, sender.send_request(request)).await {
        Ok(answered) => Ok(Answer { response: answered.map_err(Fault::Http)?, _connection: connection }),
        Err(_) => Err(Fault::Silent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, target: &str) -> v1::UiRequest {
        let header = |name: &str, value: &str| v1::UiHeader { name: name.into(), value: value.into() };
        v1::UiRequest {
            method: method.into(),
            target: target.into(),
            headers: vec![header("host", "ui.example"), header("upgrade", "websocket")],
            ..v1::UiRequest::default()
        }
    }

    #[test]
    fn what_only_reads_a_path_is_passed_on() {
        let request = checked(&asked("GET", "/jobs/?id=1")).unwrap();
        assert_eq!((request.method(), request.uri().to_string().as_str()), (&Method::GET, "/jobs/?id=1"));
        assert_eq!(request.headers()["host"], "ui.example");
        assert_eq!(request.headers().get("upgrade"), None);
        checked(&asked("HEAD", "/")).unwrap();
    }

    #[test]
    fn everything_else_is_not() {
        for (method, target) in [
            ("POST", "/jobs/"),
            ("get", "/"),
            ("CONNECT", "10.0.0.1:22"),
            ("GET", "http://10.0.0.1/"),
            ("GET", ""),
            ("GET", "*"),
            ("GET", "/ HTTP/1.1\r\nX: y"),
        ] {
            assert!(matches!(checked(&asked(method, target)), Err(Fault::Request)), "{method} {target}");
        }
        let mut smuggled = asked("GET", "/");
        smuggled.headers[0].value = b"a\r\nX: y".to_vec();
        assert!(matches!(checked(&smuggled), Err(Fault::Request)));
    }
}
