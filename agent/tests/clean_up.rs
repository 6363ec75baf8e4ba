//! A worker that is gone has left nothing (promise P6), whatever it did and whatever crashed.

#![allow(clippy::unwrap_used)]

mod support;

use hearth_processes::{mounts_below, unmount};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use support::World;

/// The user of a worker, if it has one of its own.
fn uid(world: &World, worker: &str) -> Option<u32> {
    let state = std::fs::read(world.worker_dir(worker).join("state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    Some(u32::try_from(state["uid"].as_u64()?).unwrap())
}

/// Whatever is mounted below a directory, unmounted with the test.
struct Mounts(PathBuf);

impl Mounts {
    /// Mounts a file system, and says whether this process may.
    fn add(&self, at: &Path) -> bool {
        std::fs::create_dir(at).unwrap();
        let done = Command::new("mount").args(["-t", "tmpfs", "hearth-test"]).arg(at).status();
        done.is_ok_and(|status| status.success())
    }

    fn count(&self) -> usize {
        mounts_below(&self.0).unwrap().len()
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for path in mounts_below(&self.0).unwrap_or_default() {
            // The test has failed already.
            let _ = unmount(&path);
        }
    }
}

/// The control groups of the agent itself.
fn parents(world: &World) -> Vec<PathBuf> {
    world.cgroups("")
}

/// A process that nobody waits for, ended with the test.
struct Stray(Child);

impl Drop for Stray {
    fn drop(&mut self) {
        // One that is dead already is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_escaped_from_a_worker_is_removed_with_it() {
    let mut world = World::attached().await;
    world.start(world.driver("w1", 1, &["wait"])).await;
    world.coordinator.running("w1").await;
    let Some(uid) = uid(&world, "w1") else {
        eprintln!("skipped: workers have no users of their own here");
        return;
    };
    // Neither is a thing that a worker can do.
    let mut escaped = Stray(Command::new("sleep").arg("600").uid(uid).spawn().unwrap());
    let mounts = Mounts(world.root.path().to_owned());
    let is_mounted = mounts.add(&world.worker_dir("w1").join("work/a mount"));
    assert_eq!(mounts.count(), usize::from(is_mounted));

    world.stop("w1", 1, 0).await;
    world.coordinator.ended("w1").await;
    world.forget("w1").await;
    world.log_says("worker removed").await;
    assert!(!escaped.0.wait().unwrap().success(), "it was killed");
    assert_eq!(mounts.count(), 0);
    assert!(std::fs::read_dir(world.root.path().join("state/workers")).unwrap().next().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_is_removed_at_the_next_start_and_what_is_not_hearths_stays() {
    let mut world = World::attached().await;
    world.start(world.driver("w1", 1, &["wait"])).await;
    world.coordinator.running("w1").await;
    let second = world.driver("w2", 1, &["wait"]);
    world.start(hearth_proto::v1::StartWorker { job_run_id: "two".into(), ..second }).await;
    world.coordinator.running("w2").await;
    world.kill_agent();
    // Accepted but not to the end, removed but not to the end, and files that cannot be read any more.
    let workers = world.root.path().join("state/workers");
    for half in ["half", ".removing-old"] {
        std::fs::create_dir_all(workers.join(half).join("work")).unwrap();
    }
    std::fs::write(world.worker_dir("w2").join("state.json"), "{").unwrap();
    let keeper: serde_json::Value =
        serde_json::from_slice(&std::fs::read(world.worker_dir("w2").join("keeper.json")).unwrap()).unwrap();
    let foreign = world.root.path().join("state/foreign");
    std::fs::write(&foreign, "").unwrap();

    world.start_agent();
    let hello = world.coordinator.hello().await;
    let known: Vec<&str> = hello.workers.iter().map(|report| report.worker_id.as_str()).collect();
    assert_eq!(known, ["w1"]);
    let left: Vec<_> = std::fs::read_dir(&workers).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["w1"]);
    assert!(world.cgroups("w2").is_empty() && foreign.exists());
    assert!(!Path::new("/proc").join(keeper["child_pid"].to_string()).exists());
    world.stop("w1", 1, 0).await;
    world.coordinator.ended("w1").await;
    world.forget("w1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_stops_without_workers_leaves_no_control_group() {
    let mut world = World::attached().await;
    world.start(world.driver("w1", 1, &["wait"])).await;
    world.coordinator.running("w1").await;
    let parents = parents(&world);
    world.stop_agent();
    assert!(parents.iter().all(|parent| parent.exists()), "its workers stay, and so do their groups");
    world.start_agent();
    world.coordinator.hello().await;
    world.stop("w1", 1, 0).await;
    world.coordinator.ended("w1").await;
    world.forget("w1").await;
    world.log_says("worker removed").await;
    world.stop_agent();
    assert!(!parents.iter().any(|parent| parent.exists()), "{parents:?}");
}
