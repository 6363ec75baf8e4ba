//! Leases and fencing, one story each (design §9): who may go on, when somebody else may, and who waits for whom. The model
//! checks after each step that no two drivers of a job run act at once.

mod world_model;

use hearth_coordinator_core::command::{Effect, News};
use hearth_coordinator_core::job_run::{Outcome, RunSpec};
use hearth_coordinator_core::telling;
use hearth_coordinator_core::worker::{Exit, Role, Worker, WorkerState};
use hearth_types::{AgentId, JobRunState, WorkerId, WorkerSize};
use std::time::Duration;
use world_model::{Cluster, agent, agent_id, application, end, run_id, spec, start};

/// Milliseconds from the last contact until a lease of 30 s is surely over.
const OVER: i64 = 35_300;

/// Hosts of four vCPU, and one job run, `r`, whose workers all run.
fn running(hosts: &[&str], spec: RunSpec) -> Cluster {
    let hosts = hosts.iter().map(|name| agent(name, 4)).collect();
    let mut cluster = Cluster::in_service(vec![application("app")], hosts);
    cluster.flow();
    cluster.ask(start("r", "app", spec)).expect("accepted");
    cluster.schedule();
    cluster.flow();
    assert_eq!(cluster.run("r").state(), JobRunState::Running);
    cluster
}

fn driver(cluster: &Cluster) -> Worker {
    let id = cluster.run("r").driver().expect("has a driver");
    cluster.world.worker(id).expect("is live").clone()
}

fn executors(cluster: &Cluster) -> Vec<Worker> {
    let run = run_id("r");
    cluster.world.workers_of(&run).filter(|worker| worker.role != Role::Driver).cloned().collect()
}

fn host_of(cluster: &Cluster, agent: &AgentId) -> usize {
    cluster.hosts.iter().position(|host| host.agent.id == *agent).expect("a host")
}

/// Attaches a host; the drivers it is told to let run.
fn comes_back(cluster: &mut Cluster, host: usize) -> Vec<WorkerId> {
    cluster.attach(host);
    let judgements: Vec<Vec<WorkerId>> = cluster.hosts[host]
        .inbox
        .iter()
        .filter_map(|effect| match effect {
            Effect::Settled { current_drivers, .. } => Some(current_drivers.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(judgements.len(), 1);
    judgements.into_iter().flatten().collect()
}

#[test]
fn a_driver_out_of_contact_is_replaced_on_another_host_when_its_lease_is_surely_over() {
    let mut cluster = running(&["a", "b"], spec(1, 0, 1, 2));
    let first = driver(&cluster);
    assert_eq!(first.lease, Some(Duration::from_secs(30)));
    let host = host_of(&cluster, &first.agent);
    cluster.cut_off(host);
    cluster.pass(OVER - 1);
    cluster.schedule();
    assert_eq!(driver(&cluster).id, first.id);
    // Neither does a wall clock that jumps end it earlier.
    cluster.now += 86_400_000;
    cluster.pass(0);
    assert_eq!(driver(&cluster).id, first.id);
    cluster.pass(1);
    assert!(cluster.hosts[host].processes[&first.id].is_frozen);
    let failed = &cluster.run("r").failed_attempts[0];
    let why = "Job failed because its driver was lost: host of agent a was out of contact for 35 s.";
    assert_eq!((failed.attempt, failed.details.as_str()), (1, why));
    cluster.schedule();
    cluster.flow();
    let second = driver(&cluster);
    assert_eq!((second.launch.attempt, &second.agent), (2, &agent_id("b")));
    assert!(cluster.world.booked(&first.agent).cpu_millis > 0, "it still holds its memory there");

    assert_eq!(comes_back(&mut cluster, host), [], "the first one is outdated");
    cluster.flow();
    assert!(cluster.hosts[host].processes.is_empty());
    assert_eq!(cluster.world.booked(&first.agent), WorkerSize::default());
    end(&mut cluster, &second, Exit { code: Some(0), ..Exit::default() });
    assert_eq!(cluster.outcomes[&run_id("r")], Outcome::Success);
}

#[test]
fn a_driver_that_is_back_before_anybody_acted_goes_on() {
    let mut cluster = running(&["a", "b"], spec(1, 0, 1, 2));
    let first = driver(&cluster);
    cluster.cut_off(0);
    cluster.pass(OVER - 1);
    // Frozen a while ago by a keeper that is not late.
    cluster.hosts[0].processes.get_mut(&first.id).expect("there").is_frozen = true;
    assert_eq!(comes_back(&mut cluster, 0), std::slice::from_ref(&first.id));
    cluster.flow();
    assert!(cluster.hosts[0].processes[&first.id].acts());
    cluster.pass(3_600_000);
    assert_eq!(driver(&cluster).id, first.id);
}

#[test]
fn nothing_is_placed_beside_what_a_lost_host_brings_back() {
    let mut cluster = running(&["a"], spec(1, 0, 1, 1));
    let lost = driver(&cluster);
    cluster.cut_off(0);
    cluster.pass(700_000);
    assert!(cluster.outcomes.contains_key(&run_id("r")), "its driver counts as lost");
    assert_eq!(cluster.world.booked(&lost.agent), WorkerSize::default());
    cluster.ask(start("next", "app", spec(1, 0, 1, 1))).expect("accepted");

    assert_eq!(comes_back(&mut cluster, 0), [], "it still holds the lost one");
    cluster.schedule();
    assert_eq!(cluster.run("next").driver(), None);
    cluster.flow();
    assert!(!cluster.hosts[0].processes.contains_key(&lost.id));
    cluster.schedule();
    assert!(cluster.run("next").driver().is_some());
}

#[test]
fn nobody_is_replaced_where_nobody_can_go_on() {
    let mut cluster = running(&["a", "b"], spec(1, 0, 1, 2));
    let first = driver(&cluster);
    // The only other host is gone as well when the lease is over, though long enough not to count.
    cluster.cut_off(1);
    cluster.pass(600_000);
    cluster.cut_off(0);
    cluster.pass(500_000);
    cluster.schedule();
    assert_eq!(driver(&cluster).id, first.id, "waited for instead");
    cluster.attach(1);
    cluster.pass(0);
    assert_eq!(cluster.run("r").launch.attempt, 2, "now somebody can");

    // The only other host in contact is too small by now.
    let mut cluster = running(&["a", "b"], spec(2, 0, 1, 2));
    cluster.hosts[1].agent.offered = agent("b", 1).offered;
    cluster.attach(1);
    cluster.cut_off(0);
    cluster.pass(500_000);
    assert_eq!(cluster.run("r").launch.attempt, 1);

    // One attempt: nothing is gained before the agent is lost, and then it is over.
    let mut cluster = running(&["a", "b"], spec(1, 0, 1, 1));
    cluster.cut_off(0);
    cluster.pass(599_999);
    assert_eq!(cluster.run("r").state(), JobRunState::Running);
    cluster.pass(1);
    assert_eq!(cluster.outcomes[&run_id("r")], Outcome::Failed);
}

#[test]
fn replacements_are_held_while_more_than_half_of_the_agents_are_out_of_contact() {
    let mut cluster = running(&["a", "b", "c", "d"], spec(1, 0, 1, 2));
    for host in [0, 2, 3] {
        cluster.cut_off(host);
    }
    cluster.pass(OVER);
    assert_eq!(cluster.run("r").launch.attempt, 1, "it may be the coordinator that is cut off");
    cluster.attach(3);
    cluster.pass(0);
    assert_eq!(cluster.run("r").launch.attempt, 2, "exactly half is enough to go on");

    // Those lost before do not count: two of three are out of contact.
    let mut cluster = running(&["a", "b", "c", "d", "e"], spec(1, 0, 1, 2));
    cluster.cut_off(3);
    cluster.cut_off(4);
    cluster.pass(600_000);
    cluster.cut_off(0);
    cluster.cut_off(2);
    cluster.pass(OVER);
    assert_eq!(cluster.run("r").launch.attempt, 1);
    let mut cluster = running(&["a", "b", "c", "d"], spec(1, 0, 1, 2));
    cluster.cut_off(2);
    cluster.cut_off(3);
    cluster.pass(600_000);
    cluster.cut_off(0);
    cluster.pass(OVER);
    assert_eq!(cluster.run("r").launch.attempt, 2);

    // The hold ends when those that are out of contact are lost.
    let mut cluster = running(&["a", "b", "c"], spec(1, 0, 1, 2));
    cluster.cut_off(0);
    cluster.cut_off(2);
    cluster.pass(599_999);
    assert_eq!(cluster.run("r").launch.attempt, 1);
    cluster.pass(1);
    cluster.schedule();
    assert_eq!(driver(&cluster).agent, agent_id("b"));
}

#[test]
fn a_started_coordinator_waits_the_recorded_lease_from_its_own_start() {
    let mut cluster = running(&["a", "b"], spec(1, 0, 1, 2));
    cluster.pass(20_000);
    cluster.restart();
    cluster.attach(1);
    cluster.pass(OVER - 1);
    assert_eq!(cluster.run("r").launch.attempt, 1);
    cluster.pass(1);
    assert_eq!(cluster.run("r").launch.attempt, 2);
}

/// [`running`] on two hosts, both of which attached again after the coordinator had left in good order.
fn attached_after_leaving(extension: Duration) -> Cluster {
    let mut cluster = running(&["a", "b"], spec(1, 0, 1, 2));
    cluster.leave(extension, true, 0);
    cluster.attach(0);
    cluster.attach(1);
    cluster.flow();
    cluster
}

#[test]
fn an_extension_is_waited_for_even_if_the_agent_was_back_meanwhile() {
    let extension = Duration::from_secs(1200);
    let mut cluster = running(&["a", "b"], spec(1, 0, 1, 2));
    let first = driver(&cluster);
    cluster.leave(extension, true, 60_000);
    let told = cluster.world.agent(&first.agent).and_then(|agent| agent.extension);
    assert_eq!(told.map(|told| told.length), Some(extension));
    cluster.attach(1);
    cluster.pass(1_216_999);
    assert!(cluster.hosts[0].processes[&first.id].is_frozen, "at its end");
    assert_eq!(cluster.run("r").launch.attempt, 1, "nor is the agent lost after ten minutes");
    cluster.pass(1);
    assert_eq!(cluster.run("r").launch.attempt, 2);

    let mut cluster = attached_after_leaving(extension);
    cluster.cut_off(0);
    cluster.pass(1_216_999);
    assert_eq!(cluster.run("r").launch.attempt, 1, "it may not have heard that it attached");
    cluster.pass(1);
    assert_eq!(cluster.run("r").launch.attempt, 2);

    let mut cluster = attached_after_leaving(extension);
    cluster.pass(1_300_000);
    cluster.cut_off(0);
    cluster.pass(OVER);
    assert_eq!(cluster.run("r").launch.attempt, 2, "an extension that is over counts no more");
}

/// A driver on `a` that holds three executors, one of them on `b`.
fn spread() -> Cluster {
    let cluster = running(&["a", "b", "c"], spec(2, 3, 1, 2));
    let agents: Vec<AgentId> = executors(&cluster).into_iter().map(|executor| executor.agent).collect();
    let on = |name: &str| agents.iter().filter(|agent| **agent == agent_id(name)).count();
    assert_eq!((driver(&cluster).agent, on("a"), on("b")), (agent_id("a"), 2, 1));
    cluster
}

#[test]
fn executors_of_the_old_attempt_are_gone_from_reachable_hosts_before_the_next_driver_is_sent() {
    let mut cluster = spread();
    cluster.cut_off(0);
    cluster.pass(OVER);
    assert_eq!(cluster.run("r").launch.attempt, 2);
    let stops = |effect: &Effect| matches!(effect, Effect::Stop { .. });
    assert_eq!(cluster.hosts[1].inbox.iter().filter(|effect| stops(effect)).count(), 1);
    cluster.pass(1000);
    cluster.schedule();
    assert_eq!(cluster.run("r").driver(), None, "one of them acts still");
    cluster.flow();
    cluster.schedule();
    assert_eq!(driver(&cluster).launch.attempt, 2);
}

#[test]
fn a_driver_is_told_of_executors_on_a_silent_host_when_their_lease_is_over_and_not_charged() {
    let mut cluster = spread();
    cluster.cut_off(1);
    cluster.pass(OVER - 1);
    assert_eq!(executors(&cluster).len(), 3);
    cluster.pass(1);
    let told: Vec<Effect> = cluster.hosts[0].inbox.drain(..).collect();
    let [Effect::News { news: News::Exited { caused_by_app: false, reason, .. }, .. }] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(reason, "host of agent b was out of contact for 35 s");
    assert_eq!(cluster.run("r").executors.failed, 0);
    cluster.schedule();
    assert_eq!(executors(&cluster).len(), 3, "it gets another in its place");
    assert!(executors(&cluster).iter().all(|executor| executor.agent != agent_id("b")));
}

#[test]
fn a_frozen_driver_does_not_use_up_what_its_application_may_hold() {
    let mut tight = application("app");
    tight.maximum_capacity = Some(WorkerSize::new(1, 2048, 20));
    let mut cluster = Cluster::in_service(vec![tight], vec![agent("a", 4), agent("b", 4)]);
    cluster.flow();
    cluster.ask(start("r", "app", spec(1, 0, 1, 2))).expect("accepted");
    cluster.schedule();
    cluster.flow();
    cluster.cut_off(0);
    cluster.pass(OVER);
    cluster.pass(1000);
    cluster.schedule();
    assert_eq!(driver(&cluster).launch.attempt, 2);
}

#[test]
fn a_cancelled_driver_out_of_contact_is_not_replaced() {
    let mut cluster = running(&["a", "b"], spec(1, 0, 1, 2));
    let first = driver(&cluster);
    cluster.cut_off(0);
    cluster.cancel("r", Duration::ZERO);
    cluster.pass(OVER);
    assert_eq!(cluster.run("r").state(), JobRunState::Cancelling, "it may be alive still");
    let state = &cluster.world.worker(&first.id).expect("live").state;
    assert!(matches!(state, WorkerState::Stopping { .. }));
    cluster.attach(0);
    cluster.flow();
    assert_eq!(cluster.outcomes[&run_id("r")], Outcome::Cancelled);
}

/// What users are told of job run `r`.
fn told(cluster: &Cluster) -> String {
    telling::details(&cluster.world, cluster.run("r"), cluster.by_the_clocks())
}

#[test]
fn users_are_told_since_when_a_drivers_host_is_silent_and_what_follows() {
    let silent = "The driver's host host-a (agent a) is out of contact since 1970-01-12T13:46:40Z; unless it is back, ";
    let mut cluster = running(&["a", "b"], spec(1, 0, 1, 2));
    let runs = told(&cluster);
    assert!(runs.starts_with("RUNNING since 1970-01-"), "{runs}");
    cluster.now = 1_000_000_000;
    cluster.cut_off(0);
    cluster.pass(10_000);
    assert_eq!(told(&cluster), format!("{silent}attempt 2 starts on another host at 1970-01-12T13:47:15Z."));
    comes_back(&mut cluster, 0);
    assert_eq!(told(&cluster), runs);

    let mut cluster = running(&["a", "b"], spec(1, 0, 1, 1));
    cluster.now = 1_000_000_000;
    cluster.cut_off(1);
    assert!(told(&cluster).starts_with("RUNNING"), "nothing of it is there");
    cluster.cut_off(0);
    cluster.pass(10_000);
    assert_eq!(told(&cluster), format!("{silent}attempt 1 fails at 1970-01-12T13:56:40Z."));
    cluster.cancel("r", Duration::ZERO);
    let gone = "its workers count as gone at 1970-01-12T13:56:40Z.";
    assert_eq!(told(&cluster), format!("Job run was cancelled by request. {silent}{gone}"));
    let lost = cluster.run("r").clone();
    cluster.pass(590_000);
    assert_eq!(cluster.outcomes[&run_id("r")], Outcome::Cancelled);
    let told = telling::details(&cluster.world, &lost, cluster.by_the_clocks());
    assert!(told.starts_with("Job run was cancelled by request; CANCELLING since "), "{told}");
}
