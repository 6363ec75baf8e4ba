//! Single rules of the coordinator, one story each: placing, waiting, failing, and coming back.

mod world_model;

use hearth_coordinator_core::command::{Command, Decision, DriverWord, Effect, News, Refusal};
use hearth_coordinator_core::job_run::{
    CancelCause, DriverApp, ExecutorProfile, ExecutorTally, Outcome, Retries, RunPhase, RunSpec,
};
use hearth_coordinator_core::release::{Release, ReleaseState};
use hearth_coordinator_core::schedule::{Plan, schedule};
use hearth_coordinator_core::timeline::timeline;
use hearth_coordinator_core::worker::{Exit, Role, Worker, WorkerState};
use hearth_types::{ApplicationState, Architecture, JobRunState, Launch, WorkerSize};
use std::collections::BTreeSet;
use std::time::Duration;
use world_model::{
    Cluster, agent, agent_id, application, application_id, end, ready, release_label, run_id, spec, start,
};

/// Milliseconds after which an agent out of contact is lost.
const LOST_AFTER: i64 = 600_000;

/// One application, two hosts, one job run whose driver (and executors) run.
fn running(spec: RunSpec) -> Cluster {
    let mut cluster = Cluster::in_service(vec![application("app")], vec![agent("a", 8), agent("b", 8)]);
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
    let workers = cluster.world.workers_of(&run);
    workers.filter(|worker| worker.role != Role::Driver && worker.serves()).cloned().collect()
}

fn say(cluster: &mut Cluster, word: DriverWord) -> Decision {
    let driver = driver(cluster);
    let said = Command::DriverSaid { agent: driver.agent, worker: driver.id, launch: driver.launch, word };
    cluster.ask(said).expect("never refused")
}

fn profile(profile_id: u32, count: u32) -> ExecutorProfile {
    ExecutorProfile { profile_id, count, cores: 1, heap_mib: 1024, total_mib: 2048 }
}

fn fails() -> Exit {
    Exit { code: Some(1), ..Exit::default() }
}

fn details(cluster: &mut Cluster) -> String {
    cluster.schedule();
    cluster.run("r").details.clone()
}

#[test]
fn first_executors_are_prepared_beside_their_driver() {
    let mut cluster = Cluster::in_service(vec![application("app")], vec![agent("a", 8), agent("b", 8)]);
    cluster.ask(start("r", "app", spec(1, 2, 1, 1))).expect("accepted");
    let plan = schedule(&cluster.world);
    let agents: Vec<&str> = plan.placements.iter().map(|placement| placement.agent.as_str()).collect();
    assert_eq!(agents, ["a", "a", "a"], "near their driver");
    cluster.schedule();
    assert_eq!(cluster.workers(&run_id("r")).len(), 3);
}

#[test]
fn executors_go_to_the_job_run_submitted_first() {
    let mut cluster = Cluster::in_service(vec![application("app")], vec![agent("a", 2)]);
    // Named so that the order of ids is not the order of submission.
    for run in ["z", "b"] {
        cluster.ask(start(run, "app", spec(1, 2, 1, 1))).expect("accepted");
        cluster.now += 1;
    }
    cluster.schedule();
    let count = |cluster: &Cluster, run| cluster.workers(&run_id(run)).len();
    assert_eq!((count(&cluster, "z"), count(&cluster, "b")), (1, 1), "the drivers alone");
    cluster.hosts[0].agent.offered = agent("a", 5).offered;
    cluster.attach(0);
    cluster.schedule();
    assert_eq!((count(&cluster, "z"), count(&cluster, "b")), (3, 2));
}

#[test]
fn a_worker_goes_where_it_leaves_the_least() {
    // (free vCPU and memory in GiB of each host, the worker's) → the host taken
    let cases = [
        ([(8, 32), (4, 16)], (4, 16), 1),
        ([(4, 16), (8, 32)], (4, 16), 0),
        // Memory is what gets scarce on the first host, CPU on the second.
        ([(16, 9), (9, 64)], (1, 8), 0),
        ([(16, 64), (9, 64)], (8, 8), 1),
        ([(8, 32), (8, 32)], (1, 1), 0),
        ([(2, 32), (8, 32)], (4, 1), 1),
    ];
    for (hosts, (vcpu, memory), taken) in cases {
        let host = |(index, (vcpu, memory)): (usize, &(u64, u64))| {
            let mut agent = agent(&format!("h{index}"), 1);
            agent.offered = WorkerSize::new(*vcpu, memory * 1024, 100);
            agent
        };
        let hosts_offered = hosts.iter().enumerate().map(host).collect();
        let mut cluster = Cluster::in_service(vec![application("app")], hosts_offered);
        let mut spec = spec(1, 0, 1, 1);
        spec.driver.size = WorkerSize::new(vcpu, memory * 1024, 20);
        cluster.ask(start("r", "app", spec)).expect("accepted");
        let plan = schedule(&cluster.world);
        assert_eq!(plan.placements[0].agent, agent_id(&format!("h{taken}")), "{hosts:?}");
    }
}

#[test]
fn a_waiting_job_run_says_what_is_missing() {
    let in_service = || Cluster::in_service(vec![application("app")], vec![agent("a", 4)]);
    let submit = |cluster: &mut Cluster, driver| {
        cluster.ask(start("r", "app", spec(driver, 0, 1, 1))).expect("accepted");
    };

    let mut none = Cluster::new(vec![application("app")], vec![agent("a", 4)]);
    submit(&mut none, 1);
    assert_eq!(details(&mut none), "Preparing release spark-3.5 for the first time: starting.");
    none.ask(Command::ReleaseIs(ready())).expect("told");
    assert_eq!(details(&mut none), "Waiting for a host: no X86_64 agent is in contact.");
    none.hosts[0].agent.architecture = Architecture::Arm64;
    none.attach(0);
    assert_eq!(details(&mut none), "Waiting for a host: no X86_64 agent is in contact.");
    none.hosts[0].agent.architecture = Architecture::X86_64;
    none.hosts[0].agent.java = vec![11];
    none.attach(0);
    assert!(details(&mut none).starts_with("Waiting for a host with the JDK that release spark-3.5 needs"));
    assert_eq!(none.run("r").state(), JobRunState::Pending);

    let mut large = in_service();
    submit(&mut large, 5);
    assert!(details(&mut large).ends_with("no host is that large."));

    let mut full = in_service();
    for other in ["r-1", "r-2", "r-3"] {
        full.ask(start(other, "app", spec(3, 0, 1, 1))).expect("accepted");
        full.now += 1;
    }
    submit(&mut full, 2);
    assert_eq!(
        details(&mut full),
        "Waiting for 2 vCPU, 4 GB memory, 20 GB disk for the driver; 2 job runs ahead."
    );
}

#[test]
fn limits_of_the_application_say_who_is_ahead_within_it() {
    let mut narrow = application("app");
    narrow.concurrency = Some(1);
    let mut capped = application("capped");
    capped.maximum_capacity = Some(WorkerSize::new(4, 65_536, 1000));
    let mut cluster = Cluster::in_service(vec![narrow, capped], vec![agent("a", 16)]);
    for (run, app) in [("1", "app"), ("2", "capped"), ("3", "app"), ("4", "capped"), ("r", "app")] {
        cluster.ask(start(run, app, spec(3, 0, 1, 1))).expect("accepted");
        cluster.now += 1;
    }
    assert_eq!(
        details(&mut cluster),
        "Waiting for one of 1 concurrent job runs of the application to end; 1 job run ahead."
    );
    assert_eq!(cluster.run("r").state(), JobRunState::Queued);
    assert_eq!(cluster.run("4").state(), JobRunState::Pending);
    assert!(
        cluster
            .run("4")
            .details
            .ends_with("maximum capacity is 4 vCPU, 64 GB memory, 1000 GB disk; 0 job runs ahead.")
    );
    let beyond = cluster.ask(start("5", "capped", spec(5, 0, 1, 1)));
    assert!(matches!(beyond, Err(Refusal::BeyondMaximumCapacity { .. })), "{beyond:?}");
}

#[test]
fn a_reason_speaks_of_what_is_left_once_executors_are_placed() {
    let mut capped = application("app");
    capped.maximum_capacity = Some(WorkerSize::new(4, 65_536, 1000));
    let mut cluster = Cluster::in_service(vec![capped], vec![agent("a", 3)]);
    cluster.ask(start("1", "app", spec(1, 2, 1, 1))).expect("accepted");
    cluster.now += 1;
    cluster.ask(start("r", "app", spec(3, 0, 1, 1))).expect("accepted");
    // The model checks that planning again finds nothing else to say.
    assert!(details(&mut cluster).contains("the application's maximum capacity is 4 vCPU"));
}

#[test]
fn one_job_run_leaving_a_long_queue_rewrites_few_of_the_others() {
    let mut narrow = application("app");
    narrow.concurrency = Some(1);
    let mut cluster = Cluster::in_service(vec![narrow], vec![agent("a", 16)]);
    for run in 0..300 {
        cluster.ask(start(&format!("r-{run:03}"), "app", spec(1, 0, 1, 1))).expect("accepted");
        cluster.now += 1;
    }
    cluster.schedule();
    assert!(cluster.run("r-299").details.ends_with("more than 200 job runs ahead."));
    let first = cluster.world.run(&run_id("r-000")).expect("runs").driver().expect("driver").clone();
    let first = cluster.world.worker(&first).expect("live").clone();
    end(&mut cluster, &first, Exit { code: Some(0), ..Exit::default() });
    let rewritten = schedule(&cluster.world).waiting.len();
    assert!((1..25).contains(&rewritten), "{rewritten} rows are written again");
}

#[test]
fn a_stale_plan_is_checked_against_the_world_as_it_is() {
    let mut narrow = application("app");
    narrow.concurrency = Some(1);
    let mut cluster = Cluster::in_service(vec![narrow], vec![agent("a", 4), agent("b", 4)]);
    cluster.ask(start("r", "app", spec(1, 0, 1, 1))).expect("accepted");
    let stale = schedule(&cluster.world);
    let place = |cluster: &mut Cluster, plan: &Plan| cluster.place(plan).changes.len();
    cluster.hosts[0].agent.java = vec![8];
    cluster.attach(0);
    assert_eq!(place(&mut cluster, &stale), 0, "the host lost its JDK");
    cluster.hosts[0].agent.java = vec![17];
    cluster.attach(0);
    cluster.cut_off(0);
    assert_eq!(place(&mut cluster, &stale), 0, "the host is out of contact");
    cluster.attach(0);
    assert_eq!(place(&mut cluster, &stale), 2, "it holds: the job run and its driver");
    assert_eq!(place(&mut cluster, &stale), 0, "it was carried out already");
    cluster.ask(start("s", "app", spec(1, 0, 1, 1))).expect("accepted");
    let mut other = stale;
    other.placements[0].run = run_id("s");
    assert_eq!(place(&mut cluster, &other), 0, "one job run at a time");
}

#[test]
fn a_stale_plan_finds_no_room_that_was_taken_or_withdrawn_since() {
    // Two job runs of three vCPU each, where there is room for one.
    let submitted = |limit, vcpu| {
        let mut capped = application("app");
        capped.maximum_capacity = limit;
        let mut cluster = Cluster::in_service(vec![capped], vec![agent("a", vcpu)]);
        cluster.ask(start("r", "app", spec(3, 0, 1, 1))).expect("accepted");
        let stale = schedule(&cluster.world);
        assert_eq!(stale.placements.len(), 1, "a plan for the first alone");
        (cluster, stale)
    };
    let place_other = |cluster: &mut Cluster, stale: &Plan| {
        cluster.ask(start("s", "app", spec(3, 0, 1, 1))).expect("accepted");
        let mut other = stale.clone();
        other.placements[0].run = run_id("s");
        cluster.place(&other);
        assert!(cluster.run("s").driver().is_some(), "there is room for one");
    };

    let (mut cluster, stale) = submitted(None, 5);
    place_other(&mut cluster, &stale);
    assert_eq!(cluster.place(&stale).changes, [], "the host is full");

    let (mut cluster, stale) = submitted(None, 5);
    cluster.hosts[0].agent.offered = agent("a", 2).offered;
    cluster.attach(0);
    assert_eq!(cluster.place(&stale).changes, [], "the host offers less");

    let (mut cluster, stale) = submitted(Some(WorkerSize::new(5, 65_536, 1000)), 8);
    place_other(&mut cluster, &stale);
    assert_eq!(cluster.place(&stale).changes, [], "the application holds all it may");
}

#[test]
fn a_driver_cannot_ask_for_endless_executors_of_no_size() {
    let mut cluster = running(spec(1, 0, 1, 1));
    let boundless = ExecutorProfile { profile_id: 3, count: u32::MAX, cores: 0, heap_mib: 0, total_mib: 0 };
    say(&mut cluster, DriverWord::Wants(vec![boundless]));
    cluster.schedule();
    assert_eq!(executors(&cluster).len(), 15, "as many as the hosts hold beside the driver");
    let smallest = WorkerSize::new(1, 512, 20);
    assert!(executors(&cluster).iter().all(|executor| executor.size == smallest), "each has a size");
}

#[test]
fn prepared_executors_wait_for_the_drivers_first_word_and_go_with_it() {
    let mut cluster = Cluster::in_service(vec![application("app")], vec![agent("a", 8)]);
    cluster.ask(start("r", "app", spec(1, 3, 1, 1))).expect("accepted");
    cluster.schedule();
    let registered = say(&mut cluster, DriverWord::Registered(DriverApp::default()));
    let told = registered.effects.iter().filter(|effect| matches!(effect, Effect::Run(_))).count();
    assert_eq!(told, 3, "all are told where the driver listens");
    cluster.schedule();
    assert_eq!(executors(&cluster).len(), 3, "registering takes none away");
    say(&mut cluster, DriverWord::Wants(vec![profile(5, 1)]));
    cluster.schedule();
    let left = executors(&cluster);
    assert_eq!(left.len(), 1, "a profile that is not named is wanted no longer");
    assert!(matches!(left[0].role, Role::Executor { profile: 5, executor: 4, .. }), "{left:?}");
    say(&mut cluster, DriverWord::Wants(Vec::new()));
    cluster.schedule();
    assert_eq!(executors(&cluster).len(), 0);
}

#[test]
fn running_executors_are_the_drivers_to_give_back() {
    let mut cluster = running(spec(1, 3, 1, 1));
    say(&mut cluster, DriverWord::Wants(vec![profile(0, 1)]));
    cluster.schedule();
    assert_eq!(executors(&cluster).len(), 3);
    say(&mut cluster, DriverWord::GivesBack(vec![1, 3]));
    cluster.flow();
    let left = executors(&cluster);
    assert_eq!(left.len(), 1);
    assert!(matches!(left[0].role, Role::Executor { executor: 2, .. }));
    say(&mut cluster, DriverWord::Unregistered);
    cluster.schedule();
    cluster.flow();
    assert_eq!(cluster.workers(&run_id("r")).len(), 1, "the driver alone");
}

#[test]
fn an_executor_that_dies_again_and_again_ends_the_attempt_and_at_last_the_job_run() {
    let mut cluster = running(spec(1, 1, 1, 2));
    say(&mut cluster, DriverWord::Registered(DriverApp::default()));
    for attempt in 1..=2 {
        assert_eq!(cluster.run("r").launch.attempt, attempt);
        for failure in 1..=3 {
            assert_eq!(cluster.run("r").given_up, None, "after {failure} failures");
            let executor = executors(&cluster).remove(0);
            let decision = end(&mut cluster, &executor, fails());
            let blames = |effect: &Effect| {
                matches!(effect, Effect::News { news: News::Exited { caused_by_app: true, .. }, .. })
            };
            assert!(decision.effects.iter().any(blames), "the driver is told");
            cluster.schedule();
        }
        assert!(matches!(driver(&cluster).state, WorkerState::Stopping { .. }), "the driver has to end");
        assert_eq!(executors(&cluster).len(), 0, "and gets no more executors");
        if attempt == 1 {
            // Whatever its exit code: it was ended by us.
            let driver = driver(&cluster);
            end(&mut cluster, &driver, Exit { code: Some(0), ..Exit::default() });
            assert_eq!(cluster.run("r").executors.failed, 3);
            cluster.flow();
            cluster.pass(1000);
            cluster.schedule();
            assert_eq!(cluster.run("r").executors, ExecutorTally { failed: 0, most_wanted: 1 });
            cluster.flow();
        }
    }
    let driver = driver(&cluster);
    let last = end(&mut cluster, &driver, fails());
    assert_eq!(cluster.outcomes[&run_id("r")], Outcome::Failed);
    let details = format!("{:?}", last.changes);
    assert!(
        details.contains(
            "Job failed, 3 executors failed, which is the limit for 1 wanted. \
             The last one: the executor ended with exit code 1."
        ),
        "{details}"
    );
}

#[test]
fn only_failures_that_would_repeat_count_against_the_executor_limit() {
    // (exit, counts)
    let cases = [
        (Exit { code: Some(1), ..Exit::default() }, true),
        (Exit { signal: Some(9), oom_killed: true, ..Exit::default() }, true),
        (Exit { signal: Some(11), ..Exit::default() }, true),
        (Exit { launch_error: "no such file".to_owned(), ..Exit::default() }, true),
        (Exit { code: Some(0), ..Exit::default() }, false),
        (Exit { signal: Some(15), ..Exit::default() }, false),
        (Exit::lost("host gone"), false),
    ];
    for (exit, counts) in cases {
        let mut cluster = running(spec(1, 2, 1, 1));
        let executor = executors(&cluster).remove(0);
        end(&mut cluster, &executor, exit.clone());
        assert_eq!(cluster.run("r").executors.failed, u32::from(counts), "{exit:?}");
        // One that was told to end is no failure, whatever its exit says.
        say(&mut cluster, DriverWord::GivesBack(vec![1, 2]));
        let told = cluster.workers(&run_id("r")).into_iter().map(|(_, worker)| worker);
        for worker in told.filter(|worker| !worker.serves()).collect::<Vec<_>>() {
            end(&mut cluster, &worker, exit.clone());
        }
        assert_eq!(cluster.run("r").executors.failed, u32::from(counts), "{exit:?} when told");
    }
}

/// The end of a worker that its host could not start.
fn not_launched() -> Exit {
    Exit { launch_error: "no process left".to_owned(), ..Exit::lost("the host could not start it") }
}

#[test]
fn a_driver_that_its_host_cannot_start_begins_on_another_and_no_attempt_is_used_up() {
    let hosts = ["a", "b", "c", "d"].map(|name| agent(name, 4)).to_vec();
    let mut cluster = Cluster::in_service(vec![application("app")], hosts);
    cluster.flow();
    cluster.ask(start("r", "app", spec(1, 1, 1, 1))).expect("accepted");
    let mut tried = BTreeSet::new();
    for launch in 1..=3 {
        cluster.schedule();
        let driver = driver(&cluster);
        assert_eq!(driver.launch, Launch { attempt: 1, launch });
        assert!(tried.insert(driver.agent.clone()), "{} could not start it", driver.agent);
        end(&mut cluster, &driver, not_launched());
        cluster.flow();
    }
    assert_eq!(cluster.outcomes[&run_id("r")], Outcome::Failed, "not round for ever");

    // What the job's own role prevents, no other host can do.
    let mut cluster = running(spec(1, 0, 1, 1));
    let first = driver(&cluster);
    end(&mut cluster, &first, Exit { launch_error: "no role".to_owned(), ..Exit::default() });
    assert_eq!(cluster.outcomes[&run_id("r")], Outcome::Failed);

    // The only host there is gets the next attempt all the same.
    let mut cluster = Cluster::in_service(vec![application("app")], vec![agent("a", 4)]);
    cluster.flow();
    cluster.ask(start("r", "app", spec(1, 1, 1, 2))).expect("accepted");
    cluster.schedule();
    let first = driver(&cluster);
    end(&mut cluster, &first, not_launched());
    cluster.flow();
    cluster.pass(1000);
    cluster.schedule();
    assert_eq!(driver(&cluster).launch, Launch { attempt: 2, launch: 1 });
}

#[test]
fn executors_keep_away_from_a_host_that_could_not_start_one() {
    let hosts = ["a", "b"].map(|name| agent(name, 2)).to_vec();
    let mut cluster = Cluster::in_service(vec![application("app")], hosts);
    cluster.flow();
    cluster.ask(start("r", "app", spec(1, 2, 1, 1))).expect("accepted");
    cluster.schedule();
    cluster.flow();
    let driver = driver(&cluster);
    let beside = |worker: &Worker| worker.agent == driver.agent;
    let failed = executors(&cluster).into_iter().find(|worker| beside(worker)).expect("one beside it");
    end(&mut cluster, &failed, not_launched());
    assert_eq!(cluster.run("r").executors.failed, 1, "it is not tried for ever");
    cluster.flow();
    cluster.schedule();
    let placed = executors(&cluster);
    assert_eq!((placed.len(), placed.iter().filter(|worker| beside(worker)).count()), (2, 0));
}

#[test]
fn the_executor_limit_grows_with_what_was_wanted() {
    for (most_wanted, limit) in [(0, 3), (1, 3), (2, 4), (100, 200), (u32::MAX, u32::MAX)] {
        assert_eq!(ExecutorTally { failed: 0, most_wanted }.limit(), limit);
    }
    let mut cluster = running(spec(1, 1, 1, 1));
    say(&mut cluster, DriverWord::Wants(vec![profile(0, 6), profile(1, 3)]));
    say(&mut cluster, DriverWord::Wants(vec![profile(0, 1)]));
    assert_eq!(cluster.run("r").executors.most_wanted, 9, "less wanted later does not lower it");
}

#[test]
fn a_failed_attempt_is_followed_by_the_next_and_its_executors_end_first() {
    let mut cluster = running(spec(1, 2, 1, 2));
    let (first, old) = (driver(&cluster), executors(&cluster));
    let decision = end(&mut cluster, &first, fails());
    let stopped = decision.effects.iter().filter(|effect| matches!(effect, Effect::Stop { .. })).count();
    assert_eq!((stopped, old.len()), (2, 2));
    assert_eq!(cluster.run("r").launch, Launch { attempt: 2, launch: 1 });
    assert!(cluster.run("r").details.starts_with("Attempt 2 follows in 1 s. Job failed"));
    cluster.pass(1000);
    cluster.schedule();
    assert_eq!(cluster.run("r").driver(), None, "executors of the first attempt are not gone yet");
    cluster.flow();
    cluster.schedule();
    cluster.flow();
    // A late word about the first attempt changes nothing.
    let late = end(&mut cluster, &first, Exit { code: Some(0), ..Exit::default() });
    assert_eq!(late.changes, []);
    let second = driver(&cluster);
    end(&mut cluster, &second, fails());
    assert_eq!(cluster.outcomes[&run_id("r")], Outcome::Failed);
}

#[test]
fn an_attempt_that_failed_at_once_is_followed_after_a_pause_that_survives_a_restart() {
    let mut cluster = running(spec(1, 0, 1, 4));
    let ended_at = cluster.now + 30_000;
    cluster.pass(30_000);
    let first = driver(&cluster);
    end(&mut cluster, &first, fails());
    let attempts = &cluster.run("r").failed_attempts;
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].attempt, attempts[0].ended_at.as_millis()), (1, ended_at));
    assert_eq!(attempts[0].started_at, cluster.run("r").started_at);
    assert_eq!(cluster.run("r").attempt_created_at().as_millis(), ended_at);
    cluster.pass(999);
    // A wall clock that jumps makes it neither longer nor shorter.
    cluster.now -= 3_600_000;
    cluster.schedule();
    assert_eq!(cluster.run("r").driver(), None);
    cluster.restart();
    cluster.attach(0);
    cluster.attach(1);
    cluster.pass(999);
    cluster.now += 7_200_000;
    cluster.schedule();
    assert_eq!(cluster.run("r").driver(), None, "the new term begins the pause anew");
    cluster.pass(1);
    cluster.schedule();
    cluster.flow();
    // One that ran for a while is followed without a pause.
    cluster.pass(60_000);
    let second = driver(&cluster);
    end(&mut cluster, &second, fails());
    assert_eq!(cluster.run("r").pause, None);
    cluster.schedule();
    assert_eq!(driver(&cluster).launch.attempt, 3);
}

/// Run `r` fails once an hour; the attempts are those that follow.
fn fail_each_hour(cluster: &mut Cluster, attempts: std::ops::RangeInclusive<u32>) {
    for attempt in attempts {
        cluster.pass(3_600_000);
        let failed = driver(cluster);
        end(cluster, &failed, fails());
        assert_eq!(cluster.run("r").launch.attempt, attempt);
        cluster.schedule();
        cluster.flow();
    }
}

#[test]
fn a_streaming_job_run_is_tried_again_unless_too_many_attempts_failed_within_an_hour() {
    let mut streaming = spec(1, 0, 1, 1);
    streaming.retries = Retries::FailuresPerHour(2);
    let mut cluster = running(streaming);
    // One failure in an hour is borne for ever.
    fail_each_hour(&mut cluster, 2..=6);
    cluster.pass(3_599_999);
    let failed = driver(&cluster);
    end(&mut cluster, &failed, fails());
    assert_eq!(cluster.outcomes[&run_id("r")], Outcome::Failed, "two within an hour");

    let mut never = spec(1, 0, 1, 1);
    never.retries = Retries::FailuresPerHour(1);
    let mut cluster = running(never);
    let failed = driver(&cluster);
    end(&mut cluster, &failed, fails());
    assert_eq!(cluster.outcomes[&run_id("r")], Outcome::Failed, "1 means no retries");
}

#[test]
fn a_streaming_job_run_that_fails_for_ever_remembers_its_latest_attempts_alone() {
    let mut streaming = spec(1, 0, 1, 1);
    streaming.retries = Retries::FailuresPerHour(2);
    let mut cluster = running(streaming);
    assert_eq!(cluster.run("r").remembered_attempts(), 1..=1);
    fail_each_hour(&mut cluster, 2..=60);
    let run = cluster.run("r");
    assert_eq!((run.failed_attempts.len(), run.remembered_attempts()), (50, 10..=60));
    let told: Vec<String> = timeline(&cluster.world, run, &[]).into_iter().map(|event| event.what).collect();
    assert_eq!(told[1], "9 attempts had failed");
    assert!(told[2].starts_with("attempt 10 failed (EXIT_CODE): "), "{told:?}");
}

#[test]
fn the_execution_timeout_covers_the_wait_between_attempts() {
    let mut limited = spec(1, 0, 1, 3);
    limited.timeout = Some(Duration::from_secs(60));
    let mut cluster = running(limited);
    cluster.pass(40_000);
    let first = driver(&cluster);
    end(&mut cluster, &first, fails());
    assert_eq!(cluster.run("r").state(), JobRunState::Pending);
    cluster.pass(19_999);
    assert_eq!(cluster.run("r").state(), JobRunState::Pending);
    cluster.pass(1);
    assert_eq!(cluster.outcomes[&run_id("r")], Outcome::Cancelled);
}

#[test]
fn a_run_that_times_out_says_so_and_is_cancelled_once_its_driver_is_gone() {
    let mut limited = spec(1, 1, 1, 3);
    limited.timeout = Some(Duration::from_secs(120));
    let mut cluster = running(limited);
    cluster.pass(120_000);
    assert!(matches!(cluster.run("r").phase, RunPhase::Cancelling { cause: CancelCause::TimedOut, .. }));
    assert_eq!(
        cluster.run("r").details,
        "Job run exceeded its execution timeout of 2 minutes and was cancelled."
    );
    cluster.flow();
    assert_eq!(cluster.outcomes[&run_id("r")], Outcome::Cancelled);
}

#[test]
fn a_silent_host_loses_its_workers_only_after_its_drivers_lease() {
    let mut cluster = running(spec(1, 0, 1, 2));
    let host = cluster.workers(&run_id("r"))[0].0;
    // The other one as well: there nobody could go on.
    cluster.cut_off(0);
    cluster.cut_off(1);
    cluster.pass(LOST_AFTER - 1);
    assert_eq!(cluster.run("r").launch.attempt, 1);
    cluster.pass(1);
    assert_eq!(cluster.run("r").launch.attempt, 2);
    assert!(cluster.run("r").details.contains("out of contact for 600 s"), "{}", cluster.run("r").details);
    cluster.attach(1 - host);
    cluster.pass(1000);
    cluster.schedule();
    assert_ne!(driver(&cluster).agent, cluster.hosts[host].agent.id);
    // When it comes back, what it still holds is ended.
    cluster.attach(host);
    cluster.flow();
    assert!(cluster.hosts[host].processes.is_empty());
}

#[test]
fn a_host_that_died_while_the_coordinator_was_down_is_lost_in_the_end() {
    let mut cluster = running(spec(1, 0, 1, 1));
    let host = cluster.workers(&run_id("r"))[0].0;
    cluster.now += 3_600_000;
    cluster.restart();
    cluster.pass(LOST_AFTER - 1);
    assert_eq!(cluster.run("r").state(), JobRunState::Running, "it is given the whole time to come back");
    cluster.hosts[host].processes.clear();
    cluster.pass(1);
    assert_eq!(cluster.outcomes[&run_id("r")], Outcome::Failed);
}

#[test]
fn a_driver_that_may_have_missed_the_end_of_an_executor_is_told_again_without_blame() {
    let mut cluster = running(spec(1, 2, 1, 1));
    let executor = executors(&cluster).remove(0);
    let Role::Executor { executor: number, .. } = executor.role else { panic!("an executor") };
    let at = cluster.workers(&run_id("r"))[0].0;
    end(&mut cluster, &executor, fails());
    // The word is on its way when the stream breaks, and the coordinator with it.
    cluster.restart();
    cluster.attach(at);
    let told: Vec<News> = cluster.hosts[at]
        .inbox
        .iter()
        .filter_map(|effect| match effect {
            Effect::News { news, .. } => Some(news.clone()),
            _ => None,
        })
        .collect();
    let again = News::Exited {
        executor: number,
        code: 1,
        caused_by_app: false,
        reason: "the executor ended with exit code 1".to_owned(),
    };
    assert_eq!(told, [again]);
    assert_eq!(cluster.run("r").executors.failed, 1, "counted once");
    // Only so many are remembered, the latest.
    for number in 0..40 {
        cluster.schedule();
        cluster.flow();
        let executor = executors(&cluster).pop().expect("one that was started");
        end(&mut cluster, &executor, Exit::lost(format!("{number}")));
    }
    let exits = &cluster.run("r").exits;
    assert_eq!((exits.len(), exits[0].reason.as_str(), exits[31].reason.as_str()), (32, "8", "39"));
}

#[test]
fn a_restart_disturbs_no_job_run() {
    let mut cluster = running(spec(1, 2, 1, 1));
    let before = cluster.workers(&run_id("r"));
    cluster.restart();
    assert_eq!(schedule(&cluster.world), Plan::default());
    for host in 0..2 {
        cluster.attach(host);
    }
    cluster.flow();
    assert_eq!(cluster.workers(&run_id("r")), before);
}

#[test]
fn an_executor_whose_driver_vanished_with_it_is_not_started_again() {
    // The hello lacks both: the end of the driver comes first or second, and neither order may start the executor.
    for _ in 0..2 {
        let mut cluster = Cluster::in_service(vec![application("app")], vec![agent("a", 8)]);
        cluster.flow();
        cluster.ask(start("r", "app", spec(1, 3, 1, 2))).expect("accepted");
        cluster.schedule();
        let driver = driver(&cluster);
        cluster.deliver(0, false);
        cluster.hear(0);
        cluster.hosts[0].processes.clear();
        // The model checks that nothing unwanted is started.
        cluster.attach(0);
        assert!(cluster.world.worker(&driver.id).is_none());
        assert_eq!(cluster.run("r").launch.attempt, 2);
    }
}

#[test]
fn a_release_that_is_ready_stays_ready_and_one_that_fails_fails_who_waits() {
    let mut cluster = Cluster::new(vec![application("app")], vec![agent("a", 8)]);
    let release = |state| Command::ReleaseIs(Release { label: release_label(), state });
    let failed = || release(ReleaseState::Failed { reason: "no network".to_owned() });
    let asked = cluster.ask(start("1", "app", spec(1, 0, 1, 3))).expect("accepted");
    assert_eq!(asked.effects, [Effect::BuildRelease(release_label())]);
    let asked = cluster.ask(start("2", "app", spec(1, 0, 1, 3))).expect("accepted");
    assert_eq!(asked.effects, [], "it is being built already");
    cluster.ask(failed()).expect("told");
    assert_eq!(cluster.outcomes[&run_id("1")], Outcome::Failed);
    assert_eq!(cluster.outcomes[&run_id("2")], Outcome::Failed);
    let asked = cluster.ask(start("3", "app", spec(1, 0, 1, 1))).expect("accepted");
    assert_eq!(asked.effects, [Effect::BuildRelease(release_label())], "the next job run tries again");
    cluster.ask(Command::ReleaseIs(ready())).expect("told");
    for late in [failed(), release(ReleaseState::Building { step: "again".to_owned() })] {
        assert_eq!(cluster.ask(late).expect("told").changes, []);
    }
    assert!(cluster.world.run(&run_id("3")).is_some());
}

#[test]
fn an_idle_application_stops_by_itself_and_a_job_run_starts_it_again() {
    let mut lazy = application("app");
    lazy.idle_timeout = Some(Duration::from_secs(900));
    let mut cluster = Cluster::in_service(vec![lazy], vec![agent("a", 8)]);
    let id = application_id("app");
    let state = |cluster: &Cluster| cluster.world.application(&id).expect("exists").state;
    cluster.ask(Command::StartApplication(id.clone())).expect("started");
    assert_eq!(cluster.world.due_in(cluster.by_the_clocks()), Some(Duration::from_secs(900)));
    cluster.pass(600_000);
    cluster.ask(start("r", "app", spec(1, 0, 1, 1))).expect("accepted");
    cluster.schedule();
    cluster.flow();
    cluster.pass(600_000);
    assert_eq!(state(&cluster), ApplicationState::Started, "a job run keeps it");
    assert_eq!(cluster.world.due_in(cluster.by_the_clocks()), None);
    let driver = driver(&cluster);
    end(&mut cluster, &driver, Exit { code: Some(0), ..Exit::default() });
    cluster.pass(899_999);
    assert_eq!(state(&cluster), ApplicationState::Started, "idle only since the job run ended");
    cluster.pass(1);
    assert_eq!(state(&cluster), ApplicationState::Stopped);
    cluster.ask(start("s", "app", spec(1, 0, 1, 1))).expect("accepted");
    assert_eq!(state(&cluster), ApplicationState::Started);
}

#[test]
fn a_repeated_cancel_is_answered_and_survives_a_broken_stream() {
    let mut cluster = running(spec(1, 0, 1, 2));
    let asked = Duration::from_secs(120);
    let first = cluster.cancel("r", asked);
    assert!(matches!(first.effects[..], [Effect::Stop { grace, .. }] if grace == asked));
    assert_eq!(
        cluster.cancel("r", Duration::from_secs(5)).changes,
        [],
        "a repeated wish is answered and changes nothing"
    );
    cluster.cut_off(0);
    cluster.attach(0);
    cluster.flow();
    assert_eq!(cluster.outcomes[&run_id("r")], Outcome::Cancelled);
}
