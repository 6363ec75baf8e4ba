//! The task that ships one worker's logs for as long as it lives.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hearth_agent_core::log_rotation::PART_BYTES;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use crate::cursor::CursorError;
use crate::destination::Destination;
use crate::error::ShipOutcome;
use crate::shipper::{Pass, Shipper};
use crate::upload::UPLOAD_PART_BYTES;

/// Uploads under way at a time on a host, as permits of [`LogSpec::uploads`]; with 25 MiB each, 200 MiB at most.
pub const UPLOADS_PER_HOST: usize = 8;

/// How often and how patiently logs are shipped.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Between two refreshes of the current container logs (guide:4843); of long ones, see
    /// [`refresh_after`](hearth_agent_core::log_rotation::refresh_after).
    pub container_logs: Duration,
    /// Between two refreshes of the event logs; likewise.
    pub event_logs: Duration,
    /// How long a destination may refuse before it is given up.
    pub refusal_budget: Duration,
    /// Uncompressed bytes of an archived part, for a worker that has not shipped anything yet.
    pub part_bytes: u64,
    /// Bytes of one part of a multipart upload; S3 wants 5 MiB at least. Smaller objects are one put.
    pub upload_part_bytes: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            container_logs: Duration::from_secs(15),
            event_logs: Duration::from_secs(30),
            refusal_budget: Duration::from_secs(15),
            part_bytes: PART_BYTES,
            upload_part_bytes: UPLOAD_PART_BYTES,
        }
    }
}

/// Which logs of a worker go where.
///
/// With both destinations container logs go to the log URI, and to managed storage only once the log URI has refused;
/// event logs go to both (guide:4634-4660). With one, all goes there.
#[derive(Debug, Clone)]
pub struct LogSpec {
    /// The worker's log directory; written by the worker, so not trusted.
    pub log_dir: PathBuf,
    /// The record of what was shipped, `<worker>/ship.json`; not below `log_dir` nor otherwise the worker's to write.
    pub ship_file: PathBuf,
    /// `SPARK_DRIVER` or `SPARK_EXECUTOR/<n>`.
    pub component: String,
    /// File names of container logs in `log_dir`, such as `stdout` and `stderr`.
    pub streams: Vec<String>,
    /// Name of the event log directory in `log_dir` (`sparklogs`); drivers alone have one.
    pub event_logs: Option<String>,
    /// The user's choice.
    pub log_uri: Option<Destination>,
    /// Hearth's own, unless the user turned it off.
    pub managed: Option<Destination>,
    /// How often.
    pub pace: Pace,
    /// Shared by all workers of the host; [`UPLOADS_PER_HOST`] permits.
    pub uploads: Arc<Semaphore>,
}

/// The shipping of one worker's logs.
///
/// Dropping it stops shipping at once and loses nothing: [`WorkerLogs::start`] with the same spec goes on.
#[derive(Debug)]
pub struct WorkerLogs {
    finish: oneshot::Sender<Instant>,
    task: AbortOnDropHandle<ShipOutcome>,
}

impl WorkerLogs {
    /// Begins, or goes on after a restart of the agent. The files need not exist yet.
    ///
    /// Fails only if the record of what was shipped cannot be read; shipping anew then could damage what is archived.
    pub async fn start(spec: LogSpec) -> Result<Self, CursorError> {
        let pace = spec.pace.clone();
        let shipper = Shipper::load(spec).await?;
        let (finish, finished) = oneshot::channel();
        let task = AbortOnDropHandle::new(tokio::spawn(run(shipper, pace, finished)));
        Ok(Self { finish, task })
    }

    /// Ships what is left of a worker that has ended, by `deadline`, and says how that went.
    ///
    /// Not cancel safe in that shipping stops; starting again with the same spec goes on.
    pub async fn finish(self, deadline: Instant) -> ShipOutcome {
        let Self { finish, task } = self;
        // Only a task that panicked no longer listens, and that comes to light when it is joined.
        let _ = finish.send(deadline);
        match task.await {
            Ok(outcome) => outcome,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => std::future::pending().await, // The runtime is ending, and so are we.
            },
        }
    }
}

async fn run(mut shipper: Shipper, pace: Pace, mut finish: oneshot::Receiver<Instant>) -> ShipOutcome {
    let started = Instant::now();
    let (mut container_logs, mut event_logs) = (started + pace.container_logs, started + pace.event_logs);
    let next = |pass, every| match pass {
        Pass::Complete => Instant::now() + every,
        Pass::RetryAt(at) => at,
    };
    loop {
        let pass = async {
            sleep_until(container_logs.min(event_logs)).await;
            if container_logs <= Instant::now() {
                container_logs = next(shipper.container_logs().await, pace.container_logs);
            }
            if event_logs <= Instant::now() {
                event_logs = next(shipper.event_logs().await, pace.event_logs);
            }
        };
        tokio::select! {
            biased;
            told = &mut finish => match told {
                Ok(deadline) => return shipper.finish(deadline).await,
                Err(_dropped) => std::future::pending().await, // The handle is gone; we are being aborted.
            },
            () = pass => {}
        }
    }
}

#[cfg(test)]
mod tests;
