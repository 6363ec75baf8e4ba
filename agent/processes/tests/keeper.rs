//! Workers under the real keeper on this host; what needs root is skipped, with the reason printed, without it.

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use hearth_cgroups::{Enforcement, Hierarchy};
use hearth_processes::{
    Access, Adoption, End, Mount, SpawnError, Spawned, UidRange, WaitError, WorkerSignal, adopt,
};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use support::{Agent, FIRST_UID, can_confine, keeper};
use tokio::time::timeout;

/// Makes a gate at which a worker waits (`read x < gate`) until [`open_gate`].
fn gate(work: &Path) {
    let path = work.join("gate");
    mkfifo(&path, Mode::from_bits_truncate(0o600)).expect("a fifo");
    let owner = fs::metadata(work).expect("there");
    std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).expect("given away");
}

/// Lets the worker pass; waits until it stands at the gate.
async fn open_gate(work: &Path) {
    let path = work.join("gate");
    let opened = tokio::task::spawn_blocking(move || fs::write(path, "go\n"));
    timeout(Duration::from_secs(30), opened)
        .await
        .expect("at the gate in time")
        .expect("joined")
        .expect("opened");
}

#[tokio::test]
async fn an_exit_status_is_kept() {
    let agent = Agent::new("status");
    let exit = agent.plain("w", "exit 7").finish().await;
    assert_eq!(exit.end, End::Exited(7));
    assert!(!exit.oom_killed && exit.ended_at_unix_ms > 0 && exit.ended_at_boottime > Duration::ZERO);
}

#[tokio::test]
async fn a_signal_is_kept_real_time_ones_included() {
    let agent = Agent::new("signal");
    for (worker_id, number) in [("kill", 9), ("real-time", 40)] {
        let exit = agent.plain(worker_id, &format!("kill -{number} $$")).finish().await;
        assert_eq!(exit.end, End::Signaled(number));
    }
}

#[tokio::test]
async fn a_worker_can_be_asked_to_end() {
    let agent = Agent::new("terminate");
    let worker = agent.plain("w", "read x < gate");
    gate(&worker.dir.work());
    let handle = worker.run().await;
    handle.signal_worker(WorkerSignal::Terminate).expect("sent");
    assert_eq!(handle.wait().await.expect("an outcome").end, End::Signaled(15));
    assert_eq!(handle.wait().await.expect("the same again").end, End::Signaled(15));
    handle.signal_worker(WorkerSignal::Kill).expect("nothing to signal");
}

#[tokio::test]
async fn the_environment_is_what_was_asked_for_and_nothing_is_inherited() {
    let agent = Agent::new("environment");
    let worker =
        agent.plain("w", "env; ls /proc/self/fd; pwd; grep -E '^SigBlk|^NoNewPrivs' /proc/self/status");
    // A file that this process would pass on by mistake.
    let leaked = fs::File::open("/dev/null").expect("opened");
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).expect("inheritable");
    let output = worker.output().await;
    assert!(output.contains("GREETING=hello, world\n") && !output.contains("HEARTH_KEEPER_PID"), "{output}");
    assert!(!output.contains("CARGO"), "{output}");
    assert!(output.contains("\n0\n1\n2\n3\n/"), "only ls's own listing is open besides: {output}");
    assert!(output.contains("SigBlk:\t0000000000000000") && output.contains("NoNewPrivs:\t1"), "{output}");
}

#[tokio::test]
async fn a_launch_that_fails_says_why() {
    let agent = Agent::new("failure");
    let mut worker = agent.plain("w", "");
    worker.plan.exec = "/nowhere/java".into();
    let Spawned::Ended(exit) = worker.spawn().await else { panic!("running") };
    let End::LaunchFailed(reason) = exit.end else { panic!("{exit:?}") };
    assert!(reason.contains("executing /nowhere/java: No such file"), "{reason}");
    assert!(!worker.dir.path().join("keeper.json").exists());
}

#[tokio::test]
async fn a_mount_that_fails_says_why() {
    if !can_confine() {
        return;
    }
    let agent = Agent::new("mount-failure");
    let mut worker = agent.confined("w", 0, "");
    let missing = Mount::Bind { source: "/nowhere".into(), target: "/mnt".into(), access: Access::ReadOnly };
    worker.plan.view.as_mut().expect("confined").mounts.push(missing);
    let Spawned::Ended(exit) = worker.spawn().await else { panic!("running") };
    let End::LaunchFailed(reason) = exit.end else { panic!("{exit:?}") };
    assert!(reason.contains("looking up /nowhere"), "{reason}");
    assert!(worker.group.is_empty());
}

#[tokio::test]
async fn a_directory_serves_one_start() {
    let agent = Agent::new("once");
    let worker = agent.plain("w", "exit 1");
    assert_eq!(worker.finish().await.end, End::Exited(1));
    let again = keeper().spawn(worker.dir.path(), &worker.plan).await;
    assert!(matches!(again, Err(SpawnError::Write { .. })), "{again:?}");
}

/// Which of the places that workers' views have exist on the host itself.
fn targets_on_host() -> Vec<&'static str> {
    let mut targets =
        vec!["/usr/lib/spark", "/usr/lib/hearth", "/home/hadoop", "/var/log/hearth", "/run/hearth"];
    targets.retain(|target| Path::new(target).exists());
    targets
}

#[tokio::test]
async fn a_confined_worker_sees_its_view_as_its_user() {
    if !can_confine() {
        return;
    }
    let agent = Agent::new("view");
    let state = agent.state.path().to_owned();
    fs::write(state.join("secret"), "").expect("written");
    let script = format!(
        "id -un; id -u; id -gn; pwd; cat /proc/self/oom_score_adj; ulimit -n; ulimit -c
         test -d /usr/lib/spark/jars && echo spark
         test -d /usr/lib/jvm -o -d /usr/lib/x86_64-linux-gnu -o -d /usr/lib64 && echo libraries
         touch /usr/lib/spark/x /usr/lib/x /run/hearth/x /etc/passwd 2>/dev/null || echo refused
         touch made /tmp/made /dev/shm/made /var/log/hearth/made && echo written
         ls {0} 2>/dev/null || echo hidden
         ls -A /tmp /dev/shm | tr '\\n' ' '; echo
         test -r /proc/self/status -a -d /sys/kernel && echo kernel
         echo again >> /dev/stdout",
        state.display()
    );
    let worker = agent.confined("w", 1, &script);
    let targets_before = targets_on_host();
    let mounts_before = fs::read_to_string("/proc/self/mountinfo").expect("read");
    let output = worker.output().await;
    let expected = format!(
        "hadoop\n{}\nhadoop\n/home/hadoop\n500\n1000\n0\nspark\nlibraries\nrefused\nwritten\nhidden\n\
         /dev/shm: made  /tmp: made \nkernel\nagain\n",
        FIRST_UID + 1
    );
    assert_eq!(output, expected);

    // What it wrote is its own and private; the host has neither mounts nor directories of it.
    let made = fs::metadata(worker.dir.work().join("made")).expect("there");
    assert_eq!((made.uid(), made.mode() & 0o777), (FIRST_UID + 1, 0o600));
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").expect("read"), mounts_before);
    assert_eq!(targets_on_host(), targets_before);
    worker.group.remove().expect("empty");
    agent.dirs.remove("w").expect("removed");
}

#[tokio::test]
async fn another_workers_directory_is_out_of_reach() {
    if !can_confine() {
        return;
    }
    let agent = Agent::new("others");
    let victim = agent.confined("victim", 2, "echo secret > data; read x < gate");
    gate(&victim.dir.work());
    let victim_handle = victim.run().await;
    let pid = victim_handle.worker_pid();
    let script = format!(
        "for path in {}/data /proc/{pid}/root/home/hadoop/data /proc/{pid}/cwd/data /proc/{pid}/environ; do
           cat $path 2>/dev/null && exit 1
         done
         kill -9 {pid} 2>/dev/null && exit 1; test $(id -u) = {}",
        victim.dir.work().display(),
        FIRST_UID + 3,
    );
    assert_eq!(agent.confined("thief", 3, &script).output().await, "");

    let in_use = UidRange { first: FIRST_UID + 2, count: 1 }.pick(&Default::default());
    assert!(in_use.is_err(), "a user with a process is not given away");
    open_gate(&victim.dir.work()).await;
    assert_eq!(victim_handle.wait().await.expect("an outcome").end, End::Exited(0));
}

#[tokio::test]
async fn an_out_of_memory_kill_is_recorded() {
    let agent = Agent::new("oom");
    if !can_confine() || agent.cgroups.report().memory != Enforcement::Enforced {
        eprintln!("skipped: needs root and the memory controller");
        return;
    }
    let worker = agent.confined("w", 4, "exec tail /dev/zero");
    let exit = worker.finish().await;
    assert_eq!((exit.end, exit.oom_killed), (End::Signaled(9), true));
    assert!(exit.memory_peak_bytes > Some(32 << 20) && exit.cpu > Some(Duration::ZERO));

    let modest = agent.confined("modest", 5, "exit 0").finish().await;
    assert_eq!((modest.end, modest.oom_killed), (End::Exited(0), false));
}

#[tokio::test]
async fn a_fork_bomb_ends_with_its_worker() {
    a_fork_bomb_ends(Agent::new("bomb")).await;
}

#[tokio::test]
async fn a_fork_bomb_ends_with_its_worker_without_cgroup_kill() {
    let Hierarchy::Hybrid { controllers, .. } = Hierarchy::detect() else {
        eprintln!("skipped: not a hybrid host");
        return;
    };
    a_fork_bomb_ends(Agent::in_hierarchy("bomb-v1", Hierarchy::V1 { controllers })).await;
}

async fn a_fork_bomb_ends(agent: Agent) {
    if !can_confine() || agent.cgroups.report().pids != Enforcement::Enforced {
        eprintln!("skipped: needs root and the pids controller");
        return;
    }
    let bomb = "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass";
    let worker = agent.confined("w", 6, &format!("python3 -c '{bomb}' & read x < gate; exit 5"));
    gate(&worker.dir.work());
    let handle = worker.run().await;
    while worker.group.members().len() < 32 {
        tokio::task::yield_now().await;
    }
    open_gate(&worker.dir.work()).await;
    assert_eq!(handle.wait().await.expect("an outcome").end, End::Exited(5));
    assert!(worker.group.is_empty());
    worker.group.remove().expect("nothing is left in it");
}

#[tokio::test]
async fn descendants_without_a_control_group_end_with_the_worker() {
    let agent = Agent::new("descendants");
    let worker = agent.plain("w", "(setsid sh -c 'echo $$ > orphan; exec sleep 1000' &) ; read x < gate");
    gate(&worker.dir.work());
    let handle = worker.run().await;
    let orphan = loop {
        match fs::read_to_string(worker.dir.work().join("orphan")) {
            Ok(text) if text.ends_with('\n') => break text.trim().to_owned(),
            _ => tokio::task::yield_now().await,
        }
    };
    assert!(Path::new("/proc").join(&orphan).exists());
    open_gate(&worker.dir.work()).await;
    handle.wait().await.expect("an outcome");
    assert!(!Path::new("/proc").join(&orphan).exists());
}

/// Names the directory in which [`an_agent_that_dies`] starts a worker.
const DYING_AGENT: &str = "HEARTH_TEST_DYING_AGENT";

#[tokio::test]
#[ignore = "the process that another test starts and loses"]
async fn an_agent_that_dies() {
    let Some(worker_dir) = std::env::var_os(DYING_AGENT) else { return };
    let worker_dir = Path::new(&worker_dir);
    let text = fs::read_to_string(worker_dir.join("plan")).expect("a plan");
    let plan = hearth_processes::LaunchPlan::parse(&text).expect("a good plan");
    let spawned = keeper().spawn(worker_dir, &plan).await.expect("a keeper");
    assert!(matches!(spawned, Spawned::Running(_)));
    std::process::abort();
}

#[tokio::test]
async fn an_outcome_survives_the_agent_and_the_worker_is_adopted() {
    let agent = Agent::new("adoption");
    let worker = if can_confine() {
        agent.confined("w", 7, "read x < gate; exit 42")
    } else {
        agent.plain("w", "read x < gate; exit 42")
    };
    gate(&worker.dir.work());
    fs::write(worker.dir.path().join("plan"), worker.plan.encode().expect("encodable")).expect("written");
    let first_agent = Command::new(std::env::current_exe().expect("a path"))
        .args(["--ignored", "--exact", "an_agent_that_dies"])
        .env(DYING_AGENT, worker.dir.path())
        .env("HEARTH_KEEPER", keeper().path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("started");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&first_agent), Some(6), "it aborts");

    let Ok(Adoption::Running(handle)) = adopt(worker.dir.path()).await else { panic!("not running") };
    assert!(handle.started_at_boottime() > Duration::ZERO);
    open_gate(&worker.dir.work()).await;
    assert_eq!(handle.wait().await.expect("an outcome").end, End::Exited(42));
    let Ok(Adoption::Exited(exit)) = adopt(worker.dir.path()).await else { panic!("not ended") };
    assert_eq!(exit.end, End::Exited(42));
}

#[tokio::test]
async fn a_keeper_is_not_moved_by_polite_signals() {
    let agent = Agent::new("polite");
    let worker = agent.plain("w", "read x < gate; exit 3");
    gate(&worker.dir.work());
    let handle = worker.run().await;
    for ignored in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        kill(Pid::from_raw(handle.keeper_pid()), ignored).expect("sent");
    }
    open_gate(&worker.dir.work()).await;
    assert_eq!(handle.wait().await.expect("an outcome").end, End::Exited(3));
}

#[tokio::test]
async fn a_worker_does_not_survive_its_keeper() {
    let agent = Agent::new("keeper-lost");
    let worker = if can_confine() {
        agent.confined("w", 8, "read x < gate")
    } else {
        agent.plain("w", "read x < gate")
    };
    gate(&worker.dir.work());
    let handle = worker.run().await;
    kill(Pid::from_raw(handle.keeper_pid()), Signal::SIGKILL).expect("sent");
    assert!(matches!(handle.wait().await, Err(WaitError::KeeperLost { .. })));
    // The kernel kills the worker while the keeper is dying.
    worker.group.kill().expect("no process hangs");
    assert!(matches!(adopt(worker.dir.path()).await, Ok(Adoption::Gone)));
}

#[test]
fn misuse_is_explained() {
    let run = |arguments: &[&str]| Command::new(keeper().path()).args(arguments).output().expect("started");
    let misused = run(&[]);
    assert_eq!(misused.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&misused.stderr).starts_with("usage: hearth-keeper WORKER_DIR"));
    let version = run(&["--version"]);
    assert!(version.status.success() && version.stdout.starts_with(b"hearth-keeper "));
    let nowhere = run(&["/nowhere"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("locking /nowhere/launch"), "{nowhere:?}");
}
