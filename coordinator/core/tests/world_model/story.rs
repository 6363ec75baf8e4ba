//! Random histories: every kind of step, and how it is told to the cluster.

use crate::world_model::{
    Cluster, Host, agent, application, application_id, create, ready, release_label, run_id, spec, start,
    token,
};
use hearth_coordinator_core::command::{
    Change, Command, Decision, DriverWord, Refusal, Reply, Report, ReportState,
};
use hearth_coordinator_core::job_run::{CancelCause, DriverApp, ExecutorProfile, RunSpec};
use hearth_coordinator_core::release::{Release, ReleaseState};
use hearth_coordinator_core::schedule::{Plan, schedule};
use hearth_coordinator_core::worker::Exit;
use hearth_types::{JobRunId, Launch, WorkerId, WorkerSize};
use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::Arc;
use std::time::Duration;

const APPLICATIONS: [&str; 4] = ["plain", "capped", "narrow", "manual"];

#[derive(Debug, Clone)]
pub(crate) enum Step {
    StartRun { application: usize, driver: u64, executors: u32, executor: u64, attempts: u32, timed: bool },
    RepeatStart(Index, bool),
    Cancel(Index, u64),
    StartApplication(usize),
    StopApplication(usize),
    DeleteApplication(usize),
    CreateApplication(usize),
    Attach(usize, u64),
    CutOff(usize),
    LoseState(usize),
    Deliver(usize, bool),
    Hear(usize),
    Advance(usize, Index, Fate),
    Flow,
    LateReport(Index, bool, bool),
    StrangeReport(usize, Index),
    Say(Index, Word, bool),
    Release(Option<bool>),
    Pass(i64),
    PassUntilDue,
    Schedule,
    KeepPlan,
    PlaceKept(Index),
    Restart,
    Leave(u64, bool, u64),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate {
    Run,
    Succeed,
    Fail,
    OutOfMemory,
    CannotLaunch,
    Crash,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Word {
    Registered,
    Wants(u32, u32),
    WantsTwice(u32),
    WantsNothing,
    WantsAllOfNoSize,
    GivesBack(u32),
    Unregistered,
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => Just(Fate::Run),
        2 => Just(Fate::Succeed),
        2 => Just(Fate::Fail),
        1 => Just(Fate::OutOfMemory),
        1 => Just(Fate::CannotLaunch),
        1 => Just(Fate::Crash),
    ]
}

fn words() -> impl Strategy<Value = Word> {
    prop_oneof![
        3 => Just(Word::Registered),
        4 => (0..5_u32, 0..3_u32).prop_map(|(count, other)| Word::Wants(count, other)),
        1 => (0..4_u32).prop_map(Word::WantsTwice),
        1 => Just(Word::WantsNothing),
        1 => Just(Word::WantsAllOfNoSize),
        1 => (1..4_u32).prop_map(Word::GivesBack),
        1 => Just(Word::Unregistered),
    ]
}

/// Job runs that are started.
pub(crate) fn submissions() -> impl Strategy<Value = Step> {
    (0..4_usize, 1..5_u64, 0..4_u32, 1..3_u64, 1..4_u32, any::<bool>()).prop_map(
        |(application, driver, executors, executor, attempts, timed)| Step::StartRun {
            application,
            driver,
            executors,
            executor,
            attempts,
            timed,
        },
    )
}

pub(crate) fn steps() -> impl Strategy<Value = Step> {
    let host = 0..3_usize;
    let which = any::<Index>;
    prop_oneof![
        6 => submissions(),
        1 => (which(), any::<bool>()).prop_map(|(which, same)| Step::RepeatStart(which, same)),
        2 => (which(), 0..3_u64).prop_map(|(which, grace)| Step::Cancel(which, grace)),
        1 => (0..4_usize).prop_map(Step::StartApplication),
        1 => (0..4_usize).prop_map(Step::StopApplication),
        1 => (0..4_usize).prop_map(Step::DeleteApplication),
        1 => (0..4_usize).prop_map(Step::CreateApplication),
        4 => (host.clone(), 2..9_u64).prop_map(|(host, vcpu)| Step::Attach(host, vcpu)),
        2 => host.clone().prop_map(Step::CutOff),
        1 => host.clone().prop_map(Step::LoseState),
        8 => (host.clone(), any::<bool>()).prop_map(|(host, twice)| Step::Deliver(host, twice)),
        8 => host.clone().prop_map(Step::Hear),
        10 => (host.clone(), which(), fates()).prop_map(|(host, which, fate)| Step::Advance(host, which, fate)),
        4 => Just(Step::Flow),
        3 => (which(), any::<bool>(), any::<bool>()).prop_map(|(which, foreign, old)| Step::LateReport(which, foreign, old)),
        1 => (host, which()).prop_map(|(host, which)| Step::StrangeReport(host, which)),
        8 => (which(), words(), any::<bool>()).prop_map(|(which, word, rightly)| Step::Say(which, word, rightly)),
        2 => prop_oneof![2 => Just(Some(true)), 1 => Just(Some(false)), 1 => Just(None)].prop_map(Step::Release),
        4 => prop_oneof![Just(-5_000_i64), 0..30_000_i64, 30_000..40_000_i64, 300_000..700_000_i64]
            .prop_map(Step::Pass),
        4 => Just(Step::PassUntilDue),
        8 => Just(Step::Schedule),
        2 => Just(Step::KeepPlan),
        2 => which().prop_map(Step::PlaceKept),
        1 => Just(Step::Restart),
        1 => (20..900_u64, any::<bool>(), 0..100_000_u64)
            .prop_map(|(extension, heard, away)| Step::Leave(extension, heard, away)),
    ]
}

pub(crate) struct Story {
    pub(crate) cluster: Cluster,
    pub(crate) started: Vec<(JobRunId, usize, RunSpec)>,
    plans: Vec<Plan>,
}

fn applications() -> Vec<hearth_coordinator_core::application::Application> {
    APPLICATIONS
        .iter()
        .map(|name| {
            let mut application = application(name);
            match *name {
                "capped" => application.maximum_capacity = Some(WorkerSize::new(6, 24_576, 200)),
                "narrow" => {
                    application.concurrency = Some(1);
                    application.idle_timeout = Some(Duration::from_secs(15));
                }
                "manual" => application.auto_start = false,
                _ => application.idle_timeout = Some(Duration::from_secs(900)),
            }
            application
        })
        .collect()
}

impl Story {
    pub(crate) fn new(in_service: bool) -> Self {
        let hosts = vec![agent("a", 4), agent("b", 8), agent("c", 6)];
        let cluster = match in_service {
            true => Cluster::in_service(applications(), hosts),
            false => Cluster::new(applications(), hosts),
        };
        Self { cluster, started: Vec::new(), plans: Vec::new() }
    }

    pub(crate) fn tell(&mut self, step: Step) {
        let cluster = &mut self.cluster;
        match step {
            Step::StartRun { application, driver, executors, executor, attempts, timed } => {
                let name = format!("r-{}", self.started.len());
                let mut spec = spec(driver, executors, executor, attempts);
                spec.timeout = timed.then(|| Duration::from_secs(60));
                let started = cluster.ask(start(&name, APPLICATIONS[application], spec.clone()));
                if let Ok(decision) = started {
                    assert_eq!(decision.reply, Reply::JobRun(run_id(&name)));
                    self.started.push((run_id(&name), application, spec));
                }
            }
            Step::RepeatStart(which, same) => self.repeat_start(which, same),
            Step::Cancel(which, grace) => {
                if !self.started.is_empty() {
                    let (run, application, _) = which.get(&self.started).clone();
                    let is_active = cluster.world.run(&run).is_some();
                    let cancelled = cluster.ask(Command::CancelJobRun {
                        application: application_id(APPLICATIONS[application]),
                        run,
                        cause: CancelCause::Requested,
                        grace: Duration::from_secs(grace),
                    });
                    assert_eq!(cancelled.is_ok(), is_active);
                }
            }
            Step::StartApplication(which) => {
                drop(cluster.ask(Command::StartApplication(application_id(APPLICATIONS[which]))));
            }
            Step::StopApplication(which) => {
                let id = application_id(APPLICATIONS[which]);
                let active = cluster.world.runs_of(&id).count();
                let stopped = cluster.ask(Command::StopApplication(id));
                assert!(active == 0 || stopped.is_err(), "stopped with active job runs");
            }
            Step::DeleteApplication(which) => {
                drop(cluster.ask(Command::DeleteApplication(application_id(APPLICATIONS[which]))));
            }
            Step::CreateApplication(which) => {
                // The same token again: the same answer, even for one that was deleted.
                let again = cluster.ask(create(applications().swap_remove(which))).expect("the same request");
                assert_eq!(again.reply, Reply::Application(application_id(APPLICATIONS[which])));
                assert_eq!(again.changes, []);
            }
            Step::Attach(host, vcpu) => {
                cluster.hosts[host].agent.offered = agent("x", vcpu).offered;
                cluster.attach(host);
            }
            Step::CutOff(host) => cluster.cut_off(host),
            Step::LoseState(host) => {
                cluster.cut_off(host);
                cluster.hosts[host].processes.clear();
            }
            Step::Deliver(host, twice) => drop(cluster.deliver(host, twice)),
            Step::Hear(host) => drop(cluster.hear(host)),
            Step::Advance(host, which, fate) => {
                let here = &mut cluster.hosts[host];
                let ids: Vec<WorkerId> = here.processes.keys().cloned().collect();
                if !ids.is_empty() {
                    advance(here, which.get(&ids), fate);
                }
            }
            Step::Flow => cluster.flow(),
            Step::LateReport(which, foreign, old) => {
                if !cluster.reports.is_empty() {
                    let (agent, mut report) = which.get(&cluster.reports).clone();
                    if old {
                        report.launch = Launch { attempt: report.launch.attempt + 1, launch: 1 };
                    }
                    let other =
                        cluster.hosts.iter().find(|host| host.agent.id != agent).expect("three hosts");
                    let from = if foreign { other.agent.id.clone() } else { agent };
                    let is_known = cluster.world.worker(&report.worker).is_some();
                    let decision = cluster.report(from, report);
                    assert!(
                        !(foreign || old) || touches_nobody(&decision, is_known),
                        "a stranger's word counts"
                    );
                }
            }
            Step::StrangeReport(host, which) => {
                let agent = cluster.hosts[host].agent.id.clone();
                let state = ReportState::Ended(Exit::default());
                let workers: Vec<_> = cluster.world.workers().cloned().collect();
                if !workers.is_empty() {
                    // News of a live worker, but from another host or of another launch.
                    let worker = which.get(&workers).clone();
                    let stranger = worker.agent != agent;
                    let attempt = worker.launch.attempt + u32::from(!stranger);
                    let launch = Launch { attempt, launch: 1 };
                    let report = Report { worker: worker.id, launch, state };
                    assert_eq!(cluster.report(agent.clone(), report).changes, [], "a stranger's word counts");
                }
                let worker = WorkerId::new(format!("unknown-{}", which.index(3))).expect("valid");
                let report = Report { worker, launch: Launch::FIRST, state: ReportState::Running };
                let decision = cluster.report(agent, report);
                assert!(touches_nobody(&decision, false), "what nobody knows takes up room, and that is all");
                assert_eq!(decision.effects.len(), 1, "it is told to stop");
            }
            Step::Say(which, word, rightly) => self.say(which, word, rightly),
            Step::Release(state) => {
                let release = match state {
                    Some(true) => ready(),
                    Some(false) => {
                        let state = ReleaseState::Failed { reason: "no network".to_owned() };
                        Release { label: release_label(), state }
                    }
                    None => {
                        let state = ReleaseState::Building { step: "downloading".to_owned() };
                        Release { label: release_label(), state }
                    }
                };
                cluster.ask(Command::ReleaseIs(release)).expect("never refused");
            }
            Step::Pass(millis) => cluster.pass(millis),
            Step::PassUntilDue => {
                let due = cluster.world.due_in(cluster.by_the_clocks());
                if let Some(millis) = due.and_then(|due| i64::try_from(due.as_millis()).ok()) {
                    cluster.pass(millis);
                }
            }
            Step::Schedule => cluster.schedule(),
            Step::KeepPlan => self.plans.push(schedule(&cluster.world)),
            Step::PlaceKept(which) => {
                if !self.plans.is_empty() {
                    cluster.place(which.get(&self.plans));
                }
            }
            Step::Restart => cluster.restart(),
            Step::Leave(extension, heard, away) => {
                cluster.leave(Duration::from_secs(extension), heard, away);
            }
        }
    }

    /// Promise P2.
    fn repeat_start(&mut self, which: Index, same: bool) {
        if self.started.is_empty() {
            return;
        }
        let (run, application, spec) = which.get(&self.started).clone();
        let mut token = token(APPLICATIONS[application], run.as_str());
        if !same {
            token.digest = "other".to_owned();
        }
        let again = self.cluster.ask(Command::StartJobRun {
            id: run_id("another"),
            application: application_id(APPLICATIONS[application]),
            spec: Arc::new(spec),
            document: serde_json::json!({}),
            token,
        });
        match again {
            Ok(decision) => {
                assert!(same);
                assert_eq!((decision.reply, decision.changes), (Reply::JobRun(run), Vec::new()));
            }
            Err(refusal) => {
                assert!(!same);
                assert_eq!(refusal, Refusal::TokenReused(run.to_string()));
            }
        }
    }

    fn say(&mut self, which: Index, word: Word, rightly: bool) {
        let cluster = &mut self.cluster;
        let workers: Vec<_> = cluster.world.workers().cloned().collect();
        if workers.is_empty() {
            return;
        }
        let worker = which.get(&workers);
        let profile = |profile_id, count, cores, total_mib| ExecutorProfile {
            profile_id,
            count,
            cores,
            heap_mib: total_mib / 2,
            total_mib,
        };
        let word = match word {
            Word::Registered => DriverWord::Registered(DriverApp { ui_port: 4040, ..DriverApp::default() }),
            Word::Wants(count, other) => {
                DriverWord::Wants(vec![profile(0, count, 1, 2048), profile(7, other, 2, 4096)])
            }
            Word::WantsTwice(count) => {
                DriverWord::Wants(vec![profile(0, count + 2, 1, 2048), profile(0, count, 1, 2048)])
            }
            Word::WantsNothing => DriverWord::Wants(Vec::new()),
            Word::WantsAllOfNoSize => DriverWord::Wants(vec![profile(9, u32::MAX, 0, 0)]),
            Word::GivesBack(executor) => DriverWord::GivesBack(vec![executor]),
            Word::Unregistered => DriverWord::Unregistered,
        };
        let attempt = worker.launch.attempt + u32::from(!rightly);
        let said = Command::DriverSaid {
            agent: worker.agent.clone(),
            worker: worker.id.clone(),
            launch: Launch { attempt, ..worker.launch },
            word,
        };
        let decision = cluster.ask(said.clone()).expect("never refused");
        assert!(rightly || decision.changes.is_empty(), "a word of another launch counts");
        let again = cluster.ask(said).expect("never refused");
        assert_eq!(again.changes, [], "the same word twice changes something");
    }
}

/// Whether a report changed nothing but, of a worker that nobody knows, what its agent still holds.
fn touches_nobody(decision: &Decision, is_known: bool) -> bool {
    decision.changes.iter().all(|change| !is_known && matches!(change, Change::Agent(_)))
}

fn advance(host: &mut Host, worker: &WorkerId, fate: Fate) {
    let exit = match fate {
        Fate::Run => return host.run(worker),
        Fate::Succeed => Exit { code: Some(0), ..Exit::default() },
        Fate::Fail => Exit { code: Some(1), ..Exit::default() },
        Fate::OutOfMemory => Exit { signal: Some(9), oom_killed: true, ..Exit::default() },
        Fate::CannotLaunch => Exit { launch_error: "no disk".to_owned(), ..Exit::lost("no disk") },
        Fate::Crash => Exit { signal: Some(11), ..Exit::default() },
    };
    host.end(worker, exit);
}
