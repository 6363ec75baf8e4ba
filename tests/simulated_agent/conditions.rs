//! What conditions of policies know of a request, whichever part of the coordinator it reaches.

use crate::harness::{Cluster, Submission};
use http::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn time_and_region_are_known_where_objects_are_asked_for() {
    let cluster = Cluster::start().await;
    let since = json!({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}});
    let keys = cluster
        .user(
            "dated",
            json!([
                {"Effect": "Allow", "Action": "s3:*", "Resource": "*",
                 "Condition": {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}},
                {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::hearth/late/*", "Condition": since},
            ]),
        )
        .await;
    let dated = cluster.client(keys.clone());
    assert_eq!(dated.put_object("hearth/early/x", "fine").await.status, 200);
    assert_eq!(dated.put_object("hearth/late/x", "too late").await.status, 403);
    let used = cluster.iam(&[("Action", "GetAccessKeyLastUsed"), ("AccessKeyId", &keys.access_key_id)]).await;
    assert!(used.contains("<ServiceName>s3</ServiceName>"), "{used}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_run_and_its_progress_are_shown_to_those_whose_tags_it_has() {
    let cluster = Cluster::start().await;
    let job = cluster.submit(&Submission::of_executors(0)).await;
    let team = json!([{"Effect": "Allow", "Action": "emr-serverless:GetJobRun", "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/team": "data"}}}]);
    let member = cluster.client(cluster.user("member", team).await);
    let progress = format!("/hearth/v1/job-runs/{}/progress", job.run);
    let shown = format!("/applications/{}/jobruns/{}", job.application, job.run);
    for page in [&progress, &shown] {
        assert_eq!(member.emr(Method::GET, page, None).await.status, 403);
    }
    let arn = cluster.shown(&job).await["arn"].as_str().expect("an ARN").replace('/', "%2F");
    let tagged = cluster
        .administrator()
        .emr(Method::POST, &format!("/tags/{arn}"), Some(&json!({"tags": {"team": "data"}})))
        .await;
    assert_eq!(tagged.status, 200, "{tagged:?}");
    for page in [&progress, &shown] {
        assert_eq!(member.emr(Method::GET, page, None).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_may_trust_the_service_for_some_applications() {
    let cluster = Cluster::start().await;
    let (own, other) = (cluster.application(json!({})).await, cluster.application(json!({})).await);
    let trust = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "emr-serverless.amazonaws.com"},
        "Condition": {
            "StringEquals": {"aws:SourceAccount": "000000000000"},
            "ArnLike": {"aws:SourceArn": format!("arn:aws:emr-serverless:*:*:/applications/{own}")},
        },
    }});
    cluster
        .iam(&[
            ("Action", "CreateRole"),
            ("RoleName", "own"),
            ("AssumeRolePolicyDocument", &trust.to_string()),
        ])
        .await;
    let submission = Submission::of_executors(0).role("arn:aws:iam::000000000000:role/own");
    let started = cluster.try_submit(&own, &submission).await;
    assert_eq!(started.status, 200, "{started:?}");
    let refused = cluster.try_submit(&other, &submission).await;
    assert!(refused.status == 400 && refused.body.contains("trust policy"), "{refused:?}");
}
