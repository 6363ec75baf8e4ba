//! The engine: the one owner of the world. It decides commands one after another, commits what changed in groups, and
//! only then answers and hands the effects on.

mod board;
mod clock;
mod ids;
mod turn;

pub use board::{Board, DriverProgress};
pub use clock::{Clock, now};
pub use ids::{fresh_agent_id, fresh_application_id, fresh_job_run_id, fresh_worker_id};

use hearth_coordinator_core::command::{Command, Effect, Refusal, Reply};
use hearth_coordinator_core::lease::LeaseTerms;
use hearth_coordinator_core::quotas::Quotas;
use hearth_coordinator_core::turn::Planner;
use hearth_coordinator_core::world::World;
use hearth_store::{Store, StoreError};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Commands that may wait for the engine; beyond that, callers wait to hand theirs over.
const QUEUE: usize = 4096;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The rules refuse it; nothing changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be made durable. Whether it was is unknown; the world was read again from the store.
    #[error("making the decision durable")]
    Store(#[source] Arc<StoreError>),
    /// The engine has ended.
    #[error("the engine has stopped")]
    Stopped,
}

struct Request {
    command: Command,
    answer: oneshot::Sender<Result<Reply, EngineError>>,
}

/// Handle of the engine; cheap to clone. The engine ends when the last handle is gone.
#[derive(Debug, Clone)]
pub struct Engine {
    requests: mpsc::Sender<Request>,
    snapshots: watch::Receiver<Arc<World>>,
    board: Board,
    clock: Clock,
}

impl Engine {
    /// Reads the world from the store, begins a term in contact with no agent, and starts deciding. Effects go to
    /// `effects`, those owed from before first.
    pub async fn start(
        store: Store,
        effects: mpsc::Sender<Effect>,
        lease_terms: LeaseTerms,
        quotas: Quotas,
    ) -> Result<Self, StoreError> {
        let mut world = store.load_world(lease_terms).await?.with_quotas(quotas);
        let clock = Clock::start();
        turn::begin_term(&store, &mut world, clock.now()).await?;
        let (requests, queue) = mpsc::channel(QUEUE);
        let (publish, snapshots) = watch::channel(Arc::new(world.clone()));
        let core = turn::Core { store, world, planner: Planner::default(), effects, publish, clock };
        tokio::spawn(turn::run(core, queue));
        Ok(Self { requests, snapshots, board: Board::default(), clock })
    }

    /// Has a command decided. What is answered is durable. Cancel safe in that the command is carried out all the same.
    pub async fn ask(&self, command: Command) -> Result<Reply, EngineError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request { command, answer }).await.map_err(|_| EngineError::Stopped)?;
        answered.await.map_err(|_| EngineError::Stopped)?
    }

    /// The world as of the last commit.
    pub fn snapshot(&self) -> Arc<World> {
        self.snapshots.borrow().clone()
    }

    /// Wakes whenever a commit changed the world.
    pub fn changes(&self) -> watch::Receiver<Arc<World>> {
        self.snapshots.clone()
    }

    /// The clocks that this engine decides by.
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// What drivers last told of their progress.
    pub fn board(&self) -> &Board {
        &self.board
    }
}
