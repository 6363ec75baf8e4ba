//! The whole surface over a control plane in memory, to try real clients against: prints what to export, then serves.
//!
//! `cargo run -p hearth-api --example double_server [PORT]`

#![expect(clippy::print_stdout, reason = "prints what to export")]

#[path = "../tests/double/mod.rs"]
mod double;

use axum::extract::Request;
use axum::routing::any;
use double::Double;
use hearth_api::emr::{PageTokens, Throttle};
use hearth_api::route::{Route, Service, route};
use hearth_api::{Api, Connection};
use hearth_identity::{Identity, MemoryDocuments};
use hearth_types::Timestamp;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp::from_millis(i64::try_from(since.as_millis()).expect("this century"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(0), |text| text.parse::<u16>())?;
    let documents = Arc::new(MemoryDocuments::default());
    let identity = Arc::new(Identity::open(documents, &[7; 32], "000000000000").await?);
    let key = identity.ensure_administrator("admin", now()).await?;
    let api = Arc::new(Api::new(
        identity,
        Arc::new(Double::new(now())),
        PageTokens::new(&[7; 32]),
        Throttle::default(),
        "us-east-1",
        now,
    ));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("export AWS_ENDPOINT_URL=http://{}", listener.local_addr()?);
    println!("export AWS_ACCESS_KEY_ID={}", key.key.id);
    println!("export AWS_SECRET_ACCESS_KEY={}", key.secret_access_key);
    println!("export AWS_DEFAULT_REGION=us-east-1");
    let serve = any(move |request: Request| {
        let api = api.clone();
        async move {
            let (parts, body) = request.into_parts();
            if route(&parts) == Route::To(Service::S3) {
                return http::Response::builder()
                    .status(501)
                    .body("no gateway here".into())
                    .expect("response");
            }
            api.handle(Request::from_parts(parts, body), Connection::default()).await
        }
    });
    axum::serve(listener, axum::Router::new().fallback(serve)).await?;
    Ok(())
}
