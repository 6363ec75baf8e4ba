//! State that an earlier version left: it opens, and nothing in it is lost. One file for each version that was released.

#![allow(clippy::unwrap_used)] // The lint's exception for tests does not reach their helper functions.

use hearth_coordinator_core::command::ClientToken;
use hearth_coordinator_core::lease::LeaseTerms;
use hearth_store::{RunFilter, Store};
use hearth_types::{AgentId, ApplicationId, JobRunId, JobRunState, WorkerId};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use std::path::Path;
use std::time::Duration;

const FIRST_LIGHT: &str = include_str!("earlier/first_light.sql");

async fn connect(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// A file as that version wrote it.
async fn left_behind(file: &Path, sql: &'static str) {
    let mut connection = connect(file).await;
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Version and tables of a file.
async fn shape(file: &Path) -> (i64, Vec<String>) {
    let mut connection = connect(file).await;
    let version = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut connection).await.unwrap();
    let tables = "SELECT name || ': ' || sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    (version, sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap())
}

#[tokio::test]
async fn a_job_run_under_way_is_taken_over_from_an_earlier_version() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hearth.db");
    left_behind(&file, FIRST_LIGHT).await;
    let store = Store::open(&file).await.unwrap();
    let world = store.load_world(LeaseTerms::default()).await.unwrap();

    let id = JobRunId::new("00fsk0a7uhy851g5").unwrap();
    let run = world.run(&id).expect("it goes on");
    assert_eq!(run.state(), JobRunState::Running);
    let workers: Vec<_> = world.workers_of(&id).map(|worker| worker.id.as_str()).collect();
    assert_eq!(workers.len(), 3, "{workers:?}");
    let driver = world.worker(&WorkerId::new("w-scb2dyk53u2jc8").unwrap()).expect("its driver");
    assert_eq!(driver.launch, run.launch);
    let agent = AgentId::new("a-pgjdh14524s4ec").unwrap();
    assert!(world.agent(&agent).is_some());
    assert_eq!(world.booked(&agent).cpu_millis, 3000);
    let token = ClientToken {
        scope: "00fm1ba7cme6fvyd".to_owned(),
        token: "09f47b2d-453a-4cc3-a585-a582776ad0a0".to_owned(),
        digest: String::new(),
    };
    assert!(world.token(&token).is_some(), "a repeated request finds what it made");
}

#[tokio::test]
async fn what_had_ended_under_an_earlier_version_is_shown_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hearth.db");
    left_behind(&file, FIRST_LIGHT).await;
    let store = Store::open(&file).await.unwrap();
    let ended = store.job_run(&JobRunId::new("00f8fwt27wr4mfcg").unwrap()).await.unwrap().expect("kept");
    assert_eq!(ended.run.state(), JobRunState::Success);
    assert_eq!(ended.document.read::<Value>().unwrap()["name"], "first.py");
    let workers = store.workers_of(&ended.run.id).await.unwrap();
    assert_eq!(workers.len(), 2, "{workers:?}");
    let application = ApplicationId::new("00fm1ba7cme6fvyd").unwrap();
    assert!(store.application(&application).await.unwrap().is_some());
}

#[tokio::test]
async fn an_earlier_versions_queue_timeouts_and_modes_count_from_now_on() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hearth.db");
    left_behind(&file, FIRST_LIGHT).await;
    left_behind(
        &file,
        "UPDATE applications SET document = json_set(document, '$.schedulerConfiguration',
           json('{\"queueTimeoutMinutes\": 30, \"maxConcurrentRuns\": 2}')) WHERE id = '00fm1ba7cme6fvyd';
         UPDATE job_runs SET document = json_set(document, '$.mode', 'STREAMING') WHERE id = '00fsk0a7uhy851g5';",
    )
    .await;
    let store = Store::open(&file).await.unwrap();
    let application = ApplicationId::new("00fm1ba7cme6fvyd").unwrap();
    let found = store.application(&application).await.unwrap().unwrap();
    assert_eq!(found.application.queue_timeout, Some(Duration::from_secs(30 * 60)));
    for (mode, run) in [("STREAMING", "00fsk0a7uhy851g5"), ("BATCH", "00f8fwt27wr4mfcg")] {
        let filter = RunFilter { mode: Some(mode.to_owned()), ..RunFilter::default() };
        let listed = store.job_runs(&application, &filter, None, 50).await.unwrap();
        assert!(listed.iter().any(|record| record.run.id.as_str() == run), "{mode}");
        assert!(
            listed
                .iter()
                .all(|record| record.document.read::<Value>().unwrap()["mode"] != json!("STREAMING")
                    || mode == "STREAMING")
        );
    }
}

#[tokio::test]
async fn an_earlier_versions_tables_become_those_of_a_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let (earlier, fresh) = (dir.path().join("earlier.db"), dir.path().join("fresh.db"));
    left_behind(&earlier, FIRST_LIGHT).await;
    drop(Store::open(&earlier).await.unwrap());
    drop(Store::open(&fresh).await.unwrap());
    assert_eq!(shape(&earlier).await, shape(&fresh).await);
}
