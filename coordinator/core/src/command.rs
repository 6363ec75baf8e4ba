//! The closed sets of what can be asked of the world, what changes in answer, and what must then be done.

use crate::agent::{Agent, Standing};
use crate::application::{Application, UpdatableIn};
use crate::job_run::{CancelCause, DriverApp, ExecutorProfile, JobRun, RunSpec};
use crate::release::Release;
use crate::retention::EndedRun;
use crate::schedule::Plan;
use crate::worker::{Exit, Worker};
use hearth_types::{
    AgentId, ApplicationId, ApplicationState, JobRunId, Launch, Moment, ReleaseLabel, WorkerId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// What makes a repeated request recognisable (promise P2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientToken {
    /// What the token is unique within: `applications`, an application's id for its job runs, or `<id>/updates`.
    pub scope: String,
    /// The caller's token.
    pub token: String,
    /// Digest of the request's payload.
    pub digest: String,
}

/// What a worker's agent says of it. Complete each time, so that repeating it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The worker.
    pub worker: WorkerId,
    /// The launch it belongs to.
    pub launch: Launch,
    /// What it does.
    pub state: ReportState,
}

/// What a worker does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportState {
    /// Being prepared; the step is for people.
    Preparing {
        /// What is being done.
        step: String,
    },
    /// Its process runs.
    Running,
    /// Its process ended and its logs are shipped.
    Ended(Exit),
}

/// What a driver's scheduler plugin says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriverWord {
    /// The engine is up; executors can register.
    Registered(DriverApp),
    /// How many executors it wants, in all.
    Wants(Vec<ExecutorProfile>),
    /// Executors it gives back.
    GivesBack(Vec<u32>),
    /// The engine is going down; it needs no executors any more.
    Unregistered,
}

/// What can be asked.
#[derive(Debug, Clone)]
pub enum Command {
    /// `CreateApplication`, validated.
    CreateApplication {
        /// The new application.
        application: Application,
        /// The API's document of it.
        document: Value,
        /// The caller's token.
        token: ClientToken,
    },
    /// `UpdateApplication`, validated: the application and its document as they are to be, made from the revision that
    /// `application` still has. State and times are the world's own.
    UpdateApplication {
        /// The application.
        application: Application,
        /// The API's document of it.
        document: Value,
        /// The caller's token.
        token: ClientToken,
        /// In which states it may be carried out.
        states: UpdatableIn,
    },
    /// `StartApplication`.
    StartApplication(ApplicationId),
    /// `StopApplication`.
    StopApplication(ApplicationId),
    /// `DeleteApplication`.
    DeleteApplication(ApplicationId),
    /// `StartJobRun`, validated and turned into what to launch.
    StartJobRun {
        /// The new run's identifier.
        id: JobRunId,
        /// Its application.
        application: ApplicationId,
        /// What to launch.
        spec: Arc<RunSpec>,
        /// The API's document of it.
        document: Value,
        /// The caller's token.
        token: ClientToken,
    },
    /// `CancelJobRun`, or hearth's own wish.
    CancelJobRun {
        /// The application named.
        application: ApplicationId,
        /// The run.
        run: JobRunId,
        /// Why.
        cause: CancelCause,
        /// How long the driver may take to end by itself.
        grace: Duration,
    },
    /// An agent's stream is open; it told everything it holds.
    AgentAttached {
        /// The agent as it describes itself.
        agent: Agent,
        /// All its workers.
        reports: Vec<Report>,
        /// Which of its streams, so that the judgement on what it told goes down no other.
        stream: u64,
    },
    /// An agent's stream is closed.
    AgentDetached {
        /// The agent.
        agent: AgentId,
        /// When it was last answered, or attached if it never was since: no lease of its counts from later.
        answered: Moment,
    },
    /// A coordinator takes over what another left: it is in contact with no agent, and waits for each as if it had been
    /// in contact until now (design §9: a started coordinator knows no grants).
    TermBegan,
    /// The coordinator is about to stop in good order. Once this is durable, each agent in contact is told that its leases
    /// are extended; all are assumed to have heard (design §9).
    Leaving {
        /// What each lease is good for from then on, at least.
        extension: Duration,
    },
    /// An operator takes an agent out of service, back in, or off for ever.
    SetStanding {
        /// The agent.
        agent: AgentId,
        /// What is wanted of it.
        standing: Standing,
    },
    /// An agent reports on a worker.
    WorkerReported {
        /// The agent, from its certificate.
        agent: AgentId,
        /// What it says.
        report: Report,
    },
    /// The order to start a worker cannot be made, however often it is tried.
    CannotStart {
        /// The worker.
        worker: WorkerId,
        /// The launch it belongs to.
        launch: Launch,
        /// Why, for people.
        reason: String,
    },
    /// A driver says something, through its agent.
    DriverSaid {
        /// The agent, from its certificate.
        agent: AgentId,
        /// The driver's worker.
        worker: WorkerId,
        /// The launch it belongs to.
        launch: Launch,
        /// What it says.
        word: DriverWord,
    },
    /// A release's bundle is there, is being made, or could not be made.
    ReleaseIs(Release),
    /// Forget those of these job runs that may be forgotten.
    ForgetJobRuns {
        /// What the store says has ended.
        ended: Vec<EndedRun>,
        /// How long they are kept after their end.
        keep: Duration,
    },
    /// Forget a release, if it is unused; its next job run builds it anew.
    ForgetRelease(ReleaseLabel),
    /// Carry out a plan, as far as it still holds.
    Place {
        /// The plan.
        plan: Plan,
        /// Fresh identifiers, at least one for each placement.
        ids: Vec<WorkerId>,
    },
    /// Time passed: act on every deadline that is due.
    TimePassed,
}

impl Command {
    /// The caller's token, of commands that make something.
    pub const fn token(&self) -> Option<&ClientToken> {
        match self {
            Self::CreateApplication { token, .. }
            | Self::UpdateApplication { token, .. }
            | Self::StartJobRun { token, .. } => Some(token),
            Self::StartApplication(_)
            | Self::StopApplication(_)
            | Self::DeleteApplication(_)
            | Self::CancelJobRun { .. }
            | Self::AgentAttached { .. }
            | Self::AgentDetached { .. }
            | Self::SetStanding { .. }
            | Self::TermBegan
            | Self::Leaving { .. }
            | Self::WorkerReported { .. }
            | Self::CannotStart { .. }
            | Self::DriverSaid { .. }
            | Self::ReleaseIs(_)
            | Self::ForgetJobRuns { .. }
            | Self::ForgetRelease(_)
            | Self::Place { .. }
            | Self::TimePassed => None,
        }
    }
}

/// What the asker is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Done.
    Done,
    /// An application was made, or had been made under the same token.
    Application(ApplicationId),
    /// A job run was accepted, or had been accepted under the same token.
    JobRun(JobRunId),
}

/// Why something asked for is not done. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such application.
    #[error("application {0} does not exist")]
    NoApplication(ApplicationId),
    /// No active job run of that name in that application.
    #[error("job run {0} is not active")]
    NoActiveJobRun(JobRunId),
    /// The token was used with another payload.
    #[error("client token {0} was already used with different parameters")]
    TokenReused(String),
    /// The application's state does not allow it.
    #[error("application {id} is in state {state}")]
    WrongState {
        /// Which.
        id: ApplicationId,
        /// Its state.
        state: ApplicationState,
    },
    /// The application was updated since its revision was read.
    #[error("application {0} was updated meanwhile")]
    UpdatedMeanwhile(ApplicationId),
    /// Workers hold more than the application would be limited to.
    #[error("the workers of application {id} hold {held}, more than it would be limited to")]
    MoreHeld {
        /// Which.
        id: ApplicationId,
        /// What they hold.
        held: String,
    },
    /// A job run that was accepted could never be placed within the new maximum capacity.
    #[error("job run {run} needs {needed}, more than the application would be limited to")]
    ActiveJobRunTooLarge {
        /// The job run.
        run: JobRunId,
        /// What its driver needs.
        needed: String,
    },
    /// It cannot stop while job runs are active.
    #[error("application {id} has {active} active job runs")]
    ActiveJobRuns {
        /// Which.
        id: ApplicationId,
        /// How many.
        active: usize,
    },
    /// It would have to wait in QUEUED, where as many job runs are as may be.
    #[error("at most {limit} job runs may be queued at once")]
    QueueFull {
        /// How many may be.
        limit: usize,
    },
    /// It needs more vCPUs than the account may hold at all.
    #[error("job run needs {needed} but the account is limited to {limit} vCPU")]
    BeyondVcpuQuota {
        /// What its driver needs.
        needed: String,
        /// The quota.
        limit: u32,
    },
    /// It is not started and may not be started by a job run.
    #[error("application {0} is not started and auto-start is off")]
    AutoStartOff(ApplicationId),
    /// No such agent was ever in contact.
    #[error("agent {0} does not exist")]
    NoAgent(AgentId),
    /// The agent was revoked, which cannot be taken back.
    #[error(
        "agent {0} was revoked; its host can join anew with `hearth agent join-token` and `hearth-agent join`"
    )]
    AgentRevoked(AgentId),
    /// The job run could never be placed within the application's maximum capacity.
    #[error("job run needs {needed} but application {id} is limited to {limit}")]
    BeyondMaximumCapacity {
        /// Which.
        id: ApplicationId,
        /// What the smallest useful part of the job needs.
        needed: String,
        /// The limit.
        limit: String,
    },
}

/// One durable change: a row as it is from now on.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// An application.
    Application(Application),
    /// The API's document of an application.
    ApplicationDocument {
        /// Which.
        id: ApplicationId,
        /// The document.
        document: Value,
    },
    /// A job run.
    JobRun(JobRun),
    /// The API's document of a job run.
    JobRunDocument {
        /// Which.
        id: JobRunId,
        /// The document.
        document: Value,
    },
    /// A worker.
    Worker(Worker),
    /// An agent.
    Agent(Agent),
    /// A job run that ended long ago is forgotten, with its workers, its tags and the client token that made it.
    JobRunForgotten(EndedRun),
    /// A release.
    Release(Release),
    /// A release is not there any more.
    ReleaseForgotten(ReleaseLabel),
    /// A client token and what it made.
    Token {
        /// The token.
        token: ClientToken,
        /// Identifier of what was made.
        resource: String,
    },
}

/// All that is needed to tell an agent to start a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartOrder {
    /// The worker.
    pub worker: Worker,
    /// What its job run is.
    pub spec: Arc<RunSpec>,
    /// The driver's word about itself; absent while a driver is still to register.
    pub app: Option<DriverApp>,
    /// Digest of the release's bundle.
    pub bundle_sha256: String,
    /// JDK it needs.
    pub java_major: u32,
    /// JVM options the engine needs on that JDK.
    pub java_module_options: Vec<String>,
}

/// What a driver's plugin is told of its executors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// An executor's process runs.
    Launched {
        /// Which.
        executor: u32,
        /// Where.
        host: String,
    },
    /// An executor ended.
    Exited {
        /// Which.
        executor: u32,
        /// Exit code as Spark counts.
        code: i32,
        /// Whether the job is to blame.
        caused_by_app: bool,
        /// Why, for people.
        reason: String,
    },
}

/// What must be done after the changes are durable. All are idempotent and may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Tell an agent to start a worker.
    Start(Box<StartOrder>),
    /// Tell an agent that the driver of an executor it already prepares has registered.
    Run(Box<StartOrder>),
    /// Tell an agent to end a worker.
    Stop {
        /// The agent.
        agent: AgentId,
        /// The worker.
        worker: WorkerId,
        /// Its launch.
        launch: Launch,
        /// How long the process may take to end by itself.
        grace: Duration,
    },
    /// Tell an agent that a worker's end is durable.
    Forget {
        /// The agent.
        agent: AgentId,
        /// The worker.
        worker: WorkerId,
    },
    /// Tell a driver about its executors.
    News {
        /// The driver's agent.
        agent: AgentId,
        /// The driver's worker.
        driver: WorkerId,
        /// Its launch.
        launch: Launch,
        /// What happened.
        news: News,
    },
    /// Tell an agent, on this very stream, that what it reported was judged: which drivers it may let run. It kills any
    /// other that it holds.
    Settled {
        /// The agent.
        agent: AgentId,
        /// The stream on which it attached.
        stream: u64,
        /// Workers that are current drivers.
        current_drivers: Vec<WorkerId>,
    },
    /// End an agent's stream.
    Cut(AgentId),
    /// Assemble a release's bundle.
    BuildRelease(ReleaseLabel),
}

/// A decision: what changes, what must then be done, what to answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// In order; a later change of a row supersedes an earlier one.
    pub changes: Vec<Change>,
    /// To be performed once the changes are durable.
    pub effects: Vec<Effect>,
    /// The answer.
    pub reply: Reply,
}
