//! Bringing the destinations up to date with a worker's files, one pass at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::time::Duration;

use hearth_agent_core::log_rotation::{Action, plan, refresh_after};
use hearth_faults::{Point, reach};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::cursor::{Cursor, CursorError, CursorFile};
use crate::destination::{Destination, DestinationKind};
use crate::directory::{Access, LogDirectory, punch};
use crate::error::{DestinationFailure, LogsAt, ShipError, ShipOutcome};
use crate::health::Health;
use crate::upload::{Encoding, upload};
use crate::worker_logs::LogSpec;

/// Suffix of an event log that is still written; Spark takes it away at the end.
const IN_PROGRESS: &str = ".inprogress";

/// Where event logs are below the key prefix, whatever their local directory is called (guide:4662-4712).
const EVENT_LOG_KEY: &str = "sparklogs";

/// Pause after the cursor could not be saved, for want of disk space most likely.
const CURSOR_RETRY: Duration = Duration::from_secs(5);

/// What a pass leaves to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Nothing: all that was there is shipped, or there is nowhere to ship it.
    Complete,
    /// Something, not before this.
    RetryAt(Instant),
}

#[derive(Debug)]
struct Place {
    destination: Destination,
    health: Health,
    /// Whether the last pass brought it container logs, or it need not have them.
    has_container_logs: bool,
    has_event_logs: bool,
}

impl Place {
    fn new(destination: Destination, refusal_budget: Duration) -> Self {
        let health = Health::new(refusal_budget);
        Self { destination, health, has_container_logs: false, has_event_logs: false }
    }
}

/// Why a step of a pass ended.
enum Stop {
    Ship(ShipError),
    Cursor(CursorError),
}

impl From<ShipError> for Stop {
    fn from(error: ShipError) -> Self {
        Self::Ship(error)
    }
}

impl From<CursorError> for Stop {
    fn from(error: CursorError) -> Self {
        Self::Cursor(error)
    }
}

/// Ships one worker's logs. Every method is cancel safe: what was done and not recorded is done again.
#[derive(Debug)]
pub(crate) struct Shipper {
    spec: LogSpec,
    directory: LogDirectory,
    cursor_file: CursorFile,
    cursor: Cursor,
    /// How many saves of the cursor were begun.
    saves: u64,
    log_uri: Option<Place>,
    managed: Option<Place>,
    unreadable: Option<ShipError>,
    /// Until when the objects of long files are left alone, by the file's path in the log directory.
    resting: BTreeMap<(DestinationKind, String), Instant>,
    is_finishing: bool,
}

impl Shipper {
    pub(crate) async fn load(spec: LogSpec) -> Result<Self, CursorError> {
        let cursor_file = CursorFile::new(spec.ship_file.clone());
        let part_bytes = spec.pace.part_bytes;
        let loading = cursor_file.clone();
        let cursor = blocking(move || loading.load(Some(part_bytes))).await?;
        let place = |destination: &Option<Destination>| {
            destination.clone().map(|to| Place::new(to, spec.pace.refusal_budget))
        };
        let (mut log_uri, managed) = (place(&spec.log_uri), place(&spec.managed));
        if let (Some(place), Some(reason)) = (&mut log_uri, &cursor.log_uri_given_up) {
            place.health.gave_up_earlier(reason.clone());
        }
        let directory = LogDirectory::new(spec.log_dir.clone());
        Ok(Self {
            spec,
            directory,
            cursor_file,
            cursor,
            saves: 0,
            log_uri,
            managed,
            unreadable: None,
            resting: BTreeMap::new(),
            is_finishing: false,
        })
    }

    /// Ships what was appended to the container logs, to the log URI or, without one, to managed storage.
    pub(crate) async fn container_logs(&mut self) -> Pass {
        let now = Instant::now();
        if let Err(error) = self.fail_over().await {
            return self.cursor_failed(&error, now);
        }
        let Some(kind) = self.container_logs_go_to() else { return Pass::Complete };
        if let Some(pass) = self.not_now(kind, now) {
            return pass;
        }
        self.place(kind).has_container_logs = false;
        for name in self.spec.streams.clone() {
            match self.stream(kind, &name).await {
                Ok(()) => {}
                Err(stop) => match self.stopped(kind, stop) {
                    Some(Pass::Complete) => return Box::pin(self.container_logs()).await,
                    Some(pass) => return pass,
                    None => {}
                },
            }
        }
        self.place(kind).has_container_logs = true;
        Pass::Complete
    }

    /// Ships the event logs that changed to both places.
    pub(crate) async fn event_logs(&mut self) -> Pass {
        let mut pass = Pass::Complete;
        for kind in [DestinationKind::LogUri, DestinationKind::ManagedStorage] {
            pass = match (pass, self.event_logs_to(kind).await) {
                (Pass::RetryAt(one), Pass::RetryAt(other)) => Pass::RetryAt(one.min(other)),
                (Pass::Complete, other) | (other, Pass::Complete) => other,
            };
        }
        pass
    }

    /// Ships all that is left, until `deadline`; no file may be written any more.
    ///
    /// Where managed storage can stand in for the log URI, the log URI gets half of the time.
    pub(crate) async fn finish(mut self, deadline: Instant) -> ShipOutcome {
        let now = Instant::now();
        let half = now + deadline.saturating_duration_since(now) / 2;
        let log_uri_limit = if self.managed.is_some() { half } else { deadline };
        for place in [&mut self.log_uri, &mut self.managed].into_iter().flatten() {
            (place.has_container_logs, place.has_event_logs) = (false, false);
        }
        self.unreadable = None;
        self.is_finishing = true;
        while [DestinationKind::LogUri, DestinationKind::ManagedStorage]
            .iter()
            .any(|kind| self.is_behind(*kind))
        {
            let limit = if self.is_behind(DestinationKind::LogUri) { log_uri_limit } else { deadline };
            match timeout_at(limit, self.everything()).await {
                // Complete or not: a log URI just given up puts managed storage behind.
                Ok(Pass::Complete) | Err(_) => {}
                Ok(Pass::RetryAt(at)) => sleep_until(at.min(limit)).await,
            }
            let now = Instant::now();
            if now >= log_uri_limit && self.is_behind(DestinationKind::LogUri) {
                self.place(DestinationKind::LogUri).health.give_up();
            }
            if now >= deadline {
                break;
            }
        }
        self.outcome()
    }

    async fn everything(&mut self) -> Pass {
        match (self.container_logs().await, self.event_logs().await) {
            (Pass::RetryAt(one), Pass::RetryAt(other)) => Pass::RetryAt(one.min(other)),
            (Pass::Complete, other) | (other, Pass::Complete) => other,
        }
    }

    /// Whether a place is still to get something.
    fn is_behind(&self, kind: DestinationKind) -> bool {
        let wants_container_logs = self.container_logs_go_to() == Some(kind);
        self.peek(kind).is_some_and(|place| {
            !place.health.is_given_up()
                && (wants_container_logs && !place.has_container_logs || !place.has_event_logs)
        })
    }

    fn outcome(mut self) -> ShipOutcome {
        for kind in [DestinationKind::LogUri, DestinationKind::ManagedStorage] {
            if self.is_behind(kind) {
                self.place(kind).health.give_up();
            }
        }
        let holder = [&self.managed, &self.log_uri]
            .into_iter()
            .flatten()
            .find(|place| place.has_container_logs)
            .map(|place| place.destination.kind);
        let container_logs = match holder {
            Some(kind) if self.unreadable.is_none() => LogsAt::Destination(kind),
            Some(_) | None => LogsAt::Nowhere,
        };
        let mut failures = Vec::new();
        if let (Some(error), Some(place)) = (self.unreadable, self.log_uri.as_ref().or(self.managed.as_ref()))
        {
            failures.push(failure(&place.destination, error));
        }
        for place in [self.log_uri, self.managed].into_iter().flatten() {
            failures.extend(place.health.into_error().map(|error| failure(&place.destination, error)));
        }
        ShipOutcome { container_logs, failures }
    }

    /// Makes managed storage take over the container logs once the log URI was given up, and records that.
    async fn fail_over(&mut self) -> Result<(), CursorError> {
        let reason = self.log_uri.as_ref().and_then(|place| place.health.reason());
        if reason.is_none() || self.cursor.log_uri_given_up.is_some() {
            return Ok(());
        }
        let mut next = self.cursor.clone();
        next.log_uri_given_up = reason;
        next.streams.values_mut().for_each(|shipped| shipped.destination_changed());
        self.save(next).await
    }

    fn container_logs_go_to(&self) -> Option<DestinationKind> {
        let takes = |place: &&Place| !place.health.is_given_up();
        let place = self.log_uri.as_ref().filter(takes).or(self.managed.as_ref().filter(takes));
        place.map(|place| place.destination.kind)
    }

    async fn stream(&mut self, kind: DestinationKind, name: &str) -> Result<(), Stop> {
        let Some(file) = self.open(name, Access::Read).await? else { return Ok(()) };
        let file_len = file.metadata().map_err(|source| local(name, source))?.len();
        let shipped = self.cursor.streams.get(name).cloned().unwrap_or_default();
        let actions = plan(&shipped, file_len, self.cursor.part_bytes);
        if matches!(actions[..], [Action::PutCurrent { .. }]) && self.rests(kind, name) {
            return Ok(());
        }
        for action in actions {
            match &action {
                Action::Archive { index, range } => {
                    let key = self.container_key(&format!("archived/{name}_{index}.gz"));
                    self.upload(kind, key, (name, &file), range.clone(), Encoding::Gzip).await?;
                }
                Action::PutCurrent { range } => {
                    let key = self.container_key(&format!("{name}.gz"));
                    self.upload(kind, key, (name, &file), range.clone(), Encoding::Gzip).await?;
                    self.refreshed(kind, name, range.end - range.start, self.spec.pace.container_logs);
                }
                Action::Free { range, .. } => {
                    let range = range.clone();
                    if let Some(file) = self.open(name, Access::Free).await? {
                        let freed = blocking(move || punch(&file, &range)).await;
                        if let Err(error) = freed {
                            // Disk space is lost, no log is.
                            tracing::warn!(name, %error, "freeing shipped log bytes failed");
                        }
                    }
                }
            }
            let mut next = self.cursor.clone();
            next.streams.entry(name.to_owned()).or_default().record(&action);
            self.save(next).await?;
        }
        Ok(())
    }

    async fn event_logs_to(&mut self, kind: DestinationKind) -> Pass {
        let now = Instant::now();
        if self.peek(kind).is_none() {
            return Pass::Complete;
        }
        if let Some(pass) = self.not_now(kind, now) {
            return pass;
        }
        self.place(kind).has_event_logs = false;
        if let Err(stop) = self.changed_event_logs(kind).await
            && let Some(pass) = self.stopped(kind, stop)
        {
            return pass;
        }
        self.place(kind).has_event_logs = true;
        Pass::Complete
    }

    async fn changed_event_logs(&mut self, kind: DestinationKind) -> Result<(), Stop> {
        let Some(dir) = self.spec.event_logs.clone() else { return Ok(()) };
        let (directory, listed) = (self.directory.clone(), dir.clone());
        let files =
            blocking(move || directory.files_below(&listed)).await.map_err(|source| local(&dir, source))?;
        for (name, len) in &files {
            let before = events(&mut self.cursor, kind).get(name).copied();
            let path = format!("{dir}/{name}");
            if before == Some(Some(*len)) || self.rests(kind, &path) {
                continue;
            }
            let Some(file) = self.open(&path, Access::Read).await? else { continue };
            if before.is_none() {
                let mut next = self.cursor.clone();
                events(&mut next, kind).insert(name.clone(), None);
                self.save(next).await?;
            }
            let key = Path::from(format!("{EVENT_LOG_KEY}/{name}"));
            self.upload(kind, key, (&path, &file), 0..*len, Encoding::Plain).await?;
            self.refreshed(kind, &path, *len, self.spec.pace.event_logs);
            let mut next = self.cursor.clone();
            events(&mut next, kind).insert(name.clone(), Some(*len));
            self.save(next).await?;
        }
        self.remove_superseded(kind, &files).await?;
        Ok(())
    }

    /// Removes the objects of event logs that were renamed when they were complete.
    async fn remove_superseded(
        &mut self,
        kind: DestinationKind,
        files: &[(String, u64)],
    ) -> Result<(), CursorError> {
        let is_there = |name: &str| files.iter().any(|(there, _)| there == name);
        let superseded: Vec<String> = events(&mut self.cursor, kind)
            .keys()
            .filter(|name| {
                let complete = name.strip_suffix(IN_PROGRESS);
                complete.is_some_and(|complete| is_there(complete) && !is_there(name))
            })
            .cloned()
            .collect();
        for name in superseded {
            let key = Path::from(format!("{EVENT_LOG_KEY}/{name}"));
            if let Err(error) = self.place(kind).destination.store.delete(&key).await {
                // The guide's policy for log buckets grants PutObject alone; a stale object harms nobody.
                tracing::debug!(name, %error, "removing the object of an unfinished event log failed");
            }
            let mut next = self.cursor.clone();
            events(&mut next, kind).remove(&name);
            self.save(next).await?;
        }
        Ok(())
    }

    async fn upload(
        &mut self,
        kind: DestinationKind,
        key: Path,
        (name, file): (&str, &File),
        range: Range<u64>,
        encoding: Encoding,
    ) -> Result<(), ShipError> {
        let file = file.try_clone().map_err(|source| local(name, source))?;
        let slots = self.spec.uploads.clone();
        let store = self.place(kind).destination.store.clone();
        let part_bytes = self.spec.pace.upload_part_bytes;
        upload(&store, key, (name, file), range, encoding, (&slots, part_bytes)).await?;
        reach(Point::AgentLogUploaded);
        // A pass that finds nothing to send proves nothing; only this does.
        self.place(kind).health.succeeded();
        Ok(())
    }

    /// Whether the object of the file `name` was made too recently for its length. Never at the end.
    fn rests(&self, kind: DestinationKind, name: &str) -> bool {
        let until = self.resting.get(&(kind, name.to_owned()));
        !self.is_finishing && until.is_some_and(|until| Instant::now() < *until)
    }

    /// Takes note that the object of the file `name` was made of `len` bytes; passes come every `pace`.
    fn refreshed(&mut self, kind: DestinationKind, name: &str, len: u64, pace: Duration) {
        let rest = refresh_after(len, pace);
        let place = (kind, name.to_owned());
        if rest > pace {
            self.resting.insert(place, Instant::now() + rest);
        } else {
            self.resting.remove(&place);
        }
    }

    async fn open(&self, name: &str, access: Access) -> Result<Option<File>, ShipError> {
        let (directory, opened) = (self.directory.clone(), name.to_owned());
        blocking(move || directory.open(&opened, access)).await.map_err(|source| local(name, source))
    }

    /// Saves `next` and only then believes it.
    async fn save(&mut self, next: Cursor) -> Result<(), CursorError> {
        self.saves += 1;
        let (file, number, saved) = (self.cursor_file.clone(), self.saves, next.clone());
        blocking(move || file.save(number, &saved)).await?;
        reach(Point::AgentLogRecorded);
        self.cursor = next;
        Ok(())
    }

    /// Takes note of why a step stopped; `None` if the pass may go on with the next file, and
    /// [`Pass::Complete`] if the place was just given up.
    fn stopped(&mut self, kind: DestinationKind, stop: Stop) -> Option<Pass> {
        let now = Instant::now();
        match stop {
            Stop::Cursor(error) => Some(self.cursor_failed(&error, now)),
            Stop::Ship(error @ ShipError::Local { .. }) => {
                tracing::warn!(dir = %self.directory.path("").display(), error = %error.chain(), "a log file cannot be read");
                self.unreadable = Some(error);
                None
            }
            Stop::Ship(error) => {
                let place = self.place(kind);
                tracing::warn!(uri = place.destination.uri, error = %error.chain(), "shipping logs failed");
                place.health.failed(error, now);
                Some(place.health.next_try(now).map_or(Pass::Complete, Pass::RetryAt))
            }
        }
    }

    fn cursor_failed(&self, error: &CursorError, now: Instant) -> Pass {
        tracing::warn!(error = error as &dyn std::error::Error, "the record of shipped logs cannot be kept");
        Pass::RetryAt(now + CURSOR_RETRY)
    }

    /// The answer of a pass that must not begin: given up, or not yet time to try again.
    fn not_now(&self, kind: DestinationKind, now: Instant) -> Option<Pass> {
        match self.peek(kind)?.health.next_try(now) {
            None => Some(Pass::Complete),
            Some(at) if at > now => Some(Pass::RetryAt(at)),
            Some(_) => None,
        }
    }

    fn container_key(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.spec.component))
    }

    fn peek(&self, kind: DestinationKind) -> Option<&Place> {
        match kind {
            DestinationKind::LogUri => self.log_uri.as_ref(),
            DestinationKind::ManagedStorage => self.managed.as_ref(),
        }
    }

    fn place(&mut self, kind: DestinationKind) -> &mut Place {
        let place = match kind {
            DestinationKind::LogUri => self.log_uri.as_mut(),
            DestinationKind::ManagedStorage => self.managed.as_mut(),
        };
        place.expect("only called for a place that is there")
    }
}

fn events(cursor: &mut Cursor, kind: DestinationKind) -> &mut BTreeMap<String, Option<u64>> {
    match kind {
        DestinationKind::LogUri => &mut cursor.events_at_log_uri,
        DestinationKind::ManagedStorage => &mut cursor.events_in_managed_storage,
    }
}

fn failure(destination: &Destination, error: ShipError) -> DestinationFailure {
    DestinationFailure { destination: destination.kind, uri: destination.uri.clone(), error }
}

fn local(name: &str, source: io::Error) -> ShipError {
    ShipError::Local { name: name.to_owned(), source }
}

/// Runs `work` on a blocking thread. It is cut short only when the runtime ends, and then so are we.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_cancelled) => std::future::pending().await,
        },
    }
}
