//! CANCELLED means that nothing of the job run is left, whenever and however its agent comes to say so.

use crate::harness::{Cluster, Submission};
use crate::host::{Host, Running, room_for};
use crate::worker::running;
use hearth_proto::v1;

const BY_REQUEST: &str = "Job run was cancelled by request.";

fn cancelled() -> (String, String) {
    ("CANCELLED".to_owned(), BY_REQUEST.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_run_is_cancelled_only_when_its_last_worker_has_ended() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(3)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(2)).await;
    let driver = stream.driver(&job).await;
    let executors = stream.executors(&job, 2).await;
    for word in [driver.runs(), executors[0].runs()] {
        stream.say(word).await;
    }
    stream.news(1).await;
    cluster.cancel(&job).await;
    assert_eq!(stream.stopped(&driver, 1).await[0].grace_ms, 5000);
    for executor in &executors {
        assert_eq!(stream.stopped(executor, 1).await[0].grace_ms, 0);
        stream.say(executor.is_stopped()).await;
        stream.forgotten(&executor.id, 1).await;
    }
    let shown = cluster.shown(&job).await;
    assert_eq!(shown["state"], "CANCELLING");
    let details = shown["stateDetails"].as_str().unwrap_or_default();
    assert!(
        details.starts_with(&format!("{}; CANCELLING since ", BY_REQUEST.trim_end_matches('.'))),
        "{details}"
    );
    // It had ended well before the wish to cancel reached it; the user was told otherwise.
    stream.say(driver.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await, cancelled());
    stream.say(driver.exits(0)).await;
    stream.forgotten(&driver.id, 2).await;
    assert_eq!(cluster.shown(&job).await["state"], "CANCELLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_run_that_holds_nothing_is_cancelled_at_once() {
    let cluster = Cluster::start().await;
    let job = cluster.submit(&Submission::of_executors(0)).await;
    cluster.cancel(&job).await;
    assert_eq!(cluster.shown(&job).await["state"], "CANCELLED");
    // Nobody starts what was cancelled.
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    stream.settled().await;
    assert_eq!(
        stream.heard(|message| matches!(message, v1::to_agent::Message::StartWorker(_)).then_some(())),
        []
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_out_of_contact_is_told_to_stop_when_it_comes_back() {
    let cluster = Cluster::start().await;
    let Running { host, stream, job, driver } = Running::on(&cluster).await;
    drop(stream);
    cluster.cancel(&job).await;
    assert_eq!(cluster.shown(&job).await["state"], "CANCELLING");
    let stream = host.attach(&cluster, vec![driver.report(running())]).await;
    stream.stopped(&driver, 1).await;
    assert_eq!(cluster.shown(&job).await["state"], "CANCELLING");
    stream.say(driver.is_stopped()).await;
    assert_eq!(cluster.end_of(&job).await, cancelled());
}
