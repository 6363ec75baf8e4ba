//! The one writer of the index: changes queue up and those that wait together are committed together.
//!
//! Each change runs in a savepoint, so one that is refused leaves no trace in the transaction it shares. Files follow
//! the index: new blobs are kept, and freed ones removed, only after the commit. A change once queued is carried out
//! even if whoever asked for it has gone.

use futures::future::BoxFuture;
use hearth_faults::{Point, reach};
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use crate::blobs::{BlobId, StoredBlob};
use crate::error::StoreError;
use crate::pins::Pins;

/// Changes that may wait; further callers wait for a place.
const QUEUE: usize = 256;
/// Changes in one transaction: bounds the time the first of them waits for the last.
const GROUP: usize = 64;

/// A change's answer and what is to be done with files once it is durable.
pub(crate) struct Applied<T> {
    /// The answer to the caller.
    pub(crate) value: T,
    /// New blobs the index now names.
    pub(crate) kept: Vec<StoredBlob>,
    /// Contents the index no longer names, with their blobs.
    pub(crate) freed: Vec<(i64, Vec<BlobId>)>,
    /// Blobs the index no longer names that no reader can have seen (parts of uploads).
    pub(crate) discarded: Vec<BlobId>,
}

impl<T> Applied<T> {
    /// An answer that touches no files.
    pub(crate) fn new(value: T) -> Self {
        Self { value, kept: Vec::new(), freed: Vec::new(), discarded: Vec::new() }
    }
}

#[derive(Clone, Copy)]
enum Commit {
    Durable,
    /// The disk was full: the log ends before the commit, and the change is certainly not there.
    Undone,
    /// SQLite reported a failure; the change may or may not be there.
    Uncertain,
}

type Finish = Box<dyn FnOnce(Commit) + Send>;
type Job = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Verdict> + Send>;

enum Verdict {
    Keep(Finish),
    RollBack(Finish),
}

/// A handle to the writing task, which ends when the last handle is dropped. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Job>,
    pins: Pins,
}

impl Writer {
    /// Starts the writing task.
    pub(crate) fn start(connection: SqliteConnection, pins: Pins) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(run(connection, jobs));
        Self { queue, pins }
    }

    /// Runs one change in the next transaction and returns once it is durable. The change must not have effects
    /// outside the connection.
    pub(crate) async fn apply<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<Applied<T>, StoreError>>
            + Send
            + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let pins = self.pins.clone();
        let job: Job = Box::new(move |connection| {
            Box::pin(async move {
                match change(connection).await {
                    Ok(applied) => Verdict::Keep(Box::new(move |commit| {
                        // The caller may have gone; the change stands all the same.
                        let _ = answer.send(settle(applied, commit, &pins));
                    })),
                    Err(error) => Verdict::RollBack(Box::new(move |_| {
                        let _ = answer.send(Err(error));
                    })),
                }
            })
        });
        self.queue.send(job).await.map_err(|_| StoreError::IndexUnavailable)?;
        answered.await.unwrap_or(Err(StoreError::IndexUnavailable))
    }
}

/// Lets the files follow the index.
fn settle<T>(applied: Applied<T>, commit: Commit, pins: &Pins) -> Result<T, StoreError> {
    match commit {
        // Dropped unkept, the new files go: a full disk must not be full of what it refused.
        Commit::Undone => Err(StoreError::IndexUnavailable),
        // No file goes: what the index does not name is swept at the next start.
        Commit::Uncertain => {
            applied.kept.into_iter().for_each(StoredBlob::keep);
            Err(StoreError::IndexUnavailable)
        }
        Commit::Durable => {
            applied.kept.into_iter().for_each(StoredBlob::keep);
            for (content, blobs) in applied.freed {
                pins.condemn(content, blobs);
            }
            pins.discard(applied.discarded);
            Ok(applied.value)
        }
    }
}

async fn run(mut connection: SqliteConnection, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.recv().await {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(job) = jobs.try_recv()
        {
            group.push(job);
        }
        commit_group(&mut connection, group).await;
    }
}

async fn commit_group(connection: &mut SqliteConnection, group: Vec<Job>) {
    if let Err(error) = execute(connection, "BEGIN IMMEDIATE").await {
        // The jobs are dropped unrun, which answers their callers.
        tracing::error!(%error, "object index transaction not begun");
        return;
    }
    let mut finishes = Vec::with_capacity(group.len());
    let mut result = Ok(());
    for job in group {
        result = run_job(connection, job, &mut finishes).await;
        if result.is_err() {
            break;
        }
    }
    if result.is_ok() {
        reach(Point::ObjectsExecuted);
        result = execute(connection, "COMMIT").await;
    }
    let commit = match result {
        Ok(()) => {
            reach(Point::ObjectsCommitted);
            Commit::Durable
        }
        Err(error) => {
            tracing::error!(%error, "object index transaction failed");
            if let Err(error) = execute(connection, "ROLLBACK").await {
                tracing::warn!(%error, "object index transaction already ended");
            }
            if is_full(&error) { Commit::Undone } else { Commit::Uncertain }
        }
    };
    for finish in finishes {
        finish(commit);
    }
}

/// Whether SQLite found no room (`SQLITE_FULL`): a write of the log failed, and the frame that commits is written last.
fn is_full(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "13")
}

async fn run_job(
    connection: &mut SqliteConnection,
    job: Job,
    finishes: &mut Vec<Finish>,
) -> Result<(), sqlx::Error> {
    execute(connection, "SAVEPOINT job").await?;
    match job(connection).await {
        Verdict::Keep(finish) => finishes.push(finish),
        Verdict::RollBack(finish) => {
            finishes.push(finish);
            execute(connection, "ROLLBACK TO job").await?;
        }
    }
    execute(connection, "RELEASE job").await
}

async fn execute(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(sql).execute(connection).await.map(drop)
}
