//! Workers that a real keeper holds by a lease which nobody renews, as when the agent is dead, stopped or starved.

#[allow(dead_code, reason = "made for all tests with a keeper")]
mod support;

use std::fs;
use std::time::{Duration, Instant};

use hearth_cgroups::{Enforcement, Hierarchy, Unavailable};
use hearth_lease::{Deadlines, NEVER};
use hearth_processes::host::boottime;
use hearth_processes::{End, KeeperHandle, Spawned, WorkerSignal};
use support::{Agent, Worker, can_confine};

const SECOND: Duration = Duration::from_secs(1);
/// Time that a loaded machine may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);
/// The number of SIGSTOP.
const STOP: u32 = 19;
/// Writes the time since boot, in seconds, until it is told to end; also from a child.
const TICKING: &str =
    "(setsid sh -c 'while sleep 0.02; do read up rest < /proc/uptime; echo $up; done' >> child &)
    while ! test -e end; do read up rest < /proc/uptime; echo $up; sleep 0.02; done >> ticks; exit 5";

/// Every way of freezing that this host has.
fn agents(test: &str) -> Vec<Agent> {
    let none = Hierarchy::Unavailable(Unavailable::NotMounted);
    let mut hierarchies = vec![("none", none)];
    if can_confine() {
        match Hierarchy::detect() {
            Hierarchy::Unavailable(why) => eprintln!("skipped: no control groups here ({why:?})"),
            Hierarchy::Hybrid { controllers, unified } => {
                hierarchies.push(("v1", Hierarchy::V1 { controllers: controllers.clone() }));
                hierarchies.push(("hybrid", Hierarchy::Hybrid { controllers, unified }));
            }
            detected => hierarchies.push(("detected", detected)),
        }
    }
    let agents = hierarchies
        .into_iter()
        .map(|(name, hierarchy)| Agent::in_hierarchy(&format!("{test}-{name}"), hierarchy));
    agents
        .filter(|agent| agent.cgroups.report().freeze == Enforcement::Enforced || !is_grouped(agent))
        .collect()
}

fn is_grouped(agent: &Agent) -> bool {
    !matches!(agent.cgroups.hierarchy(), Hierarchy::Unavailable(_))
}

/// A worker that ticks, confined where that can be.
fn ticking(agent: &Agent, offset: u32) -> Worker {
    let mut worker =
        if is_grouped(agent) { agent.confined("w", offset, TICKING) } else { agent.plain("w", TICKING) };
    worker.plan.lease = Some(worker.dir.lease().path().to_owned());
    worker
}

/// Starts it with a lease that lasts.
async fn start(worker: &Worker) -> KeeperHandle {
    worker.dir.lease().create(freeze_in(PATIENCE * 4)).expect("written");
    let handle = worker.run().await;
    wait_until("it ticks", || !ticks(worker, "ticks").is_empty() && !ticks(worker, "child").is_empty()).await;
    handle
}

fn move_to(worker: &Worker, handle: &KeeperHandle, deadlines: Deadlines) {
    worker.dir.lease().overwrite(deadlines).expect("written");
    handle.nudge().expect("nudged");
}

/// Moments after boot at which the worker ran, in order.
fn ticks(worker: &Worker, file: &str) -> Vec<Duration> {
    let text = fs::read_to_string(worker.dir.work().join(file)).unwrap_or_default();
    let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    lines.map(|line| Duration::from_secs_f64(line.parse().expect("a number"))).collect()
}

async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process is stopped, or will stop before it runs again: within a vfork it waits for its child, which is stopped.
fn is_stopped(status: &str) -> bool {
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    let waiting = u64::from_str_radix(field("ShdPnd:"), 16).unwrap_or(0);
    let stop_waits = waiting & 1 << (STOP - 1) != 0;
    field("State:").starts_with('T') || field("State:").starts_with('D') && stop_waits
}

/// Waits until nothing of the worker runs: its group is at rest, or each of its processes is stopped.
async fn wait_until_frozen(worker: &Worker, handle: &KeeperHandle) {
    let pid = handle.worker_pid();
    wait_until("it is frozen", || {
        if worker.plan.kill_cgroups.is_empty() {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            is_stopped(&status)
        } else {
            worker.group.is_frozen().expect("known")
        }
    })
    .await;
}

/// Asserts that nothing of the worker runs for a while.
async fn assert_rests(worker: &Worker) {
    let counts = || (ticks(worker, "ticks").len(), ticks(worker, "child").len());
    // Whatever was being written when it was stopped is there by now, for each process one line at most.
    let before = counts();
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(counts(), before, "it runs while frozen");
}

/// Deadlines that far away, and time enough to come to rest.
fn freeze_in(time: Duration) -> Deadlines {
    Deadlines { freeze_at: boottime() + time, kill_at: boottime() + time + PATIENCE }
}

#[tokio::test]
async fn a_worker_is_frozen_in_time_and_thawed_when_its_deadline_is_moved_on() {
    for agent in agents("freeze") {
        let worker = ticking(&agent, 20);
        let handle = start(&worker).await;
        let deadlines = freeze_in(SECOND);
        move_to(&worker, &handle, deadlines);
        wait_until_frozen(&worker, &handle).await;
        let frozen = boottime();
        assert!(frozen >= deadlines.freeze_at, "too early");
        assert_rests(&worker).await;
        let last = *ticks(&worker, "ticks").last().expect("it ticked");
        assert!(last < deadlines.freeze_at + SECOND * 5, "{last:?} is too late for {deadlines:?}");

        move_to(&worker, &handle, freeze_in(PATIENCE * 2));
        let thawed = boottime();
        let ran = ticks(&worker, "ticks").len();
        wait_until("it goes on", || ticks(&worker, "ticks").len() > ran + 2).await;
        assert!(ticks(&worker, "ticks")[ran..].iter().skip(1).all(|tick| *tick + SECOND / 50 >= thawed));
        fs::write(worker.dir.work().join("end"), "").expect("written");
        let exit = handle.wait().await.expect("an outcome");
        assert_eq!((exit.end, exit.lease_ended), (End::Exited(5), false));
    }
}

#[tokio::test]
async fn a_worker_is_frozen_again_and_again() {
    for agent in agents("again") {
        let worker = ticking(&agent, 21);
        let handle = start(&worker).await;
        for _ in 0..3 {
            move_to(&worker, &handle, freeze_in(Duration::ZERO));
            wait_until_frozen(&worker, &handle).await;
            let ran = ticks(&worker, "child").len();
            move_to(&worker, &handle, freeze_in(PATIENCE));
            wait_until("it goes on", || ticks(&worker, "child").len() > ran + 2).await;
        }
        fs::write(worker.dir.work().join("end"), "").expect("written");
        assert_eq!(handle.wait().await.expect("an outcome").end, End::Exited(5));
    }
}

#[tokio::test]
async fn an_outdated_worker_is_killed_while_frozen_and_runs_no_more() {
    for agent in agents("outdated") {
        let worker = ticking(&agent, 22);
        let handle = start(&worker).await;
        move_to(&worker, &handle, freeze_in(Duration::ZERO));
        wait_until_frozen(&worker, &handle).await;
        assert_rests(&worker).await;
        let ran = (ticks(&worker, "ticks").len(), ticks(&worker, "child").len());
        // As an agent does it.
        handle.signal_worker(WorkerSignal::Kill).expect("sent");
        worker.group.kill().expect("killed");
        let exit = handle.wait().await.expect("an outcome");
        assert_eq!((exit.end, exit.lease_ended), (End::Signaled(9), false));
        assert_eq!((ticks(&worker, "ticks").len(), ticks(&worker, "child").len()), ran, "it ran again");
        worker.group.remove().expect("nothing is left in it");
    }
}

#[tokio::test]
async fn a_worker_that_is_not_to_be_frozen_is_killed() {
    for agent in agents("kill") {
        let worker = ticking(&agent, 23);
        let handle = start(&worker).await;
        move_to(&worker, &handle, Deadlines { freeze_at: NEVER, kill_at: boottime() + SECOND });
        let exit = handle.wait().await.expect("an outcome");
        assert_eq!((exit.end, exit.lease_ended), (End::Signaled(9), true));
        assert!(worker.group.is_empty());
    }
}

#[tokio::test]
async fn what_does_not_come_to_rest_is_killed() {
    let agent = Agent::new("restless");
    let mut worker = agent.plain("w", TICKING);
    // A group that says it never froze.
    let group = agent.state.path().join("group");
    fs::create_dir(&group).expect("made");
    fs::write(group.join("cgroup.freeze"), "").expect("written");
    fs::write(group.join("cgroup.events"), "populated 1\nfrozen 0\n").expect("written");
    worker.plan.freeze_cgroup = Some(group.clone());
    worker.plan.lease = Some(worker.dir.lease().path().to_owned());
    let handle = start(&worker).await;
    let now = boottime();
    let deadlines = Deadlines { freeze_at: now + SECOND, kill_at: now + SECOND * 3 };
    move_to(&worker, &handle, deadlines);
    let exit = handle.wait().await.expect("an outcome");
    assert_eq!((exit.end, exit.lease_ended), (End::Signaled(9), true));
    assert!(exit.ended_at_boottime >= deadlines.kill_at);
    assert_eq!(fs::read_to_string(group.join("cgroup.freeze")).expect("read"), "1");
}

#[tokio::test]
async fn nothing_runs_whose_lease_cannot_be_read() {
    let agent = Agent::new("no-lease");
    let mut worker = agent.plain("w", TICKING);
    worker.plan.lease = Some(worker.dir.lease().path().to_owned());
    let Spawned::Ended(exit) = worker.spawn().await else { panic!("running") };
    let End::LaunchFailed(reason) = exit.end else { panic!("{exit:?}") };
    assert!(reason.contains("reading the lease"), "{reason}");
}

/// The agent, or the host, was stopped between the last look at the contact and the start.
#[tokio::test]
async fn nothing_runs_whose_lease_is_over() {
    for agent in agents("over") {
        let worker = ticking(&agent, 24);
        worker.dir.lease().create(freeze_in(Duration::ZERO)).expect("written");
        let Spawned::Ended(exit) = worker.spawn().await else { panic!("running") };
        let End::LaunchFailed(reason) = exit.end else { panic!("{exit:?}") };
        assert!(reason.contains("it is over before the worker began"), "{reason}");
        assert!(ticks(&worker, "ticks").is_empty() && ticks(&worker, "child").is_empty());
    }
}
