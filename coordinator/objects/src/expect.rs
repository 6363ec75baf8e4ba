//! Ends the connection after an answer that came without `100 Continue` to a client that waits for it.
//!
//! botocore announces `Expect: 100-continue` with every upload. When the final answer comes at once (an empty body, an
//! early refusal), it keeps the state of that answer with the connection and misreads the next one on it, until its
//! read timeout. A closed connection takes that state along.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use http::header::{CONNECTION, EXPECT};
use http::{HeaderValue, Response, Version};
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, DynByteStream, RemainingLength};

use crate::error::BodyError;
use crate::gateway::Body;

/// Watches whether the body of a request that expects `100 Continue` is read, which is what makes the server send it.
#[derive(Debug)]
pub(crate) struct Expectation {
    is_met: Arc<AtomicBool>,
}

impl Expectation {
    /// Watches a request's body, if the client waits for `100 Continue`.
    pub(crate) fn watch(parts: &http::request::Parts, body: Body) -> (Option<Self>, Body) {
        let is_expecting = parts
            .headers
            .get(EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        if !is_expecting || parts.version > Version::HTTP_11 {
            return (None, body);
        }
        let is_met = Arc::new(AtomicBool::new(false));
        if http_body::Body::is_end_stream(&body) {
            return (Some(Self { is_met }), body);
        }
        let watched = Watched { body, is_met: is_met.clone() };
        let body = Body::from(DynByteStream::from(StreamingBlob::new(watched)));
        (Some(Self { is_met }), body)
    }

    /// Marks the answer as the last of its connection if the expectation was not met.
    pub(crate) fn settle(self, response: &mut Response<Body>) {
        if !self.is_met.load(Ordering::Relaxed) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// A body that notes when it is read.
struct Watched {
    body: Body,
    is_met: Arc<AtomicBool>,
}

impl Stream for Watched {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.is_met.store(true, Ordering::Relaxed);
        Pin::new(&mut self.body).poll_next(cx)
    }
}

impl ByteStream for Watched {
    fn remaining_length(&self) -> RemainingLength {
        self.body.remaining_length()
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use http::Request;

    use super::*;

    async fn closes(expect: Option<&str>, content: &'static str, is_read: bool) -> bool {
        let mut request = Request::builder();
        if let Some(expect) = expect {
            request = request.header(EXPECT, expect);
        }
        let parts = request.body(()).expect("request").into_parts().0;
        let content = http_body_util::Full::new(Bytes::from_static(content.as_bytes()));
        let (expectation, mut body) = Expectation::watch(&parts, Body::http_body_unsync(content));
        if is_read {
            body.next().await;
        }
        let mut response = Response::new(Body::empty());
        if let Some(expectation) = expectation {
            expectation.settle(&mut response);
        }
        response.headers().contains_key(CONNECTION)
    }

    #[tokio::test]
    async fn the_connection_ends_when_no_continue_was_sent() {
        assert!(closes(Some("100-continue"), "", true).await, "an empty body");
        assert!(closes(Some("100-Continue"), "body", false).await, "a refusal");
        assert!(!closes(Some("100-continue"), "body", true).await, "a body that was read");
        assert!(!closes(None, "", true).await, "a client that does not wait");
    }
}
