//! `nextToken`: it leads on in its own listing, and nowhere else.

mod double;
mod stage;

use serde_json::{Value, json};
use stage::{NOW, Sent, Stage};

async fn ask(stage: &Stage, method: &str, target: &str, body: String) -> (u16, Value) {
    let content_type = "application/json";
    let sent = Sent { service: "emr-serverless", method, target, content_type, body };
    let (parts, text) = stage.answer(sent, Some((&stage.administrator, NOW))).await;
    (parts.status.as_u16(), serde_json::from_str(&text).expect("JSON"))
}

async fn list(stage: &Stage, target: &str) -> (u16, Value) {
    ask(stage, "GET", target, String::new()).await
}

/// Two applications with three job runs each.
async fn stage() -> Stage {
    let stage = Stage::new().await;
    for name in ["a", "b"] {
        let body = json!({"name": name, "releaseLabel": "emr-7.6.0", "type": "SPARK", "clientToken": name});
        let (status, made) = ask(&stage, "POST", "/applications", body.to_string()).await;
        assert_eq!(status, 200, "{made}");
        let id = made["applicationId"].as_str().expect("an id");
        for run in ["r1", "r2", "r3"] {
            let body = json!({
                "clientToken": format!("{name}-{run}"),
                "executionRoleArn": "arn:aws:iam::000000000000:role/job",
                "jobDriver": {"sparkSubmit": {"entryPoint": "s3://bucket/job.py"}},
            });
            let target = format!("/applications/{id}/jobruns");
            let (status, made) = ask(&stage, "POST", &target, body.to_string()).await;
            assert_eq!(status, 200, "{made}");
        }
    }
    stage
}

#[tokio::test]
async fn a_token_leads_on_in_its_own_listing_and_nowhere_else() {
    let stage = stage().await;
    let runs = "/applications/00f0000000000001/jobruns";
    let filter = "states=SUBMITTED&states=RUNNING";
    let (status, first) = list(&stage, &format!("{runs}?maxResults=1&{filter}")).await;
    assert_eq!((status, first["jobRuns"].as_array().map(Vec::len)), (200, Some(1)), "{first}");
    let token = first["nextToken"].as_str().expect("two more follow").to_owned();

    // The same filter, written in another order, and another length of page.
    let (status, second) =
        list(&stage, &format!("{runs}?states=RUNNING&states=SUBMITTED&maxResults=2&nextToken={token}")).await;
    assert_eq!((status, second["jobRuns"].as_array().map(Vec::len)), (200, Some(2)), "{second}");
    assert_eq!(second["nextToken"], Value::Null);

    let last = token.chars().last().expect("not empty");
    let tampered = format!("{}{}", &token[..token.len() - 1], if last == 'A' { 'B' } else { 'A' });
    for elsewhere in [
        format!("{runs}?nextToken={token}"),
        format!("{runs}?states=SUBMITTED&nextToken={token}"),
        format!("{runs}?{filter}&mode=BATCH&nextToken={token}"),
        format!("{runs}?{filter}&createdAtAfter=2020-01-01T00%3A00%3A00Z&nextToken={token}"),
        format!("/applications/00f0000000000002/jobruns?{filter}&nextToken={token}"),
        format!("{runs}/00j0000000000001/attempts?nextToken={token}"),
        format!("/applications?nextToken={token}"),
        format!("{runs}?{filter}&nextToken={tampered}"),
        format!("{runs}?{filter}&nextToken=AAAA"),
    ] {
        let (status, refused) = list(&stage, &elsewhere).await;
        assert_eq!(status, 400, "{elsewhere}: {refused}");
        let message = refused["message"].as_str().unwrap_or_default();
        assert!(message.contains("nextToken"), "{elsewhere}: {message}");
    }
}
