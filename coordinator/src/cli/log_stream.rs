//! A worker's log in the object store, read as one stream although it arrives in pieces.
//!
//! The current file is replaced by a longer one every few seconds (guide:4839-4842); a full one becomes the next of
//! `archived/` and the current file begins anew.

use super::error::CliError;
use super::objects::{Fetched, Objects};
use flate2::read::MultiGzDecoder;
use hearth_api::emr::wire::{Application, JobRun, JobRunMode, MonitoringConfiguration};
use hearth_coordinator_core::rules::places::split_location;
use std::io::Read;

/// The bucket of logs that hearth keeps itself.
const MANAGED_BUCKET: &str = "hearth-managed";

/// Whose log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// The driver.
    Driver,
    /// The executor of this number.
    Executor(u32),
}

/// Which of its streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error, where Spark logs.
    Stderr,
}

/// Where a job run's logs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogPlace {
    bucket: String,
    prefix: String,
}

impl LogPlace {
    /// The place that the job run names, or its application, or else hearth's own; below it the folder of this attempt,
    /// where the job run has retries (guide:4697-4712).
    pub(super) fn of(run: &JobRun, application: Option<&Application>, attempt: Option<u32>) -> Self {
        let own =
            run.configuration_overrides.as_ref().and_then(|over| over.monitoring_configuration.as_ref());
        let inherited = application.and_then(|application| application.monitoring_configuration.as_ref());
        let (bucket, mut prefix) = [own, inherited]
            .into_iter()
            .flatten()
            .find_map(log_uri)
            .and_then(split_location)
            .map_or((MANAGED_BUCKET, String::new()), |(bucket, key)| {
                (bucket, key.trim_end_matches('/').to_owned())
            });
        if !prefix.is_empty() {
            prefix.push('/');
        }
        prefix.push_str(&format!("applications/{}/jobs/{}/", run.application_id, run.job_run_id));
        if let Some(attempt) = attempt.or(run.attempt).filter(|_| has_retries(run) || attempt.is_some()) {
            prefix.push_str(&format!("attempts/{attempt}/"));
        }
        Self { bucket: bucket.to_owned(), prefix }
    }

    /// The same for people and other programs: `s3://bucket/…/`.
    pub(super) fn uri(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }

    /// Where the driver's last lines are: of one stream, once it is delivered.
    pub(super) fn driver_log(&self, stream: Stream) -> String {
        format!("s3://{}/{}{}.gz", self.bucket, self.folder(Writer::Driver), stream.name())
    }

    fn folder(&self, writer: Writer) -> String {
        match writer {
            Writer::Driver => format!("{}SPARK_DRIVER/", self.prefix),
            Writer::Executor(number) => format!("{}SPARK_EXECUTOR/{number}/", self.prefix),
        }
    }
}

/// Whether a job run can have several attempts: a streaming one has, unless it says otherwise.
fn has_retries(run: &JobRun) -> bool {
    let policy = run.retry_policy.as_ref();
    match run.mode.unwrap_or_default() {
        JobRunMode::Batch => policy.and_then(|policy| policy.max_attempts).is_some_and(|most| most > 1),
        JobRunMode::Streaming => {
            policy.and_then(|policy| policy.max_failed_attempts_per_hour).is_none_or(|most| most > 1)
        }
    }
}

fn log_uri(monitoring: &MonitoringConfiguration) -> Option<&str> {
    monitoring.s3_monitoring_configuration.as_ref()?.log_uri.as_deref()
}

impl Stream {
    const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// How much of a log was given already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cursor {
    /// Whole archived parts.
    archived: usize,
    /// Bytes of the part after them.
    given: usize,
}

impl Cursor {
    /// What is new in the next archived part, which ends there.
    fn archived<'text>(&mut self, part: &'text [u8]) -> &'text [u8] {
        let fresh = part.get(self.given..).unwrap_or_default();
        *self = Self { archived: self.archived + 1, given: 0 };
        fresh
    }

    /// What is new in the current part. `None` if it is shorter than it was: it was archived since we looked there, and is
    /// found there the next time.
    fn current<'text>(&mut self, part: &'text [u8]) -> Option<&'text [u8]> {
        let fresh = part.get(self.given..)?;
        self.given = part.len();
        Some(fresh)
    }
}

/// Reads one log from its beginning, more at every call.
#[derive(Debug)]
pub(crate) struct LogReader {
    objects: Objects,
    place: LogPlace,
    folder: String,
    stream: Stream,
    cursor: Cursor,
    /// Tag of the current part when it was last read.
    tag: Option<String>,
    is_there: bool,
}

impl LogReader {
    /// A reader at the beginning of the log.
    pub(crate) fn new(objects: Objects, place: LogPlace, writer: Writer, stream: Stream) -> Self {
        let folder = place.folder(writer);
        Self { objects, place, folder, stream, cursor: Cursor::default(), tag: None, is_there: false }
    }

    /// Whether any part of the log was there.
    pub(crate) fn is_there(&self) -> bool {
        self.is_there
    }

    /// Where the current part is or will be.
    pub(crate) fn uri(&self) -> String {
        format!("s3://{}/{}{}.gz", self.place.bucket, self.folder, self.stream.name())
    }

    /// What came since the last call.
    pub(crate) async fn more(&mut self) -> Result<Vec<u8>, CliError> {
        let mut text = Vec::new();
        for key in self.archived_keys().await?.into_iter().skip(self.cursor.archived) {
            if let Fetched::Object { bytes, .. } = self.objects.get(&self.place.bucket, &key, None).await? {
                text.extend_from_slice(self.cursor.archived(&decoded(&bytes)));
                (self.tag, self.is_there) = (None, true);
            }
        }
        let key = format!("{}{}.gz", self.folder, self.stream.name());
        let fetched = self.objects.get(&self.place.bucket, &key, self.tag.as_deref()).await?;
        if let Fetched::Object { bytes, tag } = fetched
            && let Some(fresh) = self.cursor.current(&decoded(&bytes))
        {
            text.extend_from_slice(fresh);
            (self.tag, self.is_there) = (tag, true);
        }
        Ok(text)
    }

    /// Keys of the archived parts in the order of their numbers.
    async fn archived_keys(&self) -> Result<Vec<String>, CliError> {
        let prefix = format!("{}archived/{}_", self.folder, self.stream.name());
        let keys = self.objects.keys(&self.place.bucket, &prefix).await?;
        let mut numbered: Vec<(u64, String)> = keys
            .into_iter()
            .filter_map(|key| {
                let number = key.strip_prefix(&prefix)?.strip_suffix(".gz")?.parse().ok()?;
                Some((number, key))
            })
            .collect();
        numbered.sort();
        Ok(numbered.into_iter().map(|(_, key)| key).collect())
    }
}

/// The text of a gzip file, of however many members; as far as it is whole.
fn decoded(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    // A cut tail is not shown; what came before it is.
    let _ = MultiGzDecoder::new(bytes).read_to_end(&mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::{Value, json};
    use std::io::Write;

    fn run(extra: Value) -> JobRun {
        let mut run = json!({
            "applicationId": "a", "jobRunId": "j", "arn": "arn", "createdBy": "me", "createdAt": 1, "updatedAt": 1,
            "executionRole": "r", "state": "RUNNING", "stateDetails": "", "releaseLabel": "emr-7.6.0",
            "jobDriver": {"sparkSubmit": {"entryPoint": "s3://b/x.py"}}
        });
        for (name, value) in extra.as_object().expect("object") {
            run[name] = value.clone();
        }
        serde_json::from_value(run).expect("a job run")
    }

    #[test]
    fn logs_are_where_the_job_run_put_them() {
        let named = json!({"configurationOverrides": {"monitoringConfiguration":
            {"s3MonitoringConfiguration": {"logUri": "s3://logs/spark/"}}}});
        assert_eq!(
            LogPlace::of(&run(json!({})), None, None).uri(),
            "s3://hearth-managed/applications/a/jobs/j/"
        );
        assert_eq!(LogPlace::of(&run(named), None, None).uri(), "s3://logs/spark/applications/a/jobs/j/");
        let retried = run(json!({"retryPolicy": {"maxAttempts": 3}, "attempt": 2}));
        assert_eq!(
            LogPlace::of(&retried, None, None).uri(),
            "s3://hearth-managed/applications/a/jobs/j/attempts/2/"
        );
        assert!(LogPlace::of(&retried, None, Some(1)).uri().ends_with("/attempts/1/"));
        let streaming = run(json!({"mode": "STREAMING", "attempt": 2}));
        assert!(LogPlace::of(&streaming, None, None).uri().ends_with("/attempts/2/"));
    }

    #[test]
    fn a_rotated_log_is_given_once_and_whole() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.current(b"ab").unwrap(), b"ab");
        assert_eq!(cursor.current(b"abc").unwrap(), b"c");
        // Rotated between two looks: the current part is a new one, the old one is not in the archive yet.
        assert_eq!(cursor.current(b"X"), None);
        assert_eq!(cursor.archived(b"abcd"), b"d");
        assert_eq!(cursor.archived(b"between"), b"between");
        assert_eq!(cursor.current(b"XY").unwrap(), b"XY");
    }

    #[test]
    fn appended_gzip_members_are_one_text_and_a_cut_tail_is_left_out() {
        let member = |text: &str| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        let mut bytes = [member("one "), member("two")].concat();
        assert_eq!(decoded(&bytes), b"one two");
        bytes.truncate(bytes.len() - 8);
        assert!(decoded(&bytes).starts_with(b"one "));
    }
}
