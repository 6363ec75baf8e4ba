//! The store's promises one by one: groups, listings, documents, join tokens, and files it must not touch.

#![allow(clippy::unwrap_used)] // The lint's exception for tests does not reach their helper functions.

#[path = "../../core/tests/world_model/mod.rs"]
mod world_model;

use futures::future::join_all;
use hearth_coordinator_core::application::Application;
use hearth_coordinator_core::command::Change;
use hearth_coordinator_core::lease::LeaseTerms;
use hearth_coordinator_core::release::{Release, ReleaseState};
use hearth_coordinator_core::retention::EndedRun;
use hearth_store::{
    Cursor, Document, Enrolled, JoinToken, ObjectsRestored, RunFilter, Store, StoreError, TokenRefused,
    Unfinished, prepare_restored,
};
use hearth_types::{AgentId, ApplicationState, Epoch, ReleaseLabel, Timestamp};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use std::collections::{BTreeSet, HashSet};
use std::error::Error;
use std::path::{Path, PathBuf};
use world_model::{Cluster, agent, application, application_id, spec, start, token};

const NOW: Timestamp = Timestamp::from_millis(1_000);

struct Kept {
    store: Store,
    file: PathBuf,
    _dir: tempfile::TempDir,
}

async fn kept() -> Kept {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hearth.db");
    Kept { store: Store::open(&file).await.unwrap(), file, _dir: dir }
}

/// A connection past the store, as an administrator or a failing disk would meddle.
async fn meddle(file: &Path, sql: &'static str) {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn made_at(name: &str, millis: i64) -> Application {
    Application { created_at: Timestamp::from_millis(millis), ..application(name) }
}

async fn keep(store: &Store, application: Application) {
    store.commit(vec![Change::Application(application)], NOW).await.unwrap();
}

async fn page(store: &Store, after: Option<&Cursor>) -> Vec<String> {
    let page = store.applications(&BTreeSet::new(), after, 3).await.unwrap();
    page.iter().map(|record| record.application.id.to_string()).collect()
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_while_others_are_added() {
    let kept = kept().await;
    // Two were made in the same millisecond: the id decides.
    for (name, at) in [("a", 1), ("b", 2), ("d", 3), ("c", 3), ("e", 4), ("f", 5)] {
        keep(&kept.store, made_at(name, at)).await;
    }
    assert_eq!(page(&kept.store, None).await, ["f", "e", "c"]);
    let after = Cursor { created_at: Timestamp::from_millis(3), id: "c".to_owned() };
    keep(&kept.store, made_at("new", 6)).await;
    keep(&kept.store, made_at("cc", 3)).await;
    assert_eq!(page(&kept.store, Some(&after)).await, ["cc", "d", "b"]);
    let after = Cursor { created_at: Timestamp::from_millis(2), id: "b".to_owned() };
    assert_eq!(page(&kept.store, Some(&after)).await, ["a"]);
    let after = Cursor { created_at: Timestamp::from_millis(1), id: "a".to_owned() };
    assert!(page(&kept.store, Some(&after)).await.is_empty());
}

#[tokio::test]
async fn listings_show_what_the_filter_names_deleted_and_ended_included() {
    let kept = kept().await;
    let mut cluster =
        Cluster::in_service(vec![application("app"), application("other")], vec![agent("a", 8)]);
    for (run, app) in [("r-1", "app"), ("r-2", "app"), ("r-3", "other")] {
        cluster.now += 10;
        cluster.ask(start(run, app, spec(1, 0, 1, 1))).unwrap();
    }
    cluster.settle();
    cluster.now += 10;
    cluster.ask(start("r-4", "app", spec(1, 0, 1, 1))).unwrap();
    let journal = std::mem::take(&mut cluster.journal);
    for changes in journal {
        kept.store.commit(changes, NOW).await.unwrap();
    }
    let listed = async |filter: RunFilter| {
        let page = kept.store.job_runs(&application_id("app"), &filter, None, 50).await.unwrap();
        page.into_iter().map(|record| record.run.id.to_string()).collect::<Vec<_>>()
    };
    let filter = RunFilter::default;
    assert_eq!(listed(filter()).await, ["r-4", "r-2", "r-1"]);
    let states = BTreeSet::from([hearth_types::JobRunState::Success]);
    assert_eq!(listed(RunFilter { states, ..filter() }).await, ["r-2", "r-1"]);
    let first = kept.store.job_run(&world_model::run_id("r-1")).await.unwrap().unwrap().run.created_at;
    assert_eq!(listed(RunFilter { created_after: Some(first), ..filter() }).await, ["r-4", "r-2"]);
    let last = Timestamp::from_millis(cluster.now);
    assert_eq!(listed(RunFilter { created_before: Some(last), ..filter() }).await, ["r-2", "r-1"]);
    assert!(listed(RunFilter { mode: Some("STREAMING".to_owned()), ..filter() }).await.is_empty());
    let workers = kept.store.workers_of(&world_model::run_id("r-1")).await.unwrap();
    assert_eq!(workers.len(), 1, "ended workers are remembered");

    let gone = Application { state: ApplicationState::Terminated, ..made_at("other", 0) };
    keep(&kept.store, gone).await;
    assert!(
        kept.store
            .load_world(LeaseTerms::default())
            .await
            .unwrap()
            .application(&application_id("other"))
            .is_none()
    );
    let found = kept.store.application(&application_id("other")).await.unwrap().unwrap();
    assert_eq!(found.application.state, ApplicationState::Terminated);
}

#[tokio::test]
async fn a_document_is_written_only_over_the_revision_it_was_read_at() {
    let kept = kept().await;
    let store = &kept.store;
    let document =
        |revision, body| Document { kind: "user".to_owned(), id: "ada".to_owned(), revision, body };
    let put = async |revision, body| store.put_document(document(revision, body)).await.unwrap();
    assert_eq!(put(0, json!(1)).await, Ok(1));
    assert!(put(0, json!(2)).await.is_err(), "it exists already");
    assert_eq!(put(1, json!(3)).await, Ok(2));
    assert!(put(1, json!(4)).await.is_err(), "somebody else wrote meanwhile");
    assert!(put(7, json!(5)).await.is_err(), "no such revision yet");
    assert_eq!(store.document("user", "ada").await.unwrap(), Some(document(2, json!(3))));
    assert_eq!(store.document("role", "ada").await.unwrap(), None, "another kind");
    assert!(store.delete_document("user", "ada", 1).await.unwrap().is_err());
    assert_eq!(store.documents("user").await.unwrap().len(), 1);
    assert!(store.delete_document("user", "ada", 2).await.unwrap().is_ok());
    assert!(store.delete_document("user", "ada", 2).await.unwrap().is_err(), "it is gone");
    assert_eq!(put(0, json!(6)).await, Ok(1), "and may be made anew");

    let writers = (0..20).map(|body| store.put_document(document(1, json!(body))));
    let won = join_all(writers).await.into_iter().filter(|written| written.as_ref().unwrap().is_ok()).count();
    assert_eq!(won, 1, "of many writers at one revision one wins");
}

#[tokio::test]
async fn a_join_token_is_used_once_and_repeated_only_by_the_same_key_for_five_minutes() {
    let kept = kept().await;
    let store = &kept.store;
    let at = Timestamp::from_millis;
    for hash in ["one", "two"] {
        store.issue_join_token(JoinToken { hash: hash.to_owned(), expires_at: at(10_000) }).await.unwrap();
    }
    let enrol = async |hash: &str, key: &str, agent: &str, now| {
        let agent = AgentId::new(agent).unwrap();
        let enrolled = Enrolled { hash: hash.to_owned(), public_key: key.to_owned(), agent, at: at(now) };
        store.enrol(enrolled).await.unwrap().map(|agent| agent.to_string())
    };
    assert_eq!(enrol("none", "k", "a-1", 1).await, Err(TokenRefused::Unknown));
    assert_eq!(enrol("two", "k", "a-1", 10_001).await, Err(TokenRefused::Expired));
    assert_eq!(enrol("one", "k", "a-1", 10_000).await, Ok("a-1".to_owned()));
    assert_eq!(enrol("one", "k", "a-2", 310_000).await, Ok("a-1".to_owned()), "the answer was lost");
    assert_eq!(enrol("one", "other", "a-2", 10_001).await, Err(TokenRefused::Used));
    assert_eq!(enrol("one", "k", "a-2", 310_001).await, Err(TokenRefused::Used));
    assert_eq!(enrol("two", "k", "a-3", 10_000).await, Ok("a-3".to_owned()), "a refusal uses nothing up");
}

#[tokio::test]
async fn each_term_of_office_is_one_more_than_the_last_over_restarts_too() {
    let dir = tempfile::tempdir().unwrap();
    for term in [1, 3, 5] {
        let store = Store::open(&dir.path().join("hearth.db")).await.unwrap();
        assert_eq!(store.next_epoch().await.unwrap(), Epoch(term));
        assert_eq!(store.next_epoch().await.unwrap(), Epoch(term + 1));
    }
}

#[tokio::test]
async fn concurrent_commits_are_all_kept_and_one_that_fails_harms_no_other() {
    let kept = kept().await;
    let used = |name: &str| Change::Token { token: token("applications", name), resource: name.to_owned() };
    kept.store.commit(vec![used("taken")], NOW).await.unwrap();
    let commits = (0..64).map(|n| {
        let name = format!("app-{n}");
        // Every eighth repeats a token, after its application: none of it may stay.
        let token = if n % 8 == 0 { used("taken") } else { used(&name) };
        kept.store.commit(vec![Change::Application(application(&name)), token], NOW)
    });
    for (n, committed) in join_all(commits).await.into_iter().enumerate() {
        assert_eq!(committed.is_err(), n % 8 == 0, "commit {n}: {committed:?}");
    }
    let world = Store::open(&kept.file).await.unwrap().load_world(LeaseTerms::default()).await.unwrap();
    let names: HashSet<String> = world.applications().map(|application| application.id.to_string()).collect();
    let expected = (0..64).filter(|n| n % 8 != 0).map(|n| format!("app-{n}")).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn when_the_database_gives_a_group_up_nobody_hears_of_success_and_the_next_works() {
    let kept = kept().await;
    // As SQLite does on a full disk: the whole transaction is rolled back under the writer's feet.
    meddle(
        &kept.file,
        "CREATE TRIGGER full BEFORE INSERT ON applications WHEN NEW.id = 'poison'
         BEGIN SELECT RAISE(ROLLBACK, 'disk full'); END;",
    )
    .await;
    for _ in 0..3 {
        let names = (0..20).map(|n| if n == 10 { "poison".to_owned() } else { format!("app-{n}") });
        let commits = names.map(|name| kept.store.commit(vec![Change::Application(application(&name))], NOW));
        let answers = join_all(commits).await;
        let stored = kept.store.load_world(LeaseTerms::default()).await.unwrap();
        for (n, answer) in answers.iter().enumerate() {
            let is_kept = stored.application(&application_id(&format!("app-{n}"))).is_some();
            assert!(answer.is_err() || is_kept, "commit {n} was answered but is not there");
            assert!(!matches!(answer, Err(StoreError::Closed)), "the answer says what failed");
        }
        assert!(answers[10].is_err());
        keep(&kept.store, application("after")).await;
    }
    assert!(
        kept.store
            .load_world(LeaseTerms::default())
            .await
            .unwrap()
            .application(&application_id("after"))
            .is_some()
    );
}

#[tokio::test]
async fn a_transition_is_told_once_in_the_outbox() {
    let kept = kept().await;
    for state in [ApplicationState::Created, ApplicationState::Created, ApplicationState::Started] {
        keep(&kept.store, Application { state, ..application("app") }).await;
    }
    let options = SqliteConnectOptions::new().filename(&kept.file);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let told: Vec<(String, String)> = sqlx::query_as("SELECT resource, state FROM events ORDER BY seq")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let told: Vec<_> = told.iter().map(|(resource, state)| (resource.as_str(), state.as_str())).collect();
    assert_eq!(told, [("app", "CREATED"), ("app", "STARTED")]);
}

/// A closed store's file with something in it.
async fn closed_file(dir: &Path) -> PathBuf {
    let file = dir.join("hearth.db");
    let store = Store::open(&file).await.unwrap();
    for n in 0..200 {
        keep(&store, application(&format!("app-{n}"))).await;
    }
    drop(store);
    // Moves everything from the log into the file itself.
    meddle(&file, "PRAGMA wal_checkpoint(TRUNCATE);").await;
    file
}

#[tokio::test]
async fn a_damaged_foreign_or_newer_file_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = closed_file(dir.path()).await;
    let sound = std::fs::read(&file).unwrap();
    meddle(&file, "PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE);").await;
    let newer = std::fs::read(&file).unwrap();
    let foreign = dir.path().join("foreign");
    meddle(&foreign, "CREATE TABLE notes (text TEXT);").await;
    let mut torn = sound.clone();
    torn[4096..].fill(0x5a);
    let cut = sound[..sound.len() / 2].to_vec();
    for (what, bytes, essence) in [
        ("torn", torn, "is damaged"),
        ("cut", cut, "is damaged"),
        ("foreign", std::fs::read(&foreign).unwrap(), "is not the coordinator's state"),
        ("newer", newer, "has schema version 99"),
    ] {
        let file = dir.path().join(what);
        std::fs::write(&file, &bytes).unwrap();
        let error = Store::open(&file).await.expect_err(what);
        assert!(matches!(error, StoreError::Refused(_)), "{what}: {error:?}");
        assert!(error.to_string().contains(essence), "{what}: {error}");
        assert!(std::fs::read(&file).unwrap() == bytes, "{what} was touched");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_says_which_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let error = Store::open(&dir.path().join("no/such/hearth.db")).await.expect_err("no directory");
    assert!(matches!(error, StoreError::Open { .. }) && error.source().is_some(), "{error:?}");
    assert!(error.to_string().contains("no/such/hearth.db"));
}

#[tokio::test]
async fn a_restored_database_begins_beyond_every_term_the_lost_one_can_have_had() {
    let kept = kept().await;
    assert_eq!(kept.store.next_epoch().await.unwrap(), Epoch(1));
    let label = ReleaseLabel::new("emr-7.6.0").unwrap();
    let release = Release { label, state: ReleaseState::Building { step: String::new() } };
    kept.store.commit(vec![Change::Release(release)], NOW).await.unwrap();
    let backup = kept.file.with_extension("backup");
    hearth_sqlite::copy(&kept.file, &backup).await.unwrap();
    for _ in 0..5 {
        kept.store.next_epoch().await.unwrap();
    }
    let mut highest = kept.store.next_epoch().await.unwrap();
    // The same backup twice.
    for (round, (at, objects)) in
        [(1_000_000, ObjectsRestored::Yes), (2_000_000, ObjectsRestored::No)].into_iter().enumerate()
    {
        let file = kept.file.with_extension(round.to_string());
        std::fs::copy(&backup, &file).unwrap();
        let (epoch, unfinished) = prepare_restored(&file, Timestamp::from_millis(at), objects).await.unwrap();
        assert_eq!(unfinished, Unfinished { waiting: 0, placed: 0 });
        let store = Store::open(&file).await.unwrap();
        let next = store.next_epoch().await.unwrap();
        assert!(epoch > highest && next > epoch, "{epoch:?} after {highest:?}, then {next:?}");
        let bundles = store.load_world(LeaseTerms::default()).await.unwrap().releases().count();
        assert_eq!(bundles, usize::from(objects == ObjectsRestored::Yes));
        highest = next;
        drop(store);
        let (again, _) = prepare_restored(&file, Timestamp::from_millis(0), objects).await.unwrap();
        assert!(again > highest, "a clock that was set back: {again:?} after {highest:?}");
    }
}

#[tokio::test]
async fn a_forgotten_job_run_takes_its_workers_token_and_tags_with_it_and_nothing_else() {
    let kept = kept().await;
    let mut cluster = Cluster::in_service(vec![application("app")], vec![agent("a", 8)]);
    for run in ["r-1", "r-2"] {
        cluster.now += 10;
        cluster.ask(start(run, "app", spec(1, 0, 1, 1))).unwrap();
        cluster.settle();
    }
    cluster.ask(start("active", "app", spec(1, 0, 1, 1))).unwrap();
    for changes in std::mem::take(&mut cluster.journal) {
        kept.store.commit(changes, NOW).await.unwrap();
    }
    for run in ["r-1", "r-2"] {
        let (kind, id) = ("tags".to_owned(), format!("app/{run}"));
        let document = Document { kind, id, revision: 0, body: json!({}) };
        kept.store.put_document(document).await.unwrap().unwrap();
    }
    let late = Timestamp::from_millis(i64::MAX);
    let ended = kept.store.ended_before(late, None, 10).await.unwrap();
    assert_eq!(ended.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), ["r-1", "r-2"]);
    assert_eq!(kept.store.ended_before(late, None, 1).await.unwrap(), ended[..1]);
    assert_eq!(kept.store.ended_before(late, Some(&ended[0]), 10).await.unwrap(), ended[1..]);
    assert_eq!(kept.store.ended_before(ended[1].ended_at, None, 10).await.unwrap(), ended[..1]);

    // A claim that an active one has ended removes nothing.
    let active = EndedRun { id: world_model::run_id("active"), ..ended[0].clone() };
    let forget = [ended[0].clone(), active].map(Change::JobRunForgotten);
    kept.store.commit(forget.to_vec(), NOW).await.unwrap();
    for (run, stays) in [("r-1", false), ("r-2", true), ("active", true)] {
        let id = world_model::run_id(run);
        assert_eq!(kept.store.job_run(&id).await.unwrap().is_some(), stays, "{run}");
        assert_eq!(!kept.store.workers_of(&id).await.unwrap().is_empty(), stays && run != "active", "{run}");
        assert_eq!(
            kept.store.token_uses(&[&token("app", run)]).await.unwrap().len(),
            usize::from(stays),
            "{run}"
        );
        let tags = kept.store.document("tags", &format!("app/{run}")).await.unwrap();
        assert_eq!(tags.is_some(), stays && run != "active", "{run}");
    }
}

#[tokio::test]
async fn old_events_are_forgotten_in_small_parts() {
    let kept = kept().await;
    for (name, at) in [("a", 1), ("b", 2), ("c", 3)] {
        let made = vec![Change::Application(made_at(name, at))];
        kept.store.commit(made, Timestamp::from_millis(at)).await.unwrap();
    }
    let forget =
        async |before, most| kept.store.forget_events(Timestamp::from_millis(before), most).await.unwrap();
    assert_eq!(forget(3, 1).await, 1);
    assert_eq!(forget(3, 10).await, 1);
    assert_eq!(forget(3, 10).await, 0);
    let mut connection =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&kept.file)).await.unwrap();
    let left: Vec<(String,)> =
        sqlx::query_as("SELECT resource FROM events").fetch_all(&mut connection).await.unwrap();
    assert_eq!(left, [("c".to_owned(),)]);
}

#[tokio::test]
async fn what_is_too_old_is_found_by_an_index() {
    let kept = kept().await;
    let mut connection =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&kept.file)).await.unwrap();
    for (sql, index) in [
        (
            "EXPLAIN QUERY PLAN SELECT id FROM job_runs WHERE active = 0 AND row ->> '$.ended_at' < 1
              AND (row ->> '$.ended_at', id) > (0, '') ORDER BY row ->> '$.ended_at', id LIMIT 3",
            "job_runs_ended",
        ),
        ("EXPLAIN QUERY PLAN DELETE FROM client_tokens WHERE resource = 'x'", "client_tokens_of"),
    ] {
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
        let plan: Vec<String> = plan.into_iter().map(|(.., detail)| detail).collect();
        assert!(plan.iter().all(|step| step.contains(index) && !step.contains("TEMP B-TREE")), "{plan:?}");
    }
}
