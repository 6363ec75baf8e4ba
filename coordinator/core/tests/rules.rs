//! Properties of the rules beyond the service model.

use hearth_coordinator_core::job_run::Retries;
use hearth_coordinator_core::rules::job_terms::{Asked, Mode};
use hearth_coordinator_core::rules::places::{check_log_uri, split_location};
use proptest::option;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn asked() -> impl Strategy<Value = Asked<'static>> {
    let release = prop::sample::select(vec!["emr-6.15.0", "emr-7.1.0", "emr-7.11.0", "spark-3.5.3"]);
    let mode = prop::sample::select(vec![Mode::Batch, Mode::Streaming]);
    let minutes = option::of(prop::sample::select(vec![0, 1, 10_080, 10_081, 1_000_000]));
    (release, mode, minutes, option::of(0..13_u32), option::of(0..13_u32)).prop_map(
        |(release, mode, timeout_minutes, max_attempts, max_failed_attempts_per_hour)| Asked {
            release,
            mode,
            timeout_minutes,
            max_attempts,
            max_failed_attempts_per_hour,
        },
    )
}

fn faults(asked: &Asked<'_>) -> BTreeSet<String> {
    asked.settle().err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

proptest! {
    /// What is wrong with one member is told whatever else is wrong.
    #[test]
    fn all_faults_of_a_jobs_terms_are_told_at_once(asked in asked()) {
        let bare =
            Asked { timeout_minutes: None, max_attempts: None, max_failed_attempts_per_hour: None, ..asked };
        let each = [
            Asked { timeout_minutes: asked.timeout_minutes, ..bare },
            Asked { max_attempts: asked.max_attempts, ..bare },
            Asked { max_failed_attempts_per_hour: asked.max_failed_attempts_per_hour, ..bare },
        ];
        let expected: BTreeSet<String> = each.iter().flat_map(faults).collect();
        prop_assert_eq!(faults(&asked), expected);
    }

    #[test]
    fn terms_are_those_of_the_mode_and_within_their_bounds(asked in asked()) {
        let Ok(terms) = asked.settle() else { return Ok(()) };
        match (asked.mode, terms.retries) {
            (Mode::Batch, Retries::Attempts(most)) => prop_assert!((1..=10).contains(&most)),
            (Mode::Streaming, Retries::FailuresPerHour(most)) => {
                prop_assert!((1..=10).contains(&most));
                prop_assert_eq!(terms.timeout, None);
            }
            (mode, retries) => prop_assert!(false, "{:?} {:?}", mode, retries),
        }
    }

    /// Whoever delivers logs can rely on it.
    #[test]
    fn a_place_for_logs_that_is_accepted_has_a_bucket(uri in "(s3|s3a|s3n|file|S3)?:?/{0,3}[a-zA-Z0-9._ -]{0,70}(/.{0,5})?") {
        if check_log_uri("logUri", &uri).is_ok() {
            let (bucket, _) = split_location(&uri).expect("a location");
            prop_assert!((3..=63).contains(&bucket.len()), "{}", bucket);
            prop_assert!(!bucket.contains([' ', '_', '/']), "{}", bucket);
        }
    }
}
