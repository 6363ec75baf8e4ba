//! Workers' whole lives, with a real agent, keeper and control groups, and a JVM that is none.

#![allow(clippy::unwrap_used)]

mod support;

use hearth_proto::v1::{self, driver_message, executor_news, from_agent, to_agent, worker_report};
use support::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_runs_asks_for_executors_ends_and_leaves_nothing() {
    let mut world = World::new().await;
    world.start_agent();
    let hello = world.coordinator.hello().await;
    let inventory = hello.inventory.unwrap();
    assert_eq!((inventory.java[0].major, inventory.offered.unwrap().cpu_millis), (17, 64_000));

    world.start(world.driver("w1", 1, &["exit", "3", "{hearth:host}", "local:///usr/lib/spark/x.py"])).await;
    // Its words may be here before the news that it runs.
    let mut target = None;
    let mut app = None;
    world
        .coordinator
        .hear(|message| {
            if let from_agent::Message::DriverMessage(message) = message {
                assert_eq!(message.worker_id, "w1");
                match message.message.unwrap() {
                    driver_message::Message::RegisterApp(message) => app = Some(message),
                    driver_message::Message::SetTarget(message) => target = Some(message),
                    _ => {}
                }
            }
            (app.is_some() && target.is_some()).then_some(())
        })
        .await;
    assert_eq!((app.unwrap().ui_port, target.unwrap().profiles[0].count), (4040, 2));

    let ended = world.coordinator.ended("w1").await;
    assert_eq!((ended.exit_code, ended.signal, ended.agent_cause.as_str()), (Some(3), None, ""));
    assert_eq!((ended.error_class.as_str(), ended.error_message.as_str()), ("java.lang.Boom", "it broke"));
    let stdout = world.stdout("w1");
    for expected in
        ["'127.0.0.1'", "services http://127.0.0.1:", "engine.jar", "between-us", "key ASIATEST", "-Xmx256m"]
    {
        assert!(stdout.contains(expected), "{expected} in {stdout}");
    }
    world.forget("w1").await;

    // An order that comes late must not run it again.
    world.start(world.driver("w1", 1, &["exit", "0"])).await;
    let refused = world.coordinator.ended("w1").await;
    assert_eq!((refused.exit_code, refused.agent_cause.as_str()), (None, "no-launch"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_adopts_its_worker() {
    let mut world = World::attached().await;
    world.start(world.driver("w1", 1, &["wait"])).await;
    world.coordinator.running("w1").await;
    world.kill_agent();
    world.start_agent();
    let hello = world.coordinator.hello().await;
    assert!(matches!(hello.workers[0].state, Some(worker_report::State::Running(_))), "{hello:?}");
    // The channel to its JVM is there again, both ways.
    let exited =
        v1::ExecutorExited { executor_id: "9".into(), exit_code: 1, caused_by_app: true, reason: "x".into() };
    let news = v1::ExecutorNews {
        worker_id: "w1".into(),
        launch: Some(v1::Launch { attempt: 1, launch: 1 }),
        news: Some(executor_news::News::Exited(exited)),
    };
    world.coordinator.order(to_agent::Message::ExecutorNews(news)).await;
    let ended = world.coordinator.ended("w1").await;
    assert_eq!((ended.exit_code, ended.agent_cause.as_str()), (Some(0), ""));
    world.forget("w1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_came_while_no_agent_ran_is_reported() {
    let mut world = World::attached().await;
    world.start(world.driver("w1", 1, &["wait"])).await;
    world.coordinator.running("w1").await;
    world.stop_agent();
    let keeper: serde_json::Value =
        serde_json::from_slice(&std::fs::read(world.worker_dir("w1").join("keeper.json")).unwrap()).unwrap();
    let pid = keeper["child_pid"].to_string();
    assert!(std::process::Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    world.start_agent();
    let ended = world.coordinator.ended("w1").await;
    assert_eq!((ended.exit_code, ended.signal), (None, Some(9)));
    world.forget("w1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_code_survives_a_crash_of_the_agent() {
    let mut world = World::attached().await;
    world.start(world.driver("w1", 1, &["tick"])).await;
    world.log_says("JVM has begun its job").await;
    world.kill_agent();
    std::fs::write(world.worker_dir("w1").join("work/end"), "").unwrap();
    world.until("the worker has ended", |world| world.worker_dir("w1").join("exit.json").exists()).await;
    world.start_agent();
    let ended = world.coordinator.ended("w1").await;
    assert_eq!((ended.exit_code, ended.agent_cause.as_str()), (Some(7), ""));
    world.forget("w1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_lost_its_workers_directories_ends_them_before_it_connects() {
    let mut world = World::attached().await;
    world.start(world.driver("w1", 1, &["wait"])).await;
    world.coordinator.running("w1").await;
    world.log_says("JVM has begun its job").await;
    if world.cgroups("w1").is_empty() {
        eprintln!("skipped: no control groups here");
        return;
    }
    world.kill_agent();
    let lost = world.root.path().join("lost");
    std::fs::rename(world.worker_dir("w1"), &lost).unwrap();
    world.start_agent();
    let hello = world.coordinator.hello().await;
    assert_eq!((hello.workers, world.cgroups("w1")), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_driver_may_end_by_itself_and_an_executor_is_killed_at_once() {
    let mut world = World::attached().await;
    world.start(world.driver("w1", 1, &["wait"])).await;
    let executor = v1::StartWorker {
        kind: v1::WorkerKind::SparkExecutor.into(),
        executor_id: "1".into(),
        ..world.driver("w2", 1, &["wait"])
    };
    world.coordinator.running("w1").await;
    world.start(executor).await;
    world.coordinator.running("w2").await;
    world.stop("w1", 1, 20_000).await;
    let ended = world.coordinator.ended("w1").await;
    assert_eq!((ended.exit_code, ended.agent_cause.as_str()), (Some(143), "stopped"));
    world.stop("w2", 1, 20_000).await;
    let ended = world.coordinator.ended("w2").await;
    assert_eq!((ended.signal, ended.agent_cause.as_str()), (Some(9), "stopped"));
    world.forget("w1").await;
    world.forget("w2").await;
}

/// An executor that waits to be told what to run.
fn waiting(world: &World, worker: &str) -> v1::StartWorker {
    v1::StartWorker {
        kind: v1::WorkerKind::SparkExecutor.into(),
        executor_id: "7".into(),
        deferred: true,
        ..world.driver(worker, 1, &[])
    }
}

fn run_worker(worker: &str, launch: u32, args: &[&str]) -> to_agent::Message {
    to_agent::Message::RunWorker(v1::RunWorker {
        epoch: 5,
        worker_id: worker.into(),
        launch: Some(v1::Launch { attempt: 1, launch }),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        ..Default::default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_executor_runs_what_it_is_told_later_and_only_once() {
    let mut world = World::attached().await;
    world.coordinator.order(run_worker("w0", 1, &["exit", "9"])).await;
    world.start(waiting(&world, "w1")).await;
    world.coordinator.running("w1").await;
    world.coordinator.order(run_worker("w1", 2, &["exit", "8"])).await;
    world.log_says("JVM is up").await;
    assert_eq!(world.stdout("w1"), "");
    world.coordinator.order(run_worker("w1", 1, &["wait", "{hearth:host}", "{{EXECUTOR_ID}}"])).await;
    world.log_says("JVM has begun its job").await;
    world.coordinator.order(run_worker("w1", 1, &["exit", "7"])).await;
    // What was written down is what it was told first, also for a later agent.
    world.kill_agent();
    world.start_agent();
    world.coordinator.hello().await;
    world.coordinator.order(run_worker("w1", 1, &["exit", "6"])).await;
    world.stop("w1", 1, 0).await;
    let ended = world.coordinator.ended("w1").await;
    assert_eq!((ended.signal, ended.agent_cause.as_str()), (Some(9), "stopped"));
    let stdout = world.stdout("w1");
    assert!(stdout.starts_with("args ['wait', '127.0.0.1', '7']"), "{stdout}");
    assert_eq!(stdout.matches("args").count(), 1);
    assert!(!world.worker_dir("w0").exists());
    world.forget("w1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_executor_outlives_its_agent_and_may_be_told_before_it_is_up() {
    let mut world = World::attached().await;
    world.start(waiting(&world, "w1")).await;
    world.coordinator.running("w1").await;
    world.log_says("JVM is up").await;
    world.kill_agent();
    world.start_agent();
    world.coordinator.hello().await;
    world.coordinator.order(run_worker("w1", 1, &["exit", "3"])).await;
    assert_eq!(world.coordinator.ended("w1").await.exit_code, Some(3));

    world.start(waiting(&world, "w2")).await;
    world.coordinator.order(run_worker("w2", 1, &["exit", "4"])).await;
    assert_eq!(world.coordinator.ended("w2").await.exit_code, Some(4));

    world.start(waiting(&world, "w3")).await;
    world.coordinator.running("w3").await;
    world.stop("w3", 1, 20_000).await;
    let ended = world.coordinator.ended("w3").await;
    assert_eq!((ended.signal, ended.agent_cause.as_str()), (Some(9), "stopped"));
    for worker in ["w1", "w2", "w3"] {
        world.forget(worker).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_launch_ends_the_older_and_old_senders_are_not_heard() {
    let mut world = World::attached().await;
    world.start(world.driver("w1", 1, &["wait"])).await;
    world.coordinator.running("w1").await;
    // Of a superseded coordinator: neither stops nor starts anything.
    world.start(v1::StartWorker { epoch: 4, ..world.driver("w3", 9, &["wait"]) }).await;
    world.start(world.driver("w2", 2, &["wait"])).await;
    let ended = world.coordinator.ended("w1").await;
    assert_eq!((ended.signal, ended.agent_cause.as_str()), (Some(9), "outdated"));
    world.start(world.driver("w4", 1, &["wait"])).await;
    let refused = world.coordinator.ended("w4").await;
    assert_eq!(refused.agent_cause, "outdated");
    assert!(!world.worker_dir("w3").exists());
    // Told to forget what still runs, it ends that and says so first.
    world.coordinator.order(support::forget_worker("w2")).await;
    assert_eq!(world.coordinator.ended("w2").await.agent_cause, "stopped");
    world.forget("w2").await;
    world.forget("w1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_share_classes_once_the_host_has_made_archives() {
    let mut world = World::attached().await;
    world.start(world.driver("w1", 1, &["exit", "0"])).await;
    world.coordinator.ended("w1").await;
    assert!(!world.stdout("w1").contains("archive"), "{}", world.stdout("w1"));
    world.log_says("class-data archives made").await;
    assert!(!world.root.path().join("state/training/workers/class-archives").exists());
    assert!(world.cgroups("class-archives").is_empty());

    world.start(world.driver("w2", 2, &["exit", "0"])).await;
    world.coordinator.ended("w2").await;
    let stdout = world.stdout("w2");
    assert!(stdout.contains("archive driver of uid "), "{stdout}");
    let executor = v1::StartWorker {
        kind: v1::WorkerKind::SparkExecutor.into(),
        executor_id: "1".into(),
        ..world.driver("w3", 2, &["exit", "0"])
    };
    world.start(executor).await;
    world.coordinator.ended("w3").await;
    assert!(world.stdout("w3").contains("archive executor of uid "), "{}", world.stdout("w3"));

    // Other jars need other archives.
    std::fs::write(world.root.path().join("share/jvm/hearth-spark.jar"), "newer").unwrap();
    world.start(world.driver("w4", 2, &["exit", "0"])).await;
    world.coordinator.ended("w4").await;
    assert!(!world.stdout("w4").contains("archive"), "{}", world.stdout("w4"));
    for worker in ["w1", "w2", "w3", "w4"] {
        world.forget(worker).await;
    }
    world.stop_agent();
    world.start_agent();
    world.log_says("outdated class-data archives removed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_a_java_is_reported_as_not_launched() {
    let mut world = World::attached().await;
    world.start(v1::StartWorker { java_major: 8, ..world.driver("w1", 1, &["wait"]) }).await;
    let ended = world.coordinator.ended("w1").await;
    assert_eq!(
        (ended.launch_error.as_str(), ended.agent_cause.as_str()),
        ("this host has no Java 8", "no-launch")
    );
    world.forget("w1").await;
}
