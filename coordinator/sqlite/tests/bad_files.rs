//! Files that must not be used are refused with advice, and left as they are.

#![allow(clippy::unwrap_used)] // The lint's exception for tests does not reach their helper functions.

use hearth_sqlite::{Refused, Schema, copy, examine, options};
use sqlx::{Connection, SqliteConnection};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const SCHEMA: Schema = Schema { what: "a test's database", tables: &["meta", "things"], version: 1 };

struct Lab {
    dir: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("some.db")
    }

    /// A database with a thousand things in it, open; its newest commits are in the log alone.
    async fn database(&self) -> SqliteConnection {
        let mut connection =
            SqliteConnection::connect_with(&options(&self.file()).create_if_missing(true)).await.unwrap();
        sqlx::raw_sql(
            "CREATE TABLE meta (key TEXT); CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
             CREATE INDEX names ON things (name); PRAGMA user_version = 1;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO things SELECT i, 'thing ' || i FROM n;",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        connection
    }

    /// The bytes of that database, all in one file.
    async fn closed(&self) -> Vec<u8> {
        self.database().await.close().await.unwrap();
        std::fs::read(self.file()).unwrap()
    }

    /// Every file and what is in it. Reading leaves an empty log, and its index, which is memory shared by processes.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        std::fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.to_string_lossy().ends_with("-shm"))
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .filter(|(path, bytes)| !(path.to_string_lossy().ends_with("-wal") && bytes.is_empty()))
            .collect()
    }

    /// Looks at the file, which must be refused and left alone.
    async fn refused(&self, what: &str) -> Refused {
        let before = self.files();
        let refused = examine(&self.file(), &SCHEMA).await.expect_err(what);
        assert!(self.files() == before, "{what}: a file was touched");
        let text = refused.to_string();
        assert!(text.contains("nothing was changed") && text.contains("some.db"), "{what}: {text}");
        refused
    }
}

async fn run(file: &Path, sql: &'static str) {
    let mut connection =
        SqliteConnection::connect_with(&options(file).create_if_missing(true)).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_sound_file_a_new_one_and_none_are_fine() {
    let lab = Lab::new();
    examine(&lab.file(), &SCHEMA).await.unwrap();
    run(&lab.file(), "").await;
    examine(&lab.file(), &SCHEMA).await.expect("made, and killed before the first step");
    let lab = Lab::new();
    let _open = lab.database().await;
    examine(&lab.file(), &SCHEMA).await.expect("in use, with a log");
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let lab = Lab::new();
    let sound = lab.closed().await;
    assert!(sound.len() > 8 * 4096, "{} bytes are too few for these damages", sound.len());
    let mut flipped = sound.clone();
    flipped[2 * 4096..3 * 4096].iter_mut().for_each(|byte| *byte = !*byte);
    let mut swapped = sound.clone();
    swapped.copy_within(4 * 4096..5 * 4096, 5 * 4096);
    let damages = [
        ("empty", Vec::new()),
        ("cut within its head", sound[..50].to_vec()),
        ("cut after its first page", sound[..4096].to_vec()),
        ("cut in half", sound[..sound.len() / 2].to_vec()),
        ("text", b"this is no database at all".repeat(400)),
        ("zeros", vec![0; sound.len()]),
        ("a page flipped", flipped),
        ("a page over another", swapped),
    ];
    for (what, bytes) in damages {
        std::fs::write(lab.file(), bytes).unwrap();
        let refused = lab.refused(what).await;
        assert!(matches!(refused, Refused::Damaged { .. }), "{what}: {refused:?}");
        assert!(refused.to_string().contains("hearth restore"), "{what}: {refused}");
    }
}

#[tokio::test]
async fn a_log_without_its_database_is_refused_and_kept() {
    for is_empty in [false, true] {
        let lab = Lab::new();
        let open = lab.database().await;
        let log = std::fs::read(lab.dir.path().join("some.db-wal")).unwrap();
        drop(open.close().await);
        std::fs::write(lab.dir.path().join("some.db-wal"), log).unwrap();
        if is_empty {
            std::fs::write(lab.file(), []).unwrap();
        } else {
            std::fs::remove_file(lab.file()).unwrap();
        }
        let refused = lab.refused("a log alone").await;
        assert!(matches!(refused, Refused::LogAlone { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn somebody_elses_database_is_refused_whatever_its_version() {
    for sql in [
        "CREATE TABLE notes (text TEXT);",
        "CREATE TABLE notes (text TEXT); PRAGMA user_version = 1;",
        "CREATE TABLE meta (key TEXT); PRAGMA user_version = 1;",
        "PRAGMA user_version = 1;",
    ] {
        let lab = Lab::new();
        run(&lab.file(), sql).await;
        let refused = lab.refused(sql).await;
        assert!(matches!(refused, Refused::Foreign { .. }), "{sql}: {refused:?}");
    }
}

#[tokio::test]
async fn a_newer_file_is_refused_even_if_its_tables_are_others() {
    let lab = Lab::new();
    run(&lab.file(), "CREATE TABLE things_anew (id INTEGER); PRAGMA user_version = 2;").await;
    let refused = lab.refused("newer").await;
    assert!(matches!(refused, Refused::Newer { found: 2, known: 1, .. }), "{refused:?}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_not_called_damaged() {
    let lab = Lab::new();
    std::fs::create_dir(lab.file()).unwrap();
    let refused = examine(&lab.file(), &SCHEMA).await.expect_err("a directory");
    assert!(matches!(refused, Refused::Open { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_copy_of_a_database_in_use_is_whole_and_of_one_moment() {
    let lab = Lab::new();
    let mut open = lab.database().await;
    let mut writing = open.begin().await.unwrap();
    sqlx::raw_sql("INSERT INTO things (name) VALUES ('uncommitted')").execute(&mut *writing).await.unwrap();
    let target = lab.dir.path().join("it's a copy.db");
    copy(&lab.file(), &target).await.unwrap();
    writing.commit().await.unwrap();
    examine(&target, &SCHEMA).await.unwrap();
    let mut copied = SqliteConnection::connect_with(&options(&target)).await.unwrap();
    let things: i64 = sqlx::query_scalar("SELECT count(*) FROM things").fetch_one(&mut copied).await.unwrap();
    assert_eq!(things, 1000);
    assert!(copy(&lab.file(), &target).await.is_err(), "a file that is there is not written over");
}
