//! Serves an object store over S3 with three fixed keys, for trying real clients against it.
//!
//! `cargo run -p hearth-objects --example serve -- DIRECTORY PORT`
//!
//! `AKIAADMIN` may do everything, `AKIAREADER` may read but not write, and `ASIASESSION` is a temporary key whose
//! session token is `token/+=`. Each secret key is the key id followed by `secret`.

use std::path::PathBuf;
use std::sync::Arc;

use hearth_objects::{
    Attributes, BucketAccess, DenialBasis, Denied, Gatekeeper, ObjectCall, ObjectStore, QuerySigV2, gateway,
};

struct FixedKeys;

#[async_trait::async_trait]
impl Gatekeeper for FixedKeys {
    async fn secret_key(&self, access_key_id: &str) -> Option<String> {
        let is_known = ["AKIAADMIN", "AKIAREADER", "ASIASESSION"].contains(&access_key_id);
        is_known.then(|| format!("{access_key_id}secret"))
    }

    async fn authorize(&self, call: &ObjectCall<'_>) -> Result<(), Denied> {
        let expected = (call.access_key_id == "ASIASESSION").then_some("token/+=");
        if call.session_token != expected {
            return Err(Denied::InvalidToken);
        }
        let reads = ["s3:GetObject", "s3:ListBucket", "s3:ListAllMyBuckets"];
        let is_reader = call.access_key_id == "AKIAREADER";
        if is_reader && (!reads.contains(&call.action) || call.resource.contains("/private/")) {
            return Err(Denied::NotAuthorized {
                principal: "arn:aws:iam::000000000000:user/reader".to_owned(),
                basis: DenialBasis::NoAllow,
            });
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("usage: serve DIRECTORY PORT")?);
    let port: u16 = arguments.next().ok_or("usage: serve DIRECTORY PORT")?.parse()?;
    let store = ObjectStore::open(&directory).await?;
    store.create_bucket("samples", BucketAccess::ReadOnly).await?;
    let text = Attributes::with_content_type("text/plain");
    store.put_bytes("samples", "greeting.txt", "hello\n".into(), text).await?;
    let gateway = gateway(store, Arc::new(FixedKeys), "us-east-1", QuerySigV2::Accepted);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    // Without this a small answer waits 40 ms for the acknowledgement of its headers.
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        if let Err(error) = stream.set_nodelay(true) {
            eprintln!("setting TCP_NODELAY: {error}");
        }
    });
    axum::serve(listener, axum::Router::new().fallback_service(gateway)).await?;
    Ok(())
}
