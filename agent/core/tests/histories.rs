//! Random histories of an agent with its host, crashes at every point included.

#![allow(clippy::unwrap_used)]

use hearth_agent_core::fence::{Fence, Start};
use hearth_agent_core::life::{
    Adoption, AgentCause, Deed, Event, Finished, Life, Outcome, Phase, Report, Stop,
};
use hearth_types::{JobRunId, Launch, WorkerId};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What happens next to the host or to the agent.
#[derive(Debug, Clone, Copy)]
enum Turn {
    /// The agent performs the deed of a worker, whole.
    Deed(u8),
    /// The agent performs the deed of a worker and dies before it can write down what came of it.
    DeedThenCrash(u8),
    /// As before, and the worker's keeper is killed before the agent is back.
    DeedThenDisaster(u8),
    /// The agent dies and comes back.
    Crash,
    /// A worker's process ends by itself.
    Exit(u8),
    /// A keeper is killed, and its worker dies with it, without an outcome.
    KeeperKilled(u8),
    /// The host is restarted.
    Reboot,
    /// The coordinator sends an order to start; it may repeat one or send it late.
    Start(u8, u8),
    Stop(u8),
    Forget(u8),
    Finished(u8),
    StepFails(u8),
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let worker = 0..4u8;
    let turn = prop_oneof![
        12 => worker.clone().prop_map(Turn::Deed),
        2 => worker.clone().prop_map(Turn::DeedThenCrash),
        1 => worker.clone().prop_map(Turn::DeedThenDisaster),
        1 => Just(Turn::Crash),
        2 => worker.clone().prop_map(Turn::Exit),
        1 => worker.clone().prop_map(Turn::KeeperKilled),
        1 => Just(Turn::Reboot),
        3 => (worker.clone(), 1..4u8).prop_map(|(worker, launch)| Turn::Start(worker, launch)),
        1 => worker.clone().prop_map(Turn::Stop),
        2 => worker.clone().prop_map(Turn::Forget),
        1 => worker.clone().prop_map(Turn::Finished),
        1 => worker.prop_map(Turn::StepFails),
    ];
    prop::collection::vec(turn, 1..200)
}

/// The truth about one worker on the host.
#[derive(Debug, Default)]
struct Host {
    launches: u32,
    is_alive: bool,
    has_keeper_record: bool,
    exit_record: Option<Outcome>,
    is_left: bool,
}

#[derive(Debug, Clone)]
struct Held {
    launch: Launch,
    life: Life,
}

/// The agent's disk survives crashes; there is nothing else to the agent.
#[derive(Default)]
struct World {
    fence: Fence,
    disk: BTreeMap<u8, Held>,
    host: BTreeMap<u8, Host>,
    ends: BTreeMap<u8, Outcome>,
    forgotten: BTreeMap<u8, bool>,
    now: i64,
}

fn worker_id(worker: u8) -> WorkerId {
    format!("w{worker}").parse().unwrap()
}

fn job() -> JobRunId {
    "j".parse().unwrap()
}

fn killed() -> Outcome {
    Outcome { signal: Some(9), ..Outcome::default() }
}

impl World {
    fn apply(&mut self, turn: Turn) {
        self.now += 1;
        match turn {
            Turn::Deed(worker) => {
                if let Some(event) = self.perform(worker) {
                    self.tell(worker, event);
                }
            }
            Turn::DeedThenCrash(worker) => {
                self.perform(worker);
                self.crash();
            }
            Turn::DeedThenDisaster(worker) => {
                self.perform(worker);
                self.end(worker, None);
                self.crash();
            }
            Turn::Crash => self.crash(),
            Turn::Exit(worker) => {
                self.end(worker, Some(Outcome { exit_code: Some(0), ..Outcome::default() }))
            }
            Turn::KeeperKilled(worker) => self.end(worker, None),
            Turn::Reboot => {
                for worker in 0..4 {
                    self.end(worker, None);
                }
                self.crash();
            }
            Turn::Start(worker, launch) => self.start(worker, Launch { attempt: 1, launch: launch.into() }),
            Turn::Stop(worker) => {
                self.tell(worker, Event::StopOrdered(Stop { grace_ms: 0, cause: AgentCause::Stopped }));
            }
            Turn::Forget(worker) => self.tell(worker, Event::ForgetOrdered),
            Turn::Finished(worker) => {
                if self.host.get(&worker).is_some_and(|host| host.is_alive) {
                    let finished = Finished { exit_code: 0, error_class: None, error_message: None };
                    self.tell(worker, Event::Finished(finished));
                }
            }
            Turn::StepFails(worker) => self.tell(worker, Event::PreparationFailed("disk full".into())),
        }
    }

    fn start(&mut self, worker: u8, launch: Launch) {
        let is_here = self.disk.contains_key(&worker);
        if self.fence.start(&worker_id(worker), &job(), launch, is_here) != Start::New {
            return;
        }
        let older: Vec<u8> =
            self.disk.iter().filter(|(_, held)| held.launch < launch).map(|(worker, _)| *worker).collect();
        for worker in older {
            self.tell(worker, Event::StopOrdered(Stop { grace_ms: 0, cause: AgentCause::Outdated }));
        }
        self.disk.insert(worker, Held { launch, life: Life::new() });
        self.host.entry(worker).or_default().is_left = true;
    }

    /// Performs the side effect of a worker's deed; the event that tells of it, if it is over.
    fn perform(&mut self, worker: u8) -> Option<Event> {
        let held = self.disk.get(&worker)?;
        let host = self.host.get_mut(&worker)?;
        match held.life.deed() {
            Deed::Prepare(step) => Some(Event::StepDone(step)),
            Deed::Launch => {
                host.launches += 1;
                host.is_alive = true;
                host.has_keeper_record = true;
                Some(Event::Launched { at_unix_ms: self.now })
            }
            Deed::Watch(stop) => {
                if stop.is_some() && host.is_alive {
                    host.is_alive = false;
                    host.exit_record = Some(killed());
                }
                match (&host.exit_record, host.is_alive) {
                    (Some(outcome), _) => Some(Event::Exited(outcome.clone())),
                    (None, true) => None,
                    (None, false) => Some(Event::Adopted(Adoption::Gone)),
                }
            }
            Deed::FlushLogs => Some(Event::LogsFlushed { failures: vec![] }),
            Deed::Report | Deed::Nothing => None,
            Deed::Remove => {
                self.fence.forget(worker_id(worker));
                host.is_left = false;
                Some(Event::Removed)
            }
        }
    }

    fn tell(&mut self, worker: u8, event: Event) {
        let now = self.now;
        if let Some(held) = self.disk.get_mut(&worker) {
            held.life.apply(event, now);
            if held.life.phase == Phase::Removed {
                self.disk.remove(&worker);
                self.forgotten.insert(worker, true);
            }
        }
    }

    fn end(&mut self, worker: u8, outcome: Option<Outcome>) {
        if let Some(host) = self.host.get_mut(&worker)
            && host.is_alive
        {
            host.is_alive = false;
            host.exit_record = outcome;
        }
    }

    fn crash(&mut self) {
        for worker in self.disk.keys().copied().collect::<Vec<_>>() {
            let host = &self.host[&worker];
            let found = match (&host.exit_record, host.is_alive, host.has_keeper_record) {
                (Some(outcome), ..) => Adoption::Exited(outcome.clone()),
                (None, true, _) => Adoption::Alive { since_unix_ms: self.now },
                (None, false, true) => Adoption::Gone,
                (None, false, false) => Adoption::NotStarted,
            };
            self.tell(worker, Event::Adopted(found));
        }
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        for (worker, host) in &self.host {
            prop_assert!(host.launches <= 1, "worker {worker} ran {} times", host.launches);
            let held = self.disk.get(worker);
            prop_assert!(!host.is_alive || held.is_some(), "worker {worker} runs and nobody knows it");
            if self.forgotten.contains_key(worker) {
                prop_assert!(held.is_none(), "worker {worker} came back");
                prop_assert!(!host.is_left, "worker {worker} left something");
            }
            let Some(held) = held else { continue };
            match held.life.report() {
                Some(Report::Ended { outcome, .. }) => {
                    prop_assert!(!host.is_alive, "worker {worker} was reported ended and runs");
                    let first = self.ends.entry(*worker).or_insert_with(|| outcome.clone());
                    prop_assert_eq!(&*first, outcome, "worker {} ended twice", worker);
                }
                Some(Report::Running { .. } | Report::Preparing(_)) => {
                    prop_assert!(!self.ends.contains_key(worker), "worker {worker} lives after its end");
                }
                None => prop_assert!(!host.is_alive),
            }
        }
        Ok(())
    }

    /// Lets the agent do everything it wants to do, and the coordinator forget.
    fn settle(&mut self) {
        for _ in 0..20 {
            for worker in 0..4 {
                self.apply(Turn::Stop(worker));
                self.apply(Turn::Deed(worker));
                self.apply(Turn::Forget(worker));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a_worker_runs_once_ends_once_and_leaves_nothing(history in turns()) {
        let mut world = World::default();
        for turn in history {
            world.apply(turn);
            world.check()?;
        }
        world.settle();
        world.check()?;
        prop_assert!(world.disk.is_empty(), "{:?}", world.disk);
        prop_assert!(world.host.values().all(|host| !host.is_alive && !host.is_left));
    }
}
