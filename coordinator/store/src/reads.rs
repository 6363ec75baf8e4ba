//! Reading: the world at start, and what the API shows and lists.

use crate::listing::{self, Cursor, RunFilter};
use crate::{Store, StoreError};
use hearth_coordinator_core::agent::Agent;
use hearth_coordinator_core::application::Application;
use hearth_coordinator_core::command::{Change, ClientToken};
use hearth_coordinator_core::job_run::JobRun;
use hearth_coordinator_core::lease::LeaseTerms;
use hearth_coordinator_core::release::Release;
use hearth_coordinator_core::tokens::TOKENS_IN_MIND;
use hearth_coordinator_core::worker::Worker;
use hearth_coordinator_core::world::World;
use hearth_types::{ApplicationId, ApplicationState, JobRunId};
use serde::de::DeserializeOwned;
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{QueryBuilder, Row, SqliteConnection};
use std::collections::BTreeSet;

/// The API's document of something, not read yet: who shows fifty of them wants each read once, into what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument(String);

impl StoredDocument {
    /// Reads it.
    ///
    /// # Errors
    /// When it is not what is asked for.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_str(&self.0).map_err(StoreError::row("document"))
    }
}

/// An application and the API's document of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplicationRecord {
    /// The application.
    pub application: Application,
    /// The document.
    pub document: StoredDocument,
}

/// A job run and the API's document of it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRunRecord {
    /// The job run.
    pub run: JobRun,
    /// The document.
    pub document: StoredDocument,
}

impl Store {
    /// Rebuilds the world: everything that is still of consequence.
    pub async fn load_world(&self, lease_terms: LeaseTerms) -> Result<World, StoreError> {
        let mut world = World::new(lease_terms);
        // One transaction, hence one moment.
        let mut moment = self.readers.begin().await.map_err(StoreError::sql("reading the world"))?;
        let applications = "SELECT row FROM applications WHERE state <> 'TERMINATED'";
        for application in rows::<Application>(&mut moment, "application", applications).await? {
            world.apply(&Change::Application(application));
        }
        for release in rows::<Release>(&mut moment, "release", "SELECT row FROM releases").await? {
            world.apply(&Change::Release(release));
        }
        for agent in rows::<Agent>(&mut moment, "agent", "SELECT row FROM agents").await? {
            world.apply(&Change::Agent(agent));
        }
        for run in rows::<JobRun>(&mut moment, "job run", "SELECT row FROM job_runs WHERE active = 1").await?
        {
            world.apply(&Change::JobRun(run));
        }
        for worker in rows::<Worker>(&mut moment, "worker", "SELECT row FROM workers WHERE live = 1").await? {
            world.apply(&Change::Worker(worker));
        }
        // The latest, the oldest of them first.
        let latest = format!(
            "SELECT scope, token, digest, resource FROM
             (SELECT rowid AS number, * FROM client_tokens ORDER BY rowid DESC LIMIT {TOKENS_IN_MIND}) ORDER BY number"
        );
        for use_of_token in token_uses(&mut moment, QueryBuilder::new(latest)).await? {
            world.apply(&use_of_token);
        }
        Ok(world)
    }

    /// What was made under these tokens, as changes that are durable already; nothing for those that were not used.
    pub async fn token_uses(&self, tokens: &[&ClientToken]) -> Result<Vec<Change>, StoreError> {
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT scope, token, digest, resource FROM client_tokens WHERE (scope, token) IN ",
        );
        query.push_tuples(tokens, |mut row, token| {
            row.push_bind(&token.scope).push_bind(&token.token);
        });
        let mut connection =
            self.readers.acquire().await.map_err(StoreError::sql("reading client tokens"))?;
        token_uses(&mut connection, query).await
    }

    /// An application, deleted ones included.
    pub async fn application(&self, id: &ApplicationId) -> Result<Option<ApplicationRecord>, StoreError> {
        let row = sqlx::query("SELECT row, document FROM applications WHERE id = ?1")
            .bind(id.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::sql("reading an application"))?;
        row.as_ref().map(application_record).transpose()
    }

    /// Applications from the newest to the oldest.
    pub async fn applications(
        &self,
        states: &BTreeSet<ApplicationState>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<ApplicationRecord>, StoreError> {
        let mut query = listing::applications(states, after, limit);
        let rows =
            query.build().fetch_all(&self.readers).await.map_err(StoreError::sql("listing applications"))?;
        rows.iter().map(application_record).collect()
    }

    /// A job run, ended ones included.
    pub async fn job_run(&self, id: &JobRunId) -> Result<Option<JobRunRecord>, StoreError> {
        let row = sqlx::query("SELECT row, document FROM job_runs WHERE id = ?1")
            .bind(id.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::sql("reading a job run"))?;
        row.as_ref().map(run_record).transpose()
    }

    /// Job runs of an application from the newest to the oldest.
    pub async fn job_runs(
        &self,
        application: &ApplicationId,
        filter: &RunFilter,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<JobRunRecord>, StoreError> {
        let mut query = listing::job_runs(application, filter, after, limit);
        let rows =
            query.build().fetch_all(&self.readers).await.map_err(StoreError::sql("listing job runs"))?;
        rows.iter().map(run_record).collect()
    }

    /// Every worker a job run ever had.
    pub async fn workers_of(&self, run: &JobRunId) -> Result<Vec<Worker>, StoreError> {
        let rows = sqlx::query("SELECT row FROM workers WHERE run = ?1 ORDER BY id")
            .bind(run.as_str())
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::sql("reading workers"))?;
        rows.iter().map(|row| parse("worker", row, 0)).collect()
    }
}

async fn rows<T: DeserializeOwned>(
    connection: &mut SqliteConnection,
    what: &'static str,
    sql: &'static str,
) -> Result<Vec<T>, StoreError> {
    let rows = sqlx::query(sql).fetch_all(connection).await.map_err(StoreError::sql("reading rows"))?;
    rows.iter().map(|row| parse(what, row, 0)).collect()
}

async fn token_uses(
    connection: &mut SqliteConnection,
    mut query: QueryBuilder<Sqlite>,
) -> Result<Vec<Change>, StoreError> {
    let reading = "reading client tokens";
    let rows = query.build().fetch_all(connection).await.map_err(StoreError::sql(reading))?;
    let read = |row: &SqliteRow| {
        let get = |column| row.try_get::<String, usize>(column).map_err(StoreError::sql(reading));
        let token = ClientToken { scope: get(0)?, token: get(1)?, digest: get(2)? };
        Ok(Change::Token { token, resource: get(3)? })
    };
    rows.iter().map(read).collect()
}

pub(crate) fn parse<T: DeserializeOwned>(
    what: &'static str,
    row: &SqliteRow,
    column: usize,
) -> Result<T, StoreError> {
    let text: &str = row.try_get(column).map_err(StoreError::sql("reading a row"))?;
    serde_json::from_str(text).map_err(StoreError::row(what))
}

fn application_record(row: &SqliteRow) -> Result<ApplicationRecord, StoreError> {
    Ok(ApplicationRecord { application: parse("application", row, 0)?, document: stored_document(row, 1)? })
}

fn run_record(row: &SqliteRow) -> Result<JobRunRecord, StoreError> {
    Ok(JobRunRecord { run: parse("job run", row, 0)?, document: stored_document(row, 1)? })
}

fn stored_document(row: &SqliteRow, column: usize) -> Result<StoredDocument, StoreError> {
    row.try_get(column).map(StoredDocument).map_err(StoreError::sql("reading a row"))
}
