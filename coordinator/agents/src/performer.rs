//! Carries out effects: each becomes a message to an agent, if the agent is reachable. What does not reach it is derived
//! again when it attaches.

use crate::convert::{to_launch, to_news};
use crate::orders::{run_worker, start_worker};
use crate::sessions::Sessions;
use crate::supplies::{Supplies, SupplyError};
use hearth_coordinator_core::command::{Command, Effect, StartOrder};
use hearth_coordinator_core::worker::Worker;
use hearth_engine::Engine;
use hearth_faults::{Point, reach};
use hearth_proto::v1;
use hearth_proto::v1::to_agent::Message;
use hearth_types::{Epoch, ReleaseLabel};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Performs effects in order for as long as it is polled. Releases to be built are handed to `builds`.
pub async fn perform_effects(
    mut effects: mpsc::Receiver<Effect>,
    engine: Engine,
    epoch: Epoch,
    sessions: Sessions,
    supplies: Arc<dyn Supplies>,
    builds: mpsc::UnboundedSender<ReleaseLabel>,
) {
    while let Some(effect) = effects.recv().await {
        match effect {
            Effect::Start(order) => start(&order, &engine, epoch, &sessions, &*supplies).await,
            Effect::Run(order) => {
                if let Some(message) = run_worker(&order, epoch) {
                    sessions.send(&order.worker.agent, Message::RunWorker(message));
                }
            }
            Effect::Stop { agent, worker, launch, grace } => sessions.send(
                &agent,
                Message::StopWorker(v1::StopWorker {
                    epoch: epoch.0,
                    worker_id: worker.to_string(),
                    launch: Some(to_launch(launch)),
                    grace_ms: u32::try_from(grace.as_millis()).unwrap_or(u32::MAX),
                }),
            ),
            Effect::Forget { agent, worker } => {
                sessions
                    .send(&agent, Message::ForgetWorker(v1::ForgetWorker { worker_id: worker.to_string() }));
                reach(Point::AgentsForgetSent);
            }
            Effect::News { agent, driver, launch, news } => sessions.send(
                &agent,
                Message::ExecutorNews(v1::ExecutorNews {
                    worker_id: driver.to_string(),
                    launch: Some(to_launch(launch)),
                    news: Some(to_news(news)),
                }),
            ),
            Effect::Settled { agent, stream, current_drivers } => {
                let current_drivers = current_drivers.iter().map(ToString::to_string).collect();
                sessions.send_down(&agent, stream, Message::Settled(v1::Settled { current_drivers }));
            }
            Effect::Cut(agent) => sessions.cut(&agent),
            // Unbounded, but holds one label per release at the most: the world asks once per release.
            Effect::BuildRelease(label) => drop(builds.send(label)),
        }
    }
}

async fn start(
    order: &StartOrder,
    engine: &Engine,
    epoch: Epoch,
    sessions: &Sessions,
    supplies: &dyn Supplies,
) {
    let worker = &order.worker;
    match supplies.worker_credentials(worker).await {
        Ok(credentials) => {
            let secret = supplies.launch_secret(&worker.run, worker.launch);
            let message = start_worker(order, epoch, secret, credentials);
            reach(Point::AgentsStartOrdered);
            sessions.send(&worker.agent, Message::StartWorker(message));
            reach(Point::AgentsStartSent);
        }
        Err(SupplyError::Impossible(reason)) => {
            let told = cannot_start(worker.clone(), reason, engine.clone(), sessions.clone());
            // Beside us: the engine may be waiting for us to take its effects.
            tokio::spawn(told);
        }
        // The worker stays assigned; it is ordered again when its agent attaches, which is made to happen soon.
        Err(error) => {
            tracing::error!(worker_id = %worker.id, job_run_id = %worker.run, error = %error, "making credentials");
            sessions.cut(&worker.agent);
        }
    }
}

/// Gives up a worker. Should that not be recorded, its order is tried again when its agent attaches.
async fn cannot_start(worker: Worker, reason: String, engine: Engine, sessions: Sessions) {
    tracing::warn!(worker_id = %worker.id, job_run_id = %worker.run, reason, "worker cannot be started");
    let command = Command::CannotStart { worker: worker.id, launch: worker.launch, reason };
    if let Err(error) = engine.ask(command).await {
        tracing::error!(error = %error, "recording that a worker cannot be started");
        sessions.cut(&worker.agent);
    }
}
