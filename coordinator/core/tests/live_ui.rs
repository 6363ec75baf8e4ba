//! Where an attempt's live UI is, and when there is none.

mod world_model;

use hearth_coordinator_core::agent::Standing;
use hearth_coordinator_core::command::{Command, DriverWord};
use hearth_coordinator_core::job_run::DriverApp;
use hearth_coordinator_core::live_ui::{LiveUi, live_ui};
use hearth_coordinator_core::worker::{Exit, Worker};
use hearth_types::Launch;
use world_model::{Cluster, agent, agent_id, application, end, run_id, spec, start};

/// A job run whose driver runs on the only host, and that driver.
fn running(max_attempts: u32) -> (Cluster, Worker) {
    let mut cluster = Cluster::in_service(vec![application("app")], vec![agent("a", 4)]);
    cluster.ask(start("job", "app", spec(1, 0, 1, max_attempts))).expect("accepted");
    cluster.schedule();
    cluster.flow();
    let driver = cluster.run("job").driver().expect("has a driver").clone();
    let driver = cluster.world.worker(&driver).expect("is live").clone();
    (cluster, driver)
}

fn registers(cluster: &mut Cluster, driver: &Worker, ui_port: u16) {
    let word = DriverWord::Registered(DriverApp { ui_port, ..DriverApp::default() });
    let (agent, worker) = (driver.agent.clone(), driver.id.clone());
    cluster.ask(Command::DriverSaid { agent, worker, launch: driver.launch, word }).expect("heard");
}

#[test]
fn a_registered_driver_serves_it_on_its_host() {
    let (mut cluster, driver) = running(1);
    registers(&mut cluster, &driver, 4040);
    let served = LiveUi::Served { agent: &driver.agent, worker: &driver.id, launch: Launch::FIRST };
    assert_eq!(live_ui(&cluster.world, &run_id("job"), 1), served);
    assert_eq!(live_ui(&cluster.world, &run_id("job"), 2), LiveUi::Over);
    assert_eq!(live_ui(&cluster.world, &run_id("another"), 1), LiveUi::Over);
}

#[test]
fn it_can_be_turned_off() {
    let (mut cluster, driver) = running(1);
    registers(&mut cluster, &driver, 0);
    assert_eq!(live_ui(&cluster.world, &run_id("job"), 1), LiveUi::TurnedOff);
}

#[test]
fn a_host_out_of_contact_is_not_asked() {
    let (mut cluster, driver) = running(1);
    registers(&mut cluster, &driver, 4040);
    cluster.cut_off(0);
    assert_eq!(live_ui(&cluster.world, &run_id("job"), 1), LiveUi::OutOfContact { agent: &agent_id("a") });
}

#[test]
fn neither_is_one_that_was_revoked() {
    let (mut cluster, driver) = running(1);
    registers(&mut cluster, &driver, 4040);
    cluster
        .ask(Command::SetStanding { agent: agent_id("a"), standing: Standing::Revoked })
        .expect("accepted");
    assert_eq!(live_ui(&cluster.world, &run_id("job"), 1), LiveUi::OutOfContact { agent: &agent_id("a") });
}

#[test]
fn before_its_driver_has_registered_there_is_none_yet() {
    let mut cluster = Cluster::in_service(vec![application("app")], vec![agent("a", 4)]);
    cluster.ask(start("job", "app", spec(1, 0, 1, 1))).expect("accepted");
    assert_eq!(live_ui(&cluster.world, &run_id("job"), 1), LiveUi::NotNow);
    let (cluster, _) = running(1);
    assert_eq!(live_ui(&cluster.world, &run_id("job"), 1), LiveUi::NotNow);
}

#[test]
fn an_attempt_that_failed_has_none_and_the_next_one_has_its_own() {
    let (mut cluster, driver) = running(2);
    registers(&mut cluster, &driver, 4040);
    end(&mut cluster, &driver, Exit { code: Some(1), ..Exit::default() });
    cluster.flow();
    assert_eq!(cluster.run("job").launch.attempt, 2);
    assert_eq!(live_ui(&cluster.world, &run_id("job"), 1), LiveUi::Over);
    assert_eq!(live_ui(&cluster.world, &run_id("job"), 2), LiveUi::NotNow);
}
