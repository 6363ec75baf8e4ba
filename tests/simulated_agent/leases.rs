//! Leases (design §9): how long they are, what an agent is told when it comes back, and what becomes of a host out of
//! contact.

use crate::harness::{Cluster, Submission, Timing};
use crate::host::{Host, room_for};
use crate::stream::Stream;
use crate::worker::Worker;
use hearth_proto::v1;
use hearth_proto::v1::to_agent::Message;
use hearth_proto::v1::worker_report::State;

/// As at work, but the lease of a driver that can be replaced is 30 s and no other is.
const LONGEST: u32 = (600_000 - 5_000) / 101 * 100;

pub(crate) fn running() -> State {
    State::Running(v1::Running { since_unix_ms: 1 })
}

async fn lease_of(stream: &Stream, job: &crate::harness::Job) -> u32 {
    stream.starts(job, v1::WorkerKind::SparkDriver, 1).await[0].lease_ms
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_short_only_where_another_attempt_can_start_on_another_host() {
    let cluster = Cluster::start().await;
    let first = Host::enrol(&cluster, room_for(3)).await;
    let stream = first.attach(&cluster, vec![]).await;
    let alone = cluster.submit(&Submission::of_executors(1).attempts(2)).await;
    assert_eq!(lease_of(&stream, &alone).await.abs_diff(LONGEST) / 1000, 0, "there is no other host");
    // Too small for a driver.
    let mut small = room_for(1);
    small.memory_mib = 1024;
    let small = Host::enrol(&cluster, small).await;
    let _attached = small.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(0).attempts(2)).await;
    assert!(lease_of(&stream, &job).await > 60_000, "no other host is large enough");
    let executor = stream.starts(&alone, v1::WorkerKind::SparkExecutor, 1).await[0].lease_ms;
    assert_eq!(executor, lease_of(&stream, &alone).await, "an executor is needed no longer than its driver");

    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(2)).await;
    let stream = host.attach(&cluster, vec![]).await;
    // Smaller than the first, so not the best fit, but large enough.
    let other = Host::enrol(&cluster, room_for(5)).await;
    let _attached = other.attach(&cluster, vec![]).await;
    let once = cluster.submit(&Submission::of_executors(0)).await;
    assert!(lease_of(&stream, &once).await > 60_000, "there is no other attempt");
    let twice = cluster.submit(&Submission::of_executors(0).attempts(2)).await;
    assert_eq!(lease_of(&stream, &twice).await, 30_000);
}

/// What the agent was told of its drivers on this stream; nothing before it was judged.
fn judged(stream: &Stream) -> Vec<Vec<String>> {
    stream.heard(|message| match message {
        Message::Settled(settled) => Some(settled.current_drivers.clone()),
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_told_once_which_drivers_may_go_on_after_what_else_it_is_owed() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(3)).await;
    let stream = host.attach(&cluster, vec![]).await;
    assert_eq!(judged(&stream), [vec![""; 0]]);
    let mut drivers = Vec::new();
    for _ in 0..3 {
        let job = cluster.submit(&Submission::of_executors(0)).await;
        let driver = stream.driver(&job).await;
        stream.say(driver.runs()).await;
        drivers.push((job, driver));
    }
    stream.settled().await;
    assert_eq!(judged(&stream).len(), 1, "once for each stream");
    drop(stream);
    // One ends, one is to be cancelled and one is still to be started by word of the next stream.
    let ended = State::Ended(v1::Ended { exit_code: Some(0), ..v1::Ended::default() });
    cluster.cancel(&drivers[1].0).await;
    let foreign = Worker { id: "nobody".to_owned(), ..drivers[0].1.clone() };
    let held = vec![
        drivers[0].1.report(running()),
        drivers[1].1.report(running()),
        drivers[2].1.report(ended),
        foreign.report(running()),
    ];
    let stream = host.attach(&cluster, held).await;
    let mut current = judged(&stream);
    current[0].sort();
    let mut expected = vec![drivers[0].1.id.clone(), drivers[1].1.id.clone()];
    expected.sort();
    assert_eq!(current, [expected], "one that is being cancelled may end by itself");
    let place = |wanted: &dyn Fn(&Message) -> bool| {
        stream.heard(|message| Some(wanted(message))).into_iter().position(|found| found)
    };
    let judgement = place(&|message| matches!(message, Message::Settled(_)));
    let stop =
        place(&|message| matches!(message, Message::StopWorker(stop) if stop.worker_id == drivers[1].1.id));
    assert!(stop.is_some() && stop < judgement, "{stop:?} {judgement:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_is_stopped_extends_leases_first_and_the_next_one_knows() {
    let mut cluster = Cluster::timed(Timing { extension: 60_000, ..Timing::default() }).await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(0)).await;
    let driver = stream.driver(&job).await;
    stream.say(driver.runs()).await;
    stream.settled().await;
    cluster.leave().await;
    let told = stream
        .hear("an extension", |heard| {
            heard.messages.iter().find_map(|message| match message {
                Message::LeaseExtension(extension) => Some(extension.length_ms),
                _ => None,
            })
        })
        .await;
    assert_eq!(told, 60_000);
    let kept = cluster.kept().await;
    let extension = kept.agent(&host.id).and_then(|agent| agent.extension).map(|length| length.as_millis());
    assert_eq!(extension, Some(60_000), "recorded");
    cluster.come_back().await;
    let stream = host.attach(&cluster, vec![driver.report(running())]).await;
    assert_eq!(judged(&stream), [[driver.id.clone()]]);
    assert_eq!(cluster.world().agent(&host.id).and_then(|agent| agent.extension), None, "over");
}
