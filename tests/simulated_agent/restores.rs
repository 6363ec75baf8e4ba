//! The coordinator's host is lost, and a backup comes back: older than the world, and yet in command.

use crate::harness::{Cluster, Submission};
use crate::host::{Host, room_for};
use crate::worker::running;

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_coordinator_is_obeyed_and_settles_with_what_it_missed() {
    let mut cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(3)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let goes_on = cluster.submit(&Submission::of_executors(0)).await;
    let goes_on_driver = stream.driver(&goes_on).await;
    let ends_meanwhile = cluster.submit(&Submission::of_executors(0)).await;
    let ends_meanwhile_driver = stream.driver(&ends_meanwhile).await;
    stream.say(goes_on_driver.runs()).await;
    stream.say(ends_meanwhile_driver.runs()).await;
    stream.settled().await;
    let backup = cluster.back_up().await;

    // What the backup does not know: an end, a new job run, and terms of office.
    stream.say(ends_meanwhile_driver.exits(0)).await;
    assert_eq!(cluster.end_of(&ends_meanwhile).await.0, "SUCCESS");
    let newer = cluster.submit(&Submission::of_executors(0)).await;
    let newer_driver = stream.driver(&newer).await;
    for _ in 0..3 {
        cluster.restart().await;
    }
    let held = [&goes_on_driver, &newer_driver].map(|worker| worker.report(running()));
    let before = host.attach(&cluster, held.to_vec()).await.welcome().await;

    cluster.restore(&backup).await;
    let stream = host.attach(&cluster, held.to_vec()).await;
    let epoch = stream.welcome().await.epoch;
    assert!(epoch > before.epoch, "the agent would refuse epoch {epoch} after {}", before.epoch);
    stream.stopped(&newer_driver, 1).await;
    let (state, details) = cluster.end_of(&ends_meanwhile).await;
    assert_eq!(state, "FAILED", "{details}");
    assert!(details.contains("no longer knows the worker"), "{details}");
    assert_eq!(cluster.shown(&goes_on).await["state"], "RUNNING");
    stream.say(goes_on_driver.exits(0)).await;
    assert_eq!(cluster.end_of(&goes_on).await.0, "SUCCESS");
}
