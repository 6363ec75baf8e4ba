//! The gateway's answers to signed requests: which permissions each operation needs, and what a refusal gives away.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use s3s::crypto::{Checksum as _, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::gatekeeper::{DenialBasis, Denied, Gatekeeper, ObjectCall};
use crate::{Attributes, BucketAccess, Gateway, ObjectStore, QuerySigV2, gateway};

/// Grants listed pairs of action and resource, and keeps what it was asked.
#[derive(Default)]
struct Grants {
    granted: Vec<(&'static str, &'static str)>,
    asked: Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl Gatekeeper for Grants {
    async fn secret_key(&self, access_key_id: &str) -> Option<String> {
        (access_key_id == "AKID").then(|| "secret".to_owned())
    }

    async fn authorize(&self, call: &ObjectCall<'_>) -> Result<(), Denied> {
        let asked = format!("{} {}", call.action, call.resource);
        self.asked.lock().expect("lock").push(asked);
        if call.session_token.is_some() {
            return Err(Denied::ExpiredToken);
        }
        if self.granted.contains(&(call.action, call.resource)) {
            return Ok(());
        }
        let principal = "arn:aws:iam::000000000000:role/job".to_owned();
        Err(Denied::NotAuthorized { principal, basis: DenialBasis::NoAllow })
    }
}

struct Answer {
    status: StatusCode,
    body: String,
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.map(|byte| byte ^ with).to_vec();
    let inner = Sha256::checksum(&[pad(0x36), data.to_vec()].concat());
    Sha256::checksum(&[pad(0x5c), inner.as_ref().to_vec()].concat()).as_ref().to_vec()
}

/// Signs and sends a request. `query` is canonical; headers are signed too and given in order.
async fn send(
    gateway: &Gateway,
    method: Method,
    (path, query): (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let date = OffsetDateTime::now_utc().format(format).expect("date");
    let day = &date[..8];
    let digest = hex::encode(Sha256::checksum(body.as_bytes()));
    let mut signed = vec![("host", "s3"), ("x-amz-content-sha256", &digest), ("x-amz-date", &date)];
    signed.extend_from_slice(headers);
    signed.sort_unstable();
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{digest}");
    let scope = format!("{day}/us-east-1/s3/aws4_request");
    let hashed = hex::encode(Sha256::checksum(canonical.as_bytes()));
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}");
    let key = ["us-east-1", "s3", "aws4_request"]
        .iter()
        .fold(hmac(b"AWS4secret", day.as_bytes()), |key, part| hmac(&key, part.as_bytes()));
    let signature = hex::encode(hmac(&key, to_sign.as_bytes()));
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential=AKID/{scope}, SignedHeaders={names}, Signature={signature}");
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{path}?{query}"))
        .header("authorization", authorization)
        .header("content-length", body.len());
    for (name, value) in signed {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    let answer = gateway.serve(request.expect("request")).await;
    let status = answer.status();
    let body = answer.into_body().collect().await.expect("body").to_bytes();
    Answer { status, body: String::from_utf8(body.to_vec()).expect("text") }
}

struct Fixture {
    _dir: tempfile::TempDir,
    grants: Arc<Grants>,
    store: ObjectStore,
    gateway: Gateway,
}

async fn fixture(granted: &[(&'static str, &'static str)]) -> Fixture {
    let dir = tempfile::tempdir().expect("dir");
    let store = ObjectStore::open(dir.path()).await.expect("open");
    for (name, access) in [("bucket", BucketAccess::ReadWrite), ("samples", BucketAccess::ReadOnly)] {
        store.create_bucket(name, access).await.expect("bucket");
        let body = Bytes::from_static(b"content");
        store.put_bytes(name, "key", body, Attributes::default()).await.expect("put");
    }
    let grants = Arc::new(Grants { granted: granted.to_vec(), asked: Mutex::default() });
    let gateway = gateway(store.clone(), grants.clone(), "us-east-1", QuerySigV2::Accepted);
    Fixture { _dir: dir, grants, store, gateway }
}

impl Fixture {
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.grants.asked.lock().expect("lock"))
    }

    async fn get(&self, path: &str) -> Answer {
        send(&self.gateway, Method::GET, (path, ""), &[], "").await
    }
}

#[tokio::test]
async fn a_granted_read_succeeds_and_another_is_refused_by_name() {
    let fixture = fixture(&[("s3:GetObject", "arn:aws:s3:::bucket/key")]).await;
    let answer = fixture.get("/bucket/key").await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "content"));
    let answer = fixture.get("/bucket/key2").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let message =
        "User: arn:aws:iam::000000000000:role/job is not authorized to perform: s3:GetObject on resource:";
    assert!(answer.body.contains(message), "{}", answer.body);
}

#[tokio::test]
async fn a_missing_key_is_told_only_to_those_who_may_list() {
    let read = ("s3:GetObject", "arn:aws:s3:::bucket/absent");
    let answer = fixture(&[read]).await.get("/bucket/absent").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let list = ("s3:ListBucket", "arn:aws:s3:::bucket");
    let answer = fixture(&[read, list]).await.get("/bucket/absent").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_copy_needs_its_source() {
    let write = ("s3:PutObject", "arn:aws:s3:::bucket/copy");
    let copy = async |fixture: &Fixture| {
        let headers = [("x-amz-copy-source", "/samples/key")];
        send(&fixture.gateway, Method::PUT, ("/bucket/copy", ""), &headers, "").await.status
    };
    let without = fixture(&[write]).await;
    assert_eq!(copy(&without).await, StatusCode::FORBIDDEN);
    assert_eq!(without.asked(), ["s3:GetObject arn:aws:s3:::samples/key"]);
    let with = fixture(&[write, ("s3:GetObject", "arn:aws:s3:::samples/key")]).await;
    assert_eq!(copy(&with).await, StatusCode::OK);
    assert!(with.store.exists("bucket", "copy").await.expect("exists"));
}

#[tokio::test]
async fn a_batch_deletion_is_decided_key_by_key() {
    let fixture = fixture(&[("s3:DeleteObject", "arn:aws:s3:::bucket/key")]).await;
    let body = "<Delete><Object><Key>key</Key></Object><Object><Key>other</Key></Object></Delete>";
    let answer = send(&fixture.gateway, Method::POST, ("/bucket", "delete="), &[], body).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(answer.body.contains("<Deleted><Key>key</Key></Deleted>"), "{}", answer.body);
    assert!(answer.body.contains("<Code>AccessDenied</Code><Key>other</Key>"), "{}", answer.body);
    assert!(!fixture.store.exists("bucket", "key").await.expect("exists"));
}

#[tokio::test]
async fn a_read_only_bucket_refuses_even_what_is_granted() {
    let granted = [
        ("s3:PutObject", "arn:aws:s3:::samples/key"),
        ("s3:DeleteObject", "arn:aws:s3:::samples/key"),
        ("s3:DeleteBucket", "arn:aws:s3:::samples"),
    ];
    let fixture = fixture(&granted).await;
    let cases = [
        (Method::PUT, ("/samples/key", "")),
        (Method::DELETE, ("/samples/key", "")),
        (Method::POST, ("/samples/key", "uploads=")),
        (Method::DELETE, ("/samples", "")),
    ];
    for (method, target) in cases {
        let answer = send(&fixture.gateway, method, target, &[], "").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{target:?}");
        assert!(answer.body.contains("read-only"), "{}", answer.body);
    }
    assert!(fixture.store.exists("samples", "key").await.expect("exists"));
}

#[tokio::test]
async fn operations_ask_for_the_actions_of_iam() {
    let fixture = fixture(&[]).await;
    let cases = [
        (Method::GET, ("/", ""), "s3:ListAllMyBuckets arn:aws:s3:::*"),
        (Method::PUT, ("/new-bucket", ""), "s3:CreateBucket arn:aws:s3:::new-bucket"),
        (Method::DELETE, ("/bucket", ""), "s3:DeleteBucket arn:aws:s3:::bucket"),
        (Method::HEAD, ("/bucket", ""), "s3:ListBucket arn:aws:s3:::bucket"),
        (Method::GET, ("/bucket", "list-type=2"), "s3:ListBucket arn:aws:s3:::bucket"),
        (Method::GET, ("/bucket", "location="), "s3:GetBucketLocation arn:aws:s3:::bucket"),
        (Method::GET, ("/bucket", "uploads="), "s3:ListBucketMultipartUploads arn:aws:s3:::bucket"),
        (Method::HEAD, ("/bucket/a%2Bb", ""), "s3:GetObject arn:aws:s3:::bucket/a+b"),
        (Method::PUT, ("/bucket/k", ""), "s3:PutObject arn:aws:s3:::bucket/k"),
        (Method::DELETE, ("/bucket/k", ""), "s3:DeleteObject arn:aws:s3:::bucket/k"),
        (Method::POST, ("/bucket/k", "uploads="), "s3:PutObject arn:aws:s3:::bucket/k"),
        (Method::PUT, ("/bucket/k", "partNumber=1&uploadId=u"), "s3:PutObject arn:aws:s3:::bucket/k"),
        (Method::POST, ("/bucket/k", "uploadId=u"), "s3:PutObject arn:aws:s3:::bucket/k"),
        (Method::DELETE, ("/bucket/k", "uploadId=u"), "s3:AbortMultipartUpload arn:aws:s3:::bucket/k"),
        (Method::GET, ("/bucket/k", "uploadId=u"), "s3:ListMultipartUploadParts arn:aws:s3:::bucket/k"),
    ];
    for (method, target, expected) in cases {
        let answer = send(&fixture.gateway, method, target, &[], "").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{target:?} {}", answer.body);
        assert_eq!(fixture.asked(), [expected]);
    }
    let answer = send(&fixture.gateway, Method::GET, ("/bucket", "policy="), &[], "").await;
    assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED);
    assert!(fixture.asked().is_empty());
}

#[tokio::test]
async fn a_session_token_goes_to_the_gatekeeper() {
    let fixture = fixture(&[]).await;
    let token = [("x-amz-security-token", "stale")];
    let answer = send(&fixture.gateway, Method::GET, ("/bucket/key", ""), &token, "").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.body.contains("<Code>ExpiredToken</Code>"), "{}", answer.body);
}

#[tokio::test]
async fn a_chunked_body_cut_off_between_chunks_is_refused() {
    let fixture = fixture(&[("s3:PutObject", "arn:aws:s3:::bucket/k")]).await;
    let headers = [("x-amz-decoded-content-length", "10")];
    let answer = send(&fixture.gateway, Method::PUT, ("/bucket/k", ""), &headers, "hello").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.body.contains("IncompleteBody"), "{}", answer.body);
    assert!(!fixture.store.exists("bucket", "k").await.expect("exists"));
}
