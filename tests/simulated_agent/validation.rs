//! Requests that break rules beyond the service model: all that is wrong is said at once, and nothing of it is done.

use crate::harness::{Answer, Cluster, Submission};
use http::Method;
use serde_json::{Value, json};

/// Fails unless a request was refused with every one of these in its message.
fn check_refused(refused: &Answer, named: &[&str]) {
    assert_eq!(refused.status, 400, "{refused:?}");
    let message = serde_json::from_str::<Value>(&refused.body).expect("JSON");
    let message = message["message"].as_str().expect("a message");
    for name in named {
        assert!(message.contains(name), "{name}: {message}");
    }
    let count = format!("{} validation errors detected: ", named.len());
    assert!(message.starts_with(&count), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_wrong_with_a_job_run_is_said_at_once() {
    let cluster = Cluster::start().await;
    let application = cluster.application(json!({})).await;
    let wrong = Submission::of_executors(0).role("arn:aws:iam::000000000000:role/nobody").with(json!({
        "mode": "STREAMING",
        "executionTimeoutMinutes": 60,
        "retryPolicy": {"maxAttempts": 11},
        "tags": {"aws:mine": "x"},
        "executionIamPolicy": {"policyArns": ["arn:aws:iam::000000000000:policy/nothing"]},
        "jobDriver": {"sparkSubmit": {"entryPoint": "s3://hearth/job.R",
            "sparkSubmitParameters": "--master yarn --executor-cores 3"}},
        "configurationOverrides": {
            "applicationConfiguration": [{"classification": "tez-site", "properties": {"a": "b"}}],
            "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": "file:///logs"}}},
    }));
    let refused = cluster.try_submit(&application, &wrong).await;
    let named = [
        "role/nobody does not exist",
        "aws:mine",
        "policy/nothing",
        "executionTimeoutMinutes must not be set for mode STREAMING, got 60",
        "retryPolicy.maxAttempts must be between 1 and 10, got 11",
        "configurationOverrides.monitoringConfiguration.s3MonitoringConfiguration.logUri must be of the form",
        "job.R",
        "--master",
        "tez-site",
    ];
    assert_eq!(refused.status, 400, "{refused:?}");
    let message = refused.body;
    // The message has an end: 1,024 characters.
    for name in named {
        assert!(message.contains(name), "{name}: {message}");
    }
    assert!(message.contains("10 validation errors detected: "), "{message}");
    assert_eq!(cluster.world().runs_of(&application).count(), 0);
    let runs = format!("/applications/{application}/jobruns");
    let listed = cluster.administrator().emr(Method::GET, &runs, None).await.json();
    assert_eq!(listed["jobRuns"], json!([]));
    let state = cluster.administrator().emr(Method::GET, &format!("/applications/{application}"), None).await;
    assert_eq!(state.json()["application"]["state"], "CREATED", "it was not even started");
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_and_updating_an_application_know_the_same_rules() {
    let cluster = Cluster::start().await;
    let wrong = json!({
        "networkConfiguration": {"subnetIds": ["subnet-0123abcd", "vpc-0123abcd"], "securityGroupIds": ["sg-x"]},
        "monitoringConfiguration": {
            "s3MonitoringConfiguration": {"logUri": "s3://No/logs"},
            "cloudWatchLoggingConfiguration": {"enabled": true, "logTypes": {"TEZ_TASK": ["STDOUT"]}}},
        "workerTypeSpecifications": {"TezTask": {}},
        "runtimeConfiguration": [{"classification": "hive-env", "properties": {"a": "b"}}],
    });
    let named = [
        "networkConfiguration.subnetIds[1] must be a subnet's id",
        "networkConfiguration.securityGroupIds[0] must be a security group's id",
        "monitoringConfiguration.s3MonitoringConfiguration.logUri must be of the form",
        "monitoringConfiguration.cloudWatchLoggingConfiguration.logTypes must name",
        "workerTypeSpecifications.TezTask",
        "hive-env",
    ];
    let id = cluster.application(json!({})).await;
    let client = cluster.administrator();
    let mut update = wrong.clone();
    update["clientToken"] = json!("one");
    let refused = client.emr(Method::PATCH, &format!("/applications/{id}"), Some(&update)).await;
    check_refused(&refused, &named);
    let mut creation = wrong;
    for (member, value) in [("clientToken", "two"), ("releaseLabel", "emr-7.6.0"), ("type", "SPARK")] {
        creation[member] = json!(value);
    }
    check_refused(&client.emr(Method::POST, "/applications", Some(&creation)).await, &named);
    let listed = client.emr(Method::GET, "/applications", None).await.json();
    assert_eq!(listed["applications"].as_array().map(Vec::len), Some(1), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_answered_although_its_role_is_gone() {
    let cluster = Cluster::start().await;
    let application = cluster.application(json!({})).await;
    let submission = Submission::of_executors(0).with(json!({"clientToken": "once"}));
    let job = cluster.submit_to(&application, &submission).await;
    cluster
        .iam(&[("Action", "DeleteRolePolicy"), ("RoleName", "hearth-job"), ("PolicyName", "default")])
        .await;
    cluster.iam(&[("Action", "DeleteRole"), ("RoleName", "hearth-job")]).await;
    let again = cluster.submit_to(&application, &submission).await;
    assert_eq!(again.run, job.run);
    let another = cluster.try_submit(&application, &Submission::of_executors(0)).await;
    assert!(another.status == 400 && another.body.contains("does not exist"), "{another:?}");
    // The same token for something else is no repetition.
    let other = submission.with(json!({"clientToken": "once", "name": "another"}));
    let refused = cluster.try_submit(&application, &other).await;
    assert!(refused.status == 400 && refused.body.contains("does not exist"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streaming_job_run_has_no_timeout_and_an_attempt_in_its_log_path() {
    let cluster = Cluster::start().await;
    let application = cluster.application(json!({})).await;
    let streaming = json!({"mode": "STREAMING", "retryPolicy": {"maxFailedAttemptsPerHour": 3}});
    let job = cluster.submit_to(&application, &Submission::of_executors(0).with(streaming)).await;
    let shown = cluster.shown(&job).await;
    assert_eq!((&shown["mode"], &shown["executionTimeoutMinutes"]), (&json!("STREAMING"), &json!(0)));
    cluster.until_run(&job, "no timeout", |run| run.spec.timeout.is_none().then_some(())).await;
    let batch = cluster.submit_to(&application, &Submission::of_executors(0)).await;
    assert_eq!(cluster.shown(&batch).await["executionTimeoutMinutes"], 720);
}
