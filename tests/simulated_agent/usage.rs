//! What job runs used: as their hosts measured it, and the same whatever becomes of the coordinator.

use crate::harness::{Cluster, Job, Submission};
use crate::host::{Host, room_for};
use crate::stream::Stream;
use hearth_proto::v1;
use hearth_proto::v1::worker_report::State;
use http::Method;
use serde_json::{Value, json};

fn ended(ran_ms: u64) -> v1::Ended {
    v1::Ended { exit_code: Some(0), ran_ms: Some(ran_ms), ..v1::Ended::default() }
}

/// Seconds of workers of 1 vCPU, 2 GB and 20 GB: all that ran, and those that are billed.
fn seconds(of: &Value) -> (f64, f64) {
    let (total, billed) = (&of["totalResourceUtilization"], &of["billedResourceUtilization"]);
    let hours = |amount: &Value, name: &str| amount[name].as_f64().unwrap_or_else(|| panic!("{of}"));
    let rounded = |hours: f64| (hours * 3600.0 * 1000.0).round() / 1000.0;
    assert_eq!(hours(total, "memoryGBHour"), 2.0 * hours(total, "vCPUHour"), "{of}");
    assert_eq!(rounded(hours(total, "storageGBHour")), rounded(20.0 * hours(total, "vCPUHour")), "{of}");
    assert_eq!(hours(billed, "storageGBHour"), 0.0, "{of}");
    (rounded(hours(total, "vCPUHour")), rounded(hours(billed, "vCPUHour")))
}

/// A job run of one driver that ran for so long.
async fn ran_for(cluster: &Cluster, stream: &Stream, job: &Job, millis: u64) {
    let driver = stream.driver(job).await;
    stream.say(driver.runs()).await;
    stream.say(driver.ends(ended(millis))).await;
    assert_eq!(cluster.end_of(job).await.0, "SUCCESS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_run_used_what_its_hosts_measured_wherever_the_coordinator_was_meanwhile() {
    let mut cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(2)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(1).attempts(2)).await;
    let first = stream.driver(&job).await;
    assert_eq!(seconds(&cluster.shown(&job).await), (0.0, 0.0), "nothing has run yet");
    stream.say(first.runs()).await;
    stream.say(first.ends(v1::Ended { exit_code: Some(1), ..ended(1) })).await;
    let executor = stream.executors(&job, 1).await.remove(0);
    stream.say(executor.ends(v1::Ended { agent_cause: "stopped".to_owned(), ..ended(29_001) })).await;

    let driver = stream.starts(&job, v1::WorkerKind::SparkDriver, 2).await.remove(1);
    let driver = crate::worker::Worker::of(&driver);
    stream.say(driver.runs()).await;
    stream.settled().await;
    drop(stream);
    cluster.crash().await;
    let _stream = host.attach(&cluster, vec![driver.report(State::Ended(ended(90_500)))]).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
    for _ in 0..2 {
        let first = cluster.attempt(&job, 1).await.json()["jobRun"].take();
        assert_eq!(seconds(&first), (1.0 + 30.0, 60.0 + 60.0));
        let second = cluster.attempt(&job, 2).await.json()["jobRun"].take();
        assert_eq!(seconds(&second), (91.0, 91.0));
        assert_eq!(seconds(&cluster.shown(&job).await), (122.0, 211.0), "the sum of both");
        cluster.restart().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_is_told_by_application_and_by_tag_to_those_who_may_know() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let ours = cluster.application(json!({"tags": {"team": "ours"}})).await;
    let others = cluster.application(json!({})).await;
    for (application, tags, millis) in [
        (&ours, json!({}), 100_000),
        (&ours, json!({"team": "guests"}), 200_000),
        (&others, json!({"team": "guests"}), 70_000),
        (&others, json!({}), 10_000),
    ] {
        let submission = Submission::of_executors(0).with(json!({"tags": tags}));
        let job = cluster.submit_to(application, &submission).await;
        ran_for(&cluster, &stream, &job, millis).await;
    }

    let keys = cluster
        .user("accountant", json!({"Effect": "Allow", "Action": "hearth:GetUsage", "Resource": "*"}))
        .await;
    let accountant = cluster.client(keys);
    let account = async |query: &str| {
        accountant.emr(Method::GET, &format!("/hearth/v1/usage{query}"), None).await.json()
    };
    let rows = |account: &Value| -> Vec<(String, u64, (f64, f64))> {
        let row = |row: &Value| {
            (
                row["key"].as_str().unwrap_or("all").to_owned(),
                row["jobRuns"].as_u64().unwrap_or(0),
                seconds(row),
            )
        };
        account["rows"].as_array().expect("rows").iter().chain([&account["all"]]).map(row).collect()
    };
    let all = ("all".to_owned(), 4, (380.0, 430.0));
    let mut by_application =
        vec![(ours.to_string(), 2, (300.0, 300.0)), (others.to_string(), 2, (80.0, 130.0))];
    by_application.sort_by(|one, other| one.0.cmp(&other.0));
    by_application.push(all.clone());
    assert_eq!(rows(&account("").await), by_application);
    let by_team = vec![
        (String::new(), 1, (10.0, 60.0)),
        ("guests".to_owned(), 2, (270.0, 270.0)),
        ("ours".to_owned(), 1, (100.0, 100.0)),
        all,
    ];
    assert_eq!(rows(&account("?tag=team").await), by_team);
    // A period that is over held none of them, and the one from then on all.
    assert_eq!(rows(&account("?until=1000").await), [("all".to_owned(), 0, (0.0, 0.0))]);
    assert_eq!(rows(&account("?since=1000&tag=team").await), by_team);
    let wrong = accountant.emr(Method::GET, "/hearth/v1/usage?month=1", None).await;
    assert_eq!(wrong.status, 400, "{wrong:?}");

    let keys = cluster
        .user("curious", json!({"Effect": "Allow", "Action": "emr-serverless:*", "Resource": "*"}))
        .await;
    let denied = cluster.client(keys).emr(Method::GET, "/hearth/v1/usage", None).await;
    assert_eq!(denied.status, 403);
    assert!(denied.body.contains("hearth:GetUsage"), "{denied:?}");
}
