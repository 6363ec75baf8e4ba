//! Random histories of everything that can happen to the coordinator, with the promises checked after every step
//! (design §5: P2, P3, P4, P8).

#[path = "world_model/story.rs"]
mod story;
mod world_model;

use hearth_coordinator_core::job_run::Outcome;
use hearth_coordinator_core::usage::{Usage, of_worker};
use hearth_coordinator_core::worker::{Role, Worker, WorkerState};
use hearth_types::WorkerSize;
use proptest::prelude::*;
use story::{Story, steps, submissions};
use world_model::agent;

proptest! {
    #[test]
    fn job_runs_that_arrive_are_planned_for_as_if_all_were_looked_at(
        history in proptest::collection::vec(steps(), 1..60),
        arrivals in proptest::collection::vec(proptest::collection::vec((submissions(), 0..2_i64), 1..4), 1..6),
    ) {
        let mut story = Story::new(true);
        history.into_iter().for_each(|step| story.tell(step));
        story.cluster.schedule();
        for together in arrivals {
            for (arrival, later) in together {
                story.cluster.now += later;
                story.tell(arrival);
            }
            story.cluster.schedule();
        }
    }

    #[test]
    fn promises_hold_after_every_step_and_every_run_ends(
        in_service in prop::bool::weighted(0.8),
        history in proptest::collection::vec(steps(), 1..120),
    ) {
        let mut story = Story::new(in_service);
        for step in history {
            story.tell(step);
        }
        for host in &mut story.cluster.hosts {
            host.agent.offered = agent("x", 8).offered;
            host.is_attached = false;
        }
        story.cluster.settle();
        for (run, ..) in &story.started {
            prop_assert!(story.cluster.outcomes.contains_key(run), "{} has no outcome", run);
        }
        for host in &story.cluster.hosts {
            prop_assert_eq!(story.cluster.world.booked(&host.agent.id), WorkerSize::default());
        }
    }

    #[test]
    fn what_hosts_measured_adds_up_to_what_job_runs_used_through_restarts_and_lost_messages(
        history in proptest::collection::vec(steps(), 1..120),
    ) {
        let mut story = Story::new(true);
        history.into_iter().for_each(|step| story.tell(step));
        for host in &mut story.cluster.hosts {
            host.agent.offered = agent("x", 8).offered;
            host.is_attached = false;
        }
        story.cluster.settle();
        let now = story.cluster.by_the_clocks().at;
        let rows: Vec<&Worker> = story.cluster.rows.workers().collect();
        for (run, ..) in &story.started {
            let mut expected = [0_u64; 4];
            for worker in rows.iter().filter(|worker| worker.run == *run) {
                let by_host = story.cluster.hosts.iter().find_map(|host| host.measured.get(&worker.id).copied());
                let WorkerState::Ended { at, ran } = worker.state else { panic!("{worker:?} has not ended") };
                prop_assert!(ran.is_none() || ran == by_host, "{worker:?} ran for {by_host:?}");
                // One that was given up before its host told of it counts as long as that took.
                let millis = match (ran, worker.started_at) {
                    (Some(ran), _) => ran.as_millis(),
                    (None, Some(started)) => at.since(started).as_millis(),
                    (None, None) => continue,
                };
                let seconds = u64::try_from(millis.div_ceil(1000)).expect("a short story");
                expected[0] += seconds * worker.size.cpu_millis;
                expected[1] += seconds * worker.size.memory_mib;
                expected[2] += seconds * worker.size.disk_gib;
                expected[3] += seconds.max(60) * worker.size.cpu_millis;
            }
            let of_run = rows.iter().filter(|worker| worker.run == *run);
            let Usage { total, billed } = of_run.map(|worker| of_worker(worker, now)).sum();
            let told = [
                total.cpu_milli_seconds, total.memory_mib_seconds, total.disk_gib_seconds, billed.cpu_milli_seconds,
            ];
            prop_assert_eq!(told, expected, "{}", run);
        }
        for (run, _) in story.cluster.outcomes.iter().filter(|(_, outcome)| **outcome == Outcome::Success) {
            let drivers = rows.iter().filter(|worker| worker.run == *run && worker.role == Role::Driver);
            let last = drivers.max_by_key(|driver| driver.launch).expect("it had a driver");
            let by_host = story.cluster.hosts.iter().find_map(|host| host.measured.get(&last.id).copied());
            let ran = |worker: &Worker| match worker.state {
                WorkerState::Ended { ran, .. } => ran,
                _ => None,
            };
            prop_assert_eq!(ran(last), by_host, "its end was heard, so it is on record");
        }
    }
}
