//! Rows as the coordinator writes them, through its own store.

use anyhow::Context;
use hearth_coordinator_core::command::{Change, ClientToken};
use hearth_coordinator_core::job_run::JobRun;
use hearth_coordinator_core::release::{Release, ReleaseState};
use hearth_coordinator_core::worker::Worker;
use hearth_engine::{fresh_job_run_id, fresh_worker_id, now};
use hearth_store::{JobRunRecord, Store};
use hearth_types::{JobRunId, ReleaseLabel};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Copies that share a commit.
const GROUP: u32 = 500;
/// How far the copies' times lie apart.
const APART: Duration = Duration::from_millis(700);

/// Records a release as ready. Its bundle is nowhere: no worker can run it.
pub(crate) async fn release(database: &Path, label: &str) -> anyhow::Result<()> {
    let state =
        ReleaseState::Ready { sha256: "0".repeat(64), java_major: 17, java_module_options: Vec::new() };
    let release = Release { label: ReleaseLabel::new(label)?, state };
    let store = Store::open(database).await?;
    Ok(store.commit(vec![Change::Release(release)], now()).await?)
}

/// Writes copies of an ended job run and of its workers, each with a client token of its own, the latest as old as the
/// original and the others ever older; returns their ids, the latest first.
pub(crate) async fn copies(database: &Path, like: &str, count: u32) -> anyhow::Result<Vec<JobRunId>> {
    let store = Store::open(database).await?;
    let like = JobRunId::new(like)?;
    let original = store.job_run(&like).await?.context("there is no such job run")?;
    anyhow::ensure!(original.run.state().is_final(), "job run {like} has not ended");
    let workers = store.workers_of(&like).await?;
    let mut ids = Vec::new();
    for first in (0..count).step_by(GROUP as usize) {
        let mut changes = Vec::new();
        for number in first..count.min(first + GROUP) {
            let run = copy(&original, number);
            let id = run.id.clone();
            changes.push(Change::JobRun(run));
            changes.push(Change::JobRunDocument { id: id.clone(), document: document(&original, &id) });
            changes.push(token(&original, &id));
            changes.extend(workers.iter().map(|worker| {
                Change::Worker(Worker { id: fresh_worker_id(), run: id.clone(), ..worker.clone() })
            }));
            ids.push(id);
        }
        store.commit(changes, now()).await?;
    }
    Ok(ids)
}

fn copy(original: &JobRunRecord, number: u32) -> JobRun {
    let age = i64::try_from((APART * number).as_millis()).expect("years at the most");
    let created_at = hearth_types::Timestamp::from_millis(original.run.created_at.as_millis() - age);
    JobRun { id: fresh_job_run_id(), created_at, ..original.run.clone() }
}

fn document(original: &JobRunRecord, id: &JobRunId) -> Value {
    let mut document: Value = original.document.read().expect("the API's own");
    let arn = document["arn"].as_str().unwrap_or_default().replace(original.run.id.as_str(), id.as_str());
    document["arn"] = json!(arn);
    document["jobRunId"] = json!(id);
    document
}

fn token(original: &JobRunRecord, id: &JobRunId) -> Change {
    let token = ClientToken {
        scope: original.run.application.to_string(),
        token: format!("{id}-as-long-as-a-random-uuid"),
        digest: "0".repeat(64),
    };
    Change::Token { token, resource: id.to_string() }
}
