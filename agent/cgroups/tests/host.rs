//! Real control groups of this host; skipped, with the reason printed, where none may be made.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hearth_cgroups::{Cgroups, Enforcement, Hierarchy, Limits, Share, WorkerGroup};

const LIMITS: Limits =
    Limits { cpu_millis: 500, memory_bytes: 64 << 20, pids: 32, share: Share::Proportional };

/// Forks for ever, also after a fork was refused.
const FORK_BOMB: &str = "
import os
while True:
    try: os.fork()
    except OSError: pass
";

/// A parent group of this test alone, removed at its end.
struct Parent(Cgroups);

impl Parent {
    fn new(test: &str) -> Option<Self> {
        Self::in_hierarchy(Hierarchy::detect(), test)
    }

    fn in_hierarchy(hierarchy: Hierarchy, test: &str) -> Option<Self> {
        let name = format!("test-{test}-{}", std::process::id());
        let cgroups = Cgroups::prepare_in(hierarchy, &name, Some(256 << 20)).expect("prepared");
        if let Hierarchy::Unavailable(why) = cgroups.hierarchy() {
            eprintln!("skipped: no control groups here ({why:?})");
            return None;
        }
        Some(Self(cgroups))
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        for worker in self.0.list() {
            let group = self.0.open(&worker).expect("a good name").expect("listed");
            group.kill().expect("killed");
            group.remove().expect("removed");
        }
        self.0.remove().expect("parent removed");
    }
}

/// Runs a shell script that first joins the group.
fn run_in(group: &WorkerGroup, script: &str) -> Child {
    let join: String =
        group.procs_files().iter().map(|file| format!("echo $$ > '{}' && ", file.display())).collect();
    Command::new("/bin/sh")
        .args(["-c", &format!("{join} {{ {script}\n}}")])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell")
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

fn first_line(child: &mut Child) -> u8 {
    let mut byte = [0];
    child.stdout.as_mut().expect("piped").read_exact(&mut byte).expect("a byte");
    byte[0]
}

#[test]
fn limits_are_in_place_before_a_process_is() {
    let Some(parent) = Parent::new("limits") else { return };
    let group = parent.0.create("w1", &LIMITS).expect("created");
    let read = |name: &str| {
        let file =
            group.directories().iter().map(|directory| directory.join(name)).find(|path| path.exists());
        file.map(|path| fs::read_to_string(path).expect("read").trim().to_owned())
    };
    assert!(group.is_empty());
    if parent.0.report().pids == Enforcement::Enforced {
        assert_eq!(read("pids.max").as_deref(), Some("32"));
    }
    if parent.0.report().memory == Enforcement::Enforced {
        let limit = read("memory.max").or_else(|| read("memory.limit_in_bytes"));
        assert_eq!(limit.as_deref(), Some("67108864"));
        let swap = read("memory.swap.max").or_else(|| read("memory.memsw.limit_in_bytes"));
        assert!(matches!(swap.as_deref(), None | Some("0" | "67108864")), "{swap:?}");
    }
    if parent.0.report().cpu == Enforcement::Enforced {
        let quota = read("cpu.max").or_else(|| read("cpu.cfs_quota_us"));
        assert!(matches!(quota.as_deref(), Some("50000" | "50000 100000")), "{quota:?}");
    }
    assert_eq!(parent.0.list().into_iter().collect::<Vec<_>>(), ["w1"]);
    assert_eq!(parent.0.open("w1").expect("opened"), Some(group.clone()));
    assert_eq!(parent.0.open("w2").expect("opened"), None);
    // Other limits on the same group, higher and lower, are no obstacle.
    for memory_bytes in [128 << 20, 32 << 20] {
        parent.0.create("w1", &Limits { memory_bytes, ..LIMITS }).expect("set again");
    }
    group.remove().expect("removed");
    group.remove().expect("removed twice");
    assert!(parent.0.list().is_empty());
}

fn a_fork_bomb_dies_whole(parent: &Parent) {
    let group = parent.0.create("bomb", &LIMITS).expect("created");
    let mut shell = run_in(&group, &format!("exec python3 -c '{FORK_BOMB}'"));
    wait_until("the bomb spreads", || group.members().len() == 32);
    group.kill().expect("killed");
    assert!(group.is_empty());
    assert!(!shell.wait().expect("waited").success());
    group.remove().expect("removed");
}

#[test]
fn a_fork_bomb_is_held_and_dies_whole() {
    let Some(parent) = Parent::new("bomb") else { return };
    a_fork_bomb_dies_whole(&parent);
}

#[test]
fn a_fork_bomb_dies_whole_without_cgroup_kill() {
    let Hierarchy::Hybrid { controllers, .. } = Hierarchy::detect() else {
        eprintln!("skipped: not a hybrid host");
        return;
    };
    let Some(parent) = Parent::in_hierarchy(Hierarchy::V1 { controllers }, "bomb-v1") else { return };
    a_fork_bomb_dies_whole(&parent);
    freezing_stops_and_killing_ends(&parent);
}

fn freezing_stops_and_killing_ends(parent: &Parent) {
    let group = parent.0.create("frozen", &LIMITS).expect("created");
    let mut shell = run_in(&group, "echo x; while :; do :; done");
    first_line(&mut shell);
    assert!(!parent.0.is_outside(shell.id().cast_signed()));
    assert!(parent.0.is_outside(std::process::id().cast_signed()), "this test is nobody's worker");
    group.freeze().expect("frozen");
    assert!(group.is_frozen().expect("known"));
    let cpu = group.usage().cpu_usec;
    group.thaw().expect("thawed");
    wait_until("it goes on", || group.usage().cpu_usec > cpu);
    group.freeze().expect("frozen again");
    group.kill().expect("killed while frozen");
    assert!(!shell.wait().expect("waited").success());
    group.remove().expect("removed");
}

#[test]
fn a_frozen_worker_rests_and_can_be_killed() {
    let Some(parent) = Parent::new("freeze") else { return };
    if parent.0.report().freeze != Enforcement::Enforced {
        eprintln!("skipped: no freezer here");
        return;
    }
    freezing_stops_and_killing_ends(&parent);
}

#[test]
fn too_much_memory_is_an_oom_kill_of_that_group() {
    let Some(parent) = Parent::new("oom") else { return };
    if parent.0.report().memory != Enforcement::Enforced {
        eprintln!("skipped: no memory controller here");
        return;
    }
    let group = parent.0.create("hungry", &LIMITS).expect("created");
    // tail holds a line without end in memory.
    let mut shell = run_in(&group, "exec tail /dev/zero");
    assert!(!shell.wait().expect("waited").success());
    let usage = group.usage();
    assert_eq!(usage.oom_kills, Some(1));
    assert!(usage.memory_peak_bytes > Some(32 << 20), "{usage:?}");
    assert!(usage.cpu_usec > Some(0), "{usage:?}");
}
