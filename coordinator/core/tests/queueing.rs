//! Waiting in QUEUED: how long, how many, and what the account may hold.

mod world_model;

use hearth_coordinator_core::application::{Application, UpdatableIn};
use hearth_coordinator_core::command::{Change, Command, Refusal};
use hearth_coordinator_core::job_run::{JobRun, Outcome};
use hearth_coordinator_core::queueing::QUEUED_JOB_RUNS;
use hearth_coordinator_core::quotas::Quotas;
use hearth_coordinator_core::worker::Exit;
use hearth_types::{JobRunState, WorkerSize};
use std::time::Duration;
use world_model::{Cluster, agent, application, end, run_id, spec, start};

const MINUTE: i64 = 60_000;

/// An application that lets one job run at a time, and others wait for 15 minutes.
fn queueing() -> Application {
    let timeout = Duration::from_secs(15 * 60);
    Application { concurrency: Some(1), queue_timeout: Some(timeout), ..application("app") }
}

/// One host of so many vCPUs; a job run that runs, and another that waits for it.
fn one_queued(vcpus: u64) -> Cluster {
    let mut cluster = Cluster::in_service(vec![queueing()], vec![agent("a", vcpus)]);
    for run in ["first", "second"] {
        cluster.ask(start(run, "app", spec(1, 0, 1, 2))).expect("accepted");
        cluster.now += 1;
    }
    cluster.schedule();
    cluster.flow();
    assert_eq!(cluster.run("first").state(), JobRunState::Running);
    assert_eq!(cluster.run("second").state(), JobRunState::Queued);
    cluster
}

fn fail(cluster: &mut Cluster, run: &str) {
    let driver = cluster.run(run).driver().expect("has a driver");
    let driver = cluster.world.worker(driver).expect("is live").clone();
    let exit = Exit { code: Some(1), ..Default::default() };
    end(cluster, &driver, exit);
}

/// A job run as it was last stored; one that has ended is not in the world.
fn last_row(cluster: &Cluster, run: &str) -> JobRun {
    let of_run = |change: &Change| match change {
        Change::JobRun(row) if row.id == run_id(run) => Some(row.clone()),
        _ => None,
    };
    cluster.journal.iter().flatten().filter_map(of_run).next_back().expect("it was stored")
}

#[test]
fn a_job_run_is_cancelled_once_it_was_queued_for_too_long_and_says_so() {
    let mut cluster = one_queued(8);
    cluster.pass(15 * MINUTE - 1);
    assert_eq!(cluster.run("second").state(), JobRunState::Queued);
    assert_eq!(cluster.world.due_in(cluster.by_the_clocks()), Some(Duration::from_millis(1)));
    cluster.pass(1);
    assert_eq!(cluster.outcomes[&run_id("second")], Outcome::Cancelled);
    let ended = last_row(&cluster, "second");
    assert_eq!(
        ended.details,
        "Job run exceeded its application's queue timeout of 15 minutes and was cancelled."
    );
    assert_eq!(ended.queueing.total(ended.updated_at), Duration::from_secs(15 * 60));
    assert_eq!(cluster.run("first").state(), JobRunState::Running, "it does not wait");
}

#[test]
fn a_queue_timeout_goes_on_over_a_restart() {
    let mut cluster = one_queued(8);
    cluster.pass(10 * MINUTE);
    cluster.restart();
    cluster.attach(0);
    cluster.flow();
    cluster.pass(5 * MINUTE - 1);
    assert_eq!(cluster.run("second").state(), JobRunState::Queued);
    cluster.pass(1);
    assert_eq!(cluster.outcomes[&run_id("second")], Outcome::Cancelled);
}

#[test]
fn the_applications_present_queue_timeout_counts_for_those_that_wait() {
    let mut cluster = one_queued(8);
    cluster.pass(10 * MINUTE);
    let present = cluster.world.application(&world_model::application_id("app")).expect("exists").clone();
    let application = Application { queue_timeout: Some(Duration::from_secs(30 * 60)), ..present };
    let token = world_model::token("app/updates", "longer");
    let states = UpdatableIn::AtRestOrStarted;
    let document = serde_json::json!({});
    cluster.ask(Command::UpdateApplication { application, document, token, states }).expect("updated");
    cluster.pass(19 * MINUTE);
    assert_eq!(cluster.run("second").state(), JobRunState::Queued);
    cluster.pass(MINUTE);
    assert_eq!(cluster.outcomes[&run_id("second")], Outcome::Cancelled);
}

#[test]
fn waiting_for_a_host_is_not_waiting_in_the_queue() {
    // With room for one worker alone, which the second application's job run takes.
    let other = application("other");
    let mut cluster = Cluster::in_service(vec![queueing(), other], vec![agent("a", 1)]);
    for (run, app) in [("first", "other"), ("second", "app")] {
        cluster.ask(start(run, app, spec(1, 0, 1, 1))).expect("accepted");
        cluster.now += 1;
    }
    cluster.schedule();
    cluster.flow();
    assert_eq!(cluster.run("second").state(), JobRunState::Pending);
    cluster.pass(60 * MINUTE);
    assert_eq!(cluster.run("second").state(), JobRunState::Pending);
}

#[test]
fn every_attempt_may_be_queued_for_as_long_as_the_first() {
    let mut cluster = one_queued(8);
    cluster.pass(10 * MINUTE);
    fail(&mut cluster, "first");
    // Its second attempt is first in line again, as the job run that was submitted first.
    cluster.pass(MINUTE / 60);
    cluster.schedule();
    cluster.flow();
    assert_eq!(cluster.run("second").state(), JobRunState::Queued);
    fail(&mut cluster, "first");
    cluster.schedule();
    cluster.flow();
    assert_eq!(cluster.run("second").state(), JobRunState::Running);
    let waited = cluster.run("second").queueing;
    assert_eq!((waited.since, waited.millis / 1000), (None, 601));
    fail(&mut cluster, "second");
    let waited = cluster.run("second").queueing;
    assert_eq!((waited.millis, waited.earlier_millis / 1000), (0, 601));
}

#[test]
fn no_more_job_runs_wait_than_may() {
    let free = Application { concurrency: Some(2), ..application("free") };
    let mut cluster =
        Cluster::in_service(vec![queueing(), free, application("no-queue")], vec![agent("a", 1)]);
    cluster.rows.quotas = Quotas { queued_job_runs: 3, vcpus: None };
    cluster.restart();
    let mut submit = |run: &str, app: &str| cluster.ask(start(run, app, spec(1, 0, 1, 1))).map(|_| ());
    // One may run, three may wait; whether they were placed yet makes no difference.
    for run in ["r-1", "r-2", "r-3", "r-4"] {
        assert_eq!(submit(run, "app"), Ok(()));
    }
    assert_eq!(submit("r-5", "app"), Err(Refusal::QueueFull { limit: 3 }));
    assert_eq!(submit("r-1", "app"), Ok(()), "it was accepted before");
    for run in ["f-1", "f-2"] {
        assert_eq!(submit(run, "free"), Ok(()), "it need not wait for others");
    }
    assert_eq!(submit("f-3", "free"), Err(Refusal::QueueFull { limit: 3 }), "the account's queue is full");
    assert_eq!(submit("n-1", "no-queue"), Ok(()));
}

#[test]
fn two_thousand_job_runs_may_wait() {
    assert_eq!((Quotas::default().queued_job_runs, QUEUED_JOB_RUNS), (2000, 2000));
    assert_eq!(Quotas::default().vcpus, None, "as many as there are");
}

#[test]
fn all_applications_together_hold_no_more_vcpus_than_the_account_may() {
    let mut cluster = Cluster::in_service(
        vec![application("one"), application("two")],
        vec![agent("a", 16), agent("b", 16)],
    );
    cluster.rows.quotas = Quotas { vcpus: Some(4), ..Quotas::default() };
    cluster.restart();
    cluster.attach(0);
    cluster.attach(1);
    cluster.ask(start("r-1", "one", spec(2, 1, 1, 1))).expect("accepted");
    cluster.now += 1;
    cluster.ask(start("r-2", "two", spec(2, 0, 1, 1))).expect("accepted");
    cluster.schedule();
    assert_eq!(cluster.world.cpu_millis_held(), 4000, "two drivers, no executor");
    cluster.ask(start("r-3", "two", spec(1, 0, 1, 1))).expect("accepted");
    cluster.schedule();
    let (size, quota) = (WorkerSize::new(1, 2048, 20), "the account's quota is 4 vCPU");
    assert_eq!(
        cluster.run("r-3").details,
        format!("Waiting for {size} for the driver: {quota}; 0 job runs ahead.")
    );
    let refused = cluster.ask(start("r-4", "two", spec(5, 0, 1, 1))).map(|_| ());
    let needed = WorkerSize::new(5, 5 * 2048, 20).to_string();
    assert_eq!(refused, Err(Refusal::BeyondVcpuQuota { needed, limit: 4 }));
    cluster.settle();
    assert_eq!(cluster.outcomes.len(), 3);
}
