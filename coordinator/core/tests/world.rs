//! Random histories of everything that can happen to the coordinator, with the promises checked after every step
//! (design §5: P2, P3, P4, P8).

#[path = "world_model/story.rs"]
mod story;
mod world_model;

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
}
