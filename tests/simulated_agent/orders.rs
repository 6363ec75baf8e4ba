//! Whose word counts, and what repetition, loss and lateness change: nothing.

use crate::harness::{Cluster, Submission};
use crate::host::{Host, Running, room_for};
use crate::worker::running;
use hearth_proto::v1;
use hearth_proto::v1::worker_report::State;

#[tokio::test(flavor = "multi_thread")]
async fn a_report_may_be_repeated_and_an_end_is_acknowledged_each_time() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(2)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(0)).await;
    let driver = stream.driver(&job).await;
    let words = [driver.prepares("unpacking"), driver.runs(), driver.registers(), driver.wants(1)];
    for word in words.clone() {
        stream.say(word).await;
    }
    let executor = stream.executors(&job, 1).await.remove(0);
    stream.say(executor.runs()).await;
    stream.news(1).await;
    let before = cluster.world();
    for word in words {
        stream.say(word).await;
    }
    stream.say(executor.runs()).await;
    stream.settled().await;
    assert_eq!(cluster.world(), before);
    assert_eq!((stream.executors(&job, 1).await.len(), stream.news(1).await.len()), (1, 1));

    stream.say(executor.exits(0)).await;
    stream.say(driver.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
    stream.forgotten(&driver.id, 1).await;
    let before = cluster.world();
    stream.say(driver.exits(1)).await;
    stream.forgotten(&driver.id, 2).await;
    // It ended, so it cannot run: an agent that says so is told to end it.
    stream.say(driver.runs()).await;
    stream.stopped(&driver, 1).await;
    assert_ne!(cluster.world(), before, "until then nothing is placed beside it");
    stream.say(driver.is_stopped()).await;
    stream.forgotten(&driver.id, 3).await;
    assert_eq!(cluster.world(), before);
    assert_eq!(cluster.shown(&job).await["state"], "SUCCESS");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_agent_a_worker_was_placed_on_has_a_say_about_it() {
    let cluster = Cluster::start().await;
    let Running { host: _host, stream: _stream, job, driver } = Running::on(&cluster).await;
    let liar = Host::enrol(&cluster, room_for(1)).await;
    let lies = liar.attach(&cluster, vec![]).await;
    let before = cluster.world();
    for lie in [driver.exits(0), driver.runs(), driver.registers(), driver.wants(5), driver.prepares("gold")]
    {
        lies.say(lie).await;
    }
    lies.settled().await;
    assert_eq!(cluster.world(), before);
    drop(lies);
    let ended = State::Ended(v1::Ended { exit_code: Some(0), ..v1::Ended::default() });
    liar.attach(&cluster, vec![driver.report(ended)]).await;
    assert_eq!(cluster.workers_of(&job), before.workers_of(&job.run).cloned().collect::<Vec<_>>());
    assert_eq!(cluster.shown(&job).await["state"], "RUNNING");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_another_launch_changes_nothing() {
    let cluster = Cluster::start().await;
    let Running { host: _host, stream, driver, .. } = Running::on(&cluster).await;
    let before = cluster.world();
    for (attempt, launch) in [(1, 2), (0, 1), (2, 1)] {
        let other = driver.of_launch(attempt, launch);
        for word in [other.registers(), other.wants(3), other.exits(1)] {
            stream.say(word).await;
        }
    }
    stream.settled().await;
    assert_eq!(cluster.world(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_lost_is_given_again_for_the_same_worker() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(0)).await;
    let lost = stream.driver(&job).await;
    drop(stream);
    let stream = host.attach(&cluster, vec![]).await;
    assert_eq!(stream.driver(&job).await, lost);
    assert_eq!(cluster.workers_of(&job).len(), 1);
    // Once the agent holds it, it is not ordered again.
    stream.say(lost.prepares("")).await;
    stream.settled().await;
    drop(stream);
    let preparing = State::Preparing(v1::Preparing::default());
    let stream = host.attach(&cluster, vec![lost.report(preparing)]).await;
    assert_eq!(
        stream.heard(|message| matches!(message, v1::to_agent::Message::StartWorker(_)).then_some(())),
        []
    );
    stream.say(lost.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_its_agent_no_longer_knows_fails_its_job_run_by_the_hosts_fault() {
    let cluster = Cluster::start().await;
    let Running { host, stream, job, .. } = Running::on(&cluster).await;
    drop(stream);
    let _stream = host.attach(&cluster, vec![]).await;
    let details =
        format!("Job failed because its driver was lost: agent {} no longer knows the worker.", host.id);
    assert_eq!(cluster.end_of(&job).await, ("FAILED".to_owned(), details));
    assert_eq!(cluster.world().booked(&host.id).cpu_millis, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn executors_that_their_agent_no_longer_knows_are_replaced_and_not_blamed_on_the_job() {
    let cluster = Cluster::start().await;
    let driving = Host::enrol(&cluster, room_for(1)).await;
    let driving_stream = driving.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(0)).await;
    let driver = driving_stream.driver(&job).await;
    for word in [driver.runs(), driver.registers(), driver.wants(2)] {
        driving_stream.say(word).await;
    }
    let host = Host::enrol(&cluster, room_for(2)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let before = stream.executors(&job, 2).await;
    for executor in &before {
        stream.say(executor.runs()).await;
    }
    driving_stream.news(2).await;
    drop(stream);
    let survivor = vec![before[0].report(running())];
    let stream = host.attach(&cluster, survivor).await;
    let news = driving_stream.news(3).await.remove(2);
    let Some(v1::executor_news::News::Exited(exited)) = news.news else { panic!("{news:?}") };
    assert_eq!((exited.executor_id.as_str(), exited.caused_by_app), ("2", false));
    assert_eq!(exited.reason, format!("agent {} no longer knows the worker", host.id));
    let replacement = stream.executors(&job, 1).await;
    assert_eq!((replacement.len(), replacement[0].executor.as_str()), (1, "3"));
    assert_ne!(replacement[0].id, before[1].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_newer_stream_replaces_the_older_however_often() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let mut stream = host.attach(&cluster, vec![]).await;
    let job = cluster.submit(&Submission::of_executors(0)).await;
    let driver = stream.driver(&job).await;
    stream.say(driver.runs()).await;
    stream.settled().await;
    for _ in 0..30 {
        // Both ways round: the old one is cut first, or stays open until the coordinator ends it.
        let newer = host.attach(&cluster, vec![driver.report(running())]).await;
        stream.hear("the end of the replaced stream", |heard| heard.end.as_ref().map(|_| ())).await;
        drop(newer);
        stream = host.attach(&cluster, vec![driver.report(running())]).await;
        let world = cluster.world();
        assert!(
            world.agent(&host.id).is_some_and(|agent| agent.takes_workers()),
            "{:?}",
            world.agent(&host.id)
        );
    }
    stream.say(driver.exits(0)).await;
    assert_eq!(cluster.end_of(&job).await.0, "SUCCESS");
}
