//! Runs seeds of the simulation, says how fast, and makes a failing one small.

#![expect(clippy::print_stdout, reason = "what is printed here is what was asked for")]

use clap::Parser;
use hearth_simulation::{Mutation, Report, Selection, TraceHash, minimise, simulate};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Steps shown of a failing seed.
const LAST_STEPS: usize = 80;

/// Simulates whole clusters, each from a seed.
#[derive(Debug, Parser)]
struct Arguments {
    /// Seeds to run, `A..B` (B excluded).
    #[arg(long, value_parser = range, default_value = "0..1000")]
    seeds: (u64, u64),
    /// One seed, or a line of regressions.txt.
    #[arg(long)]
    seed: Option<Selection>,
    /// Prints every event of the seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Runs seeds from the first on for this long, such as 90s, 2m or 1h, instead of to the last.
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    jobs: u64,
}

fn range(text: &str) -> anyhow::Result<(u64, u64)> {
    let (first, end) = text.split_once("..").ok_or_else(|| anyhow::anyhow!("{text:?} is not A..B"))?;
    Ok((first.parse()?, end.parse()?))
}

fn duration(text: &str) -> anyhow::Result<Duration> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = text.trim_end_matches(unit).parse()?;
    let seconds = match unit {
        "s" => number,
        "m" => number * 60,
        "h" => number * 3600,
        _ => anyhow::bail!("{text:?}: s, m or h is missing"),
    };
    Ok(Duration::from_secs(seconds))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match &arguments.seed {
        Some(selection) => one(selection, arguments.trace),
        None => many(&arguments),
    }
}

fn one(selection: &Selection, trace: bool) -> ExitCode {
    let report = simulate(selection, Mutation::None, if trace { usize::MAX } else { 0 });
    for line in &report.lines {
        println!("{line}");
    }
    println!("seed {selection}: {} events, trace {:016x}", report.events, report.hash.value());
    match report.violation {
        Some(_) => failed(selection),
        None => ExitCode::SUCCESS,
    }
}

/// What all seeds of a thread came to.
#[derive(Default)]
struct Sum {
    seeds: u64,
    events: u64,
    /// Of each seed its number and hash.
    hashes: Vec<(u64, u64)>,
}

fn many(arguments: &Arguments) -> ExitCode {
    let (first, end) = arguments.seeds;
    let began = Instant::now();
    let (next, is_over) = (AtomicU64::new(first), AtomicBool::new(false));
    let failing = AtomicU64::new(u64::MAX);
    let work = || {
        let mut sum = Sum::default();
        while !is_over.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let is_late = arguments.duration.map_or(seed >= end, |limit| began.elapsed() >= limit);
            if is_late {
                break;
            }
            let Report { hash, events, violation, .. } = simulate(&Selection::whole(seed), Mutation::None, 0);
            sum.seeds += 1;
            sum.events += events;
            sum.hashes.push((seed, hash.value()));
            if violation.is_some() {
                failing.fetch_min(seed, Ordering::Relaxed);
                is_over.store(true, Ordering::Relaxed);
            }
        }
        sum
    };
    let sums: Vec<Sum> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..arguments.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a simulation does not panic")).collect()
    });
    let elapsed = began.elapsed().as_secs_f64();
    let mut hashes: Vec<(u64, u64)> = sums.iter().flat_map(|sum| sum.hashes.iter().copied()).collect();
    hashes.sort_unstable();
    let mut hash = TraceHash::default();
    hashes.iter().for_each(|(_, of_seed)| hash.word(*of_seed));
    let (seeds, events) = sums.iter().fold((0, 0), |(s, e), sum| (s + sum.seeds, e + sum.events));
    println!(
        "{seeds} seeds from {first} on, {events} events in {elapsed:.1} s: {:.0} events/s per thread; hash of hashes {:016x}",
        events as f64 / elapsed / arguments.jobs.max(1) as f64,
        hash.value()
    );
    match failing.into_inner() {
        u64::MAX => ExitCode::SUCCESS,
        seed => failed(&Selection::whole(seed)),
    }
}

/// Shows how a seed fails and the smallest part of it that still does.
fn failed(selection: &Selection) -> ExitCode {
    let Some(violation) = simulate(selection, Mutation::None, 0).violation else {
        println!("seed {selection} failed once and then not: the simulation is not deterministic");
        return ExitCode::FAILURE;
    };
    println!("seed {selection} breaks {:?}: {}", violation.promise, violation.what);
    let small = minimise(selection, violation.promise, Mutation::None);
    let report = simulate(&small, Mutation::None, LAST_STEPS);
    for line in &report.lines {
        println!("{line}");
    }
    if let Some(violation) = report.violation {
        println!("{:?}: {}", violation.promise, violation.what);
    }
    println!("regressions.txt: {small}");
    ExitCode::FAILURE
}
