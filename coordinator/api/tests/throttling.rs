//! A request beyond its operation's limit is refused in the form that makes clients wait and try again.

mod double;
mod stage;

use hearth_api::emr::{Rate, Throttle};
use http::response::Parts;
use stage::{NOW, Sent, Stage};

async fn get(stage: &Stage, target: &str, signed: bool) -> (Parts, String) {
    let content_type = "application/json";
    let sent = Sent { service: "emr-serverless", method: "GET", target, content_type, body: String::new() };
    stage.answer(sent, signed.then_some((&stage.administrator, NOW))).await
}

#[tokio::test]
async fn a_request_beyond_the_limit_is_told_when_to_come_again() {
    let mut throttle = Throttle::default();
    throttle.limit("ListApplications", Rate { per_second: 1, burst: 2 }).expect("an operation");
    let stage = Stage::under(throttle).await;
    // Nobody can use up the account's limits without a key of it.
    for _ in 0..5 {
        assert_eq!(get(&stage, "/applications", false).await.0.status, 403);
    }
    for _ in 0..2 {
        assert_eq!(get(&stage, "/applications", true).await.0.status, 200);
    }
    let (refused, body) = get(&stage, "/applications", true).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["x-amzn-errortype"], "ThrottlingException");
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(body, r#"{"message":"Rate exceeded"}"#);
    let (other, _) = get(&stage, "/applications/00f0000000000001", true).await;
    assert_eq!(other.status, 404, "other operations are not concerned");
}
