//! Leases with a real agent, keeper and control groups: whatever becomes of the agent or of its contact, a driver runs
//! only while its lease holds, and goes on when it is wanted again.

#![allow(clippy::unwrap_used)]

mod support;

use hearth_keeper::system::boottime;
use hearth_lease::Deadlines;
use hearth_proto::v1::{self, to_agent};
use std::time::Duration;
use support::World;

const SECOND: Duration = Duration::from_secs(1);
/// Freezing at two seconds, killing half a second later where that does not work.
const LEASE_MS: u32 = 3_000;

/// An agent whose coordinator has judged that it holds nothing.
async fn attached() -> World {
    let world = World::attached().await;
    world.coordinator.settle(&[]).await;
    world
}

/// An order for a driver that says when it runs.
fn ticking(world: &World, worker: &str, lease_ms: u32) -> v1::StartWorker {
    let job_run_id = format!("job-of-{worker}");
    v1::StartWorker { lease_ms, job_run_id, ..world.driver(worker, 1, &["tick"]) }
}

async fn start(world: &mut World, worker: &str, lease_ms: u32) {
    world.start(ticking(world, worker, lease_ms)).await;
    ticking_now(world, worker).await;
}

async fn ticking_now(world: &mut World, worker: &str) {
    world.coordinator.running(worker).await;
    world.until("it ticks", |world| !ticks(world, worker).is_empty()).await;
}

/// Moments after boot at which the worker ran.
fn ticks(world: &World, worker: &str) -> Vec<Duration> {
    let stdout = world.stdout(worker);
    let lines =
        stdout.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')?.strip_prefix("tick "));
    lines.map(|line| Duration::from_secs_f64(line.parse().unwrap())).collect()
}

fn deadlines(world: &World, worker: &str) -> Deadlines {
    let text = std::fs::read_to_string(world.worker_dir(worker).join("run/lease")).unwrap();
    Deadlines::parse(&text).unwrap()
}

/// Whether the worker can be frozen as a whole here.
fn has_freezer(world: &World, worker: &str) -> bool {
    let groups = world.cgroups(worker);
    groups.iter().any(|group| group.join("cgroup.freeze").exists() || group.join("freezer.state").exists())
}

fn is_frozen(world: &World, worker: &str) -> bool {
    let says = |file: std::path::PathBuf, word: &str| {
        std::fs::read_to_string(file).is_ok_and(|text| text.lines().any(|line| line == word))
    };
    let groups = world.cgroups(worker);
    groups.iter().any(|group| {
        says(group.join("cgroup.events"), "frozen 1") || says(group.join("freezer.state"), "FROZEN")
    })
}

/// Waits until the worker is frozen, and sees that this came by its deadline and lasts.
async fn frozen(world: &World, worker: &str) -> usize {
    world.until("it is frozen", |world| is_frozen(world, worker)).await;
    let deadlines = deadlines(world, worker);
    assert!(boottime() >= deadlines.freeze_at, "too early");
    let ran = ticks(world, worker);
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(ticks(world, worker).len(), ran.len(), "it runs while frozen");
    assert!(*ran.last().unwrap() < deadlines.freeze_at + SECOND * 5, "too late");
    ran.len()
}

async fn goes_on(world: &World, worker: &str, ran: usize) {
    world.until("it goes on", |world| ticks(world, worker).len() > ran + 2).await;
}

async fn end(world: &mut World, worker: &str) {
    world.stop(worker, 1, 20_000).await;
    let ended = world.coordinator.ended(worker).await;
    assert_eq!((ended.exit_code, ended.agent_cause.as_str()), (Some(143), "stopped"));
    world.forget(worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_is_frozen_without_answers_and_goes_on_with_them() {
    let mut world = attached().await;
    start(&mut world, "w1", LEASE_MS).await;
    if !has_freezer(&world, "w1") {
        eprintln!("skipped: no freezer here");
        return;
    }
    // Renewed for longer than it lasts.
    let renewed_until = boottime() + Duration::from_millis(LEASE_MS.into()) + SECOND;
    world.until("it is renewed", |world| deadlines(world, "w1").freeze_at > renewed_until).await;
    assert!(!is_frozen(&world, "w1"));
    world.coordinator.answer(false);
    let ran = frozen(&world, "w1").await;
    world.coordinator.answer(true);
    goes_on(&world, "w1", ran).await;
    end(&mut world, "w1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_is_frozen_while_its_agent_is_stopped_and_goes_on_after() {
    let mut world = attached().await;
    start(&mut world, "w1", LEASE_MS).await;
    if !has_freezer(&world, "w1") {
        eprintln!("skipped: no freezer here");
        return;
    }
    world.signal_agent("STOP");
    let ran = frozen(&world, "w1").await;
    world.signal_agent("CONT");
    goes_on(&world, "w1", ran).await;
    end(&mut world, "w1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_driver_outlives_its_agent_and_goes_on_once_the_next_is_told_so() {
    let mut world = attached().await;
    start(&mut world, "w1", LEASE_MS).await;
    if !has_freezer(&world, "w1") {
        eprintln!("skipped: no freezer here");
        return;
    }
    world.kill_agent();
    let ran = frozen(&world, "w1").await;
    world.start_agent();
    world.coordinator.hello().await;
    // Contact alone moves nothing on.
    assert_eq!(frozen(&world, "w1").await, ran);
    world.coordinator.settle(&["w1"]).await;
    goes_on(&world, "w1", ran).await;
    end(&mut world, "w1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outdated_driver_is_killed_while_frozen_and_runs_no_more() {
    let mut world = attached().await;
    start(&mut world, "w1", LEASE_MS).await;
    start(&mut world, "w2", 600_000).await;
    if !has_freezer(&world, "w1") {
        eprintln!("skipped: no freezer here");
        return;
    }
    world.kill_agent();
    let ran = frozen(&world, "w1").await;
    world.start_agent();
    world.coordinator.hello().await;
    // What was ordered on this stream is not outdated by what was reported before it.
    start(&mut world, "w3", 0).await;
    world.coordinator.settle(&["w2"]).await;
    let ended = world.coordinator.ended("w1").await;
    assert_eq!((ended.signal, ended.agent_cause.as_str()), (Some(9), "outdated"));
    assert_eq!(ticks(&world, "w1").len(), ran, "it ran again");
    world.forget("w1").await;
    for worker in ["w2", "w3"] {
        let ran = ticks(&world, worker).len();
        goes_on(&world, worker, ran).await;
        end(&mut world, worker).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_is_killed_when_its_lease_ends_and_that_is_not_its_fault() {
    let mut world = attached().await;
    let executor = v1::StartWorker {
        kind: v1::WorkerKind::SparkExecutor.into(),
        executor_id: "1".into(),
        ..ticking(&world, "w1", LEASE_MS)
    };
    world.start(executor).await;
    ticking_now(&mut world, "w1").await;
    world.coordinator.answer(false);
    let ended = world.coordinator.ended("w1").await;
    assert_eq!((ended.signal, ended.agent_cause.as_str()), (Some(9), "lost"));
    world.coordinator.answer(true);
    world.forget("w1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_holds_until_the_coordinator_is_back() {
    let mut world = attached().await;
    start(&mut world, "w1", LEASE_MS).await;
    let extension = v1::LeaseExtension { length_ms: 300_000 };
    world.coordinator.order(to_agent::Message::LeaseExtension(extension)).await;
    let far = boottime() + SECOND * 100;
    world.until("it is extended", |world| deadlines(world, "w1").freeze_at > far).await;
    // A new stream, with an agent that was not there when the lease was extended.
    world.kill_agent();
    world.start_agent();
    world.coordinator.hello().await;
    world.until("the extension is over", |world| deadlines(world, "w1").freeze_at < far).await;
    world.coordinator.settle(&["w1"]).await;
    let ran = ticks(&world, "w1").len();
    goes_on(&world, "w1", ran).await;
    end(&mut world, "w1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_starts_before_the_coordinator_has_judged() {
    let mut world = World::attached().await;
    for worker in ["w1", "w2"] {
        world.start(ticking(&world, worker, 600_000)).await;
    }
    world.log_says("job_run_id=job-of-w1 phase=Preparing { step: AwaitLease }").await;
    // One that waits can be stopped.
    world.stop("w2", 1, 0).await;
    assert_eq!(world.coordinator.ended("w2").await.agent_cause, "stopped");
    assert!(!world.worker_dir("w1").join("keeper.json").exists());
    world.coordinator.settle(&[]).await;
    world.coordinator.running("w1").await;
    end(&mut world, "w1").await;
    world.forget("w2").await;
}
