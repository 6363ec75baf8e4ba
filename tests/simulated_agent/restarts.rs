//! The coordinator goes away and comes back; jobs do not notice.

use crate::harness::{Cluster, Submission};
use crate::host::{Host, Running, room_for};
use crate::stream::Stream;
use crate::worker::running;
use hearth_proto::v1;
use hearth_proto::v1::to_agent::Message;
use hearth_proto::v1::worker_report::State;

fn started(stream: &Stream) -> Vec<String> {
    stream.heard(|message| match message {
        Message::StartWorker(order) => Some(order.worker_id.clone()),
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_run_goes_on_when_its_coordinator_was_killed() {
    let mut cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(3)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(2)).await;
    let driver = stream.driver(&job).await;
    let executors = stream.executors(&job, 2).await;
    for word in [driver.runs(), executors[0].runs(), driver.registers(), driver.wants(2)] {
        stream.say(word).await;
    }
    // The second executor's process came up while nobody listened.
    stream.news(1).await;
    stream.settled().await;
    let before = stream.welcome().await;
    assert_eq!(started(&stream).len(), 3);

    cluster.crash().await;
    let world = cluster.world();
    assert_eq!(world.workers().count(), 3);
    assert!(
        world.agent(&host.id).is_some_and(|agent| !agent.takes_workers()),
        "it is in contact with nobody"
    );
    stream.hear("the end of the stream", |heard| heard.end.as_ref().map(|_| ())).await;

    let held = [&driver, &executors[0], &executors[1]].map(|worker| worker.report(running()));
    let stream = host.attach(&cluster, held.to_vec()).await;
    assert!(stream.welcome().await.epoch > before.epoch);
    assert_eq!(stream.news(1).await.len(), 1);
    assert_eq!(cluster.shown(&job).await["state"], "RUNNING");
    // What may have been lost on the way is said again; the new term's number is on it.
    let run = stream.run_order(&executors[1]).await;
    assert_eq!(run.epoch, stream.welcome().await.epoch);
    stream.say(driver.wants(2)).await;
    stream.say(driver.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
    assert_eq!(started(&stream), [""; 0], "no worker is started twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greeting_that_the_agent_gave_up_costs_nothing_when_it_comes_late() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let given_up = host.client(&cluster).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(0)).await;
    let driver = stream.driver(&job).await;
    stream.say(driver.runs()).await;
    stream.settled().await;

    // It says that there are no workers.
    let late = Stream::open(given_up, host.greeting(hearth_proto::PROTOCOL, vec![])).await;
    late.hear("the end of the late stream", |heard| heard.end.as_ref().map(|_| ())).await;
    stream.settled().await;
    stream.say(driver.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_placed_on_an_agent_that_has_not_come_back() {
    let mut cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let _stream = host.attach(&cluster, vec![]).await;
    cluster.crash().await;
    let job = cluster.submit(&Submission::of_executors(0)).await;
    let reason = "Waiting for a host: no X86_64 agent is in contact.";
    cluster.until_run(&job, reason, |run| (run.details == reason).then_some(())).await;
    let stream = host.attach(&cluster, vec![]).await;
    stream.driver(&job).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_given_before_the_coordinator_was_killed_is_given_again_for_the_same_worker() {
    let mut cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(0)).await;
    let order = stream.starts(&job, v1::WorkerKind::SparkDriver, 1).await.remove(0);
    cluster.crash().await;
    let stream = host.attach(&cluster, vec![]).await;
    let again = stream.starts(&job, v1::WorkerKind::SparkDriver, 1).await.remove(0);
    assert_eq!((&again.worker_id, again.launch), (&order.worker_id, order.launch));
    assert_eq!(again.secret, order.secret, "a launch has one secret");
    assert!(again.epoch > order.epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_ended_meanwhile_ends_its_job_run_and_is_forgotten() {
    let mut cluster = Cluster::start().await;
    let Running { host, stream: _stream, job, driver } = Running::on(&cluster).await;
    // Stopped in good order this time, and with the same ports after.
    let agents = cluster.agents();
    cluster.restart().await;
    assert_eq!(cluster.agents(), agents);
    let ended = State::Ended(v1::Ended { exit_code: Some(0), ..v1::Ended::default() });
    let stream = host.attach(&cluster, vec![driver.report(ended)]).await;
    stream.forgotten(&driver.id, 1).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
}
