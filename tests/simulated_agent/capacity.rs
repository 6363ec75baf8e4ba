//! What a host offers is never exceeded, and who waits is told for what.

use crate::autopilot::{Autopilot, Network, total};
use crate::harness::{Cluster, PATIENCE, Submission};
use crate::host::{Host, room_for};
use hearth_coordinator_core::world::World;
use hearth_types::{ApplicationId, WorkerSize};
use serde_json::json;

/// Job runs under way at once.
const CONCURRENCY: usize = 6;
/// The application's maximum, in workers of one core.
const MOST_WORKERS: u64 = 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_run_waits_for_a_full_host_and_starts_when_there_is_room() {
    let cluster = Cluster::start().await;
    let waiting = cluster.submit(&Submission::of_executors(0)).await;
    let reason = "Waiting for a host: no X86_64 agent is in contact.";
    cluster.until_run(&waiting, reason, |run| (run.details == reason).then_some(())).await;

    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let first = stream.driver(&waiting).await;
    stream.say(first.runs()).await;
    let second = cluster.submit(&Submission::of_executors(0)).await;
    let size = WorkerSize { cpu_millis: 1000, memory_mib: 2048, disk_gib: 20 };
    let reason = format!("Waiting for {size} for the driver; 0 job runs ahead.");
    cluster.until_run(&second, &reason, |run| (run.details == reason).then_some(())).await;
    assert_eq!(cluster.shown(&second).await["state"], "PENDING");
    stream.say(first.exits(0)).await;
    let driver = stream.driver(&second).await;
    stream.say(driver.exits(0)).await;
    assert_eq!(cluster.end_of(&second).await.0, "SUCCESS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_holds_its_place_until_its_end_is_confirmed() {
    let cluster = Cluster::start().await;
    let host = Host::enrol(&cluster, room_for(1)).await;
    let stream = host.attach(&cluster, vec![]).await;
    let first = cluster.submit(&Submission::of_executors(0)).await;
    let driver = stream.driver(&first).await;
    stream.say(driver.runs()).await;
    let second = cluster.submit(&Submission::of_executors(0)).await;
    cluster.cancel(&first).await;
    stream.stopped(&driver, 1).await;
    stream.settled().await;
    assert_eq!(cluster.workers_of(&second), []);
    stream.say(driver.is_stopped()).await;
    stream.driver(&second).await;
}

/// Fails if any host or application holds more than it may.
fn check(world: &World, application: &ApplicationId) {
    for agent in world.agents() {
        let held = total(world.workers_on(&agent.id).map(|worker| worker.size));
        assert!(held.fits(&agent.offered), "{} holds {held} of {}", agent.id, agent.offered);
        assert_eq!(held, world.booked(&agent.id));
    }
    let held = world.workers().filter(|worker| worker.application == *application);
    assert!(held.count() as u64 <= MOST_WORKERS);
    let under_way = world.runs_of(application).filter(|run| !run.waits_for_driver()).count();
    assert!(under_way <= CONCURRENCY, "{under_way} job runs are under way");
}

#[tokio::test(flavor = "multi_thread")]
async fn capacity_holds_at_every_instant_while_thirty_job_runs_come_and_go() {
    let cluster = Cluster::start().await;
    let limits = json!({
        "schedulerConfiguration": {"maxConcurrentRuns": CONCURRENCY},
        "maximumCapacity": {"cpu": format!("{MOST_WORKERS} vCPU"), "memory": "1000 GB", "disk": "2000 GB"},
    });
    let application = cluster.application(limits).await;
    let (mut pilots, network) = (Vec::new(), Network::new());
    for room in [5, 4, 3] {
        pilots.push(Autopilot::new(Host::enrol(&cluster, room_for(room)).await, network.clone()));
    }
    let [one, two, three] = &mut pilots[..] else { unreachable!("three were made") };
    let checked = async {
        let mut changes = cluster.engine().changes();
        loop {
            check(&changes.borrow_and_update(), &application);
            changes.changed().await.expect("the engine runs");
        }
    };
    let submitted = async {
        let mut jobs = Vec::new();
        for number in 0..30 {
            let job = cluster.submit_to(&application, &Submission::of_executors(number % 5)).await;
            if number % 6 == 5 {
                // One that is likely to run, and may just have ended.
                let earlier: &crate::harness::Job = &jobs[jobs.len() / 2];
                cluster.try_cancel(earlier).await;
            }
            jobs.push(job);
        }
        let mut ends = Vec::new();
        for job in &jobs {
            ends.push(cluster.end_of(job).await.0);
        }
        let count = |state: &str| ends.iter().filter(|end| *end == state).count();
        assert_eq!(count("SUCCESS") + count("CANCELLED"), 30, "{ends:?}");
        assert!(count("SUCCESS") >= 25, "{ends:?}");
        cluster.until("nothing is left", |world| world.workers().next().is_none().then_some(())).await;
    };
    let flown = async {
        tokio::join!(one.fly(&cluster), two.fly(&cluster), three.fly(&cluster));
    };
    tokio::select! {
        done = tokio::time::timeout(2 * PATIENCE, submitted) => done.expect("all job runs end in time"),
        () = checked => unreachable!("the engine outlives the test"),
        () = flown => unreachable!("agents fly on"),
    }
    let flights: Vec<usize> = pilots.iter().map(|pilot| pilot.started).collect();
    assert!(flights.iter().all(|started| *started > 0), "every host was used: {flights:?}");
}
