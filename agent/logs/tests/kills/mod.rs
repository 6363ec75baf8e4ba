//! Shipping that is killed again and again, and what must be true of the bucket afterwards.

mod bucket;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bucket::{Bucket, Fate};
use flate2::read::GzDecoder;
use hearth_logs::{
    CredentialSlot, Destination, DestinationKind, LogSpec, LogsAt, ObjectService, Pace, S3Credentials,
    WorkerLogs,
};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

/// Of the log; several blocks, so that holes can be punched.
const PART_BYTES: u64 = 64 * 1024;
/// Of a multipart upload: an archived part takes several.
const UPLOAD_PART_BYTES: usize = 12 * 1024;
/// Requests that a life may make before it is killed; the number is drawn.
const MOST_REQUESTS: usize = 14;
/// A life that had no reason to make as many requests is killed then.
const LONGEST_LIFE: Duration = Duration::from_millis(400);

/// How a kill that hit no request is counted.
pub(crate) const BETWEEN: &str = "between requests";

/// Where one life of the shipper works.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) endpoint: String,
}

impl Place {
    pub(crate) fn spec(&self) -> LogSpec {
        let to = |kind, bucket: &str| {
            let credentials = CredentialSlot::new(S3Credentials {
                access_key_id: "ASIATEST".to_owned(),
                secret_access_key: "test".to_owned(),
                session_token: None,
            });
            let service = ObjectService { endpoint: self.endpoint.clone(), region: "us-east-1".to_owned() };
            let uri = format!("s3://{bucket}");
            Some(Destination::s3(kind, &uri, "job", &service, credentials).expect("a destination"))
        };
        LogSpec {
            log_dir: self.dir.join("logs"),
            ship_file: self.dir.join("ship.json"),
            component: "SPARK_DRIVER".to_owned(),
            streams: vec!["stderr".to_owned()],
            event_logs: None,
            log_uri: to(DestinationKind::LogUri, "user"),
            managed: to(DestinationKind::ManagedStorage, "managed"),
            pace: Pace {
                container_logs: Duration::from_millis(1),
                refusal_budget: Duration::from_millis(5),
                part_bytes: PART_BYTES,
                upload_part_bytes: UPLOAD_PART_BYTES,
                ..Pace::default()
            },
            uploads: Arc::new(Semaphore::new(1)),
        }
    }
}

/// One worker with its log, and the bucket that it is shipped to.
pub(crate) struct Worker {
    random: StdRng,
    dir: tempfile::TempDir,
    bucket: Bucket,
    place: Place,
    written: Vec<u8>,
}

impl Worker {
    /// Makes the worker of `seed`: how much it logs, when, and when its shipper is killed.
    pub(crate) async fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("logs")).expect("a directory");
        let bucket = Bucket::default();
        let place = Place { dir: dir.path().to_owned(), endpoint: bucket.serve().await };
        Self { random: StdRng::seed_from_u64(seed), dir, bucket, place, written: Vec::new() }
    }

    /// Logs while `life` ships, until the bucket or the clock kills it. `life` gets the place to ship from and ends
    /// when the future it gets does. Answers where it was killed.
    pub(crate) async fn live_and_die<L: Future<Output = ()>>(
        &mut self,
        life: impl FnOnce(Place, Death) -> L,
    ) -> String {
        if self.random.random_ratio(1, 60) {
            self.bucket.refuse("user/");
        }
        let fate = match self.random.random_range(0..10) {
            0 | 1 => Fate::KillBefore,
            2 => Fate::KillInTheMiddle,
            3 | 4 => Fate::KillUnanswered,
            5..9 => Fate::KillAfter(Duration::from_micros(self.random.random_range(0..3000))),
            _ => *[Fate::Fail, Fate::FailDone].get(self.random.random_range(0..2)).expect("two"),
        };
        self.bucket.plan(Some((self.random.random_range(0..MOST_REQUESTS), fate)));
        self.append();
        let death = Death(self.bucket.clone());
        let mut life = std::pin::pin!(life(self.place.clone(), death));
        let pause = Duration::from_millis(self.random.random_range(2..40));
        while timeout(pause, &mut life).await.is_err() {
            self.append();
        }
        // Half of a cursor that was about to replace the real one.
        if self.random.random_ratio(1, 10) {
            fs::write(self.dir.path().join("ship.json.next"), b"{\"part_by").expect("written");
        }
        self.check_parts();
        match self.bucket.killed_at() {
            Some((step, Fate::KillAfter(_))) => format!("{step:?}, within 3 ms after its answer"),
            Some((step, fate @ (Fate::KillBefore | Fate::KillInTheMiddle | Fate::KillUnanswered))) => {
                format!("{step:?}, {fate:?}")
            }
            Some((step, fate)) => format!("{step:?}, some time after {fate:?}"),
            None => BETWEEN.to_owned(),
        }
    }

    /// Ends the worker: ships the rest undisturbed and compares all that arrived with all that was written.
    pub(crate) async fn end(mut self) {
        self.append();
        self.bucket.plan(None);
        let logs = WorkerLogs::start(self.place.spec()).await.expect("the cursor is whole");
        let outcome = logs.finish(Instant::now() + Duration::from_secs(60)).await;
        let holder = match outcome.container_logs {
            LogsAt::Destination(DestinationKind::LogUri) => "user",
            LogsAt::Destination(DestinationKind::ManagedStorage) => "managed",
            LogsAt::Nowhere => panic!("not shipped: {:?}", outcome.failures),
        };
        let parts = self.check_parts();
        let current = self.text(&format!("{holder}/job/SPARK_DRIVER/stderr.gz")).expect("a current object");
        let rest = &self.written[parts * PART_BYTES as usize..];
        assert!(
            current == rest,
            "{} bytes of the current part came, {} were written",
            current.len(),
            rest.len()
        );
        assert_eq!(parts, self.written.len() / PART_BYTES as usize, "a whole part is in the current object");
    }

    /// Appends up to two parts of text that is hard to compress.
    fn append(&mut self) {
        let mut bytes = vec![0; self.random.random_range(0..PART_BYTES as usize)];
        self.random.fill_bytes(&mut bytes);
        let text: Vec<u8> = bytes.iter().flat_map(|byte| [b'a' + (byte >> 4), b'a' + (byte & 15)]).collect();
        let log = self.dir.path().join("logs/stderr");
        let mut log = OpenOptions::new().append(true).create(true).open(log).expect("the log");
        log.write_all(&text).expect("written");
        self.written.extend(text);
    }

    /// Sees that every archived part is what was written in its place, none missing before the last; how many.
    fn check_parts(&self) -> usize {
        let mut count = 0;
        for (index, written) in self.written.chunks_exact(PART_BYTES as usize).enumerate() {
            let mut found = false;
            for bucket in ["user", "managed"] {
                if let Some(part) =
                    self.text(&format!("{bucket}/job/SPARK_DRIVER/archived/stderr_{index}.gz"))
                {
                    assert!(part == written, "part {index} in {bucket} is not what was written");
                    found = true;
                }
            }
            if found {
                assert_eq!(count, index, "part {index} is archived, one before it is not");
                count += 1;
            }
        }
        count
    }

    fn text(&self, key: &str) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        GzDecoder::new(&self.bucket.object(key)?[..]).read_to_end(&mut text).expect("whole gzip");
        Some(text)
    }
}

/// Comes when the bucket says so, or after [`LONGEST_LIFE`].
pub(crate) struct Death(Bucket);

impl Death {
    pub(crate) async fn comes(&self) {
        tokio::select! {
            () = self.0.killing() => {}
            () = sleep(LONGEST_LIFE) => {}
        }
    }
}

/// What the shipper does while it lives.
pub(crate) async fn ship(place: &Place) {
    let _logs = WorkerLogs::start(place.spec()).await.expect("the cursor is whole");
    std::future::pending::<()>().await;
}

/// How often it was killed where.
pub(crate) type Tally = BTreeMap<String, usize>;
