//! One turn: take what waits, decide it, plan placements, commit all of it together, then answer and perform.

use crate::ids::fresh_worker_id;
use crate::{Clock, EngineError, Request};
use hearth_coordinator_core::command::{Change, ClientToken, Command, Effect, Reply};
use hearth_coordinator_core::decide::{decide, owed_effects};
use hearth_coordinator_core::turn::{Planner, Turn};
use hearth_coordinator_core::world::World;
use hearth_faults::{Point, reach};
use hearth_store::{Store, StoreError};
use hearth_types::Now;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Commands decided in one turn at the most, so that none waits long for its answer.
const BATCH: usize = 256;
/// How long the engine waits after the store failed before it tries again by itself.
const STORE_PAUSE: Duration = Duration::from_millis(500);
/// How long a jump of the wall clock goes unnoticed at the most.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) world: World,
    pub(crate) planner: Planner,
    pub(crate) effects: mpsc::Sender<Effect>,
    pub(crate) publish: watch::Sender<Arc<World>>,
    pub(crate) clock: Clock,
}

type Answer = oneshot::Sender<Result<Reply, EngineError>>;

pub(crate) async fn run(mut core: Core, mut queue: mpsc::Receiver<Request>) {
    core.perform(owed_effects(&core.world)).await;
    let mut rest = Duration::ZERO;
    loop {
        let mut requests = Vec::new();
        tokio::select! {
            received = queue.recv_many(&mut requests, BATCH) => if received == 0 { return },
            () = async { tokio::time::sleep(rest).await; until_due(&core.world, core.clock).await } => {}
        }
        rest = Duration::ZERO;
        if let Err(error) = core.turn(requests).await {
            if core.read_again(&mut queue, &error).await.is_break() {
                return;
            }
            // What was due still is: without a rest a store that takes no writes would be asked without end.
            rest = STORE_PAUSE;
        }
    }
}

/// Begins a term: durably in contact with no agent, so that one that died with the coordinator is lost in time.
pub(crate) async fn begin_term(store: &Store, world: &mut World, now: Now) -> Result<(), StoreError> {
    let begun = decide(world, Command::TermBegan, now).expect("a term is never refused");
    if begun.changes.is_empty() {
        return Ok(());
    }
    store.commit(begun.changes, now.at).await
}

/// Sleeps until something is due, in steps, since the wall clock may jump; for ever if nothing will be.
async fn until_due(world: &World, clock: Clock) {
    loop {
        match world.due_in(clock.now()) {
            None => std::future::pending().await,
            Some(Duration::ZERO) => return,
            Some(left) => tokio::time::sleep(left.min(LONGEST_SLEEP)).await,
        }
    }
}

impl Core {
    async fn turn(&mut self, requests: Vec<Request>) -> Result<(), Arc<StoreError>> {
        let now = self.clock.now();
        let (commands, askers): (Vec<Command>, Vec<Answer>) =
            requests.into_iter().map(|request| (request.command, request.answer)).unzip();
        if let Err(error) = self.recall(&commands).await {
            tracing::error!(error = %error, "tokens not read; reading the world again");
            return Err(fail(askers, error));
        }
        let turn = Turn::take(&mut self.world, &mut self.planner, commands, now, fresh_worker_id);
        self.settle(turn, askers, now).await
    }

    /// Brings to mind what was made long ago under the tokens of these commands, so that it is not made again.
    async fn recall(&mut self, commands: &[Command]) -> Result<(), StoreError> {
        let unknown: Vec<&ClientToken> = commands
            .iter()
            .filter_map(Command::token)
            .filter(|token| self.world.token(token).is_none())
            .collect();
        for used in self.store.token_uses(&unknown).await? {
            self.world.apply(&used);
        }
        Ok(())
    }

    async fn settle(
        &mut self,
        Turn { changes, effects, answers }: Turn,
        askers: Vec<Answer>,
        now: Now,
    ) -> Result<(), Arc<StoreError>> {
        if !changes.is_empty() {
            reach(Point::EngineDecided);
            if let Err(error) = self.store.commit(changes.clone(), now.at).await {
                tracing::error!(error = %error, "decision not durable; reading the world again");
                return Err(fail(askers, error));
            }
            reach(Point::EngineCommitted);
            log_transitions(&changes);
            self.publish.send_replace(Arc::new(self.world.clone()));
        }
        for (asker, answer) in askers.into_iter().zip(answers) {
            // The asker may have gone; what it asked for is done all the same.
            drop(asker.send(answer.map_err(EngineError::Refused)));
        }
        if !effects.is_empty() {
            reach(Point::EngineAnswered);
        }
        self.perform(effects).await;
        Ok(())
    }

    async fn perform(&self, effects: Vec<Effect>) {
        for effect in effects {
            if self.effects.send(effect).await.is_err() {
                return; // The coordinator is going down; effects are derived again when it comes back.
            }
            reach(Point::EngineEffectHandedOver);
        }
    }

    /// The world in memory holds changes that the store does not: only the store's counts. Until it can be read, whoever
    /// asks is told of the failure. Breaks when nobody is left to ask.
    async fn read_again(
        &mut self,
        queue: &mut mpsc::Receiver<Request>,
        failure: &Arc<StoreError>,
    ) -> ControlFlow<()> {
        loop {
            match self.store.load_world(*self.world.lease_terms()).await {
                Ok(world) => {
                    self.world = world.with_quotas(*self.world.quotas());
                    self.planner = Planner::default();
                    self.publish.send_replace(Arc::new(self.world.clone()));
                    // The failed commit may have become durable all the same: then its effects are owed.
                    self.perform(owed_effects(&self.world)).await;
                    return ControlFlow::Continue(());
                }
                Err(error) => tracing::error!(error = %error, "reading the world"),
            }
            let pause = tokio::time::sleep(STORE_PAUSE);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    request = queue.recv() => match request {
                        Some(Request { answer, .. }) => {
                            drop(answer.send(Err(EngineError::Store(failure.clone()))));
                        }
                        None => return ControlFlow::Break(()),
                    },
                }
            }
        }
    }
}

/// Tells all who asked of the store's failure.
fn fail(askers: Vec<Answer>, error: StoreError) -> Arc<StoreError> {
    let error = Arc::new(error);
    for asker in askers {
        // The asker may have gone.
        drop(asker.send(Err(EngineError::Store(error.clone()))));
    }
    error
}

/// One line per state of a job run or worker.
fn log_transitions(changes: &[Change]) {
    for change in changes {
        match change {
            Change::JobRun(run) => tracing::info!(
                job_run_id = %run.id, application_id = %run.application, attempt = run.launch.attempt,
                state = %run.state(), details = %run.details, "job run"
            ),
            Change::Worker(worker) => tracing::info!(
                worker_id = %worker.id, job_run_id = %worker.run, agent_id = %worker.agent,
                kind = worker.role.kind().as_str(), state = ?worker.state, "worker"
            ),
            Change::Application(application) => tracing::info!(
                application_id = %application.id, state = %application.state, "application"
            ),
            Change::Agent(agent) => {
                tracing::info!(agent_id = %agent.id, contact = ?agent.contact, "agent");
            }
            Change::Release(release) => {
                tracing::info!(release_label = %release.label, state = ?release.state, "release");
            }
            Change::ReleaseForgotten(label) => {
                tracing::info!(release_label = %label, "release forgotten");
            }
            // Many at once; whoever asked for it tells their number.
            Change::JobRunForgotten(_)
            | Change::ApplicationDocument { .. }
            | Change::JobRunDocument { .. }
            | Change::Token { .. } => {}
        }
    }
}
