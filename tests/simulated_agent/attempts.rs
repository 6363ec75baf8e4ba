//! Attempts of a job run: how they follow each other, and how they are shown (guide:3198-3303).

use crate::harness::{Cluster, Job, Submission};
use crate::host::{Host, room_for};
use crate::stream::Stream;
use crate::worker::Worker;
use hearth_proto::v1;
use http::Method;
use serde_json::{Value, json};

/// The first driver, which failed, and the orders of it and of the next.
async fn first_attempt_fails(stream: &Stream, job: &Job) -> (Worker, Vec<v1::StartWorker>) {
    let first = stream.driver(job).await;
    stream.say(first.runs()).await;
    stream.say(first.exits(1)).await;
    (first, stream.starts(job, v1::WorkerKind::SparkDriver, 2).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_attempt_is_followed_by_the_next_and_the_last_one_counts() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(0).attempts(2)).await;
    let (first, orders) = first_attempt_fails(&stream, &job).await;
    assert_ne!(orders[0].secret, orders[1].secret, "a launch has its own secret");
    let second = Worker::of(&orders[1]);
    assert_eq!(second.launch, v1::Launch { attempt: 2, launch: 1 });
    assert_ne!(second.id, first.id);
    stream.say(second.runs()).await;
    // The first one's end comes once more, and late.
    stream.say(first.exits(1)).await;
    stream.forgotten(&first.id, 2).await;
    assert_eq!(cluster.shown(&job).await["state"], "RUNNING");
    let shown = cluster.attempt(&job, 1).await.json()["jobRun"].take();
    let why = "Job failed, the driver ended with exit code 1 and no exception. \
               Please check complete logs in the configured logging destination.";
    assert_eq!(
        (&shown["state"], &shown["attempt"], &shown["stateDetails"]),
        (&"FAILED".into(), &1.into(), &why.into())
    );
    assert!(shown["endedAt"].is_number() && shown["startedAt"].is_number(), "{shown}");
    assert_eq!(shown["attemptCreatedAt"], shown["createdAt"]);
    let latest = cluster.shown(&job).await;
    assert_eq!((&latest["attempt"], &latest["attemptCreatedAt"]), (&2.into(), &shown["endedAt"]));
    assert_eq!(latest["createdAt"], shown["createdAt"]);
    stream.say(second.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
    assert_eq!(cluster.attempt(&job, 1).await.json()["jobRun"]["state"], "FAILED", "that never changes");
    let none = cluster.attempt(&job, 3).await;
    assert!(none.status == 404 && none.body.contains("Attempt 3"), "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_of_a_job_run_is_told_with_its_attempts_and_hosts() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(0).attempts(2)).await;
    let (_, orders) = first_attempt_fails(&stream, &job).await;
    let second = Worker::of(&orders[1]);
    stream.say(second.runs()).await;
    stream.say(second.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
    let path = format!("/hearth/v1/job-runs/{}/timeline", job.run);
    let story = cluster.administrator().emr(Method::GET, &path, None).await.json();
    let events: Vec<&str> =
        story["events"].as_array().expect("a list").iter().filter_map(|one| one["what"].as_str()).collect();
    let placed = |events: &[&str], attempt: u32| {
        let start = format!("driver of attempt {attempt} placed on ");
        let agent = format!("(agent {})", host.id);
        events.iter().position(|event| event.starts_with(&start) && event.contains(&agent))
    };
    assert!(events[0].starts_with("submitted; entryPoint s3://hearth/job.py did not exist"), "{events:?}");
    let failed =
        events.iter().position(|event| event.starts_with("attempt 1 failed (EXIT_CODE): Job failed"));
    let (before, after) = (placed(&events, 1), placed(&events, 2));
    assert!(before.is_some() && before < failed && failed < after, "{events:?}");
    assert_eq!(events.last(), Some(&"ended well"), "{events:?}");
    assert_eq!(story["doubts"], json!(["entryPoint s3://hearth/job.py did not exist"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_listed_from_the_latest_to_the_first() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(0).attempts(2)).await;
    let first = stream.driver(&job).await;
    stream.say(first.exits(1)).await;
    stream.starts(&job, v1::WorkerKind::SparkDriver, 2).await;
    let page = cluster.attempts(&job, "?maxResults=1").await;
    assert_eq!(page["jobRunAttempts"].as_array().map(Vec::len), Some(1));
    let latest = &page["jobRunAttempts"][0];
    assert_eq!((&latest["attempt"], &latest["state"]), (&2.into(), &"SCHEDULED".into()));
    assert_eq!(latest["id"], job.run.as_str());
    let token = page["nextToken"].as_str().expect("another page").replace('/', "%2F").replace('=', "%3D");
    let page = cluster.attempts(&job, &format!("?maxResults=1&nextToken={token}")).await;
    let first = &page["jobRunAttempts"][0];
    assert_eq!((&first["attempt"], &first["state"]), (&1.into(), &"FAILED".into()));
    assert_eq!((&first["jobCreatedAt"], &first["updatedAt"]), (&first["createdAt"], &latest["createdAt"]));
    assert_eq!(page["nextToken"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_attempts_than_the_guide_allows_are_refused() {
    let cluster = Cluster::start().await;
    let application = cluster.application(json!({})).await;
    let refused = cluster.try_submit(&application, &Submission::of_executors(0).attempts(11)).await;
    assert!(refused.status == 400 && refused.body.contains("between 1 and 10"), "{refused:?}");
}
