//! Finds a small part of a failing seed's plan that breaks the same promise.

use crate::checker::Promise;
use crate::cluster::simulate;
use crate::mutation::Mutation;
use crate::plan::{Plan, Selection};
use std::collections::BTreeSet;

/// Leaves out faults and job runs, in ever smaller groups, for as long as `promise` still breaks.
pub fn minimise(selection: &Selection, promise: Promise, mutation: Mutation) -> Selection {
    let plan = Plan::of(selection, mutation.shows_by());
    let breaks = |candidate: &Selection| {
        simulate(candidate, mutation, 0).violation.is_some_and(|found| found.promise == promise)
    };
    let mut best = Selection {
        seed: selection.seed,
        faults: Some(selection.faults.clone().unwrap_or_else(|| (0..plan.faults.len()).collect())),
        runs: Some(selection.runs.clone().unwrap_or_else(|| (0..plan.runs.len()).collect())),
    };
    loop {
        let before = best.clone();
        shrink(&mut best, |selection| selection.faults.get_or_insert_default(), &breaks);
        shrink(&mut best, |selection| selection.runs.get_or_insert_default(), &breaks);
        if best == before {
            return best;
        }
    }
}

fn shrink(
    best: &mut Selection,
    part: impl Fn(&mut Selection) -> &mut BTreeSet<usize>,
    breaks: &impl Fn(&Selection) -> bool,
) {
    let mut group = part(best).len();
    while group > 0 {
        let numbers: Vec<usize> = part(best).iter().copied().collect();
        for left_out in numbers.chunks(group) {
            let mut candidate = best.clone();
            part(&mut candidate).retain(|number| !left_out.contains(number));
            if breaks(&candidate) {
                *best = candidate;
            }
        }
        group /= 2;
    }
}
