//! The disk of the state database is full: who asks hears of it, nothing is half done, and all goes on when there is room.

#![allow(clippy::unwrap_used)] // The lint's exception for tests does not reach their helper functions.

mod small_disk;
#[path = "../../core/tests/world_model/mod.rs"]
mod world_model;

use hearth_coordinator_core::lease::LeaseTerms;
use hearth_coordinator_core::quotas::Quotas;
use hearth_coordinator_core::world::World;
use hearth_engine::{Engine, EngineError};
use hearth_store::Store;
use small_disk::SmallDisk;
use std::collections::BTreeSet;
use std::path::Path;
use tokio::sync::mpsc;
use world_model::{application, create};

/// Two megabytes for the database, its log and the log's index.
const DISK: u64 = 2 << 20;
/// More than fit into the rest of a page of the log, and of its index.
const ASKED: usize = 40;

async fn engine(file: &Path) -> Engine {
    let (effects, mut performed) = mpsc::channel(64);
    tokio::spawn(async move { while performed.recv().await.is_some() {} });
    Engine::start(Store::open(file).await.unwrap(), effects, LeaseTerms::default(), Quotas::default())
        .await
        .unwrap()
}

fn names(world: &World) -> BTreeSet<String> {
    world.applications().map(|application| application.id.to_string()).collect()
}

#[tokio::test]
async fn what_a_full_disk_refuses_is_not_done_and_the_rest_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::mount(DISK) else { return };
    let file = disk.path().join("hearth.db");
    let engine = engine(&file).await;
    let mut kept = BTreeSet::new();
    engine.ask(create(application("before"))).await.unwrap();
    kept.insert("before".to_owned());
    for round in 0..3 {
        disk.fill();
        let mut refused = 0;
        for n in 0..ASKED {
            let name = format!("app-{round}-{n}");
            match engine.ask(create(application(&name))).await {
                Ok(_) => drop(kept.insert(name)),
                Err(EngineError::Store(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(refused > 0, "the disk was not full");
        assert_eq!(names(&engine.snapshot()), kept, "in memory, with {refused} refused");
        disk.free();
        let name = format!("after-{round}");
        engine.ask(create(application(&name))).await.expect("there is room again");
        kept.insert(name);
        assert_eq!(names(&engine.snapshot()), kept);
    }
    let stored = Store::open(&file).await.unwrap().load_world(LeaseTerms::default()).await.unwrap();
    assert_eq!(names(&stored), kept, "on disk");
}
