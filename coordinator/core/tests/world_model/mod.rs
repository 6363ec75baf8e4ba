//! A small model of everything around the world: hosts that carry out effects over streams that break, and a store that
//! keeps the latest row of each kind.

#![allow(dead_code)] // Each test file that includes this uses a part of it.

use hearth_coordinator_core::agent::{Agent, Contact, Standing};
use hearth_coordinator_core::application::Application;
use hearth_coordinator_core::command::{
    Change, ClientToken, Command, Decision, Effect, Refusal, Report, ReportState,
};
use hearth_coordinator_core::decide::{decide, owed_effects};
use hearth_coordinator_core::job_run::{
    CancelCause, JobRun, Outcome, ProcessSpec, Retries, RunPhase, RunSpec,
};
use hearth_coordinator_core::quotas::Quotas;
use hearth_coordinator_core::release::{Release, ReleaseState};
use hearth_coordinator_core::retention::EndedRun;
use hearth_coordinator_core::schedule::{Plan, schedule};
use hearth_coordinator_core::turn::Planner;
use hearth_coordinator_core::worker::{Exit, Role, Worker, WorkerState};
use hearth_coordinator_core::world::World;
use hearth_types::{
    AgentId, ApplicationId, ApplicationState, Architecture, JobRunId, Launch, Moment, Now, ReleaseLabel,
    Timestamp, WorkerId, WorkerSize,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How late a keeper may be at the end of a lease: a host's clock may be slow by 1 %, and a message a little older than it
/// seems.
fn end_of_lease(lease: Duration) -> u64 {
    u64::try_from((lease + lease / 100).as_millis()).expect("small") + 4_999
}

pub(crate) fn application_id(name: &str) -> ApplicationId {
    ApplicationId::new(name).expect("valid")
}

pub(crate) fn agent_id(name: &str) -> AgentId {
    AgentId::new(name).expect("valid")
}

pub(crate) fn run_id(name: &str) -> JobRunId {
    JobRunId::new(name).expect("valid")
}

pub(crate) fn release_label() -> ReleaseLabel {
    ReleaseLabel::new("spark-3.5").expect("valid")
}

pub(crate) fn ready() -> Release {
    let state =
        ReleaseState::Ready { sha256: "00".to_owned(), java_major: 17, java_module_options: Vec::new() };
    Release { label: release_label(), state }
}

pub(crate) fn application(name: &str) -> Application {
    Application {
        id: application_id(name),
        release: release_label(),
        architecture: Architecture::X86_64,
        state: ApplicationState::Created,
        details: String::new(),
        auto_start: true,
        idle_timeout: None,
        idle_since: Timestamp::from_millis(0),
        maximum_capacity: None,
        concurrency: None,
        queue_timeout: None,
        revision: 0,
        created_at: Timestamp::from_millis(0),
        updated_at: Timestamp::from_millis(0),
    }
}

pub(crate) fn agent(name: &str, vcpu: u64) -> Agent {
    Agent {
        id: agent_id(name),
        host_name: format!("host-{name}"),
        architecture: Architecture::X86_64,
        offered: WorkerSize::new(vcpu, vcpu * 4096, vcpu * 20),
        worker_address: "127.0.0.1".to_owned(),
        java: vec![17],
        contact: Contact::Attached,
        standing: Standing::InService,
        extension: None,
        leftovers: BTreeSet::new(),
    }
}

/// A job run's shape: driver and executors of so many vCPU.
pub(crate) fn spec(driver: u64, executors: u32, executor: u64, max_attempts: u32) -> RunSpec {
    let size = |vcpu| WorkerSize::new(vcpu, vcpu * 2048, 20);
    RunSpec {
        role_arn: "arn:aws:iam::000000000000:role/job".to_owned(),
        session_policies: Vec::new(),
        session_policy_arns: Vec::new(),
        release: release_label(),
        architecture: Architecture::X86_64,
        driver: ProcessSpec { size: size(driver), heap_mib: 1024, ..ProcessSpec::default() },
        executor_disk_gib: 20,
        initial_executors: executors,
        executor: ProcessSpec { size: size(executor), heap_mib: 1024, ..ProcessSpec::default() },
        executor_cores: u32::try_from(executor).expect("small"),
        log_uri: None,
        managed_logs: true,
        timeout: None,
        retries: Retries::Attempts(max_attempts),
        doubts: Vec::new(),
    }
}

pub(crate) fn token(scope: &str, token: &str) -> ClientToken {
    ClientToken { scope: scope.to_owned(), token: token.to_owned(), digest: "one".to_owned() }
}

pub(crate) fn start(run: &str, application: &str, spec: RunSpec) -> Command {
    Command::StartJobRun {
        id: run_id(run),
        application: application_id(application),
        spec: Arc::new(spec),
        document: serde_json::json!({}),
        token: token(application, run),
    }
}

pub(crate) fn create(application: Application) -> Command {
    let token = token("applications", application.id.as_str());
    Command::CreateApplication { application, document: serde_json::json!({}), token }
}

/// A worker as its host has it.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) launch: Launch,
    pub(crate) run: JobRunId,
    pub(crate) is_driver: bool,
    pub(crate) state: ReportState,
    pub(crate) was_told: bool,
    pub(crate) lease: Duration,
    /// Out of contact beyond its lease: a driver waits until it is thawed or killed.
    pub(crate) is_frozen: bool,
}

impl Process {
    pub(crate) fn is_alive(&self) -> bool {
        !matches!(self.state, ReportState::Ended(_))
    }

    /// Whether it can do anything.
    pub(crate) fn acts(&self) -> bool {
        self.is_alive() && !self.is_frozen
    }
}

/// A host: its processes, and the two directions of its stream, both ordered and both lost when it breaks.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) agent: Agent,
    pub(crate) processes: BTreeMap<WorkerId, Process>,
    pub(crate) is_attached: bool,
    pub(crate) inbox: VecDeque<Effect>,
    pub(crate) outbox: VecDeque<Report>,
    /// When it last had contact that renews leases.
    pub(crate) contact_at: u64,
    /// Whether it was told which of its drivers are current, since it last attached.
    pub(crate) is_settled: bool,
    /// What a coordinator that stopped in good order extended its leases to.
    pub(crate) extension: Duration,
    /// How long each worker ran that it saw end.
    pub(crate) measured: BTreeMap<WorkerId, Duration>,
}

impl Host {
    fn say(&mut self, worker: &WorkerId) {
        if let Some(process) = self.processes.get(worker) {
            let report =
                Report { worker: worker.clone(), launch: process.launch, state: process.state.clone() };
            self.outbox.push_back(report);
        }
    }

    /// Carries out one effect; a repeated one changes nothing.
    pub(crate) fn perform(&mut self, effect: &Effect) {
        match effect {
            Effect::Start(order) | Effect::Run(order) => {
                let worker = &order.worker;
                self.processes.entry(worker.id.clone()).or_insert_with(|| Process {
                    launch: worker.launch,
                    run: worker.run.clone(),
                    is_driver: worker.role == Role::Driver,
                    state: ReportState::Preparing { step: "unpacking".to_owned() },
                    was_told: false,
                    lease: worker.lease.expect("every new worker has a lease"),
                    is_frozen: false,
                });
                self.say(&worker.id);
            }
            Effect::Stop { worker, launch, .. } => match self.processes.get_mut(worker) {
                Some(process) => {
                    process.was_told = true;
                    if let ReportState::Preparing { .. } = process.state {
                        self.end(worker, Exit::default());
                    } else {
                        self.say(worker);
                    }
                }
                None => {
                    let state = ReportState::Ended(Exit::default());
                    self.outbox.push_back(Report { worker: worker.clone(), launch: *launch, state });
                }
            },
            Effect::Forget { worker, .. } => {
                self.processes.remove(worker);
            }
            Effect::Settled { current_drivers, .. } => {
                self.is_settled = true;
                let outdated: Vec<WorkerId> = self
                    .processes
                    .iter_mut()
                    .filter_map(|(id, process)| {
                        let is_current = !process.is_driver || current_drivers.contains(id);
                        process.is_frozen &= !is_current;
                        (!is_current).then(|| id.clone())
                    })
                    .collect();
                outdated.iter().for_each(|id| self.end(id, Exit::lost("outdated")));
            }
            Effect::News { .. } | Effect::Cut(_) | Effect::BuildRelease(_) => {}
        }
    }

    /// Leases end: drivers freeze, executors are killed.
    fn wait_for_contact(&mut self, now: u64) {
        if self.is_attached && self.is_settled {
            self.contact_at = now;
        }
        let silent = now - self.contact_at;
        for process in self.processes.values_mut().filter(|process| process.acts()) {
            if silent >= end_of_lease(process.lease.max(self.extension)) {
                match process.is_driver {
                    true => process.is_frozen = true,
                    false => process.state = ReportState::Ended(Exit::lost("its lease ended")),
                }
            }
        }
    }

    fn lose_contact(&mut self, now: u64) {
        if self.is_attached && self.is_settled {
            self.contact_at = now;
        }
        self.is_attached = false;
        self.inbox.clear();
        self.outbox.clear();
    }

    pub(crate) fn run(&mut self, worker: &WorkerId) {
        if let Some(process) = self.processes.get_mut(worker)
            && matches!(process.state, ReportState::Preparing { .. })
            && !process.is_frozen
        {
            process.state = ReportState::Running;
            self.say(worker);
        }
    }

    pub(crate) fn end(&mut self, worker: &WorkerId, exit: Exit) {
        if let Some(process) = self.processes.get_mut(worker)
            && process.is_alive()
        {
            // The host's own clock is nobody else's: any length will do.
            let ran = matches!(process.state, ReportState::Running)
                .then(|| Duration::from_millis(1 + 7_919 * (self.measured.len() as u64 + 1) % 200_000));
            if let Some(ran) = ran {
                self.measured.insert(worker.clone(), ran);
            }
            process.state = ReportState::Ended(Exit { ran, ..exit });
            self.say(worker);
        }
    }

    pub(crate) fn reports(&self) -> Vec<Report> {
        let report = |(id, process): (&WorkerId, &Process)| Report {
            worker: id.clone(),
            launch: process.launch,
            state: process.state.clone(),
        };
        self.processes.iter().map(report).collect()
    }
}

/// The latest row of everything, as the store keeps it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    applications: BTreeMap<ApplicationId, Change>,
    runs: BTreeMap<JobRunId, Change>,
    workers: BTreeMap<WorkerId, Change>,
    agents: BTreeMap<AgentId, Change>,
    releases: BTreeMap<ReleaseLabel, Change>,
    tokens: BTreeMap<(String, String), Change>,
    /// The coordinator's configuration: a restart brings it about.
    pub(crate) quotas: Quotas,
}

impl Rows {
    fn keep(&mut self, change: &Change) {
        let row = change.clone();
        match change {
            Change::Application(application) => drop(self.applications.insert(application.id.clone(), row)),
            Change::JobRun(run) => drop(self.runs.insert(run.id.clone(), row)),
            Change::Worker(worker) => drop(self.workers.insert(worker.id.clone(), row)),
            Change::Agent(agent) => drop(self.agents.insert(agent.id.clone(), row)),
            Change::Release(release) => drop(self.releases.insert(release.label.clone(), row)),
            Change::ReleaseForgotten(label) => drop(self.releases.remove(label)),
            Change::JobRunForgotten(run) => self.forget(run),
            Change::Token { token, .. } => {
                let key = (token.scope.clone(), token.token.clone());
                assert!(self.tokens.insert(key, row).is_none(), "a token is used once");
            }
            Change::ApplicationDocument { .. } | Change::JobRunDocument { .. } => {}
        }
    }

    /// A job run goes with all that belongs to it, and never before its time.
    fn forget(&mut self, run: &EndedRun) {
        let row = self.runs.remove(&run.id);
        if let Some(Change::JobRun(row)) = &row {
            assert_eq!(row.ended_at, Some(run.ended_at), "{} is forgotten as it ended", run.id);
        }
        assert!(row.is_some(), "{} is forgotten once", run.id);
        self.workers.retain(|_, row| match row {
            Change::Worker(worker) if worker.run == run.id => {
                assert!(!worker.is_live(), "{} of {} lives", worker.id, run.id);
                false
            }
            _ => true,
        });
        self.tokens
            .retain(|_, row| !matches!(row, Change::Token { resource, .. } if *resource == run.id.as_str()));
    }

    /// Every worker that is remembered.
    pub(crate) fn workers(&self) -> impl Iterator<Item = &Worker> {
        self.workers.values().filter_map(|row| match row {
            Change::Worker(worker) => Some(worker),
            _ => None,
        })
    }

    /// Every job run that has ended.
    pub(crate) fn ended(&self) -> Vec<EndedRun> {
        let ended = |row: &Change| match row {
            Change::JobRun(run) => Some(EndedRun {
                ended_at: run.ended_at?,
                id: run.id.clone(),
                application: run.application.clone(),
            }),
            _ => None,
        };
        self.runs.values().filter_map(ended).collect()
    }

    /// The world from scratch.
    pub(crate) fn world(&self) -> World {
        let mut world = World::default().with_quotas(self.quotas);
        let rows = (self.applications.values())
            .chain(self.releases.values())
            .chain(self.agents.values())
            .chain(self.runs.values())
            .chain(self.workers.values())
            .chain(self.tokens.values());
        rows.for_each(|row| world.apply(row));
        world
    }
}

/// The world with everything around it.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) world: World,
    pub(crate) rows: Rows,
    pub(crate) now: i64,
    /// Unlike `now`, this never goes back.
    pub(crate) moment: u64,
    term_began: u64,
    pub(crate) hosts: Vec<Host>,
    pub(crate) outcomes: BTreeMap<JobRunId, Outcome>,
    pub(crate) reports: Vec<(AgentId, Report)>,
    /// The changes of each decision, in order.
    pub(crate) journal: Vec<Vec<Change>>,
    planner: Planner,
    /// How much of the journal the planner has seen.
    planned: usize,
    workers_made: u32,
}

impl Cluster {
    /// Applications and hosts; nobody is attached and no release is ready.
    pub(crate) fn new(applications: Vec<Application>, hosts: Vec<Agent>) -> Self {
        let host = |agent| Host {
            agent,
            processes: BTreeMap::new(),
            is_attached: false,
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            contact_at: 0,
            is_settled: false,
            extension: Duration::ZERO,
            measured: BTreeMap::new(),
        };
        let mut cluster = Self {
            world: World::default(),
            rows: Rows::default(),
            now: 1_000_000,
            moment: 5_000,
            term_began: 0,
            hosts: hosts.into_iter().map(host).collect(),
            outcomes: BTreeMap::new(),
            reports: Vec::new(),
            journal: Vec::new(),
            planner: Planner::default(),
            planned: 0,
            workers_made: 0,
        };
        for application in applications {
            cluster.ask(create(application)).expect("a new application");
        }
        cluster
    }

    /// Everybody is attached and the release is ready.
    pub(crate) fn in_service(applications: Vec<Application>, hosts: Vec<Agent>) -> Self {
        let mut cluster = Self::new(applications, hosts);
        cluster.ask(Command::ReleaseIs(ready())).expect("told");
        (0..cluster.hosts.len()).for_each(|host| cluster.attach(host));
        cluster
    }

    pub(crate) fn by_the_clocks(&self) -> Now {
        Now {
            at: Timestamp::from_millis(self.now),
            moment: Moment::from_millis(self.moment - self.term_began),
        }
    }

    /// Decides a command, checks what holds for each single decision, stores the changes and sends the effects.
    pub(crate) fn ask(&mut self, command: Command) -> Result<Decision, Refusal> {
        let before = self.world.clone();
        let said = format!("{command:?}");
        let now = self.by_the_clocks();
        let decision = match decide(&mut self.world, command, now) {
            Ok(decision) => decision,
            Err(refusal) => {
                assert_eq!(self.world, before, "a refusal changes nothing: {said}");
                return Err(refusal);
            }
        };
        for change in &decision.changes {
            self.rows.keep(change);
            if let Change::JobRun(run) = change {
                self.note_end(run, &said);
            }
            if let Change::Worker(Worker { state: WorkerState::Assigned, role: Role::Driver, .. }) = change {
                self.check_attempt_before(change, &said);
            }
        }
        self.journal.push(decision.changes.clone());
        self.check_effects(&decision.effects, &said);
        self.check_bookings(&before, &said);
        self.send(&decision.effects);
        self.check(&said);
        Ok(decision)
    }

    /// Promise P4, and CANCELLED only when nothing is left of the run.
    fn note_end(&mut self, run: &JobRun, said: &str) {
        let ended_before = self.outcomes.get(&run.id).copied();
        assert_eq!(ended_before, None, "final states never change: {} after {said}", run.id);
        if let RunPhase::Ended { outcome } = run.phase {
            self.outcomes.insert(run.id.clone(), outcome);
            if outcome == Outcome::Cancelled {
                assert_eq!(self.world.workers_of(&run.id).count(), 0, "cancelled with workers after {said}");
            }
        }
    }

    /// Nothing of the attempt before acts on a host in contact when the next driver is placed.
    fn check_attempt_before(&self, placed: &Change, said: &str) {
        let Change::Worker(driver) = placed else { return };
        let hosts = self.hosts.iter().filter(|host| host.is_attached);
        let acting = hosts.flat_map(|host| host.processes.iter()).find(|(_, process)| {
            process.run == driver.run && process.launch < driver.launch && process.acts()
        });
        assert!(acting.is_none(), "{acting:?} acts beside {} after {said}", driver.id);
    }

    /// A worker is ordered to start only where it is placed and wanted.
    fn check_effects(&self, effects: &[Effect], said: &str) {
        for (position, effect) in effects.iter().enumerate() {
            if let Effect::Start(order) | Effect::Run(order) = effect {
                let id = &order.worker.id;
                let is_stopped_later = effects[position..]
                    .iter()
                    .any(|later| matches!(later, Effect::Stop { worker, .. } if worker == id));
                let is_wanted = self.world.worker(id).is_some_and(|worker| {
                    worker.serves()
                        && worker.agent == order.worker.agent
                        && worker.launch == order.worker.launch
                });
                assert!(is_wanted || is_stopped_later, "{id} is started though unwanted after {said}");
            }
        }
    }

    /// Promise P8: nothing is given beyond what an agent offers.
    fn check_bookings(&self, before: &World, said: &str) {
        for agent in self.world.agents() {
            let (was, is) = (before.booked(&agent.id), self.world.booked(&agent.id));
            let grew = !is.fits(&was);
            assert!(!grew || is.fits(&agent.offered), "{} is overbooked: {is} after {said}", agent.id);
        }
    }

    /// What holds at every instant.
    pub(crate) fn check(&self, said: &str) {
        assert_eq!(self.world, self.rows.world(), "indexes and rows agree after {said}");
        for run in self.world.runs() {
            let (drivers, outdated): (Vec<&Worker>, Vec<&Worker>) = self
                .world
                .workers_of(&run.id)
                .filter(|worker| worker.role == Role::Driver)
                .partition(|worker| worker.launch == run.launch);
            let may_be_there = |worker: &&Worker| !worker.serves() && worker.launch < run.launch;
            assert!(outdated.iter().all(may_be_there), "outdated drivers {outdated:?} after {said}");
            assert!(drivers.len() <= 1, "two live drivers of {} after {said}", run.id);
            if let Some(driver) = run.driver() {
                assert_eq!(drivers.first().map(|worker| &worker.id), Some(driver), "driver after {said}");
            }
        }
        for worker in self.world.workers().filter(|worker| worker.serves()) {
            let run = self.world.run(&worker.run).unwrap_or_else(|| panic!("orphan {worker:?} after {said}"));
            assert!(run.driver().is_some(), "{worker:?} without driver after {said}");
            assert_eq!(worker.launch, run.launch, "{worker:?} of an older launch after {said}");
        }
        for application in self.world.applications() {
            if let Some(limit) = application.maximum_capacity {
                assert!(self.world.held_by(&application.id).fits(&limit), "maximum capacity after {said}");
            }
            let is_under_way = |run: &&JobRun| {
                let of_this_attempt = |worker: &Worker| worker.launch == run.launch;
                !run.waits_for_driver() && self.world.workers_of(&run.id).any(of_this_attempt)
            };
            let under_way = self.world.runs_of(&application.id).filter(is_under_way).count();
            let limit = application.concurrency.map_or(usize::MAX, |limit| limit as usize);
            // A limit that was lowered leaves alone what is under way.
            assert!(under_way <= limit || application.revision > 0, "concurrency after {said}");
        }
        self.check_processes(said);
    }

    /// Promise P3 in fact, not only in the coordinator's mind.
    fn check_processes(&self, said: &str) {
        let mut drivers: BTreeMap<&JobRunId, u32> = BTreeMap::new();
        let processes = self.hosts.iter().flat_map(|host| host.processes.values());
        for driver in processes.filter(|process| process.is_driver && process.acts()) {
            let alive = drivers.entry(&driver.run).or_default();
            *alive += 1;
            assert!(*alive <= 1, "two processes drive {} after {said}", driver.run);
        }
    }

    fn send(&mut self, effects: &[Effect]) {
        for effect in effects {
            let agent = match effect {
                Effect::Start(order) | Effect::Run(order) => &order.worker.agent,
                Effect::Stop { agent, .. }
                | Effect::Forget { agent, .. }
                | Effect::News { agent, .. }
                | Effect::Settled { agent, .. } => agent,
                Effect::Cut(_) | Effect::BuildRelease(_) => continue,
            };
            let host = self.hosts.iter_mut().find(|host| host.agent.id == *agent && host.is_attached);
            if let Some(host) = host {
                host.inbox.push_back(effect.clone());
            }
        }
    }

    /// What comes of an active run's cancelling by its user.
    pub(crate) fn cancel(&mut self, name: &str, grace: Duration) -> Decision {
        let (application, run) = (self.run(name).application.clone(), run_id(name));
        let cause = CancelCause::Requested;
        self.ask(Command::CancelJobRun { application, run, cause, grace }).expect("active")
    }

    pub(crate) fn attach(&mut self, host: usize) {
        let now = self.moment;
        let host = &mut self.hosts[host];
        host.lose_contact(now);
        host.is_attached = true;
        host.is_settled = false;
        host.extension = Duration::ZERO;
        let (agent, reports) = (host.agent.clone(), host.reports());
        self.reports.extend(reports.iter().map(|report| (agent.id.clone(), report.clone())));
        self.ask(Command::AgentAttached { agent, reports, stream: 1 }).expect("an agent is never refused");
    }

    pub(crate) fn cut_off(&mut self, host: usize) {
        let host = &mut self.hosts[host];
        if host.is_attached {
            host.lose_contact(self.moment);
            let agent = host.agent.id.clone();
            let answered = self.by_the_clocks().moment;
            self.ask(Command::AgentDetached { agent, answered }).expect("an agent is never refused");
        }
    }

    /// The coordinator dies and another takes over from the store.
    pub(crate) fn restart(&mut self) {
        let now = self.moment;
        self.hosts.iter_mut().for_each(|host| host.lose_contact(now));
        self.world = self.rows.world();
        self.term_began = now;
        self.ask(Command::TermBegan).expect("never refused");
        let owed = owed_effects(&self.world);
        self.check_effects(&owed, "a restart");
        self.send(&owed);
    }

    /// The coordinator is stopped in good order; hosts in contact hear of it, or do not. Another takes over later.
    pub(crate) fn leave(&mut self, extension: Duration, heard: bool, away: u64) {
        self.ask(Command::Leaving { extension }).expect("never refused");
        let now = self.moment;
        for host in self.hosts.iter_mut().filter(|host| host.is_attached) {
            host.lose_contact(now);
            if heard {
                host.extension = extension;
                host.contact_at = now;
            }
        }
        self.moment += away;
        let now = self.moment;
        self.hosts.iter_mut().for_each(|host| host.wait_for_contact(now));
        self.restart();
    }

    /// A host carries out the next effect of its stream, if any.
    pub(crate) fn deliver(&mut self, host: usize, twice: bool) -> bool {
        let host = &mut self.hosts[host];
        let Some(effect) = host.inbox.pop_front() else { return false };
        host.perform(&effect);
        if twice {
            host.perform(&effect);
        }
        true
    }

    /// The coordinator hears the next report of a host's stream, if any, and hears it once more.
    pub(crate) fn hear(&mut self, host: usize) -> bool {
        let host = &mut self.hosts[host];
        if !host.is_attached {
            host.outbox.clear();
            return false;
        }
        let Some(report) = host.outbox.pop_front() else { return false };
        let agent = host.agent.id.clone();
        self.reports.push((agent.clone(), report.clone()));
        self.report(agent.clone(), report.clone());
        let again = self.ask(Command::WorkerReported { agent, report }).expect("never refused");
        assert_eq!(again.changes, [], "the same report twice changes something");
        true
    }

    pub(crate) fn report(&mut self, agent: AgentId, report: Report) -> Decision {
        self.ask(Command::WorkerReported { agent, report }).expect("a report is never refused")
    }

    /// Moves time on and acts on what is due; nothing stays due. Hosts out of contact freeze their drivers in time.
    pub(crate) fn pass(&mut self, millis: i64) {
        self.now += millis;
        self.moment += u64::try_from(millis).unwrap_or(0);
        let now = self.moment;
        self.hosts.iter_mut().for_each(|host| host.wait_for_contact(now));
        self.ask(Command::TimePassed).expect("time cannot be refused");
        let due = self.world.due_in(self.by_the_clocks());
        assert_ne!(due, Some(Duration::ZERO), "something is still due after time passed");
    }

    pub(crate) fn fresh_ids(&mut self, count: usize) -> Vec<WorkerId> {
        let mut fresh = || {
            self.workers_made += 1;
            WorkerId::new(format!("w-{:04}", (self.workers_made * 7919) % 10_000)).expect("valid")
        };
        (0..count).map(|_| fresh()).collect()
    }

    /// Carries out a plan, be it one of an earlier world.
    pub(crate) fn place(&mut self, plan: &Plan) -> Decision {
        let ids = self.fresh_ids(plan.placements.len());
        self.ask(Command::Place { plan: plan.clone(), ids }).expect("a plan is never refused")
    }

    /// Plans and places; whoever knows what was planned before comes to the same plan, and a second one has nothing to do.
    pub(crate) fn schedule(&mut self) {
        let changes = self.journal[self.planned..].concat();
        let plan = self.planner.plan(&self.world, &changes);
        assert_eq!(plan, schedule(&self.world));
        self.place(&plan);
        self.planned = self.journal.len();
        let again = schedule(&self.world);
        assert!(again.is_empty(), "planning again finds something to do: {again:?}");
    }

    pub(crate) fn run(&self, name: &str) -> &JobRun {
        self.world.run(&run_id(name)).unwrap_or_else(|| panic!("{name} is not active"))
    }

    /// The host and id of a run's live workers.
    pub(crate) fn workers(&self, run: &JobRunId) -> Vec<(usize, Worker)> {
        let host = |worker: &Worker| {
            self.hosts.iter().position(|host| host.agent.id == worker.agent).expect("placed on a host")
        };
        self.world.workers_of(run).map(|worker| (host(worker), worker.clone())).collect()
    }

    /// Lets streams carry everything until nothing moves; processes start as ordered and end when told.
    pub(crate) fn flow(&mut self) {
        for _ in 0..1000 {
            let mut moved = false;
            for host in 0..self.hosts.len() {
                moved |= self.deliver(host, false);
                moved |= self.hear(host);
                let here = &mut self.hosts[host];
                let ids: Vec<WorkerId> = here.processes.keys().cloned().collect();
                for id in ids {
                    if here.processes[&id].was_told && here.processes[&id].is_alive() {
                        here.end(&id, Exit { code: Some(143), ..Exit::default() });
                        moved = true;
                    } else if here.processes[&id].acts()
                        && matches!(here.processes[&id].state, ReportState::Preparing { .. })
                    {
                        here.run(&id);
                        moved = true;
                    }
                }
            }
            if !moved {
                return;
            }
        }
        panic!("streams never come to rest");
    }

    /// Everything is delivered and every driver ends well: every job run must end, and nothing stay behind.
    pub(crate) fn settle(&mut self) {
        self.ask(Command::ReleaseIs(ready())).expect("told");
        for _ in 0..200 {
            for host in 0..self.hosts.len() {
                if !self.hosts[host].is_attached {
                    self.attach(host);
                }
            }
            self.schedule();
            self.flow();
            self.pass(1000);
            for host in &mut self.hosts {
                let drivers: Vec<WorkerId> = host
                    .processes
                    .iter()
                    .filter(|(_, process)| process.is_driver && process.acts())
                    .map(|(id, _)| id.clone())
                    .collect();
                drivers.iter().for_each(|id| host.end(id, Exit { code: Some(0), ..Exit::default() }));
            }
            self.flow();
            let is_idle = self.world.runs().next().is_none() && self.world.workers().next().is_none();
            if is_idle {
                assert!(self.hosts.iter().all(|host| host.processes.is_empty()), "a host remembers workers");
                return;
            }
        }
        let left: Vec<&JobRun> = self.world.runs().collect();
        panic!("job runs or workers never end: {left:#?} {:#?}", self.world.workers().collect::<Vec<_>>());
    }
}

/// Ends a worker as its host sees it and lets the coordinator know.
pub(crate) fn end(cluster: &mut Cluster, worker: &Worker, exit: Exit) -> Decision {
    let state = ReportState::Ended(exit);
    let processes = cluster.hosts.iter_mut().flat_map(|host| host.processes.iter_mut());
    for (_, process) in processes.filter(|(id, process)| **id == worker.id && process.is_alive()) {
        process.state = state.clone();
    }
    let report = Report { worker: worker.id.clone(), launch: worker.launch, state };
    cluster.report(worker.agent.clone(), report)
}
