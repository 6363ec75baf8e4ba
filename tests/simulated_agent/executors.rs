//! What a driver says of its executors, and what it is told of them.

use crate::harness::{Cluster, Job, Submission};
use crate::host::{Host, room_for};
use crate::stream::Stream;
use crate::worker::Worker;
use hearth_proto::v1;
use hearth_proto::v1::executor_news::News;
use std::collections::BTreeMap;

/// A driver that wants so many executors, all of which run.
async fn driving(cluster: &Cluster, stream: &Stream, executors: usize) -> (Job, Worker, Vec<Worker>) {
    let job = cluster.submit(&Submission::of_executors(0)).await;
    let driver = stream.driver(&job).await;
    let wanted = u32::try_from(executors).expect("a few");
    for word in [driver.runs(), driver.registers(), driver.wants(wanted)] {
        stream.say(word).await;
    }
    let workers = stream.executors(&job, executors).await;
    for executor in &workers {
        stream.say(executor.runs()).await;
    }
    stream.news(executors).await;
    (job, driver, workers)
}

/// What the driver was told of executors that ended, by their number.
fn exits(news: Vec<v1::ExecutorNews>) -> BTreeMap<String, v1::ExecutorExited> {
    let exits = news.into_iter().filter_map(|news| match news.news {
        Some(News::Exited(exited)) => Some((exited.executor_id.clone(), exited)),
        _ => None,
    });
    exits.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn executors_come_and_go_as_their_driver_says() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(5)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let (job, driver, running) = driving(&cluster, &stream, 2).await;

    stream.say(driver.wants(4)).await;
    let all = stream.executors(&job, 4).await;
    assert_eq!(
        all.iter().map(|executor| executor.executor.as_str()).collect::<Vec<_>>(),
        ["1", "2", "3", "4"]
    );
    stream.say(all[2].prepares("unpacking")).await;
    stream.settled().await;

    // Fewer wanted: those that do not run yet are ended, those that do are left to the driver.
    stream.say(driver.wants(1)).await;
    for executor in &all[2..] {
        stream.stopped(executor, 1).await;
        stream.say(executor.is_stopped()).await;
        stream.forgotten(&executor.id, 1).await;
    }
    let stops = |message: &v1::to_agent::Message| match message {
        v1::to_agent::Message::StopWorker(stop) => Some(stop.worker_id.clone()),
        _ => None,
    };
    assert_eq!(stream.heard(stops).len(), 2);

    stream.say(driver.gives_back(&[&running[0]])).await;
    assert_eq!(stream.stopped(&running[0], 1).await[0].grace_ms, 0);
    // It was told to end, so no exit code of its can be the job's fault.
    stream.say(running[0].exits(143)).await;
    let told = exits(stream.news(5).await);
    assert!(told.values().all(|exited| !exited.caused_by_app), "{told:?}");
    assert_eq!(told.keys().collect::<Vec<_>>(), ["1", "3", "4"]);
    stream.settled().await;
    assert_eq!(stream.executors(&job, 4).await.len(), 4, "none is wanted in its place");

    // Numbers are never given twice.
    stream.say(driver.wants(2)).await;
    assert_eq!(stream.executors(&job, 5).await[4].executor, "5");
    assert_eq!(cluster.shown(&job).await["state"], "RUNNING");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_is_told_whose_fault_the_end_of_an_executor_is_and_gets_another() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(7)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let (job, _driver, executors) = driving(&cluster, &stream, 6).await;
    let plain = v1::Ended::default;
    let cases = [
        (v1::Ended { exit_code: Some(52), ..plain() }, 52, true),
        (v1::Ended { signal: Some(9), oom_killed: true, ..plain() }, 137, true),
        (v1::Ended { signal: Some(11), ..plain() }, 139, true),
        (v1::Ended { signal: Some(9), ..plain() }, 137, false),
        (v1::Ended { exit_code: Some(0), ..plain() }, 0, false),
        (v1::Ended { agent_cause: "lost".to_owned(), ..plain() }, -1, false),
    ];
    for (executor, (ended, ..)) in executors.iter().zip(&cases) {
        stream.say(executor.ends(ended.clone())).await;
    }
    let told = exits(stream.news(12).await);
    for (executor, (ended, code, caused_by_app)) in executors.iter().zip(&cases) {
        let exited = &told[&executor.executor];
        assert_eq!(
            (exited.exit_code, exited.caused_by_app),
            (*code, *caused_by_app),
            "{ended:?}: {exited:?}"
        );
        assert!(!exited.reason.is_empty());
    }
    let replacements = stream.executors(&job, 12).await;
    let numbers: Vec<&str> = replacements[6..].iter().map(|executor| executor.executor.as_str()).collect();
    assert_eq!(numbers, ["7", "8", "9", "10", "11", "12"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_whose_executors_keep_failing_is_given_up() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(2)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let (job, driver, _) = driving(&cluster, &stream, 1).await;
    for failed in 1..=3 {
        let executor = stream.executors(&job, failed).await.remove(failed - 1);
        stream.say(executor.exits(52)).await;
    }
    stream.stopped(&driver, 1).await;
    // What its driver makes of it does not count.
    stream.say(driver.exits(0)).await;
    let (state, details) = cluster.end_of(&job).await;
    assert_eq!(state, "FAILED");
    assert!(details.starts_with("Job failed, 3 executors failed"), "{details}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_from_a_driver_does_not_cut_its_host_off() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(0)).await;
    let driver = stream.driver(&job).await;
    stream.say(driver.runs()).await;
    let nameless = Worker { executor: "not a number".to_owned(), ..driver.clone() };
    stream.say(driver.gives_back(&[&nameless])).await;
    stream.settled().await;
    stream.say(driver.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
}
