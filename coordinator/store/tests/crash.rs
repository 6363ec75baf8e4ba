//! Promise P1: what was acknowledged survives `kill -9` in the middle of commits.

#[path = "../../core/tests/world_model/mod.rs"]
mod world_model;

use hearth_coordinator_core::command::Change;
use hearth_coordinator_core::lease::LeaseTerms;
use hearth_store::Store;
use hearth_types::Timestamp;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use world_model::{application, application_id};

/// Set for the child alone: the directory of its store.
const CHILD: &str = "HEARTH_STORE_CRASH_CHILD";
/// Marks an acknowledged commit in the child's output, which the test harness writes to as well.
const KEPT: &str = "kept:";

/// Not a test of its own: the process that is killed. Commits for ever, eight at a time, and tells each success.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = Store::open(&Path::new(&dir).join("hearth.db")).await.expect("opens");
        let writers = (0..8).map(|writer| {
            let store = store.clone();
            async move {
                for n in 0_u64.. {
                    let name = format!("app-{writer}-{}-{n}", std::process::id());
                    let changes = vec![Change::Application(application(&name))];
                    store.commit(changes, Timestamp::from_millis(1)).await.expect("commits");
                    // A line of its own even after the test harness's unfinished one; short enough to be written whole.
                    let line = format!("\n{KEPT}{name}\n");
                    std::io::stdout().lock().write_all(line.as_bytes()).expect("the parent listens");
                }
            }
        });
        futures::future::join_all(writers).await;
    });
}

/// Starts the child, kills it after so many acknowledged commits, and answers those it acknowledged.
fn killed_after(commits: usize, dir: &Path) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let mut told =
        output.lines().map_while(Result::ok).filter_map(|line| line.strip_prefix(KEPT).map(str::to_owned));
    let mut acknowledged: Vec<String> = told.by_ref().take(commits).collect();
    child.kill().expect("SIGKILL");
    // What it told before it died counts as well.
    acknowledged.extend(told);
    child.wait().expect("reaped");
    acknowledged
}

#[test]
fn every_acknowledged_commit_survives_kill_9() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut acknowledged = Vec::new();
    for commits in [40, 7, 100, 1] {
        let now = killed_after(commits, dir.path());
        assert!(now.len() >= commits, "only {} of {commits} commits were told", now.len());
        acknowledged.extend(now);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let world = runtime.block_on(async {
            let store = Store::open(&dir.path().join("hearth.db")).await.expect("opens after a crash");
            store.load_world(LeaseTerms::default()).await.expect("reads")
        });
        for name in &acknowledged {
            assert!(
                world.application(&application_id(name)).is_some(),
                "{name} was acknowledged and is lost"
            );
        }
    }
}
