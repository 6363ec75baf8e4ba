//! What a seed stands for: hosts, applications, job runs with what their drivers do, and what goes wrong when.

use crate::queue::{MS, S, Time};
use crate::random::Random;
use hearth_types::WorkerSize;
use std::collections::BTreeSet;

/// The part of a seed's plan that is carried out. What a failing seed does not need is left out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The seed.
    pub seed: u64,
    /// Numbers of the faults that happen; all when absent.
    pub faults: Option<BTreeSet<usize>>,
    /// Numbers of the job runs that are submitted; all when absent.
    pub runs: Option<BTreeSet<usize>>,
}

impl Selection {
    /// All that a seed stands for.
    pub const fn whole(seed: u64) -> Self {
        Self { seed, faults: None, runs: None }
    }
}

/// Writes `SEED [faults=N,N…] [runs=N,N…]`, the form of `regressions.txt`.
impl std::fmt::Display for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.seed)?;
        for (name, numbers) in [("faults", &self.faults), ("runs", &self.runs)] {
            if let Some(numbers) = numbers {
                let list: Vec<String> = numbers.iter().map(usize::to_string).collect();
                write!(f, " {name}={}", list.join(","))?;
            }
        }
        Ok(())
    }
}

impl std::str::FromStr for Selection {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> anyhow::Result<Self> {
        let mut words = line.split_whitespace();
        let seed = words.next().ok_or_else(|| anyhow::anyhow!("a line begins with a seed"))?;
        let mut selection = Self::whole(seed.parse()?);
        for word in words {
            let (name, list) = word.split_once('=').ok_or_else(|| anyhow::anyhow!("{word}: no `=`"))?;
            let numbers = list.split(',').filter(|number| !number.is_empty());
            let numbers = Some(numbers.map(str::parse).collect::<Result<_, _>>()?);
            match name {
                "faults" => selection.faults = numbers,
                "runs" => selection.runs = numbers,
                _ => anyhow::bail!("{name} is neither `faults` nor `runs`"),
            }
        }
        Ok(selection)
    }
}

/// Everything that is to happen in one simulation.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// What each host offers.
    pub(crate) hosts: Vec<WorkerSize>,
    pub(crate) applications: Vec<ApplicationPlan>,
    pub(crate) runs: Vec<RunPlan>,
    pub(crate) faults: Vec<Fault>,
    /// From here on nothing goes wrong any more.
    pub(crate) calm_at: Time,
    /// Of a hundred messages between clients and coordinator, so many get lost.
    pub(crate) client_loss: u64,
}

/// An application.
#[derive(Debug, Clone)]
pub(crate) struct ApplicationPlan {
    pub(crate) concurrency: Option<u32>,
    pub(crate) queue_timeout: Option<Time>,
    pub(crate) maximum_capacity: Option<WorkerSize>,
    pub(crate) idle_timeout: Option<Time>,
    /// When a user stops or deletes it.
    pub(crate) meddling: Vec<(Time, Meddling)>,
}

/// What a user does to an application while it is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Meddling {
    Start,
    Stop,
}

/// A job run.
#[derive(Debug, Clone)]
pub(crate) struct RunPlan {
    pub(crate) at: Time,
    pub(crate) application: usize,
    pub(crate) driver_vcpu: u64,
    pub(crate) executors: u32,
    pub(crate) executor_vcpu: u64,
    pub(crate) max_attempts: u32,
    pub(crate) timeout: Option<Time>,
    /// Whether the same request is sent twice at once.
    pub(crate) is_doubled: bool,
    /// When another request comes with the same token.
    pub(crate) conflict_at: Option<Time>,
    pub(crate) cancel_at: Option<Time>,
    /// What the driver of each attempt does; the last one's for all further ones.
    pub(crate) drivers: Vec<DriverPlan>,
    /// How executors end by themselves: of a hundred, so many do.
    pub(crate) executor_failures: u64,
}

/// What a driver does.
#[derive(Debug, Clone)]
pub(crate) struct DriverPlan {
    pub(crate) registers_after: Time,
    /// After the registration: how many executors it then wants.
    pub(crate) wants: Vec<(Time, u32)>,
    /// After the registration: it gives back this executor.
    pub(crate) gives_back: Vec<(Time, u32)>,
    pub(crate) works_for: Time,
    pub(crate) end: DriverEnd,
    /// Whether it ends when asked to within its grace.
    pub(crate) heeds_cancel: bool,
}

/// How a driver ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DriverEnd {
    /// It says so, then exits with this code.
    Finishes(i32),
    /// It exits without a word.
    Exits(i32),
    /// A signal ends it.
    Dies(i32),
    /// It never ends.
    Hangs,
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fault {
    pub(crate) at: Time,
    pub(crate) lasts: Time,
    pub(crate) host: usize,
    pub(crate) kind: FaultKind,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FaultKind {
    /// The coordinator is killed and started again.
    CoordinatorCrash,
    /// The coordinator stops in good order, for a while.
    CoordinatorLeaves,
    /// The coordinator stands still.
    CoordinatorPause,
    /// The coordinator's wall clock jumps by so many milliseconds.
    WallClockJump(i64),
    /// Commits fail.
    StoreTrouble,
    /// A job's credentials cannot be made.
    SupplyTrouble,
    /// The agent is killed and started again.
    AgentCrash,
    /// The agent is stopped and continued.
    AgentPause,
    /// The host loses power: all processes and what was not synced are gone.
    PowerLoss,
    /// The stream breaks.
    CutStream,
    /// No message passes between host and coordinator.
    LinkDown,
    /// The host's disk takes no writes.
    DiskFull,
    /// One of the host's keepers is killed.
    KeeperKill,
    /// One of the host's workers is killed from outside.
    WorkerKill,
    /// Orders that the host got before come again.
    Repetition,
}

impl Plan {
    /// What a selection stands for; its faults are of these kinds alone, unless there are none.
    pub(crate) fn of(selection: &Selection, kinds: &[FaultKind]) -> Self {
        let mut random = Random::stream(selection.seed, "plan");
        let random = &mut random;
        let hosts: Vec<WorkerSize> = (0..random.between(1, 4)).map(|_| host(random.between(4, 12))).collect();
        let applications: Vec<ApplicationPlan> =
            (0..random.between(1, 2)).map(|_| application(random)).collect();
        let span = random.between(60, 400) * S;
        let all_runs = (0..random.between(2, 9)).map(|_| run(random, applications.len(), span));
        let runs = all_runs.collect::<Vec<_>>();
        let faults = faults(random, hosts.len(), span, kinds);
        let calm_at = faults.iter().map(|fault| fault.at + fault.lasts).max().unwrap_or(0).max(span);
        let client_loss = random.pick(&[0, 0, 5, 20]);
        Self {
            hosts,
            applications,
            runs: keep(runs, selection.runs.as_ref()),
            faults: keep(faults, selection.faults.as_ref()),
            calm_at,
            client_loss,
        }
    }
}

/// Those that are selected; a run that is not stays in its place but never comes.
fn keep<T: Skippable>(mut all: Vec<T>, selected: Option<&BTreeSet<usize>>) -> Vec<T> {
    if let Some(selected) = selected {
        for (number, item) in all.iter_mut().enumerate() {
            if !selected.contains(&number) {
                item.skip();
            }
        }
    }
    all
}

/// When something that is left out happens.
pub(crate) const NEVER: Time = Time::MAX;

trait Skippable {
    fn skip(&mut self);
}

impl Skippable for RunPlan {
    fn skip(&mut self) {
        self.at = NEVER;
    }
}

impl Skippable for Fault {
    fn skip(&mut self) {
        self.at = NEVER;
    }
}

fn host(vcpu: u64) -> WorkerSize {
    WorkerSize::new(vcpu, vcpu * 4096, 400)
}

fn application(random: &mut Random) -> ApplicationPlan {
    let mut meddling = Vec::new();
    for _ in 0..random.pick(&[0, 0, 0, 1, 3]) {
        let at = random.between(1, 400) * S;
        meddling.push((at, random.pick(&[Meddling::Start, Meddling::Stop])));
    }
    let concurrency = random.pick(&[None, None, Some(1), Some(2)]);
    ApplicationPlan {
        concurrency,
        queue_timeout: (concurrency == Some(1)).then_some(120 * S),
        maximum_capacity: random.percent(20).then(|| host(random.between(4, 10))),
        idle_timeout: random.percent(30).then(|| random.between(10, 120) * S),
        meddling,
    }
}

fn run(random: &mut Random, applications: usize, span: Time) -> RunPlan {
    let max_attempts = random.pick(&[1, 1, 2, 3]);
    let at = random.below(span);
    let drivers: Vec<DriverPlan> = (0..max_attempts).map(|_| driver(random)).collect();
    let hangs = drivers.iter().any(|driver| driver.end == DriverEnd::Hangs);
    let cancel_at = random.percent(20).then(|| at + random.below(120 * S));
    RunPlan {
        at,
        application: random.index(applications),
        driver_vcpu: random.between(1, 2),
        executors: u32::try_from(random.below(4)).expect("small"),
        executor_vcpu: random.between(1, 2),
        max_attempts,
        timeout: (hangs || random.percent(10)).then(|| random.between(60, 180) * S),
        is_doubled: random.percent(15),
        conflict_at: random.percent(15).then(|| at + random.below(60 * S)),
        cancel_at,
        drivers,
        executor_failures: random.pick(&[0, 0, 10, 60]),
    }
}

fn driver(random: &mut Random) -> DriverPlan {
    let works_for = random.between(100, 90_000) * MS;
    let mut wants = vec![(0, u32::try_from(random.below(4)).expect("small"))];
    for _ in 0..random.pick(&[0, 0, 1, 3]) {
        wants.push((random.below(works_for), u32::try_from(random.below(5)).expect("small")));
    }
    let gives_back = (0..random.pick(&[0, 0, 1, 3]))
        .map(|_| (random.below(works_for), u32::try_from(random.between(1, 4)).expect("small")))
        .collect();
    let end = match random.below(20) {
        0..12 => DriverEnd::Finishes(0),
        12..14 => DriverEnd::Finishes(1),
        14 => DriverEnd::Exits(0),
        15 => DriverEnd::Exits(3),
        16 => DriverEnd::Dies(9),
        17 => DriverEnd::Dies(11),
        _ => DriverEnd::Hangs,
    };
    DriverPlan {
        registers_after: random.between(500, 8_000) * MS,
        wants,
        gives_back,
        works_for,
        end,
        heeds_cancel: random.percent(70),
    }
}

/// Longer than an agent may be away (`LeaseTerms::lost_after`).
const LONGEST_OUTAGE: Time = 900 * S;

/// Every kind of fault, as often as it is likely.
const KINDS: [FaultKind; 30] = {
    use FaultKind as K;
    [
        K::CoordinatorCrash,
        K::CoordinatorCrash,
        K::CoordinatorCrash,
        K::CoordinatorCrash,
        K::CoordinatorLeaves,
        K::CoordinatorLeaves,
        K::CoordinatorPause,
        K::WallClockJump(-600_000),
        K::WallClockJump(120_000),
        K::StoreTrouble,
        K::StoreTrouble,
        K::SupplyTrouble,
        K::AgentCrash,
        K::AgentCrash,
        K::AgentCrash,
        K::AgentCrash,
        K::AgentPause,
        K::AgentPause,
        K::PowerLoss,
        K::PowerLoss,
        K::CutStream,
        K::CutStream,
        K::CutStream,
        K::LinkDown,
        K::LinkDown,
        K::DiskFull,
        K::KeeperKill,
        K::KeeperKill,
        K::WorkerKill,
        K::Repetition,
    ]
};

/// Each seed draws from a few kinds of faults, so that the same ones meet more often than if all were mixed.
fn faults(random: &mut Random, hosts: usize, span: Time, only: &[FaultKind]) -> Vec<Fault> {
    let share = random.pick(&[15, 30, 60, 100]);
    let mut kinds = only.to_vec();
    if only.is_empty() {
        kinds.extend(KINDS.into_iter().filter(|_| random.percent(share)));
    }
    if kinds.is_empty() {
        kinds.push(random.pick(&KINDS));
    }
    let one = |random: &mut Random| {
        let lasts = match random.below(10) {
            0..5 => random.below(2 * S),
            5..8 => random.below(60 * S),
            8 => random.below(LONGEST_OUTAGE),
            _ => random.between(600 * S, LONGEST_OUTAGE),
        };
        Fault { at: random.below(span), lasts, host: random.index(hosts), kind: random.pick(&kinds) }
    };
    let counts = if only.is_empty() { [0, 2, 4, 8, 16] } else { [8, 12, 16, 20, 24] };
    (0..random.pick(&counts)).map(|_| one(random)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_survives_its_line() {
        for line in ["7", "7 faults=1,2", "9 faults= runs=0", "9 runs=3,4"] {
            assert_eq!(line.parse::<Selection>().expect("a line").to_string(), line);
        }
        assert!("x".parse::<Selection>().is_err() && "1 hosts=2".parse::<Selection>().is_err());
    }
}
