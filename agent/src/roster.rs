//! All workers of this host, and the fence that decides which orders for them count. One task owns both.

use crate::archives::TRAINING;
use crate::control::Order;
use crate::durable;
use crate::host::Host;
use crate::leases::Standing;
use crate::outbox::About;
use crate::spec::{SPEC_FILE, STATE_FILE, Spec, State, credentials_of, launch_of};
use crate::worker::{Command, Reins, WorkerTask, own_uid};
use hearth_agent_core::fence::{Fence, StaleSender, Start};
use hearth_agent_core::life::{AgentCause, Life, Outcome, Report, Stop};
use hearth_bundles::BundleId;
use hearth_credentials::{Credentials, WorkerToken};
use hearth_faults::{Point, reach};
use hearth_processes::WorkerDir;
use hearth_proto::v1::{self, executor_news, to_agent};
use hearth_telemetry::error_chain;
use hearth_types::{Epoch, JobRunId, Launch, WorkerId, WorkerKind};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const FENCE_FILE: &str = "fence.json";
/// Orders on their way here; each is quick, and the stream may wait.
const INBOX: usize = 64;
/// Commands on their way to a worker: news of hundreds of executors at once, while its task writes its state.
const COMMANDS: usize = 1024;
/// Pause before the fence is written again.
const RETRY: Duration = Duration::from_secs(1);

/// What the roster is told.
enum Message {
    Admit(Epoch, oneshot::Sender<Result<(), StaleSender>>),
    Order(Box<to_agent::Message>),
    Settle(Vec<String>, oneshot::Sender<()>),
    CatchUp(oneshot::Sender<()>),
    WillBeGone(WorkerId, oneshot::Sender<()>),
    IsGone(WorkerId),
}

/// The way to the roster. Clones lead to the same.
#[derive(Clone)]
pub(crate) struct RosterHandle(mpsc::Sender<Message>);

impl RosterHandle {
    /// Takes note of a coordinator that wants to give orders.
    ///
    /// # Errors
    /// When a later one has been seen.
    pub(crate) async fn admit(&self, epoch: Epoch) -> Result<(), StaleSender> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Admit(epoch, answer)).await;
        answered.await.unwrap_or(Ok(()))
    }

    /// Passes on an order of an admitted coordinator.
    pub(crate) async fn order(&self, order: to_agent::Message) {
        self.send(Message::Order(Box::new(order))).await;
    }

    /// Ends the drivers that are not among these, of those that were here when the coordinator was greeted. Afterwards
    /// leases may be renewed.
    pub(crate) async fn settle(&self, current_drivers: Vec<String>) {
        let (judged, is_judged) = oneshot::channel();
        self.send(Message::Settle(current_drivers, judged)).await;
        // Without an answer the agent is stopping.
        let _ = is_judged.await;
    }

    /// Waits until every order passed on so far is carried out, so that what is said of this host then includes it.
    pub(crate) async fn caught_up(&self) {
        let (caught_up, is_caught_up) = oneshot::channel();
        self.send(Message::CatchUp(caught_up)).await;
        // Without an answer the agent is stopping.
        let _ = is_caught_up.await;
    }

    /// Remembers that a worker must not come back, before what proves that it was here is removed.
    pub(crate) async fn will_be_gone(&self, worker: &WorkerId) {
        let (written, is_written) = oneshot::channel();
        self.send(Message::WillBeGone(worker.clone(), written)).await;
        // Without an answer the agent is stopping; the removal is then left to the next one.
        if is_written.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Nothing of a worker is left.
    pub(crate) async fn is_gone(&self, worker: &WorkerId) {
        self.send(Message::IsGone(worker.clone())).await;
    }

    async fn send(&self, message: Message) {
        // The roster ends only with the agent.
        let _ = self.0.send(message).await;
    }
}

struct Held {
    job_run: JobRunId,
    launch: Launch,
    kind: WorkerKind,
    /// Whether the coordinator in touch has said, or is known to think, that it is current.
    is_judged: bool,
    standing: Standing,
    commands: mpsc::Sender<Command>,
}

/// The task's state.
pub(crate) struct Roster {
    host: Arc<Host>,
    fence: Fence,
    workers: BTreeMap<WorkerId, Held>,
    inbox: mpsc::Receiver<Message>,
    handle: RosterHandle,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What an agent finds on its host when it starts.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Names of directories and control groups, of this agent alone, that no worker can be made of: to be removed before
    /// the coordinator hears what there is.
    pub(crate) strays: BTreeSet<String>,
    /// Bundles that workers use.
    pub(crate) bundles: BTreeSet<BundleId>,
}

/// Why the roster cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RosterError {
    #[error("reading the fence")]
    Fence(#[source] durable::ReadError),
    #[error("listing workers")]
    List(#[source] hearth_processes::WorkerDirError),
}

impl Roster {
    /// Takes up a former agent's workers. Blocks while it reads their files.
    ///
    /// # Errors
    /// When the fence or the list of workers cannot be read. A single worker's unreadable files make it a stray.
    pub(crate) fn open(
        host: Arc<Host>,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Result<(Self, RosterHandle, Found), RosterError> {
        let fence = durable::read(&host.config.state_dir, FENCE_FILE).map_err(RosterError::Fence)?;
        let (sender, inbox) = mpsc::channel(INBOX);
        let handle = RosterHandle(sender);
        let mut roster = Self {
            host,
            fence: fence.unwrap_or_default(),
            workers: BTreeMap::new(),
            inbox,
            handle: handle.clone(),
            tasks,
            stop,
        };
        let mut found = Found::default();
        // Before any worker goes on and makes one.
        let groups = roster.host.cgroups.list();
        for name in roster.host.dirs.list().map_err(RosterError::List)? {
            match read_worker(&roster.host, &name) {
                Ok((dir, spec, state)) => {
                    found.bundles.insert(spec.bundle_id());
                    roster.take_up(dir, spec, state);
                }
                Err(reason) => {
                    tracing::warn!(worker_id = name, reason, "a worker's files cannot be used, it is ended");
                    found.strays.insert(name);
                }
            }
        }
        for name in groups {
            if name != TRAINING
                && !name.parse::<WorkerId>().is_ok_and(|id| roster.workers.contains_key(&id))
                && found.strays.insert(name.clone())
            {
                tracing::warn!(worker_id = name, "a control group without a worker is ended");
            }
        }
        Ok((roster, handle, found))
    }

    fn take_up(&mut self, dir: WorkerDir, spec: Spec, state: State) {
        if let Some(uid) = state.uid {
            self.host.uids.adopt(uid);
        }
        // At once, and not when its task has found it alive: it may be asking for credentials now.
        if let Some(token) = WorkerToken::adopt(&spec.credentials_token) {
            let owner = state.uid.unwrap_or_else(own_uid);
            self.host.credentials.insert(spec.worker_id.clone(), token, owner, None, SystemTime::now());
        }
        self.begin(dir, spec, state, None);
    }

    fn begin(&mut self, dir: WorkerDir, spec: Spec, state: State, credentials: Option<Credentials>) {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let standing = Standing::default();
        let held = Held {
            job_run: spec.job_run_id.clone(),
            launch: spec.launch,
            kind: spec.kind,
            // Whoever ordered it just now thinks so; each welcome starts anew.
            is_judged: true,
            standing: standing.clone(),
            commands,
        };
        self.workers.insert(spec.worker_id.clone(), held);
        let task = WorkerTask::new(
            self.host.clone(),
            Arc::new(spec),
            dir,
            state,
            credentials,
            Reins { commands: inbox, standing },
            self.handle.clone(),
        );
        self.tasks.spawn(task.run(self.stop.clone()));
    }

    /// Serves until the agent stops.
    pub(crate) async fn run(mut self) {
        let stop = self.stop.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                message = self.inbox.recv() => match message {
                    Some(message) => self.handle(message).await,
                    None => return,
                },
            }
        }
    }

    async fn handle(&mut self, message: Message) {
        match message {
            Message::Admit(epoch, answer) => {
                let before = self.fence.epoch();
                let admitted = self.fence.admit(epoch);
                if self.fence.epoch() != before {
                    self.persist_fence().await;
                }
                if admitted.is_ok() {
                    self.workers.values_mut().for_each(|held| held.is_judged = false);
                }
                // A session that is gone needs no answer.
                let _ = answer.send(admitted);
            }
            Message::Order(order) => self.order(*order).await,
            Message::Settle(current, judged) => {
                self.settle(&current);
                // A session that is gone needs no answer.
                let _ = judged.send(());
            }
            // Messages are handled in order: all before this one are. A session that is gone needs no answer.
            Message::CatchUp(caught_up) => drop(caught_up.send(())),
            Message::WillBeGone(worker, written) => {
                self.fence.forget(worker);
                self.persist_fence().await;
                reach(Point::AgentRemovalFenced);
                let _ = written.send(());
            }
            Message::IsGone(worker) => {
                self.workers.remove(&worker);
            }
        }
    }

    async fn order(&mut self, order: to_agent::Message) {
        match order {
            to_agent::Message::StartWorker(order) => self.start(order).await,
            to_agent::Message::RunWorker(order) => self.run_worker(order).await,
            to_agent::Message::StopWorker(order) => self.stop(&order).await,
            to_agent::Message::ForgetWorker(order) => self.forget(&order),
            to_agent::Message::ExecutorNews(news) => self.news(news),
            // The session's own.
            to_agent::Message::Welcome(_)
            | to_agent::Message::Settled(_)
            | to_agent::Message::LeaseExtension(_)
            | to_agent::Message::HeartbeatAnswer(_)
            | to_agent::Message::Refused(_) => {}
        }
    }

    async fn start(&mut self, mut order: v1::StartWorker) {
        if !self.admits(order.epoch).await {
            return;
        }
        let credentials = order.credentials.take().map(credentials_of);
        let (worker_id, launch) = (order.worker_id.clone(), order.launch);
        let spec = match Spec::from_order(order, WorkerToken::random().expose().to_owned()) {
            Ok(spec) => spec,
            Err(error) => {
                let reason = error_chain(&error);
                tracing::error!(worker_id, error = reason, "malformed order to start a worker");
                if let (Ok(worker), Some(launch)) = (worker_id.parse(), launch_of(launch)) {
                    self.refuse(&About { worker, launch }, AgentCause::NoLaunch, reason);
                }
                return;
            }
        };
        let about = About { worker: spec.worker_id.clone(), launch: spec.launch };
        let is_here = self.workers.contains_key(&spec.worker_id);
        let before = self.fence.clone();
        let decision = self.fence.start(&spec.worker_id, &spec.job_run_id, spec.launch, is_here);
        if self.fence != before {
            self.persist_fence().await;
            reach(Point::AgentFenceRecorded);
        }
        match decision {
            Start::Known => self.host.outbox.repeat(&spec.worker_id),
            Start::Forgotten => {
                self.refuse(&about, AgentCause::NoLaunch, "the worker has been here before".to_owned())
            }
            Start::Outdated { newest } => {
                self.refuse(
                    &about,
                    AgentCause::Outdated,
                    format!("launch {newest} of the job run has been seen"),
                );
            }
            Start::New => {
                self.stop_outdated(&spec.job_run_id);
                self.accept(spec, about, credentials).await;
            }
        }
    }

    /// Makes an order durable, then begins it.
    async fn accept(&mut self, spec: Spec, about: About, credentials: Option<Credentials>) {
        tracing::info!(
            worker_id = %spec.worker_id,
            job_run_id = %spec.job_run_id,
            attempt = spec.launch.attempt,
            release_label = spec.release_label,
            size = %spec.size,
            "worker accepted"
        );
        let state = State { life: Life::new(), uid: None };
        match self.record(&spec, &state).await {
            Ok(dir) => self.begin(dir, spec, state, credentials),
            Err(error) => {
                let reason = format!("recording the order: {error}");
                tracing::error!(worker_id = %about.worker, error = reason, "an accepted worker cannot be recorded");
                // Its end is told, so it must not run if the order comes again. In memory, for the disk may be full; an
                // agent that restarts is on another stream, where no such order is repeated.
                self.fence.forget(about.worker.clone());
                self.refuse(&about, AgentCause::NoLaunch, reason);
            }
        }
    }

    async fn record(&self, spec: &Spec, state: &State) -> io::Result<WorkerDir> {
        let dir = self.host.dirs.get(spec.worker_id.as_str()).map_err(io::Error::other)?;
        tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir.path()).await?;
        // The state last: a directory without it was never accepted.
        durable::write(dir.path(), SPEC_FILE, spec).await?;
        reach(Point::AgentSpecRecorded);
        durable::write(dir.path(), STATE_FILE, state).await?;
        reach(Point::AgentWorkerRecorded);
        Ok(dir)
    }

    /// Answers an order that is not carried out with an end, so that the coordinator need not wait for one.
    fn refuse(&self, about: &About, cause: AgentCause, reason: String) {
        tracing::warn!(worker_id = %about.worker, reason, "worker refused");
        let now = i64::try_from(hearth_keeper::system::unix_ms()).unwrap_or(i64::MAX);
        let outcome = Outcome::not_launched(cause, reason, now);
        let report = Report::Ended { outcome: &outcome, finished: None, log_failures: &[] };
        self.host.outbox.report(about, Some(&report));
    }

    fn stop_outdated(&self, job_run: &JobRunId) {
        for (worker, held) in &self.workers {
            if held.job_run == *job_run && self.fence.is_outdated(job_run, held.launch) {
                tracing::warn!(worker_id = %worker, job_run_id = %job_run, "a newer launch ends a worker");
                end_outdated(worker, held);
            }
        }
    }

    /// Ends the drivers that the coordinator no longer counts on, before any lease is renewed.
    fn settle(&mut self, current: &[String]) {
        for (worker, held) in &mut self.workers {
            let is_judged = std::mem::replace(&mut held.is_judged, true);
            let is_current =
                held.kind != WorkerKind::SparkDriver || current.iter().any(|id| id == worker.as_str());
            if !is_judged && !is_current {
                tracing::warn!(worker_id = %worker, job_run_id = %held.job_run, "an outdated driver is ended");
                end_outdated(worker, held);
            }
        }
        self.host.contacts.settled();
    }

    async fn run_worker(&mut self, order: v1::RunWorker) {
        if !self.admits(order.epoch).await {
            return;
        }
        match self.find(&order.worker_id) {
            Some((worker, held)) if launch_of(order.launch) == Some(held.launch) => {
                command(worker, held, Command::Run(Box::new(order)));
            }
            Some(_) | None => {
                tracing::debug!(worker_id = order.worker_id, "order to run for a worker that is not here")
            }
        }
    }

    async fn stop(&mut self, order: &v1::StopWorker) {
        if !self.admits(order.epoch).await {
            return;
        }
        let stop = Stop { grace_ms: order.grace_ms, cause: AgentCause::Stopped };
        match self.find(&order.worker_id) {
            Some((worker, held)) if launch_of(order.launch).is_none_or(|launch| launch == held.launch) => {
                command(worker, held, Command::Stop(stop));
            }
            Some(_) => {
                tracing::debug!(worker_id = order.worker_id, "order to stop another launch of a worker")
            }
            None => self.never_start(order),
        }
    }

    /// Answers an order to stop what is not here with an end, and sees to it that none can follow. The coordinator may not
    /// know whether its order to start was ever sent, and waits for this word. In memory, for an agent that restarts is
    /// on another stream, where what was to be stopped is not ordered to start.
    fn never_start(&mut self, order: &v1::StopWorker) {
        let (Ok(worker), Some(launch)) = (order.worker_id.parse::<WorkerId>(), launch_of(order.launch))
        else {
            return;
        };
        self.fence.forget(worker.clone());
        let about = About { worker, launch };
        self.refuse(&about, AgentCause::NoLaunch, "it was stopped before it came".to_owned());
    }

    fn forget(&self, order: &v1::ForgetWorker) {
        match (self.find(&order.worker_id), order.worker_id.parse()) {
            (Some((worker, held)), _) => command(worker, held, Command::Forget),
            (None, Ok(worker)) => self.host.outbox.remove(&worker),
            (None, Err(_)) => {}
        }
    }

    fn news(&self, news: v1::ExecutorNews) {
        let Some((worker, held)) = self.find(&news.worker_id) else { return };
        let order = match news.news {
            Some(executor_news::News::Launched(launched)) => {
                Order::ExecutorLaunched { id: launched.executor_id, host: launched.host }
            }
            Some(executor_news::News::Exited(exited)) => Order::ExecutorExited {
                id: exited.executor_id,
                exit_code: exited.exit_code,
                caused_by_app: exited.caused_by_app,
                reason: exited.reason,
            },
            Some(executor_news::News::LaunchFailed(failed)) => {
                Order::LaunchFailed { rp_id: failed.profile_id, reason: failed.reason }
            }
            None => return,
        };
        if launch_of(news.launch) == Some(held.launch) {
            command(worker, held, Command::Tell(order));
        }
    }

    fn find(&self, worker: &str) -> Option<(&WorkerId, &Held)> {
        self.workers.get_key_value(&worker.parse().ok()?)
    }

    async fn admits(&mut self, epoch: u64) -> bool {
        let before = self.fence.epoch();
        let admitted = self.fence.admit(Epoch(epoch));
        if self.fence.epoch() != before {
            self.persist_fence().await;
        }
        if let Err(stale) = &admitted {
            tracing::warn!(error = %stale, "order of a superseded coordinator refused");
        }
        admitted.is_ok()
    }

    /// Insists: what was seen must not be forgotten.
    async fn persist_fence(&self) {
        while let Err(error) = durable::write(&self.host.config.state_dir, FENCE_FILE, &self.fence).await {
            tracing::error!(%error, "writing the fence failed");
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Kills a worker that somebody has replaced. If it is frozen, it dies so.
fn end_outdated(worker: &WorkerId, held: &Held) {
    held.standing.lose();
    command(worker, held, Command::Stop(Stop { grace_ms: 0, cause: AgentCause::Outdated }));
}

/// Gives a worker's task a command. A task that takes none is stuck on its host's disk, and will be ordered again.
fn command(worker: &WorkerId, held: &Held, command: Command) {
    if let Err(error) = held.commands.try_send(command) {
        tracing::error!(worker_id = %worker, %error, "a worker's task takes no commands");
    }
}

fn read_worker(host: &Host, name: &str) -> Result<(WorkerDir, Spec, State), String> {
    let dir = host.dirs.get(name).map_err(|error| error_chain(&error))?;
    let spec: Option<Spec> = durable::read(dir.path(), SPEC_FILE).map_err(|error| error_chain(&error))?;
    let state: Option<State> = durable::read(dir.path(), STATE_FILE).map_err(|error| error_chain(&error))?;
    match (spec, state) {
        (Some(spec), Some(state)) if spec.worker_id.as_str() == name => Ok((dir, spec, state)),
        _ => Err("it was not accepted to the end".to_owned()),
    }
}
