//! Seeds that must hold, seeds that once failed, and a checker that is seen to fail.

use hearth_simulation::{Mutation, Selection, simulate};
use std::time::{Duration, Instant};

/// Seeds of one run of this test, and how long they may take: a loaded machine runs fewer of them.
const SEEDS: u64 = 2_000;
const TIME: Duration = Duration::from_secs(45);

fn holds(selection: &Selection) {
    if let Some(violation) = simulate(selection, Mutation::None, 0).violation {
        let steps = simulate(selection, Mutation::None, 60).lines.join("\n");
        panic!("{steps}\nseed {selection} breaks {:?}: {}", violation.promise, violation.what);
    }
}

#[test]
fn one_seed_is_one_trace() {
    for seed in 0..20 {
        let selection = Selection::whole(seed);
        let (once, again) =
            (simulate(&selection, Mutation::None, 0), simulate(&selection, Mutation::None, 10));
        assert_eq!((once.hash, once.events), (again.hash, again.events), "seed {seed}");
    }
    let hash = |seed| simulate(&Selection::whole(seed), Mutation::None, 0).hash;
    assert_ne!(hash(1), hash(2));
}

#[test]
fn what_once_failed_holds() {
    let lines = include_str!("../regressions.txt").lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        holds(&line.parse().expect("a selection"));
    }
}

#[test]
fn every_promise_holds_in_a_bounded_run() {
    let began = Instant::now();
    let mut ran = 0;
    for seed in (0..SEEDS).take_while(|_| began.elapsed() < TIME) {
        holds(&Selection::whole(seed));
        ran += 1;
    }
    assert!(ran > 0);
}

/// Each way to break hearth is noticed by some seed.
#[test]
fn the_checker_notices_what_is_broken_on_purpose() {
    for mutation in Mutation::ALL {
        let noticed = (0..2 * SEEDS).find_map(|seed| {
            let violation = simulate(&Selection::whole(seed), mutation, 0).violation?;
            Some((seed, violation))
        });
        let (seed, violation) = noticed.unwrap_or_else(|| panic!("nobody notices {mutation:?}"));
        eprintln!("{mutation:?}: seed {seed} breaks {:?}: {}", violation.promise, violation.what);
    }
}
