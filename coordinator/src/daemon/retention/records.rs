//! Rows of the state: job runs that ended long ago, and old events.

use super::Retention;
use hearth_coordinator_core::command::Command;
use hearth_coordinator_core::retention::may_forget_run;
use hearth_engine::EngineError;
use hearth_store::StoreError;
use hearth_types::Timestamp;
use std::time::Duration;

/// Rows that go in one transaction, which others' wait for.
pub(super) const BATCH: u32 = 100;
/// Between two of these, for others.
const PAUSE: Duration = Duration::from_millis(50);

/// Why rows could not be removed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordsError {
    #[error("looking for what has ended")]
    Read(#[source] StoreError),
    #[error("forgetting what has ended")]
    Forget(#[source] EngineError),
}

impl Retention {
    /// Forgets job runs whose end is long ago, those that ended first first. Says how many.
    pub(super) async fn forget_job_runs(&self, at: Timestamp) -> Result<u64, RecordsError> {
        let keep = self.keep.job_runs;
        let (before, mut after, mut forgotten) = (earlier(at, keep), None, 0);
        loop {
            let ended =
                self.store.ended_before(before, after.as_ref(), BATCH).await.map_err(RecordsError::Read)?;
            let Some(last) = ended.last().cloned() else { return Ok(forgotten) };
            let world = self.engine.snapshot();
            let ended: Vec<_> =
                ended.into_iter().filter(|run| may_forget_run(&world, run, keep, at)).collect();
            let count = ended.len();
            self.engine.ask(Command::ForgetJobRuns { ended, keep }).await.map_err(RecordsError::Forget)?;
            forgotten += u64::try_from(count).unwrap_or(u64::MAX);
            after = Some(last);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Forgets events that are as old as job runs may be. Says how many.
    pub(super) async fn forget_events(&self, at: Timestamp) -> Result<u64, StoreError> {
        let (before, mut forgotten) = (earlier(at, self.keep.job_runs), 0);
        loop {
            let gone = self.store.forget_events(before, BATCH).await?;
            forgotten += gone;
            if gone < u64::from(BATCH) {
                return Ok(forgotten);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(at.as_millis().saturating_sub(millis))
}
