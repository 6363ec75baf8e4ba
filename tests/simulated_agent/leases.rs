//! Leases (design §9): how long they are, what an agent is told when it comes back, and what becomes of a host out of
//! contact.

use crate::harness::{Cluster, Job, Submission, Timing};
use crate::host::{Host, Running, room_for};
use crate::stream::Stream;
use crate::worker::{Worker, running};
use hearth_coordinator_core::world::World;
use hearth_proto::v1;
use hearth_proto::v1::to_agent::Message;
use hearth_proto::v1::worker_report::State;
use std::time::{Duration, Instant};

/// As at work, but the lease of a driver that can be replaced is 30 s and no other is.
const LONGEST: u32 = (600_000 - 5_000) / 101 * 100;

async fn lease_of(stream: &Stream, job: &Job) -> u32 {
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
    let Running { host, stream, driver, .. } = Running::on(&cluster).await;
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
    let told =
        |world: &World| world.agent(&host.id).and_then(|agent| agent.extension).map(|told| told.length);
    assert_eq!(told(&kept), Some(Duration::from_secs(60)), "recorded");
    cluster.come_back().await;
    let stream = host.attach(&cluster, vec![driver.report(running())]).await;
    assert_eq!(judged(&stream), [[driver.id.clone()]]);
    assert_eq!(told(&cluster.world()), Some(Duration::from_secs(60)), "still counted in: only time ends it");
}

/// As at work, but in seconds instead of minutes. A lease is over after 4,040 ms and skew.
const SHORT: Timing = Timing { lease: 4_000, skew: 500, lost_after: 9_000, heartbeat: 500, extension: 6_000 };

const fn over_after(lease: u32) -> Duration {
    Duration::from_millis((lease + lease / 100 + SHORT.skew) as u64)
}

/// A host that is in contact as long as its stream is held.
async fn attached(cluster: &Cluster, host: &Host, workers: Vec<v1::WorkerReport>) -> Stream {
    let mut stream = host.attach(cluster, workers).await;
    stream.keep_beating(Duration::from_millis(SHORT.heartbeat.into()));
    stream
}

/// Hosts of one worker each.
async fn hosts(cluster: &Cluster, number: usize) -> Vec<Host> {
    let mut hosts = Vec::new();
    for _ in 0..number {
        hosts.push(Host::enrol(cluster, room_for(1)).await);
    }
    hosts
}

/// A job run of two attempts whose first driver runs; on which of the streams it is.
async fn driven(cluster: &Cluster, streams: &[Stream]) -> (Job, Worker, usize) {
    let job = cluster.submit(&Submission::of_executors(0).attempts(2)).await;
    let placed = cluster.until_run(&job, "a driver", |run| run.driver().cloned()).await;
    let agent = cluster.world().worker(&placed).expect("live").agent.clone();
    let mut on = None;
    for (index, stream) in streams.iter().enumerate() {
        if stream.welcome().await.agent_id == agent.as_str() {
            on = Some(index);
        }
    }
    let on = on.expect("one of them");
    let driver = streams[on].driver(&job).await;
    streams[on].say(driver.runs()).await;
    streams[on].settled().await;
    (job, driver, on)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_cut_off_is_replaced_by_another_after_lease_and_skew_and_told_when_it_is_back() {
    let cluster = Cluster::timed(SHORT).await;
    let hosts = hosts(&cluster, 2).await;
    let mut streams =
        vec![attached(&cluster, &hosts[0], vec![]).await, attached(&cluster, &hosts[1], vec![]).await];
    let (job, driver, on) = driven(&cluster, &streams).await;
    let cut_off = Instant::now();
    drop(streams.remove(on));
    let orders = streams[0].starts(&job, v1::WorkerKind::SparkDriver, 1).await;
    // The last heartbeat may have been answered just before the one that was not.
    let replaced = cut_off.elapsed() + Duration::from_millis(u64::from(SHORT.heartbeat) * 2);
    assert!(replaced >= over_after(SHORT.lease), "after {replaced:?}");
    assert_eq!(orders[0].launch, Some(v1::Launch { attempt: 2, launch: 1 }));
    let failed = cluster.attempt(&job, 1).await.json()["jobRun"].take();
    assert_eq!(failed["state"], "FAILED");
    let details = failed["stateDetails"].as_str().unwrap_or_default();
    assert!(details.contains("was out of contact for"), "{details}");

    let late = attached(&cluster, &hosts[on], vec![driver.report(running())]).await;
    assert_eq!(judged(&late), [vec![""; 0]], "it is outdated");
    late.stopped(&driver, 1).await;
    late.say(driver.is_stopped()).await;
    late.forgotten(&driver.id, 1).await;
    assert_eq!(cluster.world().booked(&hosts[on].id).cpu_millis, 0);
    let second = Worker::of(&orders[0]);
    streams[0].say(second.runs()).await;
    streams[0].say(second.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_host_that_is_back_in_time_goes_on_with_its_driver() {
    let cluster = Cluster::start().await;
    let hosts = hosts(&cluster, 2).await;
    let mut streams =
        vec![attached(&cluster, &hosts[0], vec![]).await, attached(&cluster, &hosts[1], vec![]).await];
    let (job, driver, on) = driven(&cluster, &streams).await;
    drop(streams.remove(on));
    let is_detached = |agent: &hearth_coordinator_core::agent::Agent| !agent.is_in_contact();
    cluster
        .until("it is out of contact", |world| {
            world.agent(&hosts[on].id).filter(|a| is_detached(a)).map(|_| ())
        })
        .await;
    let back = attached(&cluster, &hosts[on], vec![driver.report(running())]).await;
    assert_eq!(judged(&back), [[driver.id.clone()]]);
    back.say(driver.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
    assert_eq!(cluster.shown(&job).await["attempt"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_stream_is_open_but_silent_is_replaced_as_well() {
    let cluster = Cluster::timed(SHORT).await;
    let hosts = hosts(&cluster, 2).await;
    let mut streams =
        vec![attached(&cluster, &hosts[0], vec![]).await, attached(&cluster, &hosts[1], vec![]).await];
    let (job, _, on) = driven(&cluster, &streams).await;
    streams[on].stop_beating();
    streams[1 - on].starts(&job, v1::WorkerKind::SparkDriver, 1).await;
    streams[on].hear("the end of the stream", |heard| heard.end.as_ref().map(|_| ())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replacements_are_held_while_most_hosts_are_silent() {
    let cluster = Cluster::timed(SHORT).await;
    let hosts = hosts(&cluster, 3).await;
    let mut streams = Vec::new();
    for host in &hosts {
        streams.push(attached(&cluster, host, vec![]).await);
    }
    let (job, _, on) = driven(&cluster, &streams).await;
    let cut_off = Instant::now();
    drop(streams.remove(on));
    drop(streams.remove(0));
    streams[0].starts(&job, v1::WorkerKind::SparkDriver, 1).await;
    let replaced = cut_off.elapsed() + Duration::from_millis(u64::from(SHORT.heartbeat) * 2);
    assert!(replaced >= Duration::from_millis(SHORT.lost_after.into()), "after {replaced:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_comes_back_waits_the_extension_from_its_own_start() {
    let mut cluster = Cluster::timed(SHORT).await;
    let hosts = hosts(&cluster, 2).await;
    let streams =
        vec![attached(&cluster, &hosts[0], vec![]).await, attached(&cluster, &hosts[1], vec![]).await];
    let (job, _, on) = driven(&cluster, &streams).await;
    cluster.leave().await;
    drop(streams);
    let started = Instant::now();
    cluster.come_back().await;
    let other = attached(&cluster, &hosts[1 - on], vec![]).await;
    other.starts(&job, v1::WorkerKind::SparkDriver, 1).await;
    assert!(started.elapsed() >= over_after(SHORT.extension), "after {:?}", started.elapsed());
}
