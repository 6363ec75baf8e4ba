//! What operators decide about agents: drained, back in service, revoked.

mod world_model;

use hearth_coordinator_core::agent::{Contact, Standing};
use hearth_coordinator_core::command::{Command, Effect, News, Refusal};
use hearth_coordinator_core::job_run::RunSpec;
use hearth_coordinator_core::worker::Role;
use hearth_types::JobRunState;
use std::time::Duration;
use world_model::{Cluster, agent, agent_id, application, run_id, spec, start};

fn cluster() -> Cluster {
    Cluster::in_service(vec![application("app")], vec![agent("a", 4), agent("b", 4)])
}

fn run(cluster: &mut Cluster, name: &str, spec: RunSpec) {
    cluster.ask(start(name, "app", spec)).expect("accepted");
    cluster.schedule();
    cluster.flow();
}

fn set(cluster: &mut Cluster, name: &str, standing: Standing) -> Result<Vec<Effect>, Refusal> {
    let decided = cluster.ask(Command::SetStanding { agent: agent_id(name), standing });
    decided.map(|decision| decision.effects)
}

fn workers(cluster: &Cluster, name: &str) -> usize {
    cluster.world.workers_on(&agent_id(name)).count()
}

#[test]
fn a_draining_agent_keeps_its_workers_and_gets_no_more() {
    let mut cluster = cluster();
    run(&mut cluster, "first", spec(2, 0, 1, 1));
    let before = (workers(&cluster, "a"), workers(&cluster, "b"));
    let busy = if before == (1, 0) { "a" } else { "b" };
    assert_eq!(set(&mut cluster, busy, Standing::Draining), Ok(vec![]));
    run(&mut cluster, "second", spec(2, 1, 2, 1));
    assert_eq!(workers(&cluster, busy), 1);
    assert_eq!(cluster.run("first").state(), JobRunState::Running);
    assert_eq!(cluster.world.workers_of(&run_id("second")).count(), 2);
}

#[test]
fn draining_outlasts_the_agents_and_the_coordinators_restart_until_it_is_taken_back() {
    let mut cluster = cluster();
    set(&mut cluster, "a", Standing::Draining).expect("accepted");
    set(&mut cluster, "b", Standing::Draining).expect("accepted");
    cluster.restart();
    cluster.attach(0);
    cluster.attach(1);
    run(&mut cluster, "waits", spec(1, 0, 1, 1));
    assert_eq!(cluster.run("waits").state(), JobRunState::Pending);
    set(&mut cluster, "a", Standing::InService).expect("accepted");
    cluster.schedule();
    cluster.flow();
    assert_eq!((workers(&cluster, "a"), workers(&cluster, "b")), (1, 0));
}

#[test]
fn orders_to_a_draining_agent_are_still_repeated() {
    let mut cluster = cluster();
    run(&mut cluster, "runs", spec(2, 0, 1, 1));
    let busy = if workers(&cluster, "a") == 1 { 0 } else { 1 };
    set(&mut cluster, ["a", "b"][busy], Standing::Draining).expect("accepted");
    cluster.cut_off(busy);
    cluster.attach(busy);
    cluster.flow();
    assert_eq!(cluster.run("runs").state(), JobRunState::Running);
}

/// A job run whose driver is on one host, with an executor there and one on the other. Names of the driver's host and the
/// other one.
fn over_two_hosts(cluster: &mut Cluster, max_attempts: u32) -> (&'static str, &'static str) {
    run(cluster, "job", spec(2, 2, 2, max_attempts));
    let driver = cluster.run("job").driver().expect("has a driver").clone();
    let here = cluster.world.worker(&driver).expect("is live").agent.clone();
    assert_eq!(
        (workers(cluster, "a"), workers(cluster, "b")),
        if here == agent_id("a") { (2, 1) } else { (1, 2) }
    );
    if here == agent_id("a") { ("a", "b") } else { ("b", "a") }
}

#[test]
fn executors_of_a_revoked_agent_are_lost_at_once_and_nobody_is_charged() {
    let mut cluster = cluster();
    let (_, other) = over_two_hosts(&mut cluster, 1);
    let effects = set(&mut cluster, other, Standing::Revoked).expect("accepted");
    assert!(effects.contains(&Effect::Cut(agent_id(other))), "{effects:?}");
    let told = effects.iter().any(|effect| match effect {
        Effect::News { news: News::Exited { caused_by_app, reason, .. }, .. } => {
            !caused_by_app && reason.contains("was revoked")
        }
        _ => false,
    });
    assert!(told, "{effects:?}");
    assert_eq!(workers(&cluster, other), 0);
    assert_eq!(cluster.run("job").state(), JobRunState::Running);
    assert_eq!(cluster.run("job").executors.failed, 0);
}

#[test]
fn a_driver_on_a_revoked_agent_is_replaced_only_when_its_lease_is_over() {
    let mut cluster = cluster();
    let (here, _) = over_two_hosts(&mut cluster, 2);
    let driver = cluster.run("job").driver().expect("has a driver").clone();
    set(&mut cluster, here, Standing::Revoked).expect("accepted");
    cluster.cut_off(usize::from(here == "b"));
    assert_eq!(cluster.world.worker(&driver).expect("is live").role, Role::Driver);
    let terms = *cluster.world.lease_terms();
    cluster.pass(30_000);
    assert!(cluster.world.worker(&driver).is_some(), "its lease may still be good");
    assert!(terms.over_after(terms.lease) < Duration::from_secs(36));
    cluster.pass(6_000);
    assert!(cluster.world.worker(&driver).is_none(), "nobody waits for a host that may not come back");
    assert_eq!(cluster.run("job").launch.attempt, 2);
    assert_eq!(cluster.world.agent(&agent_id(here)).expect("is known").contact, Contact::Lost);
}

#[test]
fn silent_hosts_out_of_service_do_not_hold_up_the_replacement_of_drivers() {
    let hosts = vec![agent("a", 4), agent("b", 4), agent("c", 4)];
    let mut cluster = Cluster::in_service(vec![application("app")], hosts);
    set(&mut cluster, "c", Standing::Draining).expect("accepted");
    run(&mut cluster, "job", spec(2, 0, 1, 2));
    let here = usize::from(workers(&cluster, "b") == 1);
    cluster.cut_off(here);
    cluster.cut_off(2);
    cluster.pass(36_000);
    assert_eq!(cluster.run("job").launch.attempt, 2, "one of two in service is silent, not two of three");
}

#[test]
fn a_revoked_agent_never_comes_back() {
    let mut cluster = cluster();
    set(&mut cluster, "a", Standing::Revoked).expect("accepted");
    cluster.cut_off(0);
    let refused = Refusal::AgentRevoked(agent_id("a"));
    assert_eq!(set(&mut cluster, "a", Standing::InService), Err(refused.clone()));
    assert_eq!(set(&mut cluster, "a", Standing::Draining), Err(refused.clone()));
    assert_eq!(set(&mut cluster, "a", Standing::Revoked), Ok(vec![]));
    cluster.restart();
    let attached =
        cluster.ask(Command::AgentAttached { agent: agent("a", 4), reports: Vec::new(), stream: 2 });
    assert_eq!(attached.err(), Some(refused));
    assert_eq!(set(&mut cluster, "c", Standing::Draining), Err(Refusal::NoAgent(agent_id("c"))));
}
