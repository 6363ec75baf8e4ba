//! Properties of the merge of classifications.

use hearth_coordinator_core::configuration::{Configuration, check, merge};
use proptest::collection::btree_map;
use proptest::prelude::*;

/// Lists in which every classification appears once, some of them empty.
fn lists() -> impl Strategy<Value = Vec<Configuration>> {
    btree_map("[a-e]", btree_map("[k-n]", "[0-9]", 0..3), 0..5).prop_map(|objects| {
        let object =
            |(classification, properties)| Configuration { classification, properties, ..Default::default() };
        objects.into_iter().map(object).collect()
    })
}

fn find<'a>(list: &'a [Configuration], classification: &str) -> Option<&'a Configuration> {
    list.iter().find(|object| object.classification == classification)
}

proptest! {
    #[test]
    fn a_classification_comes_whole_from_the_job_or_else_from_the_application(
        application in lists(),
        job in lists(),
    ) {
        let merged = merge(&application, &job);
        prop_assert_eq!(check(&merged), Ok(()));
        for name in ["a", "b", "c", "d", "e"] {
            let expected = find(&job, name).or(find(&application, name)).filter(|object| !object.is_removal());
            prop_assert_eq!(find(&merged, name), expected);
        }
    }

    /// Three levels come to the same whichever two are merged first. Not so where something is removed: once a removal has
    /// done its work there is nothing left to remove the same from a level below.
    #[test]
    fn merging_is_associative_where_nothing_is_removed(a in lists(), b in lists(), c in lists()) {
        let [a, b, c] = [a, b, c].map(|list| {
            list.into_iter().filter(|object| !object.is_removal()).collect::<Vec<_>>()
        });
        prop_assert_eq!(merge(&merge(&a, &b), &c), merge(&a, &merge(&b, &c)));
    }

    #[test]
    fn merging_again_changes_nothing(application in lists(), job in lists()) {
        let merged = merge(&application, &job);
        let sorted = |list: &[Configuration]| {
            let mut list = list.to_vec();
            list.sort_by(|a, b| a.classification.cmp(&b.classification));
            list
        };
        prop_assert_eq!(sorted(&merge(&merged, &job)), sorted(&merged));
    }
}
