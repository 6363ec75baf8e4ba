//! What users are told of a job run: why, since when, and what stands in its way.

mod world_model;

use hearth_coordinator_core::job_run::RunSpec;
use hearth_coordinator_core::preflight::doubt_of_bundle;
use hearth_coordinator_core::quotas::Quotas;
use hearth_coordinator_core::telling;
use hearth_coordinator_core::timeline::timeline;
use hearth_coordinator_core::worker::{Exit, Role, Worker, WorkerState};
use hearth_types::{Architecture, JobRunState, WorkerSize};
use std::time::Duration;
use world_model::{Cluster, agent, application, end, run_id, spec, start};

fn told(cluster: &Cluster) -> String {
    telling::details(&cluster.world, cluster.run("r"), cluster.by_the_clocks())
}

fn submitted(spec: RunSpec, hosts: &[u64], limit: Option<WorkerSize>) -> Cluster {
    let mut application = application("app");
    application.maximum_capacity = limit;
    let hosts = hosts.iter().enumerate().map(|(index, vcpu)| agent(&format!("h{index}"), *vcpu)).collect();
    let mut cluster = Cluster::in_service(vec![application], hosts);
    cluster.now = 1_000_000_000;
    cluster.ask(start("r", "app", spec)).expect("accepted");
    cluster
}

#[test]
fn each_state_says_since_when() {
    let mut cluster = submitted(spec(4, 0, 1, 1), &[], None);
    assert_eq!(told(&cluster), "SUBMITTED since 1970-01-12T13:46:40Z.");
    cluster.now += 5_000;
    cluster.schedule();
    let waits = "Waiting for a host: no X86_64 agent is in contact; PENDING since 1970-01-12T13:46:45Z.";
    assert_eq!(told(&cluster), waits);
    cluster.now += 5_000;
    cluster.schedule();
    assert_eq!(told(&cluster), waits, "it waits since then");

    let mut cluster = submitted(spec(1, 0, 1, 1), &[4], None);
    cluster.schedule();
    assert_eq!(told(&cluster), "Preparing the driver; SCHEDULED since 1970-01-12T13:46:40Z.");
    cluster.now += 3_000;
    cluster.flow();
    assert_eq!(told(&cluster), "RUNNING since 1970-01-12T13:46:43Z.");
}

#[test]
fn what_was_missing_at_submission_is_told_until_the_driver_runs() {
    let mut doubtful = spec(1, 0, 1, 1);
    doubtful.doubts = vec![
        "entryPoint s3://b/x.py did not exist".to_owned(),
        "--jars s3://b/x.jar did not exist".to_owned(),
    ];
    let mut cluster = submitted(doubtful, &[4], None);
    let doubts =
        "When it was submitted, entryPoint s3://b/x.py did not exist; --jars s3://b/x.jar did not exist.";
    assert!(told(&cluster).ends_with(doubts), "{}", told(&cluster));
    cluster.schedule();
    assert!(told(&cluster).ends_with(doubts), "{}", told(&cluster));
    cluster.flow();
    assert!(!told(&cluster).contains("submitted"), "{}", told(&cluster));
}

#[test]
fn a_bundle_for_other_machines_is_told_of() {
    let spec = spec(1, 0, 1, 1);
    assert_eq!(doubt_of_bundle(&spec, Architecture::X86_64), None);
    let doubt = doubt_of_bundle(&spec, Architecture::Arm64).expect("a doubt");
    assert!(doubt.ends_with("was made for ARM64, and its Python packages do not run on X86_64"), "{doubt}");
}

#[test]
fn executors_that_can_never_come_are_told_of_and_no_others() {
    // (vCPU of hosts, the application's limit in vCPU, the account's) → what stands in the way of an executor of 4
    let cases = [
        (&[8][..], None, None, None),
        (&[4, 4], None, None, None),
        (&[4], None, None, Some("fits on any host beside the driver")),
        (&[2, 3], None, None, Some("fits on any host beside the driver")),
        (&[8], Some(5), None, None),
        (&[8], Some(4), None, Some("the application's maximum capacity is 4 vCPU")),
        (&[8], None, Some(5), None),
        (&[8], None, Some(4), Some("the account's quota is 4 vCPU")),
    ];
    for (hosts, limit, quota, expected) in cases {
        let limit = limit.map(|vcpu| WorkerSize::new(vcpu, 1 << 20, 1 << 20));
        let mut cluster = submitted(spec(1, 1, 4, 1), hosts, limit);
        cluster.rows.quotas = Quotas { vcpus: quota, ..Quotas::default() };
        cluster.world = cluster.rows.world();
        let check = |cluster: &Cluster| {
            let told = told(cluster);
            match expected {
                Some(obstacle) => {
                    assert!(told.contains("No executor (4 vCPU"), "{hosts:?}: {told}");
                    assert!(told.contains(obstacle), "{hosts:?}: {told}");
                }
                None => assert!(!told.contains("No executor"), "{hosts:?}: {told}"),
            }
        };
        check(&cluster);
        cluster.schedule();
        cluster.flow();
        assert_eq!(cluster.run("r").state(), JobRunState::Running, "{hosts:?}");
        check(&cluster);
    }
}

#[test]
fn the_story_of_a_job_run_is_told_in_order() {
    let mut doubtful = spec(1, 1, 1, 2);
    doubtful.doubts = vec!["entryPoint s3://b/x.py did not exist".to_owned()];
    let mut cluster = submitted(doubtful, &[4], None);
    cluster.now += 1_000;
    cluster.schedule();
    cluster.now += 1_000;
    cluster.flow();
    let mut workers: Vec<Worker> = cluster.world.workers_of(&run_id("r")).cloned().collect();
    let first = workers.iter().find(|worker| worker.role == Role::Driver).expect("a driver").clone();
    cluster.pass(10_000);
    end(&mut cluster, &first, Exit { code: Some(1), ..Exit::default() });
    let ended = WorkerState::Ended { at: cluster.by_the_clocks().at, ran: None };
    workers.iter_mut().filter(|worker| worker.id == first.id).for_each(|worker| worker.state = ended.clone());
    let told: Vec<(i64, String)> = timeline(&cluster.world, cluster.run("r"), &workers)
        .into_iter()
        .map(|event| (event.at_ms - 1_000_000_000, event.what))
        .collect();
    let failed = "Job failed, the driver ended with exit code 1 and no exception. \
                  Please check complete logs in the configured logging destination.";
    let expected = [
        (0, "submitted; entryPoint s3://b/x.py did not exist".to_owned()),
        (1_000, format!("driver of attempt 1 placed on host-h0 (agent h0), worker {}", first.id)),
        (2_000, "driver of attempt 1 runs".to_owned()),
        (2_000, "first executor runs; 1 of 1 placed so far have run".to_owned()),
        (12_000, format!("attempt 1 failed (EXIT_CODE): {failed}")),
        (12_000, "driver of attempt 1 is gone from host-h0 (agent h0)".to_owned()),
        (12_000, format!("Attempt 2 follows in 1 s. {failed}")),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_driver_that_fits_nowhere_is_told_of_first() {
    let mut cluster = submitted(spec(8, 1, 8, 1), &[4], None);
    cluster.schedule();
    let told = told(&cluster);
    assert!(told.contains("no host is that large"), "{told}");
    assert!(!told.contains("No executor"), "{told}");
    cluster.cancel("r", Duration::ZERO);
    assert!(cluster.world.run(&run_id("r")).is_none(), "it holds nothing and is over");
}
