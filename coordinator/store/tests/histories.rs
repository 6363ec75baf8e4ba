//! What the coordinator decided reads back as the world that it decided in, whatever happened (promises P1, P5).

#[path = "../../core/tests/world_model/story.rs"]
mod story;
#[path = "../../core/tests/world_model/mod.rs"]
mod world_model;

use hearth_coordinator_core::lease::LeaseTerms;
use hearth_store::Store;
use hearth_types::Timestamp;
use proptest::prelude::*;
use story::{Story, steps};

/// Commits a whole history, each decision by itself, and reads the world back through a store opened anew.
async fn replay(story: &Story) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("hearth.db");
    let store = Store::open(&file).await.expect("a new store");
    for changes in &story.cluster.journal {
        store.commit(changes.clone(), Timestamp::from_millis(1)).await.expect("committed");
    }
    assert_eq!(store.load_world(LeaseTerms::default()).await.expect("reads"), story.cluster.world);
    drop(store);
    let store = Store::open(&file).await.expect("the same store");
    assert_eq!(store.load_world(LeaseTerms::default()).await.expect("reads"), story.cluster.world);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_stored_history_reads_back_as_its_world(history in proptest::collection::vec(steps(), 20..80)) {
        let mut story = Story::new(true);
        for step in history {
            story.tell(step);
        }
        tokio::runtime::Runtime::new().expect("a runtime").block_on(replay(&story));
    }
}
