//! `UpdateApplication` through the endpoint: what it changes, what it leaves alone, what it refuses.

use crate::harness::{Cluster, Submission};
use crate::host::{Host, room_for};
use hearth_types::ApplicationId;
use http::Method;
use serde_json::{Value, json};

async fn update(cluster: &Cluster, id: &ApplicationId, body: Value) -> crate::harness::Answer {
    cluster.administrator().emr(Method::PATCH, &format!("/applications/{id}"), Some(&body)).await
}

async fn shown(cluster: &Cluster, id: &ApplicationId) -> Value {
    let path = format!("/applications/{id}");
    cluster.administrator().emr(Method::GET, &path, None).await.json()["application"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_durable_and_leaves_the_rest_alone() {
    let mut cluster = Cluster::start().await;
    let made = json!({"tags": {"team": "forge"}, "maximumCapacity": {"cpu": "8 vCPU", "memory": "32 GB"}});
    let id = cluster.application(made).await;
    let before = shown(&cluster, &id).await;
    let wanted = json!({
        "clientToken": "one",
        "architecture": "ARM64",
        "autoStopConfiguration": {"enabled": false},
        "initialCapacity": {"DRIVER": {"workerCount": 1,
            "workerConfiguration": {"cpu": "2 vCPU", "memory": "4 GB"}}},
        "schedulerConfiguration": {"maxConcurrentRuns": 3},
        "runtimeConfiguration": [{"classification": "spark-defaults", "properties": {"spark.x": "y"}}],
        "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": "s3://hearth/logs"}},
    });
    let updated = update(&cluster, &id, wanted.clone()).await.json()["application"].take();
    let mut expected = before.clone();
    for (member, value) in wanted.as_object().expect("an object") {
        expected[member] = value.clone();
    }
    expected.as_object_mut().expect("an object").remove("clientToken");
    expected["autoStopConfiguration"]["idleTimeoutMinutes"] = json!(15);
    expected["schedulerConfiguration"]["queueTimeoutMinutes"] = json!(360);
    expected["updatedAt"] = updated["updatedAt"].clone();
    assert_eq!(updated, expected);
    assert!(updated["updatedAt"].as_f64() >= before["updatedAt"].as_f64());

    // Each member is replaced as a whole; a repeated request is answered with what is.
    let none = json!({"clientToken": "two", "runtimeConfiguration": [], "autoStartConfiguration": {"enabled": false}});
    let again = update(&cluster, &id, none).await.json()["application"].take();
    assert_eq!(again["runtimeConfiguration"], json!([]));
    assert_eq!(update(&cluster, &id, wanted.clone()).await.json()["application"], again);
    let mut other = wanted;
    other["architecture"] = json!("X86_64");
    let refused = update(&cluster, &id, other).await;
    assert_eq!(refused.status, 409, "{refused:?}");

    cluster.crash().await;
    assert_eq!(shown(&cluster, &id).await, again);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_while_started_leaves_job_runs_as_they_were_submitted() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(4)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(0)).await;
    let driver = stream.driver(&job).await;
    stream.say(driver.runs()).await;
    stream.settled().await;
    let before = cluster.shown(&job).await;
    assert_eq!(before["state"], "RUNNING");

    let changed = json!({"clientToken": "one", "schedulerConfiguration": {"maxConcurrentRuns": 1},
        "runtimeConfiguration": [{"classification": "spark-defaults", "properties": {"spark.driver.cores": "2"}}]});
    let updated = update(&cluster, &job.application, changed).await.json();
    assert_eq!(updated["application"]["state"], "STARTED");
    let waits = cluster.submit_to(&job.application, &Submission::of_executors(0)).await;
    cluster.until_run(&waits, "the queue", |run| (run.state().as_str() == "QUEUED").then_some(())).await;
    assert_eq!(cluster.shown(&job).await, before);

    let too_low = json!({"clientToken": "two", "maximumCapacity": {"cpu": "1 vCPU", "memory": "1 GB"}});
    let refused = update(&cluster, &job.application, too_low).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body.contains("maximumCapacity"), "{refused:?}");
    stream.say(driver.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
    stream.driver(&waits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_coordinator_updates_started_applications_in_their_queueing_alone() {
    let cluster = Cluster::configured(|config| config.strict_updates = true).await;
    let id = cluster.application(json!({})).await;
    let start = format!("/applications/{id}/start");
    cluster.administrator().emr(Method::POST, &start, None).await.json();
    let refused = update(&cluster, &id, json!({"clientToken": "one", "architecture": "ARM64"})).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body.contains("STARTED"), "{refused:?}");
    let queueing = json!({"clientToken": "two", "schedulerConfiguration": {"maxConcurrentRuns": 5}});
    let updated = update(&cluster, &id, queueing).await.json();
    assert_eq!(updated["application"]["schedulerConfiguration"]["maxConcurrentRuns"], 5);
    let stop = format!("/applications/{id}/stop");
    cluster.administrator().emr(Method::POST, &stop, None).await.json();
    let updated = update(&cluster, &id, json!({"clientToken": "one", "architecture": "ARM64"})).await.json();
    assert_eq!(updated["application"]["architecture"], "ARM64");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_wrong_with_an_update_is_said_at_once() {
    let cluster = Cluster::start().await;
    let id = cluster.application(json!({})).await;
    let before = shown(&cluster, &id).await;
    let wrong = json!({
        "clientToken": "one",
        "releaseLabel": "emr-0.0.1",
        "schedulerConfiguration": {"maxConcurrentRuns": 0, "queueTimeoutMinutes": 14},
        "maximumCapacity": {"cpu": "2 vCPU", "memory": "4 GB"},
        "initialCapacity": {
            "TEZ_TASK": {"workerCount": 1},
            "DRIVER": {"workerCount": 1, "workerConfiguration": {"cpu": "3 vCPU", "memory": "4 GB"}}},
        "runtimeConfiguration": [{"classification": "nothing-known", "properties": {"a": "b"}}],
        "imageConfiguration": {"imageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/image:latest"},
    });
    let refused = update(&cluster, &id, wrong).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    for named in [
        "emr-0.0.1",
        "maxConcurrentRuns",
        "queueTimeoutMinutes",
        "TEZ_TASK",
        "3 vCPU",
        "nothing-known",
        "imageUri",
        "more than maximumCapacity",
    ] {
        assert!(refused.body.contains(named), "{named}: {refused:?}");
    }
    assert_eq!(shown(&cluster, &id).await, before);
    let nobody = ApplicationId::new("00f0000000000000").expect("an id");
    assert_eq!(update(&cluster, &nobody, json!({"clientToken": "x"})).await.status, 404);
}
