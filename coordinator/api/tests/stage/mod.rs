//! The surface over the control plane's double, with users and a clock that stands still, and signed requests to it.

use crate::double::Double;
use axum::body::Body;
use hearth_api::emr::{PageTokens, Throttle};
use hearth_api::sigv4::{Signer, sha256_hex};
use hearth_api::{Api, Connection};
use hearth_identity::{Identity, IdentityPolicy, MemoryDocuments};
use hearth_types::Timestamp;
use http::response::Parts;
use http_body_util::BodyExt;
use std::sync::Arc;

/// 2026-01-01T00:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// An access key's id and its secret.
pub(crate) type Key = (String, String);

/// The surface and who may use it.
pub(crate) struct Stage {
    api: Api,
    /// May do everything.
    pub(crate) administrator: Key,
    /// May do all but pass roles, to what is tagged `team=a`.
    #[allow(dead_code, reason = "not every test has two users")]
    pub(crate) member: Key,
}

/// A request to be signed.
pub(crate) struct Sent<'a> {
    pub(crate) service: &'a str,
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) body: String,
}

impl Stage {
    #[allow(dead_code, reason = "not every test lets operations be unlimited")]
    pub(crate) async fn new() -> Self {
        Self::under(Throttle::default()).await
    }

    /// The surface with limits of operations.
    pub(crate) async fn under(throttle: Throttle) -> Self {
        let identity = Identity::open(Arc::new(MemoryDocuments::default()), &[7; 32], "000000000000").await;
        let identity = Arc::new(identity.expect("opens"));
        let administrator = identity.ensure_administrator("admin", NOW).await.expect("made");
        identity.create_user("member", "/", Default::default(), NOW).await.expect("made");
        let policy = IdentityPolicy::parse(
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"emr-serverless:*","Resource":"*",
                "Condition":{"StringEquals":{"aws:ResourceTag/team":"a"}}}]}"#,
        );
        identity.put_user_policy("member", "team", policy.expect("valid")).await.expect("put");
        let member = identity.create_access_key("member", NOW).await.expect("made");
        Self {
            api: Api::new(
                identity,
                Arc::new(Double::new(NOW)),
                PageTokens::new(&[7; 32]),
                throttle,
                "us-east-1",
                || NOW,
            ),
            administrator: (administrator.key.id, administrator.secret_access_key),
            member: (member.key.id, member.secret_access_key),
        }
    }

    /// The answer to a request, signed with a key at a moment, or not signed.
    pub(crate) async fn answer(&self, sent: Sent<'_>, by: Option<(&Key, Timestamp)>) -> (Parts, String) {
        let (mut parts, ()) = http::Request::builder()
            .method(sent.method)
            .uri(sent.target)
            .header("host", "hearth.example")
            .header("content-type", sent.content_type)
            .body(())
            .expect("request")
            .into_parts();
        if let Some(((key, secret), at)) = by {
            let signer = Signer {
                access_key_id: key,
                secret_access_key: secret,
                session_token: None,
                region: "us-east-1",
                service: sent.service,
            };
            signer.sign(&mut parts, &sha256_hex(sent.body.as_bytes()), at).expect("signable");
        }
        let request = http::Request::from_parts(parts, Body::from(sent.body));
        let (parts, body) = self.api.handle(request, Connection::default()).await.into_parts();
        let text = body.collect().await.expect("read").to_bytes();
        (parts, String::from_utf8(text.to_vec()).expect("UTF-8"))
    }
}
