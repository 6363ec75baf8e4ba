//! The task of one worker: performs the deeds its life calls for, one after another, and writes down what came of them.

use super::fetch::fetch_bundle;
use super::launch::Layout;
use super::outcome::{now_unix_ms, outcome, unix_ms_at};
use super::prepare::{make_cgroup, make_directories, take_uid};
use super::removal::remove;
use crate::control::{Control, Incoming, Order, Report, listen};
use crate::durable;
use crate::host::Host;
use crate::leases::{Standing, Tenancy};
use crate::outbox::About;
use crate::roster::RosterHandle;
use crate::shipping::Shipping;
use crate::spec::{SPEC_FILE, STATE_FILE, Spec, State};
use hearth_agent_core::life::{Adoption, AgentCause, Deed, Event, Life, Outcome, Phase, Step, Stop};
use hearth_agent_core::view::Isolation;
use hearth_cgroups::WorkerGroup;
use hearth_credentials::{Credentials, WorkerToken};
use hearth_faults::{Point, reach};
use hearth_processes::{KeeperHandle, SpawnError, Spawned, WaitError, WorkerDir, WorkerSignal, adopt};
use hearth_proto::v1;
use hearth_telemetry::error_chain;
use hearth_types::WorkerKind;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Pause before something is tried again that only the host's state can prevent: a full disk, a busy directory.
const RETRY: Duration = Duration::from_secs(1);
/// How often processes that did not die of it are killed again.
const KILL_AGAIN: Duration = Duration::from_secs(5);

/// What a worker's task is told.
pub(crate) enum Command {
    /// What a worker whose JVM waits is to run.
    Run(Box<v1::RunWorker>),
    /// Bring about its end.
    Stop(Stop),
    /// The coordinator has recorded its end.
    Forget,
    /// For the plugin in a driver.
    Tell(Order),
}

/// How a worker's task is led.
pub(crate) struct Reins {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) standing: Standing,
}

/// One worker. Dropping the future of [`WorkerTask::run`] leaves the worker running, to be adopted.
pub(crate) struct WorkerTask {
    host: Arc<Host>,
    spec: Arc<Spec>,
    about: About,
    dir: WorkerDir,
    state: State,
    /// Initial credentials, until the endpoint has them.
    credentials: Option<Credentials>,
    commands: mpsc::Receiver<Command>,
    standing: Standing,
    roster: RosterHandle,
    control: Option<Control>,
    /// Since the worker was attached to.
    layout: Option<Arc<Layout>>,
    keeper: Option<Arc<KeeperHandle>>,
    /// Keeps its lease current while it runs.
    renewal: Option<AbortOnDropHandle<()>>,
    shipping: Option<Shipping>,
}

impl WorkerTask {
    /// The task of a worker whose spec and state are on disk.
    pub(crate) fn new(
        host: Arc<Host>,
        spec: Arc<Spec>,
        dir: WorkerDir,
        state: State,
        credentials: Option<Credentials>,
        reins: Reins,
        roster: RosterHandle,
    ) -> Self {
        let about = About { worker: spec.worker_id.clone(), launch: spec.launch };
        host.outbox.report(&about, state.life.report().as_ref());
        Self {
            host,
            spec,
            about,
            dir,
            state,
            credentials,
            commands: reins.commands,
            standing: reins.standing,
            roster,
            control: None,
            layout: None,
            keeper: None,
            renewal: None,
            shipping: None,
        }
    }

    /// Lives the worker's life to its end, or until `stop` leaves it to the next agent.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = self.live() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn live(&mut self) {
        if let Phase::Launching | Phase::Running { .. } = self.state.life.phase {
            self.adopt().await;
        }
        loop {
            match self.state.life.deed() {
                Deed::Prepare(step) => self.prepare(step).await,
                Deed::Launch => self.launch().await,
                Deed::Watch(stop) => self.watch(stop).await,
                Deed::FlushLogs => self.flush_logs().await,
                Deed::Report => self.wait_to_be_forgotten().await,
                Deed::Remove => self.remove().await,
                Deed::Nothing => return,
            }
        }
    }

    /// Moves the life on, and writes it down before anything rests on it.
    async fn tell(&mut self, event: Event) {
        let before = self.state.clone();
        self.state.life.apply(event, now_unix_ms());
        if self.state == before {
            return;
        }
        self.log(&before.life);
        if self.state.life.phase == Phase::Removed {
            return; // The file went with its directory, and the coordinator was told the last there is to tell.
        }
        self.persist().await;
        reach(Point::AgentStateRecorded);
        self.host.outbox.report(&self.about, self.state.life.report().as_ref());
    }

    /// Insists: a worker whose state is not on disk must not go on.
    async fn persist(&self) {
        while let Err(error) = durable::write(self.dir.path(), STATE_FILE, &self.state).await {
            tracing::error!(worker_id = %self.spec.worker_id, %error, "writing a worker's state failed");
            sleep(RETRY).await;
        }
    }

    fn log(&self, before: &Life) {
        let (worker_id, job_run_id) = (&self.spec.worker_id, &self.spec.job_run_id);
        match &self.state.life.phase {
            phase if *phase == before.phase => {}
            Phase::Running { .. } => tracing::info!(%worker_id, %job_run_id, "worker runs"),
            Phase::Ended { outcome, .. } => tracing::info!(
                %worker_id,
                %job_run_id,
                exit_code = outcome.exit_code,
                signal = outcome.signal,
                oom_killed = outcome.oom_killed,
                launch_error = outcome.launch_error,
                cause = outcome.cause.as_str(),
                "worker ended"
            ),
            Phase::Removed => tracing::info!(%worker_id, %job_run_id, "worker removed"),
            phase => tracing::debug!(%worker_id, %job_run_id, ?phase, "worker moves on"),
        }
    }

    async fn prepare(&mut self, step: Step) {
        let done = match step {
            Step::TakeUid => self.take_uid().await,
            Step::MakeDirectories => make_directories(&self.host, &self.spec, self.state.uid).await,
            Step::FetchBundle => return self.fetch_bundle().await,
            Step::MakeCgroup => make_cgroup(&self.host, &self.spec).await,
            Step::AwaitLease => return self.await_lease().await,
        };
        // Between two steps a stop may have arrived.
        while let Ok(command) = self.commands.try_recv() {
            self.obey(command).await;
        }
        match done {
            Ok(()) => self.tell(Event::StepDone(step)).await,
            Err(reason) => self.tell(Event::PreparationFailed(reason)).await,
        }
    }

    async fn take_uid(&mut self) -> Result<(), String> {
        if self.host.isolation == Isolation::Shared || self.state.uid.is_some() {
            return Ok(());
        }
        self.state.uid = Some(take_uid(&self.host).await?);
        self.persist().await;
        Ok(())
    }

    /// Fetches the bundle, unless the worker is stopped meanwhile; the fetch itself then goes on for the next one.
    async fn fetch_bundle(&mut self) {
        let fetched = fetch_bundle(self.host.clone(), self.spec.clone());
        let mut fetched = std::pin::pin!(fetched);
        loop {
            tokio::select! {
                done = &mut fetched => {
                    return match done {
                        Ok(()) => self.tell(Event::StepDone(Step::FetchBundle)).await,
                        Err(reason) => self.tell(Event::PreparationFailed(reason)).await,
                    };
                }
                command = self.commands.recv() => {
                    self.obey_or_wait(command).await;
                    if self.state.life.deed() != Deed::Prepare(Step::FetchBundle) {
                        return;
                    }
                }
            }
        }
    }

    /// Waits until its lease holds, unless the worker is stopped meanwhile.
    async fn await_lease(&mut self) {
        let Some(lease) = self.spec.lease() else {
            return self.tell(Event::StepDone(Step::AwaitLease)).await;
        };
        let (contacts, standing) = (self.host.contacts.clone(), self.standing.clone());
        let mut may_start = std::pin::pin!(contacts.may_start(lease, &standing));
        loop {
            tokio::select! {
                () = &mut may_start => return self.tell(Event::StepDone(Step::AwaitLease)).await,
                command = self.commands.recv() => {
                    self.obey_or_wait(command).await;
                    if self.state.life.deed() != Deed::Prepare(Step::AwaitLease) {
                        return;
                    }
                }
            }
        }
    }

    /// Takes hold of a keeper, and keeps the lease current by which it holds the worker.
    fn hold(&mut self, keeper: KeeperHandle) {
        let keeper = Arc::new(keeper);
        self.renewal = Tenancy::of(&self.host.contacts, &self.spec, &self.dir, &self.standing)
            .map(|tenancy| tenancy.keep(keeper.clone()));
        self.keeper = Some(keeper);
    }

    /// Starts the keeper, which this agent does not repeat whatever comes of it.
    async fn launch(&mut self) {
        self.host.archives.note_start();
        let plan = match self.attach().await {
            Ok(layout) => {
                let group = self.group();
                let plan = layout.plan(&self.host, &self.spec, &self.dir, group.as_ref(), self.state.uid);
                match (plan, Tenancy::of(&self.host.contacts, &self.spec, &self.dir, &self.standing)) {
                    (Ok(plan), Some(tenancy)) => blocking(move || tenancy.begin()).await.map(|()| plan),
                    (plan, _) => plan.map_err(|error| error_chain(&error)),
                }
            }
            Err(reason) => Err(reason),
        };
        let plan = match plan {
            Ok(plan) => plan,
            Err(reason) => {
                let outcome = Outcome::not_launched(AgentCause::NoLaunch, reason, now_unix_ms());
                return self.tell(Event::Exited(outcome)).await;
            }
        };
        reach(Point::AgentLeaseWritten);
        let (keeper, directory) = (self.host.keeper.clone(), self.dir.path().to_owned());
        let spawned = async move { keeper.spawn(&directory, &plan).await };
        let mut spawned = std::pin::pin!(spawned);
        let spawned = loop {
            tokio::select! {
                spawned = &mut spawned => break spawned,
                command = self.commands.recv() => self.obey_or_wait(command).await,
                incoming = next_report(&mut self.control) => self.on_report(incoming).await,
            }
        };
        reach(Point::AgentLaunched);
        match spawned {
            Ok(Spawned::Running(keeper)) => {
                self.hold(keeper);
                self.tell(Event::Launched { at_unix_ms: now_unix_ms() }).await;
            }
            Ok(Spawned::Ended(exit)) => self.ended(outcome(exit)).await,
            Err(error) => self.not_spawned(&error).await,
        }
    }

    async fn not_spawned(&mut self, error: &SpawnError) {
        let reason = error_chain(error);
        tracing::error!(worker_id = %self.spec.worker_id, error = reason, "starting a worker's keeper failed");
        if let SpawnError::Refused { .. } = error
            && let Ok(hearth_processes::Adoption::Running(keeper)) = adopt(self.dir.path()).await
        {
            // One that a former agent had started was still on its way, and was quicker.
            self.hold(keeper);
            return self.tell(Event::Launched { at_unix_ms: now_unix_ms() }).await;
        }
        // Whatever was begun must be over before the end is written down.
        self.kill().await;
        match adopt(self.dir.path()).await {
            Ok(hearth_processes::Adoption::Exited(exit)) => self.ended(outcome(exit)).await,
            _ => self.ended(Outcome::not_launched(AgentCause::NoLaunch, reason, now_unix_ms())).await,
        }
    }

    /// Finds out what became of a worker that a former agent launched.
    async fn adopt(&mut self) {
        let found = loop {
            match adopt(self.dir.path()).await {
                Ok(found) => break found,
                Err(error) => {
                    let error = error_chain(&error);
                    tracing::error!(worker_id = %self.spec.worker_id, error, "adopting a worker failed");
                    sleep(RETRY).await;
                }
            }
        };
        let found = match found {
            hearth_processes::Adoption::Running(keeper) => {
                let since_unix_ms = unix_ms_at(keeper.started_at_boottime());
                tracing::info!(worker_id = %self.spec.worker_id, pid = keeper.worker_pid(), "worker adopted");
                self.hold(keeper);
                Adoption::Alive { since_unix_ms }
            }
            hearth_processes::Adoption::Exited(exit) => Adoption::Exited(outcome(exit)),
            hearth_processes::Adoption::Gone => {
                // A killed keeper may have left descendants of its worker.
                self.kill().await;
                let was_started = self.dir.path().join(hearth_keeper::KEEPER_FILE).exists();
                if was_started { Adoption::Gone } else { Adoption::NotStarted }
            }
        };
        let is_alive = matches!(found, Adoption::Alive { .. });
        if is_alive && let Err(reason) = self.attach().await {
            tracing::error!(worker_id = %self.spec.worker_id, error = reason, "attaching to an adopted worker failed");
        }
        self.tell(Event::Adopted(found)).await;
    }

    /// Provides what the worker needs while it runs: control channel, credentials, shipping of its logs.
    async fn attach(&mut self) -> Result<Arc<Layout>, String> {
        let (host, spec, dir, uid) = (self.host.clone(), self.spec.clone(), self.dir.clone(), self.state.uid);
        let owner = uid.unwrap_or_else(own_uid);
        let layout = {
            let (host, spec, dir) = (host.clone(), spec.clone(), dir.clone());
            blocking(move || Ok::<_, std::convert::Infallible>(Layout::new(&host, &spec, &dir))).await?
        };
        let layout = Arc::new(layout);
        self.layout = Some(layout.clone());
        let run = dir.run();
        // Registering a socket with the runtime must happen on it; the calls themselves are quick.
        let listener =
            listen(&run, uid).map_err(|error| format!("listening on the control socket: {error}"))?;
        self.control = Some(Control::start(listener, &spec.worker_id, owner, layout.run_order(&host, &spec)));
        let token = WorkerToken::adopt(&spec.credentials_token).ok_or("malformed credentials token")?;
        let credentials = self.credentials.take();
        host.credentials.insert(spec.worker_id.clone(), token, owner, credentials, SystemTime::now());
        self.shipping.get_or_insert_with(|| Shipping::start(host, spec, &dir));
        Ok(layout)
    }

    /// Waits for the end of the worker's process, or brings it about.
    async fn watch(&mut self, stop: Option<Stop>) {
        let mut kill_at = stop.map(|stop| self.begin_stop(stop));
        let Some(keeper) = self.keeper.take() else {
            // Only a keeper whose handle could not be had; what is found on the host decides.
            return self.adopt().await;
        };
        let exit = loop {
            tokio::select! {
                exit = keeper.wait() => break Some(exit),
                command = self.commands.recv() => {
                    self.obey_or_wait(command).await;
                    if self.state.life.stop != stop {
                        break None;
                    }
                }
                incoming = next_report(&mut self.control) => self.on_report(incoming).await,
                () = until(kill_at) => {
                    if let Err(error) = keeper.signal_worker(WorkerSignal::Kill) {
                        tracing::error!(worker_id = %self.spec.worker_id, %error, "killing a worker failed");
                    }
                    self.kill().await;
                    kill_at = Some(Instant::now() + KILL_AGAIN);
                }
            }
        };
        match exit {
            None => self.keeper = Some(keeper),
            Some(Ok(exit)) => self.ended(outcome(exit)).await,
            Some(Err(error)) => {
                tracing::error!(worker_id = %self.spec.worker_id, error = error_chain(&error), "no outcome of a worker");
                self.kill().await;
                match error {
                    WaitError::KeeperLost { .. } | WaitError::Record(_) => {
                        self.hear_last_words().await;
                        self.tell(Event::Adopted(Adoption::Gone)).await;
                    }
                    WaitError::Watch { .. } => sleep(RETRY).await,
                }
            }
        }
    }

    /// Asks a driver to end; answers when it is killed.
    fn begin_stop(&self, stop: Stop) -> Instant {
        let grace = Duration::from_millis(stop.grace_ms.into());
        match (self.spec.kind, &self.control) {
            (WorkerKind::SparkDriver, Some(control)) if stop.grace_ms > 0 => {
                // Its launcher halts it a little earlier, so that it exits as one that was asked to.
                control.order(&self.spec.worker_id, Order::Cancel { grace_ms: stop.grace_ms / 10 * 9 });
                Instant::now() + grace
            }
            (WorkerKind::SparkDriver | WorkerKind::SparkExecutor, _) => Instant::now(),
        }
    }

    async fn ended(&mut self, outcome: Outcome) {
        reach(Point::AgentExitSeen);
        self.renewal = None;
        self.hear_last_words().await;
        self.tell(Event::Exited(outcome)).await;
    }

    /// Takes in what the JVM said just before its end.
    async fn hear_last_words(&mut self) {
        if let Some(control) = &mut self.control {
            control.finish();
        }
        while self.control.is_some() {
            let incoming = next_report(&mut self.control).await;
            self.on_report(incoming).await;
        }
    }

    async fn flush_logs(&mut self) {
        let shipping = match self.shipping.take() {
            Some(shipping) => shipping,
            None => Shipping::start(self.host.clone(), self.spec.clone(), &self.dir),
        };
        let mut finished = std::pin::pin!(shipping.finish());
        let failures = loop {
            tokio::select! {
                failures = &mut finished => break failures,
                command = self.commands.recv() => self.obey_or_wait(command).await,
            }
        };
        for failure in &failures {
            tracing::warn!(worker_id = %self.spec.worker_id, failure, "logs not shipped");
        }
        reach(Point::AgentLogsFlushed);
        self.tell(Event::LogsFlushed { failures }).await;
    }

    async fn wait_to_be_forgotten(&mut self) {
        let command = self.commands.recv().await;
        self.obey_or_wait(command).await;
    }

    /// Removes everything of the worker from the host, and insists.
    async fn remove(&mut self) {
        self.control = None;
        self.shipping = None;
        self.host.credentials.remove(&self.spec.worker_id);
        self.roster.will_be_gone(&self.spec.worker_id).await;
        remove(&self.host, &self.spec.worker_id, self.state.uid).await;
        reach(Point::AgentWorkerRemoved);
        if let Some(uid) = self.state.uid {
            self.host.uids.release(uid);
        }
        self.tell(Event::Removed).await;
        self.roster.is_gone(&self.spec.worker_id).await;
    }

    /// Kills every process of the worker's control group; what does not die is logged and tried again by the caller.
    async fn kill(&self) {
        let Some(group) = self.group() else { return };
        if let Err(error) = blocking(move || group.kill()).await {
            tracing::error!(worker_id = %self.spec.worker_id, error, "killing a worker's processes failed");
        }
    }

    /// The worker's control group, if it has one.
    fn group(&self) -> Option<WorkerGroup> {
        self.host.cgroups.open(self.spec.worker_id.as_str()).ok().flatten()
    }

    async fn obey_or_wait(&mut self, command: Option<Command>) {
        match command {
            Some(command) => self.obey(command).await,
            None => std::future::pending().await, // The roster is gone: the agent is stopping, and so are we.
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Run(order) => self.be_told_to_run(*order).await,
            Command::Stop(stop) => self.tell(Event::StopOrdered(stop)).await,
            Command::Forget => {
                reach(Point::AgentForgetHeard);
                self.tell(Event::ForgetOrdered).await;
            }
            Command::Tell(order) => {
                if let Some(control) = &self.control {
                    control.order(&self.spec.worker_id, order);
                }
            }
        }
    }

    /// Lets a JVM that waits begin. What it is to run is on disk first, so that a restarted agent can say it again.
    async fn be_told_to_run(&mut self, order: v1::RunWorker) {
        match self.state.life.phase {
            Phase::Preparing { .. } | Phase::Launching | Phase::Running { .. } => {}
            Phase::Ended { .. } | Phase::Reporting { .. } | Phase::Removing | Phase::Removed => return,
        }
        let Some(spec) = self.spec.with_run(order) else { return };
        while let Err(error) = durable::write(self.dir.path(), SPEC_FILE, &spec).await {
            tracing::error!(worker_id = %spec.worker_id, %error, "writing a worker's order failed");
            sleep(RETRY).await;
        }
        reach(Point::AgentRunRecorded);
        tracing::debug!(worker_id = %spec.worker_id, "worker is told what to run");
        self.spec = Arc::new(spec);
        if let (Some(control), Some(layout)) = (&self.control, &self.layout)
            && let Some(run) = layout.run_order(&self.host, &self.spec)
        {
            control.order(&self.spec.worker_id, Order::Run(run));
            reach(Point::AgentRunTold);
        }
    }

    async fn on_report(&mut self, incoming: Option<Incoming>) {
        let Some(Incoming { report, handled }) = incoming else {
            self.control = None;
            return;
        };
        let outbox = &self.host.outbox;
        match report {
            Report::Ready => tracing::debug!(worker_id = %self.spec.worker_id, "JVM is up"),
            Report::Started => tracing::debug!(worker_id = %self.spec.worker_id, "JVM has begun its job"),
            Report::RegisterApp(app) => {
                tracing::debug!(worker_id = %self.spec.worker_id, "driver registered");
                outbox.register_app(&self.about, app);
            }
            Report::SetTarget(target) => outbox.set_target(&self.about, target),
            Report::KillExecutors(ids) => outbox.kill_executors(&self.about, ids),
            Report::UnregisterApp => outbox.unregister_app(&self.about),
            Report::Progress(json) => outbox.progress(&self.about, json),
            Report::Finished(finished) => self.tell(Event::Finished(finished)).await,
        }
        // A channel that broke meanwhile hears the report again, which changes nothing.
        let _ = handled.send(());
    }
}

/// The next report; never ready without a channel, `None` when the channel is finished. Cancel safe.
async fn next_report(control: &mut Option<Control>) -> Option<Incoming> {
    match control {
        Some(control) => control.next().await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Runs a blocking call off the runtime; errors become text with their causes.
pub(super) async fn blocking<T: Send + 'static, E: std::error::Error + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, String> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| error_chain(&error)),
        Err(panic) => Err(panic.to_string()),
    }
}

/// The user that this process runs as.
pub(crate) fn own_uid() -> u32 {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("this process exists"))
}
