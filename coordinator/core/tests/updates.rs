//! Updates of applications: what was submitted stays as it was, and nobody's update undoes another's unseen.

mod world_model;

use hearth_coordinator_core::application::{Application, UpdatableIn};
use hearth_coordinator_core::command::{ClientToken, Command, Decision, Refusal};
use hearth_types::{ApplicationState, JobRunState, WorkerSize};
use std::time::Duration;
use world_model::{Cluster, agent, application, application_id, run_id, spec, start, token};

fn cluster() -> Cluster {
    Cluster::in_service(vec![application("app")], vec![agent("a", 8)])
}

fn present(cluster: &Cluster) -> Application {
    cluster.world.application(&application_id("app")).expect("exists").clone()
}

fn update_by(
    cluster: &mut Cluster,
    application: Application,
    token: ClientToken,
    states: UpdatableIn,
) -> Result<Decision, Refusal> {
    let document = serde_json::json!({"revision": application.revision});
    cluster.ask(Command::UpdateApplication { application, document, token, states })
}

fn update(cluster: &mut Cluster, application: Application) -> Result<Decision, Refusal> {
    let token = token("app/updates", &format!("{}", application.revision));
    update_by(cluster, application, token, UpdatableIn::AtRestOrStarted)
}

#[test]
fn an_update_changes_settings_and_neither_state_nor_times() {
    let mut cluster = cluster();
    cluster.ask(Command::StartApplication(application_id("app"))).expect("started");
    cluster.pass(1000);
    let before = present(&cluster);
    let wanted = Application {
        auto_start: false,
        concurrency: Some(2),
        idle_timeout: Some(Duration::from_secs(60)),
        state: ApplicationState::Created,
        idle_since: before.created_at,
        ..before.clone()
    };
    update(&mut cluster, wanted).expect("updated");
    let after = present(&cluster);
    assert_eq!(after.state, ApplicationState::Started);
    assert_eq!((after.auto_start, after.concurrency), (false, Some(2)));
    assert_eq!((after.idle_since, after.created_at), (before.idle_since, before.created_at));
    assert!(after.updated_at > before.updated_at);
    assert_eq!(after.revision, before.revision + 1);
}

#[test]
fn an_update_made_from_what_is_outdated_is_not_carried_out() {
    let mut cluster = cluster();
    let read = present(&cluster);
    update(&mut cluster, Application { concurrency: Some(1), ..read.clone() }).expect("updated");
    let late = Application { auto_start: false, ..read };
    let refused = update_by(&mut cluster, late, token("app/updates", "late"), UpdatableIn::AtRestOrStarted);
    assert_eq!(refused, Err(Refusal::UpdatedMeanwhile(application_id("app"))));
    assert_eq!((present(&cluster).concurrency, present(&cluster).auto_start), (Some(1), true));
}

#[test]
fn a_repeated_update_is_answered_and_changes_nothing() {
    let mut cluster = cluster();
    let wanted = Application { concurrency: Some(1), ..present(&cluster) };
    update(&mut cluster, wanted.clone()).expect("updated");
    assert_eq!(update(&mut cluster, wanted.clone()).expect("answered").changes, []);
    let other = ClientToken { digest: "two".to_owned(), ..token("app/updates", "0") };
    let refused = update_by(&mut cluster, wanted, other, UpdatableIn::AtRestOrStarted);
    assert!(matches!(refused, Err(Refusal::TokenReused(_))), "{refused:?}");
}

#[test]
fn a_started_application_is_updated_only_where_that_is_allowed() {
    let mut cluster = cluster();
    cluster.ask(Command::StartApplication(application_id("app"))).expect("started");
    let wanted = present(&cluster);
    let asked = token("app/updates", "strict");
    let refused = update_by(&mut cluster, wanted, asked.clone(), UpdatableIn::AtRest);
    let (id, state) = (application_id("app"), ApplicationState::Started);
    assert_eq!(refused, Err(Refusal::WrongState { id: id.clone(), state }));
    cluster.ask(Command::StopApplication(id)).expect("stopped");
    let wanted = present(&cluster);
    update_by(&mut cluster, wanted, asked, UpdatableIn::AtRest).expect("updated");
}

#[test]
fn job_runs_keep_what_they_were_submitted_under() {
    let mut cluster = cluster();
    for name in ["first", "second"] {
        cluster.ask(start(name, "app", spec(2, 0, 1, 1))).expect("accepted");
    }
    cluster.schedule();
    cluster.flow();
    let before: Vec<_> = cluster.world.runs_of(&application_id("app")).cloned().collect();
    assert!(before.iter().all(|run| run.state() == JobRunState::Running), "{before:?}");
    let release = hearth_types::ReleaseLabel::new("spark-4.0").expect("a label");
    let wanted = Application {
        release,
        concurrency: Some(1),
        maximum_capacity: Some(WorkerSize::new(4, 8192, 40)),
        ..present(&cluster)
    };
    update(&mut cluster, wanted).expect("updated");
    cluster.schedule();
    cluster.flow();
    let after: Vec<_> = cluster.world.runs_of(&application_id("app")).cloned().collect();
    assert_eq!(after, before, "none is ended or changed, though limits are now lower");
    // The limits hold for what comes; the concurrency allows one.
    cluster.ask(start("third", "app", spec(2, 0, 1, 1))).expect("accepted");
    cluster.schedule();
    cluster.flow();
    assert_eq!(cluster.world.run(&run_id("third")).expect("waits").state(), JobRunState::Queued);
}

#[test]
fn a_limit_that_an_accepted_driver_could_never_fit_is_refused() {
    let mut cluster = cluster();
    cluster.ask(start("r", "app", spec(4, 0, 1, 1))).expect("accepted");
    let limit = Some(WorkerSize::new(2, 8192, 40));
    let wanted = Application { maximum_capacity: limit, ..present(&cluster) };
    let refused = update(&mut cluster, wanted);
    assert!(
        matches!(&refused, Err(Refusal::ActiveJobRunTooLarge { run, .. }) if *run == run_id("r")),
        "{refused:?}"
    );
    assert_eq!(present(&cluster).maximum_capacity, None);
}

#[test]
fn a_limit_below_what_workers_hold_is_refused() {
    let mut cluster = cluster();
    for name in ["first", "second"] {
        cluster.ask(start(name, "app", spec(2, 0, 1, 1))).expect("accepted");
    }
    cluster.schedule();
    let limit = |vcpu| Some(WorkerSize::new(vcpu, 8192, 40));
    let wanted = Application { maximum_capacity: limit(3), ..present(&cluster) };
    let refused = update(&mut cluster, wanted.clone());
    assert!(matches!(&refused, Err(Refusal::MoreHeld { .. })), "{refused:?}");
    update(&mut cluster, Application { maximum_capacity: limit(4), ..wanted }).expect("updated");
}
