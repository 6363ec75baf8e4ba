//! The engine's promises: answers and effects only after the commit, a failing store harms nothing but the asker, and
//! deadlines are met without anybody asking.

#![allow(clippy::unwrap_used)] // The lint's exception for tests does not reach their helper functions.

#[path = "../../core/tests/world_model/mod.rs"]
mod world_model;

use hearth_coordinator_core::agent::Contact;
use hearth_coordinator_core::application::Application;
use hearth_coordinator_core::command::{Change, ClientToken, Command, Effect, Refusal, Reply};
use hearth_coordinator_core::lease::LeaseTerms;
use hearth_coordinator_core::quotas::Quotas;
use hearth_coordinator_core::tokens::TOKENS_IN_MIND;
use hearth_coordinator_core::world::World;
use hearth_engine::{Engine, EngineError, now};
use hearth_store::Store;
use hearth_types::ApplicationState;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use world_model::{
    agent, application, application_id, create, ready, release_label, run_id, spec, start, token,
};

/// Nothing here takes longer unless it never happens.
const PATIENCE: Duration = Duration::from_secs(20);

struct Kept {
    file: PathBuf,
    _dir: tempfile::TempDir,
}

impl Kept {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { file: dir.path().join("hearth.db"), _dir: dir }
    }

    async fn engine(&self) -> (Engine, mpsc::Receiver<Effect>) {
        let (effects, performed) = mpsc::channel(64);
        (
            Engine::start(
                Store::open(&self.file).await.unwrap(),
                effects,
                LeaseTerms::default(),
                Quotas::default(),
            )
            .await
            .unwrap(),
            performed,
        )
    }

    /// The world as another process would read it now.
    async fn on_disk(&self) -> World {
        Store::open(&self.file).await.unwrap().load_world(LeaseTerms::default()).await.unwrap()
    }

    async fn meddle(&self, sql: &'static str) {
        let options = SqliteConnectOptions::new().filename(&self.file);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

async fn until(engine: &Engine, holds: impl Fn(&World) -> bool) {
    let mut changes = engine.changes();
    let held = timeout(PATIENCE, changes.wait_for(|world| holds(world))).await;
    assert!(held.expect("it never happens").is_ok(), "the engine ended");
}

fn state(world: &World, name: &str) -> Option<ApplicationState> {
    world.application(&application_id(name)).map(|application| application.state)
}

#[tokio::test]
async fn what_is_answered_is_durable_and_what_is_performed_as_well() {
    let kept = Kept::new();
    let (engine, mut performed) = kept.engine().await;
    let made = engine.ask(create(application("app"))).await.unwrap();
    assert_eq!(made, Reply::Application(application_id("app")));
    assert_eq!(state(&kept.on_disk().await, "app"), Some(ApplicationState::Created));
    assert_eq!(state(&engine.snapshot(), "app"), Some(ApplicationState::Created));

    let asked = || engine.ask(start("r", "app", spec(1, 0, 1, 1)));
    kept.meddle("CREATE TRIGGER full BEFORE INSERT ON job_runs BEGIN SELECT RAISE(ABORT, 'disk full'); END;")
        .await;
    assert!(asked().await.is_err());
    assert!(performed.try_recv().is_err(), "performed though it is not durable");
    kept.meddle("DROP TRIGGER full;").await;
    asked().await.unwrap();
    assert!(kept.on_disk().await.run(&run_id("r")).is_some());
    let effect = timeout(PATIENCE, performed.recv()).await.unwrap();
    assert_eq!(effect, Some(Effect::BuildRelease(release_label())));
}

#[tokio::test]
async fn a_refusal_is_told_and_an_asker_who_leaves_is_served_all_the_same() {
    let kept = Kept::new();
    let (engine, _performed) = kept.engine().await;
    let refused = engine.ask(Command::StartApplication(application_id("none"))).await;
    assert!(matches!(refused, Err(EngineError::Refused(Refusal::NoApplication(_)))), "{refused:?}");
    let mut leaving = Box::pin(engine.ask(create(application("app"))));
    assert!(futures::poll!(&mut leaving).is_pending());
    drop(leaving);
    until(&engine, |world| state(world, "app").is_some()).await;
}

#[tokio::test]
async fn commands_of_one_batch_see_each_other_and_are_all_answered() {
    let kept = Kept::new();
    let (engine, _performed) = kept.engine().await;
    let name = |n: usize| format!("app-{}", n % 50);
    let asked = (0..100).map(|n| engine.ask(create(application(&name(n)))));
    for (n, answer) in futures::future::join_all(asked).await.into_iter().enumerate() {
        assert_eq!(
            answer.unwrap(),
            Reply::Application(application_id(&name(n))),
            "the same token, the same answer"
        );
    }
    assert_eq!(kept.on_disk().await.applications().count(), 50);
}

#[tokio::test]
async fn under_a_token_used_long_ago_nothing_is_made_anew() {
    let kept = Kept::new();
    kept.engine().await.0.ask(create(application("old"))).await.unwrap();
    let later =
        |n: usize| Change::Token { token: token("applications", &n.to_string()), resource: "app".into() };
    let later = (0..TOKENS_IN_MIND).map(later).collect();
    Store::open(&kept.file).await.unwrap().commit(later, now()).await.unwrap();

    let (engine, _performed) = kept.engine().await;
    let used = token("applications", "old");
    assert!(engine.snapshot().token(&used).is_none(), "still in mind: this test shows nothing");
    let again = engine.ask(create(application("old"))).await.unwrap();
    assert_eq!(again, Reply::Application(application_id("old")));
    let other = Command::CreateApplication {
        application: application("other"),
        document: serde_json::json!({}),
        token: ClientToken { digest: "other".to_owned(), ..used },
    };
    let refused = engine.ask(other).await;
    assert!(matches!(refused, Err(EngineError::Refused(Refusal::TokenReused(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_store_that_fails_harms_only_who_asked() {
    let kept = Kept::new();
    let (engine, _performed) = kept.engine().await;
    engine.ask(create(application("before"))).await.unwrap();
    kept.meddle(
        "CREATE TRIGGER full BEFORE INSERT ON applications BEGIN SELECT RAISE(ABORT, 'disk full'); END;",
    )
    .await;
    let failed = engine.ask(create(application("app"))).await;
    assert!(matches!(failed, Err(EngineError::Store(_))), "{failed:?}");
    // Not even the engine's own memory keeps it: the token is free, and the next answer comes from a sound world.
    let refused = engine.ask(Command::StopApplication(application_id("app"))).await;
    assert!(matches!(refused, Err(EngineError::Refused(Refusal::NoApplication(_)))), "{refused:?}");
    assert_eq!(state(&engine.snapshot(), "before"), Some(ApplicationState::Created));
    kept.meddle("DROP TRIGGER full;").await;
    engine.ask(create(application("app"))).await.unwrap();
    assert_eq!(*engine.snapshot(), kept.on_disk().await);
}

#[tokio::test]
async fn while_the_store_cannot_be_read_askers_are_told_and_then_served_again() {
    let kept = Kept::new();
    let (engine, _performed) = kept.engine().await;
    kept.meddle(
        "CREATE TRIGGER full BEFORE INSERT ON applications BEGIN SELECT RAISE(ABORT, 'disk full'); END;
         ALTER TABLE workers RENAME TO elsewhere;",
    )
    .await;
    for _ in 0..5 {
        let failed = timeout(PATIENCE, engine.ask(create(application("app")))).await.expect("an answer");
        assert!(matches!(failed, Err(EngineError::Store(_))), "{failed:?}");
    }
    kept.meddle("ALTER TABLE elsewhere RENAME TO workers; DROP TRIGGER full;").await;
    let served = async { while engine.ask(create(application("app"))).await.is_err() {} };
    timeout(PATIENCE, served).await.expect("it recovers by itself");
    assert!(state(&kept.on_disk().await, "app").is_some());
}

#[tokio::test]
async fn an_idle_application_stops_though_nobody_asks() {
    let kept = Kept::new();
    let (engine, _performed) = kept.engine().await;
    let idle_timeout = Some(Duration::from_millis(30));
    let created_at = now();
    engine.ask(create(Application { idle_timeout, created_at, ..application("app") })).await.unwrap();
    engine.ask(Command::StartApplication(application_id("app"))).await.unwrap();
    until(&engine, |world| state(world, "app") == Some(ApplicationState::Stopped)).await;
    let world = engine.snapshot();
    let stopped = world.application(&application_id("app")).unwrap();
    assert!(stopped.updated_at.since(created_at) >= Duration::from_millis(30), "it stopped too early");
    assert_eq!(state(&kept.on_disk().await, "app"), Some(ApplicationState::Stopped));
}

#[tokio::test]
async fn a_deadline_that_cannot_be_stored_is_met_once_the_store_works() {
    let kept = Kept::new();
    let (engine, _performed) = kept.engine().await;
    kept.meddle(
        "CREATE TRIGGER stopped BEFORE UPDATE ON applications WHEN NEW.state = 'STOPPED'
         BEGIN SELECT RAISE(ABORT, 'disk full'); END;",
    )
    .await;
    let idle_timeout = Some(Duration::ZERO);
    engine.ask(create(Application { idle_timeout, ..application("app") })).await.unwrap();
    // The command itself and the stop that is due at once share a commit, so both fail.
    let failed = engine.ask(Command::StartApplication(application_id("app"))).await;
    assert!(matches!(failed, Err(EngineError::Store(_))), "{failed:?}");
    kept.meddle("DROP TRIGGER stopped;").await;
    engine.ask(Command::StartApplication(application_id("app"))).await.unwrap();
    until(&engine, |world| state(world, "app") == Some(ApplicationState::Stopped)).await;
}

#[tokio::test]
async fn a_new_term_is_in_contact_with_nobody_and_owes_what_was_under_way() {
    let kept = Kept::new();
    {
        let (engine, _performed) = kept.engine().await;
        engine.ask(create(application("app"))).await.unwrap();
        let attached = Command::AgentAttached { agent: agent("a", 4), reports: Vec::new(), stream: 1 };
        engine.ask(attached).await.unwrap();
        engine.ask(start("r", "app", spec(1, 0, 1, 1))).await.unwrap();
        assert_eq!(engine.snapshot().agents().next().unwrap().contact, Contact::Attached);
    }
    let (engine, mut performed) = kept.engine().await;
    assert_eq!(performed.recv().await, Some(Effect::BuildRelease(release_label())));
    let since = |world: &World| match world.agents().next().unwrap().contact {
        Contact::Detached { since } => since,
        contact @ (Contact::Attached | Contact::Lost) => panic!("{contact:?}"),
    };
    assert!(since(&engine.snapshot()) <= engine.clock().now().moment);
    assert_eq!(since(&kept.on_disk().await), since(&engine.snapshot()), "durable as well");
    // And nothing is placed on it until it is back.
    engine.ask(Command::ReleaseIs(ready())).await.unwrap();
    assert_eq!(engine.snapshot().workers().count(), 0);
    engine
        .ask(Command::AgentAttached { agent: agent("a", 4), reports: Vec::new(), stream: 1 })
        .await
        .unwrap();
    assert!(matches!(performed.recv().await, Some(Effect::Settled { stream: 1, .. })));
    assert!(matches!(performed.recv().await, Some(Effect::Start(_))));
    assert_eq!(engine.snapshot().workers().count(), 1);
}

#[tokio::test]
async fn the_engine_ends_with_its_last_handle() {
    let kept = Kept::new();
    let (engine, mut performed) = kept.engine().await;
    let other = engine.clone();
    drop(engine);
    other.ask(create(application("app"))).await.unwrap();
    drop(other);
    assert_eq!(timeout(PATIENCE, performed.recv()).await.expect("it ends"), None);
}
