//! What travels between agents and coordinator: `agent.proto` without what no promise rests on, and its translation
//! into the core's values as `coordinator/agents/src/convert.rs` does it.

use hearth_agent_core::life;
use hearth_coordinator_core::command::{DriverWord, Report, ReportState};
use hearth_coordinator_core::job_run::{DriverApp, ExecutorProfile};
use hearth_coordinator_core::worker::Exit;
use hearth_lease::{AtEnd, Lease};
use hearth_types::{JobRunId, Launch, WorkerId, WorkerSize};
use std::time::Duration;

/// From an agent.
#[derive(Debug, Clone, Hash)]
pub(crate) enum Up {
    /// First on each stream: everything the agent holds.
    Hello(Vec<Said>),
    /// A heartbeat; `sent` is the host's time since boot.
    Beat { sent: Duration },
    /// A worker's state.
    Report(Said),
    /// A driver's word.
    Word { worker: WorkerId, launch: Launch, word: Word },
}

/// A worker's state, complete each time.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) worker: WorkerId,
    pub(crate) launch: Launch,
    pub(crate) state: SaidState,
}

/// A worker's state as it is told.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(crate) enum SaidState {
    Preparing(&'static str),
    Running,
    Ended { code: Option<i32>, signal: Option<i32>, launch_error: String, cause: &'static str },
}

/// What a driver's plugin says.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(crate) enum Word {
    Registered,
    Wants(u32),
    GivesBack(Vec<u32>),
    Unregistered,
    /// Heard by the agent alone: how the job ended.
    Finished(i32),
}

/// From the coordinator.
#[derive(Debug, Clone, Hash)]
pub(crate) enum Down {
    Welcome { epoch: u64 },
    BeatAnswer { sent: Duration },
    Settled { current_drivers: Vec<WorkerId> },
    LeaseExtension { length: Duration },
    Start(Box<Order>),
    Run { epoch: u64, worker: WorkerId, launch: Launch },
    Stop { epoch: u64, worker: WorkerId, launch: Launch, grace_ms: u32 },
    Forget { worker: WorkerId },
    News { driver: WorkerId, launch: Launch, executor: u32, is_launched: bool },
}

/// An order to start a worker; on the agent's disk it is the worker's spec.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) epoch: u64,
    pub(crate) worker: WorkerId,
    pub(crate) run: JobRunId,
    pub(crate) launch: Launch,
    /// Spark's id of an executor; none for a driver.
    pub(crate) executor: Option<u32>,
    pub(crate) size: WorkerSize,
    pub(crate) is_deferred: bool,
    pub(crate) lease: Option<Duration>,
}

impl Order {
    pub(crate) const fn is_driver(&self) -> bool {
        self.executor.is_none()
    }

    /// As `Spec::lease`.
    pub(crate) fn lease(&self) -> Option<Lease> {
        let at_end = if self.is_driver() { AtEnd::Freeze } else { AtEnd::Kill };
        self.lease.map(|length| Lease { length, at_end })
    }
}

/// What an agent says of a worker in this state of its life.
pub(crate) fn said(worker: &WorkerId, launch: Launch, report: &life::Report<'_>) -> Said {
    let state = match report {
        life::Report::Preparing(step) => SaidState::Preparing(step),
        life::Report::Running { .. } => SaidState::Running,
        life::Report::Ended { outcome, .. } => SaidState::Ended {
            code: outcome.exit_code,
            signal: outcome.signal,
            launch_error: outcome.launch_error.clone().unwrap_or_default(),
            cause: outcome.cause.as_str(),
        },
    };
    Said { worker: worker.clone(), launch, state }
}

/// As `convert::report`.
pub(crate) fn report(said: Said) -> Report {
    let state = match said.state {
        SaidState::Preparing(step) => ReportState::Preparing { step: step.to_owned() },
        SaidState::Running => ReportState::Running,
        SaidState::Ended { code, signal, launch_error, cause } => {
            let host_fault = match cause {
                "no-launch" => Some(format!("the host could not start it: {launch_error}")),
                "lost" => Some("the host lost its process".to_owned()),
                "outdated" => Some("its host held an outdated launch".to_owned()),
                _ => None,
            };
            ReportState::Ended(Exit { code, signal, launch_error, host_fault, ..Exit::default() })
        }
    };
    Report { worker: said.worker, launch: said.launch, state }
}

/// As `convert::said`; nothing for what the agent keeps to itself.
pub(crate) fn word(word: Word) -> Option<DriverWord> {
    Some(match word {
        Word::Registered => DriverWord::Registered(DriverApp::default()),
        Word::Wants(count) => DriverWord::Wants(vec![ExecutorProfile {
            profile_id: 0,
            count,
            cores: 1,
            heap_mib: 1024,
            total_mib: 2048,
        }]),
        Word::GivesBack(executors) => DriverWord::GivesBack(executors),
        Word::Unregistered => DriverWord::Unregistered,
        Word::Finished(_) => return None,
    })
}
