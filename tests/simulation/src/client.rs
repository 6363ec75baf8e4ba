//! Clients of the API: they repeat what they hear nothing of, under the same token, and some ask for two things at once.

use crate::checker::Promise;
use crate::cluster::Cluster;
use crate::coordinator::{Asker, release};
use crate::event::{Client as Event, Event as Any, Heard, Request, Wish};
use crate::plan::{Meddling, NEVER};
use crate::queue::{MS, S, Time};
use hearth_coordinator_core::application::Application;
use hearth_coordinator_core::command::{ClientToken, Command, Refusal, Reply};
use hearth_coordinator_core::job_run::{CancelCause, ProcessSpec, Retries, RunPhase, RunSpec};
use hearth_types::{ApplicationId, ApplicationState, Architecture, JobRunId, WorkerSize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long a client waits for an answer.
const PATIENCE: Time = 10 * S;
/// How long a cancelled driver may take to end by itself.
const GRACE: Duration = Duration::from_secs(10);

/// All clients.
pub(crate) struct Clients {
    /// What is still wanted.
    wishes: BTreeSet<Wish>,
    /// The try that a client waits for.
    waiting: BTreeMap<Wish, u32>,
    /// Which job run of the plan an identifier was made for.
    numbers: BTreeMap<JobRunId, usize>,
    ids_made: u64,
    /// What was answered under the token of each job run: the payload's digest and the resource.
    answered: Vec<Option<(String, JobRunId)>>,
}

impl Clients {
    pub(crate) fn new(runs: usize) -> Self {
        Self {
            wishes: BTreeSet::new(),
            waiting: BTreeMap::new(),
            numbers: BTreeMap::new(),
            ids_made: 0,
            answered: vec![None; runs],
        }
    }

    /// The job run of the plan that an identifier stands for.
    pub(crate) fn run_number(&self, id: &JobRunId) -> usize {
        self.numbers.get(id).copied().expect("only clients make job runs")
    }

    /// Whether an event is of a try that its client has given up.
    pub(crate) fn is_outdated(&self, event: &Event) -> bool {
        match event {
            Event::Asks(_) | Event::Arrives(_) => false,
            Event::Hears(request, _) | Event::GivesUp(request) => {
                self.waiting.get(&request.wish) != Some(&request.attempt)
            }
        }
    }

    pub(crate) fn pending(&self) -> Option<Wish> {
        self.wishes.first().copied()
    }

    /// Every job run that a client was told of.
    pub(crate) fn told(&self) -> impl Iterator<Item = &JobRunId> {
        self.answered.iter().flatten().map(|(_, id)| id)
    }
}

pub(crate) fn application_id(number: usize) -> ApplicationId {
    ApplicationId::new(format!("app{number}")).expect("an id")
}

impl Cluster {
    pub(crate) fn clients_begin(&mut self) {
        for number in 0..self.plan.applications.len() {
            self.wish(0, Wish::Create(number));
            for (index, (at, _)) in self.plan.applications[number].meddling.clone().into_iter().enumerate() {
                self.wish(at, Wish::Meddle(number, index));
            }
        }
        for number in 0..self.plan.runs.len() {
            let run = self.plan.runs[number].clone();
            if run.at == NEVER {
                continue;
            }
            self.wish(run.at, Wish::Submit { run: number, is_second: false });
            if run.is_doubled {
                self.wish(run.at, Wish::Submit { run: number, is_second: true });
            }
            if let Some(at) = run.conflict_at {
                self.wish(at, Wish::Conflict(number));
            }
            if let Some(at) = run.cancel_at {
                self.wish(at, Wish::Cancel(number));
            }
        }
    }

    fn wish(&mut self, at: Time, wish: Wish) {
        self.clients.wishes.insert(wish);
        self.queue.at(at, Any::Client(Event::Asks(Request { wish, attempt: 1 })));
    }

    pub(crate) fn client(&mut self, event: Event) {
        match event {
            Event::Asks(request) => self.client_asks(request),
            Event::Arrives(request) => self.request_arrives(request),
            Event::Hears(request, heard) => self.client_hears(request, heard),
            Event::GivesUp(request) => self.ask_again(request),
        }
    }

    fn client_asks(&mut self, request: Request) {
        // What a client has not heard of it cannot name.
        if let Wish::Cancel(run) = request.wish
            && self.clients.answered[run].is_none()
        {
            if !self.clients.wishes.contains(&Wish::Submit { run, is_second: false }) {
                self.clients.wishes.remove(&request.wish); // It was refused.
                return;
            }
            return self.ask_again(request);
        }
        self.clients.waiting.insert(request.wish, request.attempt);
        if let Some(delay) = self.client_delay() {
            self.queue.at(self.now + delay, Any::Client(Event::Arrives(request)));
        }
        self.queue.at(self.now + PATIENCE, Any::Client(Event::GivesUp(request)));
    }

    /// How long a message between client and coordinator takes; nothing if it gets lost.
    fn client_delay(&mut self) -> Option<Time> {
        let is_lost = self.now < self.plan.calm_at && self.net.percent(self.plan.client_loss);
        (!is_lost).then(|| self.net.between(100, 20 * MS))
    }

    fn ask_again(&mut self, request: Request) {
        let again = Request { attempt: request.attempt + 1, ..request };
        self.clients.waiting.remove(&request.wish);
        let at = self.now + self.net.between(200, 2_000) * MS;
        self.queue.at(at, Any::Client(Event::Asks(again)));
    }

    fn request_arrives(&mut self, request: Request) {
        if self.coordinator.running.is_none() {
            return self.tell_client(request, Heard::Failed);
        }
        // A stopped process answers once it goes on.
        if self.coordinator.paused_until > self.now {
            let at = self.coordinator.paused_until;
            return self.queue.at(at, Any::Client(Event::Arrives(request)));
        }
        let command = self.command_for(request.wish);
        self.ask(command, Asker::Client(request));
    }

    fn command_for(&mut self, wish: Wish) -> Command {
        match wish {
            Wish::Create(number) => {
                let application = self.application(number);
                let token = token("applications", &format!("create{number}"), "one");
                Command::CreateApplication { application, document: serde_json::Value::Null, token }
            }
            Wish::Submit { run, .. } => self.submission(run, "one"),
            Wish::Conflict(run) => self.submission(run, "two"),
            Wish::Cancel(run) => {
                let application = application_id(self.plan.runs[run].application);
                let (_, id) = self.clients.answered[run].clone().expect("asked only once it was answered");
                Command::CancelJobRun { application, run: id, cause: CancelCause::Requested, grace: GRACE }
            }
            Wish::Meddle(number, index) => {
                let id = application_id(number);
                match self.plan.applications[number].meddling[index].1 {
                    Meddling::Start => Command::StartApplication(id),
                    Meddling::Stop => Command::StopApplication(id),
                }
            }
        }
    }

    fn application(&self, number: usize) -> Application {
        let plan = &self.plan.applications[number];
        let now = self.wall();
        Application {
            id: application_id(number),
            release: release(),
            architecture: Architecture::X86_64,
            state: ApplicationState::Created,
            details: String::new(),
            auto_start: true,
            idle_timeout: plan.idle_timeout.map(Duration::from_micros),
            idle_since: now,
            maximum_capacity: plan.maximum_capacity,
            concurrency: plan.concurrency,
            queue_timeout: plan.queue_timeout.map(Duration::from_micros),
            revision: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// Each request comes with an identifier of its own, as the API makes one for each.
    fn submission(&mut self, number: usize, digest: &str) -> Command {
        let plan = &self.plan.runs[number];
        let size = |vcpu| WorkerSize::new(vcpu, vcpu * 2048, 20);
        let spec = RunSpec {
            role_arn: "arn:aws:iam::000000000000:role/job".to_owned(),
            session_policies: Vec::new(),
            session_policy_arns: Vec::new(),
            release: release(),
            architecture: Architecture::X86_64,
            driver: ProcessSpec { size: size(plan.driver_vcpu), heap_mib: 1024, ..ProcessSpec::default() },
            executor_disk_gib: 20,
            initial_executors: plan.executors,
            executor: ProcessSpec {
                size: size(plan.executor_vcpu),
                heap_mib: 1024,
                ..ProcessSpec::default()
            },
            executor_cores: 1,
            log_uri: None,
            managed_logs: true,
            timeout: plan.timeout.map(Duration::from_micros),
            retries: Retries::Attempts(plan.max_attempts),
            doubts: Vec::new(),
        };
        let application = application_id(plan.application);
        self.clients.ids_made += 1;
        let id = JobRunId::new(format!("r{number}-{}", self.clients.ids_made)).expect("an id");
        self.clients.numbers.insert(id.clone(), number);
        let token = token(application.as_str(), &format!("run{number}"), digest);
        Command::StartJobRun {
            id,
            application,
            spec: Arc::new(spec),
            document: serde_json::Value::Null,
            token,
        }
    }

    /// The engine answers: what it says must be durable (P1), and one token means one resource (P2).
    pub(crate) fn answer_client(&mut self, request: Request, result: &Result<Reply, Refusal>) {
        self.note(|| format!("    answer to {request:?}: {result:?}"));
        if let Ok(reply) = result
            && let Err((promise, what)) = self.check_answer(request.wish, reply)
        {
            self.violate(promise, what);
        }
        let heard = match result {
            Ok(_) => Heard::Done,
            // It may only be too early.
            Err(Refusal::NoApplication(_)) => Heard::Failed,
            Err(_) => Heard::Refused,
        };
        self.tell_client(request, heard);
    }

    fn check_answer(&mut self, wish: Wish, reply: &Reply) -> Result<(), (Promise, String)> {
        let rows = &self.coordinator.rows;
        match (wish, reply) {
            (_, Reply::Application(id)) if !rows.applications.contains_key(id) => {
                Err((Promise::AnswerIsDurable, format!("application {id} was answered but is not durable")))
            }
            (Wish::Submit { run, .. } | Wish::Conflict(run), Reply::JobRun(id)) => {
                if !rows.runs.contains_key(id) {
                    let what = format!("job run {id} was answered but is not durable");
                    return Err((Promise::AnswerIsDurable, what));
                }
                let digest = if matches!(wish, Wish::Conflict(_)) { "two" } else { "one" };
                let answer = (digest.to_owned(), id.clone());
                let first = self.clients.answered[run].get_or_insert_with(|| answer.clone());
                if *first == answer {
                    return Ok(());
                }
                Err((Promise::OneResourcePerToken, format!("one token made {first:?} and {answer:?}")))
            }
            (Wish::Cancel(_), Reply::Done) => {
                let id = self.clients.answered.iter().flatten().map(|(_, id)| id);
                let Wish::Cancel(number) = wish else { return Ok(()) };
                let mut id = id.filter(|id| self.clients.numbers.get(*id) == Some(&number));
                let row = id.next().and_then(|id| rows.runs.get(id));
                match row.map(|row| &row.phase) {
                    Some(RunPhase::Cancelling { .. } | RunPhase::Ended { .. }) => Ok(()),
                    other => Err((Promise::AnswerIsDurable, format!("a cancelled job run is {other:?}"))),
                }
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn tell_client(&mut self, request: Request, heard: Heard) {
        if let Some(delay) = self.client_delay() {
            self.queue.at(self.now + delay, Any::Client(Event::Hears(request, heard)));
        }
    }

    fn client_hears(&mut self, request: Request, heard: Heard) {
        match heard {
            Heard::Done | Heard::Refused => {
                self.clients.waiting.remove(&request.wish);
                self.clients.wishes.remove(&request.wish);
            }
            Heard::Failed => self.ask_again(request),
        }
    }
}

fn token(scope: &str, token: &str, digest: &str) -> ClientToken {
    ClientToken { scope: scope.to_owned(), token: token.to_owned(), digest: digest.to_owned() }
}
