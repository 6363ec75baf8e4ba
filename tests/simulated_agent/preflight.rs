//! What a job run will miss is told from the first moment, and refused never: it may be there in time.

use crate::harness::{Cluster, Job, Submission};
use crate::host::{Host, room_for};
use serde_json::json;

async fn details(cluster: &Cluster, job: &Job) -> String {
    cluster.shown(job).await["stateDetails"].as_str().expect("details").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_missing_or_forbidden_are_told_of_and_the_job_run_is_accepted() {
    let cluster = Cluster::start().await;
    let application = cluster.application(json!({})).await;
    let job = cluster.submit_to(&application, &Submission::of_executors(0)).await;
    let told = details(&cluster, &job).await;
    assert!(told.contains("When it was submitted, entryPoint s3://hearth/job.py did not exist."), "{told}");

    assert_eq!(cluster.administrator().put_object("hearth/job.py", "print(1)").await.status, 200);
    let job = cluster.submit_to(&application, &Submission::of_executors(0)).await;
    let told = details(&cluster, &job).await;
    assert!(!told.contains("When it was submitted"), "{told}");

    let narrow = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::hearth/lib/*"}]});
    let bounded = Submission::of_executors(0).session_policies(json!({"policy": narrow.to_string()}));
    let bounded = bounded.with(json!({"jobDriver": {"sparkSubmit": {
        "entryPoint": "s3://hearth/job.py",
        "sparkSubmitParameters": "--py-files local:///x.zip,https://example.org/y.zip --jars s3://hearth/lib/z.jar",
    }}}));
    let job = cluster.submit_to(&application, &bounded).await;
    let told = details(&cluster, &job).await;
    for doubt in [
        "its role was not allowed s3:GetObject on entryPoint s3://hearth/job.py; ",
        "--jars s3://hearth/lib/z.jar did not exist.",
    ] {
        assert!(told.contains(doubt), "{told}");
    }
    assert!(!told.contains("--py-files"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn executors_that_fit_nowhere_are_told_of_while_the_driver_runs() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(4)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let limit = json!({"maximumCapacity": {"cpu": "1 vCPU", "memory": "4 GB"}});
    let application = cluster.application(limit).await;
    let job = cluster.submit_to(&application, &Submission::of_executors(1)).await;
    let driver = stream.driver(&job).await;
    stream.say(driver.runs()).await;
    stream.settled().await;
    let told = details(&cluster, &job).await;
    assert!(told.starts_with("RUNNING since "), "{told}");
    assert!(told.contains("fits beside the driver: the application's maximum capacity is 1 vCPU"), "{told}");
    // More room is made while it runs, and it goes on.
    let more = json!({"clientToken": "more", "maximumCapacity": {"cpu": "4 vCPU", "memory": "16 GB"}});
    let path = format!("/applications/{application}");
    cluster.administrator().emr(http::Method::PATCH, &path, Some(&more)).await.json();
    stream.executors(&job, 1).await;
    let told = details(&cluster, &job).await;
    assert!(!told.contains("No executor"), "{told}");
}
