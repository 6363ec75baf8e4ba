//! Forgetting, at any point of random histories: only what has ended, whose workers are gone, and whose time has come.

#![allow(clippy::unwrap_used)] // The lint's exception for tests does not reach their helper functions.

#[path = "world_model/story.rs"]
mod story;
mod world_model;

use hearth_coordinator_core::command::{Change, Command};
use hearth_coordinator_core::release::{Release, ReleaseState};
use hearth_coordinator_core::retention::{EndedRun, is_named, is_unused};
use hearth_types::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;
use story::{Step, Story, steps};
use world_model::{Cluster, agent, application, application_id, ready, release_label, run_id, spec, start};

/// Asks to forget all that ever was: what has ended, and what a careless store would take for ended.
fn forget_all(story: &mut Story, keep: u64) -> Vec<EndedRun> {
    let cluster = &mut story.cluster;
    let mut claimed = cluster.rows.ended();
    let told: BTreeSet<_> = claimed.iter().map(|run| run.id.clone()).collect();
    let active = cluster.world.runs().filter(|run| !told.contains(&run.id));
    claimed.extend(active.map(|run| EndedRun {
        ended_at: Timestamp::from_millis(0),
        id: run.id.clone(),
        application: run.application.clone(),
    }));
    let keep = Duration::from_millis(keep);
    let decision = cluster.ask(Command::ForgetJobRuns { ended: claimed, keep }).expect("never refused");
    let forgotten = |change: &Change| match change {
        Change::JobRunForgotten(run) => run.clone(),
        other => panic!("{other:?} is no forgetting"),
    };
    decision.changes.iter().map(forgotten).collect()
}

proptest! {
    #[test]
    fn nothing_is_forgotten_that_is_active_has_workers_or_is_young(
        history in proptest::collection::vec((steps(), prop::option::weighted(0.2, 0..200_000_u64)), 1..100),
    ) {
        let mut story = Story::new(true);
        for (step, forget) in history {
            // A token's repetition means something else once its job run is forgotten.
            if !matches!(step, Step::RepeatStart(..)) {
                story.tell(step);
            }
            let Some(keep) = forget else { continue };
            // The model's store refuses to forget what is not there, is not as it ended, or has live workers.
            let forgotten = forget_all(&mut story, keep);
            let now = Timestamp::from_millis(story.cluster.now);
            for run in &forgotten {
                prop_assert!(story.cluster.outcomes.contains_key(&run.id), "{:?} has not ended", run);
                prop_assert!(now.since(run.ended_at) >= Duration::from_millis(keep), "{:?} at {:?}", run, now);
            }
            for run in story.cluster.rows.ended() {
                let is_old = now.since(run.ended_at) >= Duration::from_millis(keep);
                let has_workers = story.cluster.world.workers_of(&run.id).next().is_some();
                prop_assert!(!is_old || has_workers, "{:?} stays at {:?}", run, now);
            }
            prop_assert!(story.cluster.world == story.cluster.rows.world());
        }
    }
}

fn one_job(ended: bool) -> Cluster {
    let mut cluster = Cluster::in_service(vec![application("app")], vec![agent("a", 8)]);
    cluster.ask(start("r-1", "app", spec(1, 0, 1, 1))).unwrap();
    if ended {
        cluster.settle();
    }
    cluster
}

#[test]
fn a_token_is_remembered_for_as_long_as_its_job_run() {
    let mut cluster = one_job(true);
    let again = cluster.ask(start("r-2", "app", spec(1, 0, 1, 1))).unwrap();
    assert!(!again.changes.is_empty(), "another token makes another job run");
    let ended = cluster.rows.ended();
    let keep = Duration::from_millis(10);
    let token = world_model::token("app", "r-1");
    cluster.now += 9;
    cluster.ask(Command::ForgetJobRuns { ended: ended.clone(), keep }).unwrap();
    assert!(cluster.world.token(&token).is_some());
    cluster.now += 1;
    cluster.ask(Command::ForgetJobRuns { ended, keep }).unwrap();
    assert!(cluster.world.token(&token).is_none());
    assert!(cluster.world.run(&run_id("r-2")).is_some());
}

#[test]
fn a_release_is_unused_without_application_and_active_job_run() {
    let mut cluster = one_job(false);
    let forget = || Command::ForgetRelease(release_label());
    assert!(cluster.ask(forget()).unwrap().changes.is_empty(), "an application is on it");
    cluster.settle();
    cluster.ask(Command::StopApplication(application_id("app"))).unwrap();
    cluster.ask(Command::DeleteApplication(application_id("app"))).unwrap();
    cluster.settle();
    assert!(is_unused(&cluster.world, &release_label()));
    let building = ReleaseState::Building { step: String::new() };
    let mut built = cluster.world.clone();
    built.apply(&Change::Release(Release { label: release_label(), state: building }));
    assert!(!is_unused(&built, &release_label()), "one that is being built is wanted");
    assert_eq!(cluster.ask(forget()).unwrap().changes, [Change::ReleaseForgotten(release_label())]);
    assert!(cluster.world.release(&release_label()).is_none());
    cluster.ask(Command::ReleaseIs(ready())).unwrap();
}

#[test]
fn what_an_active_job_run_is_started_with_is_named() {
    let mut cluster = Cluster::in_service(vec![application("app")], vec![agent("a", 8)]);
    let mut wanted = spec(1, 0, 1, 1);
    wanted.driver.args = vec!["s3://hearth/scripts/abc/job.py".to_owned()];
    wanted.executor.properties.insert("spark.jars".to_owned(), "s3://hearth/scripts/def/lib.jar".to_owned());
    cluster.ask(start("r-1", "app", wanted)).unwrap();
    for (key, named) in
        [("scripts/abc/job.py", true), ("scripts/def/lib.jar", true), ("scripts/abc/lib.jar", false)]
    {
        assert_eq!(is_named(&cluster.world, key), named, "{key}");
    }
    cluster.settle();
    assert!(!is_named(&cluster.world, "scripts/abc/job.py"), "an ended one needs nothing");
}
