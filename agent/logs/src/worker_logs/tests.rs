//! Whole lives of a worker's logs, against a store in memory that can be told to misbehave.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;

use async_trait::async_trait;
use flate2::read::GzDecoder;
use futures::stream::BoxStream;
use hearth_agent_core::log_rotation::REFRESH_BYTES_PER_SECOND;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::watch;

use super::*;
use crate::destination::DestinationKind;
use crate::error::{DestinationFailure, LogsAt, ShipError};
use crate::tail::tail;

/// Several blocks, so that holes can be punched.
const PART: u64 = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Willing,
    Refusing,
    Away,
    /// Does the n-th put from now (counted from 0) and never answers.
    HangAfterPut(usize),
    /// Never does the n-th put from now.
    HangBeforePut(usize),
    RefusingDeletes,
    RefusingEventLogs,
}

/// A store in memory with a mood; counts the puts it began.
#[derive(Debug)]
struct Moody {
    inner: InMemory,
    mood: Mutex<Mood>,
    puts: watch::Sender<usize>,
    hung: watch::Sender<bool>,
}

impl Moody {
    fn new(mood: Mood) -> Arc<Self> {
        let (puts, hung) = (watch::Sender::new(0), watch::Sender::new(false));
        Arc::new(Self { inner: InMemory::new(), mood: Mutex::new(mood), puts, hung })
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
        self.hung.send_replace(false);
    }

    /// The mood for one call, and what it makes of the next.
    fn next(&self) -> Mood {
        let mut mood = self.mood.lock().unwrap();
        let now = *mood;
        match now {
            Mood::HangAfterPut(left @ 1..) => *mood = Mood::HangAfterPut(left - 1),
            Mood::HangBeforePut(left @ 1..) => *mood = Mood::HangBeforePut(left - 1),
            _ => {}
        }
        now
    }

    async fn hang<T>(&self) -> T {
        self.hung.send_replace(true);
        std::future::pending().await
    }

    async fn object(&self, path: &str) -> Option<Vec<u8>> {
        match self.inner.get(&Path::from(path)).await {
            Ok(found) => Some(found.bytes().await.unwrap().to_vec()),
            Err(Error::NotFound { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }

    async fn text(&self, path: &str) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        GzDecoder::new(&self.object(path).await?[..]).read_to_end(&mut text).unwrap();
        Some(text)
    }

    /// The parts from `first` on and then the current object.
    async fn parts_and_current(&self, first: u64) -> Vec<u8> {
        let mut all = Vec::new();
        for index in first.. {
            match self.text(&format!("SPARK_DRIVER/archived/stderr_{index}.gz")).await {
                Some(part) => {
                    assert_eq!(part.len() as u64, PART, "part {index}");
                    all.extend(part);
                }
                None => break,
            }
        }
        all.extend(self.text("SPARK_DRIVER/stderr.gz").await.unwrap_or_default());
        all
    }
}

impl fmt::Display for Moody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Moody")
    }
}

fn refusal(path: &Path) -> Error {
    Error::PermissionDenied { path: path.to_string(), source: "policy".into() }
}

fn away() -> Error {
    Error::Generic { store: "Moody", source: "connection refused".into() }
}

#[async_trait]
impl ObjectStore for Moody {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let mood = self.next();
        self.puts.send_modify(|puts| *puts += 1);
        match mood {
            Mood::Refusing => Err(refusal(path)),
            Mood::Away => Err(away()),
            Mood::HangBeforePut(0) => self.hang().await,
            Mood::HangAfterPut(0) => {
                self.inner.put_opts(path, payload, options).await?;
                self.hang().await
            }
            Mood::RefusingEventLogs if path.prefix_matches(&Path::from("sparklogs")) => Err(refusal(path)),
            Mood::Willing
            | Mood::RefusingDeletes
            | Mood::RefusingEventLogs
            | Mood::HangBeforePut(_)
            | Mood::HangAfterPut(_) => self.inner.put_opts(path, payload, options).await,
        }
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        self.inner.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.next() {
            Mood::RefusingDeletes => {
                Box::pin(futures::stream::once(async { Err(refusal(&Path::from("x"))) }))
            }
            _ => self.inner.delete_stream(paths),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// A worker's directory with its two destinations.
struct Worker {
    dir: tempfile::TempDir,
    log_uri: Arc<Moody>,
    managed: Arc<Moody>,
    written: Vec<u8>,
}

impl Worker {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("logs/sparklogs")).unwrap();
        let (log_uri, managed) = (Moody::new(Mood::Willing), Moody::new(Mood::Willing));
        Self { dir, log_uri, managed, written: Vec::new() }
    }

    fn append(&mut self, count: u64) {
        let start = self.written.len() as u64;
        // Differs from part to part and does not compress to nothing.
        let bytes: Vec<u8> = (start..start + count).map(|at| (at * at / 7 + at / PART) as u8).collect();
        let file = self.dir.path().join("logs/stderr");
        OpenOptions::new().append(true).create(true).open(file).unwrap().write_all(&bytes).unwrap();
        self.written.extend(bytes);
    }

    fn event_log(&self, name: &str) -> PathBuf {
        self.dir.path().join("logs/sparklogs").join(name)
    }

    fn spec(&self) -> LogSpec {
        let destination = |kind, store: &Arc<Moody>| {
            Some(Destination { kind, uri: format!("s3://{kind:?}"), store: store.clone() })
        };
        LogSpec {
            log_dir: self.dir.path().join("logs"),
            ship_file: self.dir.path().join("ship.json"),
            component: "SPARK_DRIVER".into(),
            streams: vec!["stdout".into(), "stderr".into()],
            event_logs: Some("sparklogs".into()),
            log_uri: destination(DestinationKind::LogUri, &self.log_uri),
            managed: destination(DestinationKind::ManagedStorage, &self.managed),
            pace: Pace { part_bytes: PART, ..Pace::default() },
            uploads: Arc::new(Semaphore::new(UPLOADS_PER_HOST)),
        }
    }

    async fn ship(&self, spec: LogSpec) -> ShipOutcome {
        let logs = WorkerLogs::start(spec).await.unwrap();
        logs.finish(Instant::now() + Duration::from_secs(60)).await
    }
}

#[tokio::test(start_paused = true)]
async fn parts_and_the_current_object_are_the_file_and_parts_are_freed() {
    let mut worker = Worker::new();
    worker.append(3 * PART + 1000);
    let before = fs::metadata(worker.dir.path().join("logs/stderr")).unwrap();
    let outcome = worker.ship(worker.spec()).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert_eq!(outcome.container_logs, LogsAt::Destination(DestinationKind::LogUri));
    assert!(worker.log_uri.parts_and_current(0).await == worker.written);
    let after = fs::metadata(worker.dir.path().join("logs/stderr")).unwrap();
    assert_eq!(after.len(), before.len());
    assert!(after.blocks() * 512 <= PART, "{} bytes are still held", after.blocks() * 512);
    let tail = tail(&worker.dir.path().join("logs"), "stderr", 0, 10).await.unwrap();
    assert_eq!(tail.offset, 3 * PART);
    assert_eq!(worker.managed.object("SPARK_DRIVER/stderr.gz").await, None, "container logs in S3 alone");
}

#[tokio::test(start_paused = true)]
async fn the_current_object_is_refreshed_while_the_file_grows() {
    let mut worker = Worker::new();
    worker.append(100);
    let started = Instant::now();
    let mut puts = worker.log_uri.puts.subscribe();
    let _logs = WorkerLogs::start(worker.spec()).await.unwrap();
    for refresh in 1..4u32 {
        puts.changed().await.unwrap();
        let elapsed = started.elapsed();
        let due = Duration::from_secs(15) * refresh;
        assert!(elapsed >= due && elapsed < due + Duration::from_secs(1), "{refresh}: {elapsed:?}");
        worker.append(100);
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_log_is_refreshed_rarely_and_at_the_end() {
    const LONG: u64 = 3 * REFRESH_BYTES_PER_SECOND;
    for name in ["stderr", "sparklogs/app.inprogress"] {
        let worker = Worker::new();
        let mut log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(worker.dir.path().join("logs").join(name))
            .unwrap();
        log.set_len(LONG).unwrap();
        let second = Duration::from_secs(1);
        let pace =
            Pace { container_logs: second, event_logs: second, part_bytes: 2 * LONG, ..Pace::default() };
        let mut puts = worker.log_uri.puts.subscribe();
        let logs = WorkerLogs::start(LogSpec { pace, ..worker.spec() }).await.unwrap();
        puts.changed().await.unwrap();
        let first = Instant::now();
        log.write_all(b"more").unwrap();
        puts.changed().await.unwrap();
        assert!(first.elapsed() >= 3 * second, "{name}: {:?}", first.elapsed());
        log.write_all(b"most").unwrap();
        let last = Instant::now();
        assert!(logs.finish(last + Duration::from_secs(60)).await.is_complete());
        assert!(last.elapsed() < second, "{name}: {:?}", last.elapsed());
        let shipped = match name {
            "stderr" => worker.log_uri.text("SPARK_DRIVER/stderr.gz").await.unwrap(),
            _ => worker.log_uri.object(name).await.unwrap(),
        };
        assert_eq!(shipped.len() as u64, LONG + 8, "{name}");
    }
}

#[tokio::test]
async fn a_restarted_agent_goes_on_wherever_it_was_cut_off() {
    let moods = (0..8).flat_map(|at| [Mood::HangBeforePut(at), Mood::HangAfterPut(at)]);
    let mut worker = Worker::new();
    for mood in moods {
        worker.append(PART + PART / 3);
        worker.log_uri.set(mood);
        let mut hung = worker.log_uri.hung.subscribe();
        let cut_off = {
            let mut shipper = Shipper::load(worker.spec()).await.unwrap();
            tokio::select! {
                _ = hung.wait_for(|hung| *hung) => true,
                _ = shipper.container_logs() => false,
            }
        };
        worker.log_uri.set(Mood::Willing);
        if !cut_off {
            assert!(worker.log_uri.parts_and_current(0).await == worker.written, "after {mood:?}");
        }
    }
    let outcome = worker.ship(worker.spec()).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert!(worker.log_uri.parts_and_current(0).await == worker.written);
}

#[tokio::test(start_paused = true)]
async fn a_refusing_log_uri_leaves_the_logs_in_managed_storage() {
    let mut worker = Worker::new();
    worker.append(PART + 10);
    fs::write(worker.event_log("app"), "events").unwrap();
    worker.log_uri.set(Mood::Refusing);
    let began = Instant::now();
    let outcome = worker.ship(worker.spec()).await;
    assert_eq!(began.elapsed(), Pace::default().refusal_budget);
    assert_eq!(outcome.container_logs, LogsAt::Destination(DestinationKind::ManagedStorage));
    assert!(matches!(outcome.failures[..], [DestinationFailure { error: ShipError::Refused(_), .. }]));
    let text = outcome.failures[0].to_string();
    assert!(text.starts_with("logs could not be written to s3://LogUri: the destination refused"), "{text}");
    assert!(worker.managed.parts_and_current(0).await == worker.written);
    assert_eq!(worker.managed.object("sparklogs/app").await.unwrap(), b"events");

    // The decision outlives the agent.
    worker.log_uri.set(Mood::Willing);
    worker.append(10);
    let outcome = worker.ship(worker.spec()).await;
    assert!(matches!(outcome.failures[..], [DestinationFailure { error: ShipError::RefusedEarlier(_), .. }]));
    assert!(worker.managed.parts_and_current(0).await == worker.written);
}

#[tokio::test(start_paused = true)]
async fn refused_event_logs_are_given_up_within_the_budget_too() {
    let mut worker = Worker::new();
    worker.append(10);
    fs::write(worker.event_log("app"), "events").unwrap();
    worker.log_uri.set(Mood::RefusingEventLogs);
    let began = Instant::now();
    let outcome = worker.ship(worker.spec()).await;
    assert!(began.elapsed() <= 2 * Pace::default().refusal_budget, "{:?}", began.elapsed());
    assert!(
        matches!(outcome.failures[..], [DestinationFailure { error: ShipError::Refused(_), .. }]),
        "{outcome:?}"
    );
    assert_eq!(worker.log_uri.text("SPARK_DRIVER/stderr.gz").await.unwrap(), worker.written);
    assert_eq!(outcome.container_logs, LogsAt::Destination(DestinationKind::ManagedStorage));
    assert_eq!(worker.managed.text("SPARK_DRIVER/stderr.gz").await.unwrap(), worker.written);
}

#[tokio::test(start_paused = true)]
async fn a_log_uri_that_begins_to_refuse_keeps_what_it_has() {
    let mut worker = Worker::new();
    worker.append(2 * PART);
    assert!(worker.ship(worker.spec()).await.is_complete());
    worker.log_uri.set(Mood::Refusing);
    worker.append(PART + 5);
    let outcome = worker.ship(worker.spec()).await;
    assert_eq!(outcome.container_logs, LogsAt::Destination(DestinationKind::ManagedStorage));
    let mut all = worker.log_uri.parts_and_current(0).await;
    all.extend(worker.managed.parts_and_current(2).await);
    assert!(all == worker.written);
}

#[tokio::test(start_paused = true)]
async fn without_managed_storage_a_refusal_loses_the_logs_and_says_so() {
    let mut worker = Worker::new();
    worker.append(10);
    worker.log_uri.set(Mood::Refusing);
    let outcome = worker.ship(LogSpec { managed: None, ..worker.spec() }).await;
    assert_eq!(outcome.container_logs, LogsAt::Nowhere);
    assert!(matches!(outcome.failures[..], [DestinationFailure { error: ShipError::Refused(_), .. }]));
}

#[tokio::test(start_paused = true)]
async fn an_absent_log_uri_gets_half_the_time_and_managed_storage_the_rest() {
    for mood in [Mood::Away, Mood::HangBeforePut(0)] {
        let mut worker = Worker::new();
        worker.append(PART + 10);
        worker.log_uri.set(mood);
        let began = Instant::now();
        let outcome = worker.ship(worker.spec()).await;
        assert_eq!(began.elapsed(), Duration::from_secs(30), "{mood:?}");
        assert_eq!(outcome.container_logs, LogsAt::Destination(DestinationKind::ManagedStorage), "{mood:?}");
        assert!(
            matches!(
                outcome.failures[..],
                [DestinationFailure { error: ShipError::Unreachable(_) | ShipError::TimeUp, .. }]
            ),
            "{mood:?}: {outcome:?}"
        );
        assert!(worker.managed.parts_and_current(0).await == worker.written, "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn absent_managed_storage_does_not_taint_the_log_uri() {
    let mut worker = Worker::new();
    worker.append(10);
    fs::write(worker.event_log("app"), "events").unwrap();
    worker.managed.set(Mood::HangBeforePut(0));
    let outcome = worker.ship(worker.spec()).await;
    assert_eq!(outcome.container_logs, LogsAt::Destination(DestinationKind::LogUri));
    assert!(
        matches!(
            outcome.failures[..],
            [DestinationFailure { destination: DestinationKind::ManagedStorage, .. }]
        ),
        "{outcome:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_is_ridden_out() {
    let mut worker = Worker::new();
    worker.append(10);
    worker.log_uri.set(Mood::Away);
    let logs = WorkerLogs::start(worker.spec()).await.unwrap();
    let mut puts = worker.log_uri.puts.subscribe();
    puts.wait_for(|puts| *puts >= 30).await.unwrap();
    worker.log_uri.set(Mood::Willing);
    let outcome = logs.finish(Instant::now() + Duration::from_secs(60)).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert!(worker.log_uri.parts_and_current(0).await == worker.written);
}

#[tokio::test(start_paused = true)]
async fn event_logs_go_to_both_places_and_get_their_final_name_at_the_end() {
    for mood in [Mood::Willing, Mood::RefusingDeletes] {
        let worker = Worker::new();
        worker.log_uri.set(mood);
        fs::write(worker.event_log("app.inprogress"), "one\n").unwrap();
        let mut puts = worker.managed.puts.subscribe();
        let logs = WorkerLogs::start(worker.spec()).await.unwrap();
        puts.changed().await.unwrap();
        fs::write(worker.event_log("app.inprogress"), "one\ntwo\n").unwrap();
        fs::rename(worker.event_log("app.inprogress"), worker.event_log("app")).unwrap();
        let outcome = logs.finish(Instant::now() + Duration::from_secs(60)).await;
        assert!(outcome.is_complete(), "{outcome:?}");
        for store in [&worker.log_uri, &worker.managed] {
            assert_eq!(store.object("sparklogs/app").await.unwrap(), b"one\ntwo\n");
        }
        assert_eq!(worker.managed.object("sparklogs/app.inprogress").await, None);
        let stale = worker.log_uri.object("sparklogs/app.inprogress").await;
        assert_eq!(stale.is_some(), mood == Mood::RefusingDeletes);
    }
}

#[tokio::test(start_paused = true)]
async fn managed_storage_alone_gets_everything() {
    let mut worker = Worker::new();
    worker.append(10);
    let outcome = worker.ship(LogSpec { log_uri: None, ..worker.spec() }).await;
    assert!(outcome.is_complete());
    assert_eq!(outcome.container_logs, LogsAt::Destination(DestinationKind::ManagedStorage));
    assert!(worker.managed.parts_and_current(0).await == worker.written);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_a_job_replaced_by_a_link_is_not_shipped() {
    let worker = Worker::new();
    std::os::unix::fs::symlink("/etc/passwd", worker.dir.path().join("logs/stdout")).unwrap();
    let outcome = worker.ship(worker.spec()).await;
    assert_eq!(worker.log_uri.object("SPARK_DRIVER/stdout.gz").await, None);
    assert!(matches!(outcome.failures[..], [DestinationFailure { error: ShipError::Local { .. }, .. }]));
}

#[tokio::test]
async fn a_directory_can_be_a_destination() {
    let mut worker = Worker::new();
    worker.append(2 * PART + 7);
    let target = tempfile::tempdir().unwrap();
    let key = "applications/a/jobs/j";
    let log_uri = Destination::directory(DestinationKind::LogUri, target.path().to_owned(), key).unwrap();
    let outcome = worker.ship(LogSpec { log_uri: Some(log_uri), ..worker.spec() }).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    let driver = target.path().join(key).join("SPARK_DRIVER");
    let mut all = Vec::new();
    for name in ["archived/stderr_0.gz", "archived/stderr_1.gz", "stderr.gz"] {
        GzDecoder::new(fs::File::open(driver.join(name)).unwrap()).read_to_end(&mut all).unwrap();
    }
    assert!(all == worker.written);
}

#[tokio::test]
async fn an_object_larger_than_the_upload_buffer_is_whole() {
    let worker = Worker::new();
    let events: Vec<u8> = (0..20_000_000u32).map(|at| (at % 251) as u8).collect();
    fs::write(worker.event_log("app"), &events).unwrap();
    let outcome = worker.ship(worker.spec()).await;
    assert!(outcome.is_complete(), "{outcome:?}");
    assert!(worker.log_uri.object("sparklogs/app").await.unwrap() == events);
}
