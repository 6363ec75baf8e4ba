//! The one writer: jobs that arrive while a commit is under way share the next one (group commit), a savepoint each.

use crate::documents::{self, Document, DocumentConflict};
use crate::enrolment::{self, Enrolled, JoinToken, TokenRefused};
use crate::retention;
use crate::{Store, StoreError};
use hearth_coordinator_core::command::Change;
use hearth_faults::{Point, reach};
use hearth_types::{AgentId, Epoch, Timestamp};
use serde_json::Value;
use sqlx::{Connection, Row, SqliteConnection, SqlitePool};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Jobs that may wait for the writer; beyond that, callers wait to hand theirs over.
const QUEUE: usize = 1024;
/// Jobs that share one commit at the most, so that none waits long for its answer.
const GROUP: usize = 256;

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

enum Job {
    Commit { changes: Vec<Change>, at: Timestamp, answer: Answer<()> },
    Epoch { answer: Answer<Epoch> },
    Put { document: Document, answer: Answer<Result<u64, DocumentConflict>> },
    Delete { kind: String, id: String, revision: u64, answer: Answer<Result<(), DocumentConflict>> },
    IssueToken { token: JoinToken, answer: Answer<()> },
    Enrol { enrolled: Enrolled, answer: Answer<Result<AgentId, TokenRefused>> },
    ForgetEvents { before: Timestamp, most: u32, answer: Answer<u64> },
}

/// Handle of the writer's task; the task ends when the last handle is gone.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    pub(crate) fn start(pool: SqlitePool) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        tokio::spawn(run(pool, queue));
        Self { jobs }
    }

    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(job(answer)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }

    pub(crate) async fn next_epoch(&self) -> Result<Epoch, StoreError> {
        self.ask(|answer| Job::Epoch { answer }).await
    }
}

impl Store {
    /// Makes changes durable, all or none. Not cancel safe: a dropped call may still become durable.
    pub async fn commit(&self, changes: Vec<Change>, at: Timestamp) -> Result<(), StoreError> {
        self.writer.ask(|answer| Job::Commit { changes, at, answer }).await
    }

    /// Stores a document if its stored revision is `document.revision` (0: there is none yet); answers the new revision.
    pub async fn put_document(
        &self,
        document: Document,
    ) -> Result<Result<u64, DocumentConflict>, StoreError> {
        self.writer.ask(|answer| Job::Put { document, answer }).await
    }

    /// Deletes a document if its stored revision is `revision`.
    pub async fn delete_document(
        &self,
        kind: &str,
        id: &str,
        revision: u64,
    ) -> Result<Result<(), DocumentConflict>, StoreError> {
        let (kind, id) = (kind.to_owned(), id.to_owned());
        self.writer.ask(|answer| Job::Delete { kind, id, revision, answer }).await
    }

    /// Records a join token that may be used once until it expires.
    pub async fn issue_join_token(&self, token: JoinToken) -> Result<(), StoreError> {
        self.writer.ask(|answer| Job::IssueToken { token, answer }).await
    }

    /// Consumes a join token; the same public key may repeat for a while and is answered with the same agent id.
    pub async fn enrol(&self, enrolled: Enrolled) -> Result<Result<AgentId, TokenRefused>, StoreError> {
        self.writer.ask(|answer| Job::Enrol { enrolled, answer }).await
    }

    /// Removes the oldest events, at most `most` of them, that are from before a time; says how many there were.
    pub async fn forget_events(&self, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        self.writer.ask(|answer| Job::ForgetEvents { before, most, answer }).await
    }
}

/// An executed job whose answer waits for the commit.
type Waiting = Box<dyn FnOnce(Result<(), Arc<sqlx::Error>>) + Send>;

impl Job {
    /// Answers that nothing of it was done.
    fn refuse(self, source: Arc<sqlx::Error>) {
        let error = StoreError::Commit { source };
        // The callers may have gone.
        match self {
            Self::Commit { answer, .. } | Self::IssueToken { answer, .. } => drop(answer.send(Err(error))),
            Self::Epoch { answer } => drop(answer.send(Err(error))),
            Self::Put { answer, .. } => drop(answer.send(Err(error))),
            Self::Delete { answer, .. } => drop(answer.send(Err(error))),
            Self::Enrol { answer, .. } => drop(answer.send(Err(error))),
            Self::ForgetEvents { answer, .. } => drop(answer.send(Err(error))),
        }
    }
}

async fn run(pool: SqlitePool, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.recv().await {
        let mut jobs = VecDeque::from([first]);
        while jobs.len() < GROUP
            && let Ok(job) = queue.try_recv()
        {
            jobs.push_back(job);
        }
        commit_group(&pool, jobs).await;
    }
    pool.close().await;
}

/// Commits jobs together and answers each of them, whatever happens: none hears of success before it is on disk.
async fn commit_group(pool: &SqlitePool, mut jobs: VecDeque<Job>) {
    let mut waiting: Vec<Waiting> = Vec::with_capacity(jobs.len());
    let committed = execute_group(pool, &mut jobs, &mut waiting).await.map_err(Arc::new);
    if let Err(error) = &committed {
        tracing::error!(error = %error, jobs = waiting.len() + jobs.len(), "group commit failed");
        jobs.into_iter().for_each(|job| job.refuse(error.clone()));
    }
    for answer in waiting {
        answer(committed.clone());
    }
}

async fn execute_group(
    pool: &SqlitePool,
    jobs: &mut VecDeque<Job>,
    waiting: &mut Vec<Waiting>,
) -> Result<(), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let done = in_one_transaction(&mut connection, jobs, waiting).await;
    if done.is_err() {
        // SQLite ends a transaction by itself on some failures (a full disk), and the connection's count of savepoints
        // is wrong from then on: only a fresh one is sure to work.
        drop(connection.close().await);
    }
    done
}

async fn in_one_transaction(
    connection: &mut SqliteConnection,
    jobs: &mut VecDeque<Job>,
    waiting: &mut Vec<Waiting>,
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    while !jobs.is_empty() {
        // A savepoint each, so that a job's failure undoes only its own work.
        let mut savepoint = transaction.begin().await?;
        let Some(job) = jobs.pop_front() else { break };
        let (keep, answer) = execute(&mut savepoint, job).await;
        waiting.push(answer);
        if keep {
            savepoint.commit().await?;
        } else {
            savepoint.rollback().await?;
        }
    }
    reach(Point::StoreExecuted);
    transaction.commit().await?;
    reach(Point::StoreCommitted);
    Ok(())
}

/// Executes one job; says whether its work is to be kept.
async fn execute(connection: &mut SqliteConnection, job: Job) -> (bool, Waiting) {
    match job {
        Job::Commit { changes, at, answer } => {
            let done = write_changes(connection, &changes, at).await;
            settle(done, answer)
        }
        Job::Epoch { answer } => {
            let done = next_epoch(connection).await;
            settle(done, answer)
        }
        Job::Put { document, answer } => {
            let done = documents::put(connection, document).await;
            settle(done, answer)
        }
        Job::Delete { kind, id, revision, answer } => {
            let done = documents::delete(connection, &kind, &id, revision).await;
            settle(done, answer)
        }
        Job::IssueToken { token, answer } => {
            let done = enrolment::issue(connection, &token).await;
            settle(done, answer)
        }
        Job::Enrol { enrolled, answer } => {
            let done = enrolment::consume(connection, enrolled).await;
            settle(done, answer)
        }
        Job::ForgetEvents { before, most, answer } => {
            let done = retention::forget_events(connection, before, most).await;
            settle(done, answer)
        }
    }
}

fn settle<T: Send + 'static>(done: Result<T, StoreError>, answer: Answer<T>) -> (bool, Waiting) {
    let keep = done.is_ok();
    let waiting = move |committed: Result<(), Arc<sqlx::Error>>| {
        let result = match (done, committed) {
            (Ok(value), Ok(())) => Ok(value),
            (Err(error), _) => Err(error),
            (Ok(_), Err(source)) => Err(StoreError::Commit { source }),
        };
        // The caller may have gone; what it asked for is done all the same.
        drop(answer.send(result));
    };
    (keep, Box::new(waiting))
}

async fn next_epoch(connection: &mut SqliteConnection) -> Result<Epoch, StoreError> {
    let sql = "INSERT INTO meta (key, value) VALUES ('epoch', '1')
               ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1 RETURNING CAST(value AS INTEGER)";
    let row = sqlx::query(sql).fetch_one(connection).await.map_err(StoreError::sql("beginning an epoch"))?;
    let epoch: i64 = row.try_get(0).map_err(StoreError::sql("beginning an epoch"))?;
    Ok(Epoch(u64::try_from(epoch).unwrap_or(0)))
}

async fn write_changes(
    connection: &mut SqliteConnection,
    changes: &[Change],
    at: Timestamp,
) -> Result<(), StoreError> {
    for change in changes {
        write_change(connection, change, at).await?;
    }
    Ok(())
}

fn text<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::row("value being written"))
}

async fn write_change(
    connection: &mut SqliteConnection,
    change: &Change,
    at: Timestamp,
) -> Result<(), StoreError> {
    let query = match change {
        Change::Application(application) => {
            event(connection, at, "application", application.id.as_str(), application.state.as_str()).await?;
            sqlx::query(
                "INSERT INTO applications (id, state, created_at, row) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (id) DO UPDATE SET state = ?2, row = ?4",
            )
            .bind(application.id.as_str())
            .bind(application.state.as_str())
            .bind(application.created_at.as_millis())
            .bind(text(application)?)
        }
        Change::ApplicationDocument { id, document } => {
            sqlx::query("UPDATE applications SET document = ?2 WHERE id = ?1")
                .bind(id.as_str())
                .bind(text(document)?)
        }
        Change::JobRun(run) => {
            event(connection, at, "job_run", run.id.as_str(), run.state().as_str()).await?;
            sqlx::query(
                "INSERT INTO job_runs (id, application, state, active, created_at, row) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (id) DO UPDATE SET state = ?3, active = ?4, row = ?6",
            )
            .bind(run.id.as_str())
            .bind(run.application.as_str())
            .bind(run.state().as_str())
            .bind(!run.state().is_final())
            .bind(run.created_at.as_millis())
            .bind(text(run)?)
        }
        Change::JobRunDocument { id, document } => {
            // Absent where nobody said it: the service's default.
            let mode = document.get("mode").and_then(Value::as_str).unwrap_or("BATCH");
            sqlx::query("UPDATE job_runs SET document = ?2, mode = ?3 WHERE id = ?1")
                .bind(id.as_str())
                .bind(text(document)?)
                .bind(mode)
        }
        Change::Worker(worker) => sqlx::query(
            "INSERT INTO workers (id, run, agent, live, row) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET live = ?4, row = ?5",
        )
        .bind(worker.id.as_str())
        .bind(worker.run.as_str())
        .bind(worker.agent.as_str())
        .bind(worker.is_live())
        .bind(text(worker)?),
        Change::Agent(agent) => sqlx::query(
            "INSERT INTO agents (id, row) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET row = ?2",
        )
        .bind(agent.id.as_str())
        .bind(text(agent)?),
        Change::Release(release) => sqlx::query(
            "INSERT INTO releases (label, row) VALUES (?1, ?2) ON CONFLICT (label) DO UPDATE SET row = ?2",
        )
        .bind(release.label.as_str())
        .bind(text(release)?),
        Change::JobRunForgotten(run) => return retention::forget_run(connection, run).await,
        Change::ReleaseForgotten(label) => {
            sqlx::query("DELETE FROM releases WHERE label = ?1").bind(label.as_str())
        }
        // No upsert: a second use of a token must never pass here unseen.
        Change::Token { token, resource } => {
            sqlx::query("INSERT INTO client_tokens (scope, token, digest, resource) VALUES (?1, ?2, ?3, ?4)")
                .bind(&token.scope)
                .bind(&token.token)
                .bind(&token.digest)
                .bind(resource)
        }
    };
    query.execute(connection).await.map_err(StoreError::sql("writing a change"))?;
    Ok(())
}

/// Adds to the outbox, unless the state is the one last told.
async fn event(
    connection: &mut SqliteConnection,
    at: Timestamp,
    kind: &'static str,
    resource: &str,
    state: &'static str,
) -> Result<(), StoreError> {
    let insert = match kind {
        "application" => {
            "INSERT INTO events (at, kind, resource, state) SELECT ?1, ?2, ?3, ?4
             WHERE NOT EXISTS (SELECT 1 FROM applications WHERE id = ?3 AND state = ?4)"
        }
        _ => {
            "INSERT INTO events (at, kind, resource, state) SELECT ?1, ?2, ?3, ?4
             WHERE NOT EXISTS (SELECT 1 FROM job_runs WHERE id = ?3 AND state = ?4)"
        }
    };
    sqlx::query(insert)
        .bind(at.as_millis())
        .bind(kind)
        .bind(resource)
        .bind(state)
        .execute(connection)
        .await
        .map_err(StoreError::sql("writing an event"))?;
    Ok(())
}
