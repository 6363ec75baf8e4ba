//! What the coordinator is to be told, as levels: the latest of each kind counts, and all are told again on a new stream.
//!
//! So nothing piles up while the coordinator is away, and nothing is lost when it comes back.

use hearth_agent_core::level::Level;
use hearth_agent_core::life::Report;
use hearth_proto::v1::{self, driver_message, from_agent, worker_report};
use hearth_types::{Launch, WorkerId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Whom a message is about.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) worker: WorkerId,
    pub(crate) launch: Launch,
}

/// Everything this agent's workers have to say. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    levels: Mutex<BTreeMap<WorkerId, Levels>>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Levels {
    launch: Option<v1::Launch>,
    report: Level<v1::WorkerReport>,
    register_app: Level<v1::RegisterApp>,
    set_target: Level<v1::SetTarget>,
    /// Ids are never used twice, so naming one again changes nothing.
    killed: Level<BTreeSet<String>>,
    unregister_app: Level<v1::UnregisterApp>,
    progress: Level<v1::Progress>,
}

impl Outbox {
    /// Replaces a worker's report; `None` when there is nothing more to say about it.
    pub(crate) fn report(&self, about: &About, report: Option<&Report<'_>>) {
        match report {
            Some(report) => self.tell(about, |levels| {
                let report = worker_report(about, report);
                if levels.report.value.as_ref() != Some(&report) {
                    levels.report.set(report);
                }
            }),
            None => self.remove(&about.worker),
        }
    }

    /// Says a worker's report once more.
    pub(crate) fn repeat(&self, worker: &WorkerId) {
        if let Some(levels) = self.lock().get_mut(worker) {
            levels.report.is_told = false;
        }
        self.0.changed.notify_one();
    }

    /// Ceases to say anything about a worker.
    pub(crate) fn remove(&self, worker: &WorkerId) {
        self.lock().remove(worker);
    }

    /// A driver's application wants executors.
    pub(crate) fn register_app(&self, about: &About, message: v1::RegisterApp) {
        self.tell(about, |levels| levels.register_app.set(message));
    }

    /// A driver's application wants so many executors in all.
    pub(crate) fn set_target(&self, about: &About, message: v1::SetTarget) {
        self.tell(about, |levels| levels.set_target.set(message));
    }

    /// A driver's application gives executors back.
    pub(crate) fn kill_executors(&self, about: &About, ids: Vec<String>) {
        self.tell(about, |levels| {
            let mut killed = levels.killed.value.take().unwrap_or_default();
            killed.extend(ids);
            levels.killed.set(killed);
        });
    }

    /// A driver's application is over.
    pub(crate) fn unregister_app(&self, about: &About) {
        self.tell(about, |levels| levels.unregister_app.set(v1::UnregisterApp {}));
    }

    /// A driver has come so far.
    pub(crate) fn progress(&self, about: &About, json: String) {
        self.tell(about, |levels| levels.progress.set(v1::Progress { json }));
    }

    /// Starts over on a new stream: every report, for its greeting. All else is told again by [`Outbox::take`].
    pub(crate) fn begin(&self) -> Vec<v1::WorkerReport> {
        let mut levels = self.lock();
        for level in levels.values_mut() {
            level.report.is_told = true;
            level.register_app.is_told = false;
            level.set_target.is_told = false;
            level.killed.is_told = false;
            level.unregister_app.is_told = false;
            level.progress.is_told = false;
        }
        levels.values().filter_map(|level| level.report.value.clone()).collect()
    }

    /// Takes what was not told on this stream yet, in the order of workers.
    pub(crate) fn take(&self) -> Vec<v1::FromAgent> {
        let mut messages = Vec::new();
        for (worker, levels) in self.lock().iter_mut() {
            levels.take(worker, &mut messages);
        }
        messages
    }

    /// The port of the UI that a running driver of this launch reported and still serves.
    pub(crate) fn ui_port(&self, driver: &WorkerId, launch: Launch) -> Option<u16> {
        let all = self.lock();
        let levels = all.get(driver).filter(|levels| levels.launch == Some(wire_launch(launch)))?;
        match levels.report.value.as_ref()?.state.as_ref()? {
            worker_report::State::Running(_) if levels.unregister_app.value.is_none() => {}
            worker_report::State::Running(_)
            | worker_report::State::Preparing(_)
            | worker_report::State::Ended(_) => return None,
        }
        let app = levels.register_app.value.as_ref()?;
        u16::try_from(app.ui_port).ok().filter(|port| *port != 0)
    }

    /// How many workers are in which state, for metrics.
    pub(crate) fn count(&self) -> [(&'static str, i64); 3] {
        let mut count = [("preparing", 0), ("running", 0), ("ended", 0)];
        for levels in self.lock().values() {
            match levels.report.value.as_ref().and_then(|report| report.state.as_ref()) {
                Some(worker_report::State::Preparing(_)) => count[0].1 += 1,
                Some(worker_report::State::Running(_)) => count[1].1 += 1,
                Some(worker_report::State::Ended(_)) => count[2].1 += 1,
                None => {}
            }
        }
        count
    }

    /// Waits until there may be something to take. Cancel safe.
    pub(crate) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    fn tell(&self, about: &About, change: impl FnOnce(&mut Levels)) {
        let mut all = self.lock();
        let levels = all.entry(about.worker.clone()).or_default();
        levels.launch = Some(wire_launch(about.launch));
        change(levels);
        drop(all);
        self.0.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Levels>> {
        // No code panics while it holds the lock half way through a change.
        self.0.levels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Levels {
    fn take(&mut self, worker: &WorkerId, messages: &mut Vec<v1::FromAgent>) {
        use driver_message::Message;
        let launch = self.launch;
        let driver = |message: Message| v1::DriverMessage {
            worker_id: worker.to_string(),
            launch,
            message: Some(message),
        };
        let kill = self
            .killed
            .take_untold()
            .map(|ids| v1::KillExecutors { executor_ids: ids.into_iter().collect() });
        let report = self.report.take_untold().map(from_agent::Message::WorkerReport);
        let all = [
            self.register_app.take_untold().map(Message::RegisterApp),
            self.set_target.take_untold().map(Message::SetTarget),
            kill.map(Message::KillExecutors),
            self.unregister_app.take_untold().map(Message::UnregisterApp),
            self.progress.take_untold().map(Message::Progress),
        ];
        let drivers =
            all.into_iter().flatten().map(|message| from_agent::Message::DriverMessage(driver(message)));
        // What a driver asked for comes before its end.
        messages.extend(drivers.chain(report).map(|message| v1::FromAgent { message: Some(message) }));
    }
}

fn wire_launch(launch: Launch) -> v1::Launch {
    v1::Launch { attempt: launch.attempt, launch: launch.launch }
}

fn worker_report(about: &About, report: &Report<'_>) -> v1::WorkerReport {
    let state = match report {
        Report::Preparing(step) => {
            worker_report::State::Preparing(v1::Preparing { step: (*step).to_owned() })
        }
        Report::Running { since_unix_ms } => {
            worker_report::State::Running(v1::Running { since_unix_ms: *since_unix_ms })
        }
        Report::Ended { outcome, finished, log_failures } => worker_report::State::Ended(v1::Ended {
            exit_code: outcome.exit_code,
            signal: outcome.signal,
            oom_killed: outcome.oom_killed,
            launch_error: outcome.launch_error.clone().unwrap_or_default(),
            error_class: finished.and_then(|told| told.error_class.clone()).unwrap_or_default(),
            error_message: finished.and_then(|told| told.error_message.clone()).unwrap_or_default(),
            log_failures: log_failures.to_vec(),
            memory_peak_bytes: outcome.memory_peak_bytes.unwrap_or(0),
            cpu_usec: outcome.cpu_usec.unwrap_or(0),
            at_unix_ms: outcome.at_unix_ms,
            agent_cause: outcome.cause.as_str().to_owned(),
            ran_ms: outcome.ran_ms,
        }),
    };
    v1::WorkerReport {
        worker_id: about.worker.to_string(),
        launch: Some(wire_launch(about.launch)),
        state: Some(state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> About {
        About { worker: "w1".parse().unwrap(), launch: Launch::FIRST }
    }

    fn kinds(messages: &[v1::FromAgent]) -> Vec<&'static str> {
        use driver_message::Message;
        let kind = |message: &v1::FromAgent| match message.message.as_ref().unwrap() {
            from_agent::Message::WorkerReport(_) => "report",
            from_agent::Message::DriverMessage(driver) => match driver.message.as_ref().unwrap() {
                Message::RegisterApp(_) => "register",
                Message::SetTarget(_) => "target",
                Message::KillExecutors(_) => "kill",
                Message::UnregisterApp(_) => "unregister",
                Message::Progress(_) => "progress",
            },
            from_agent::Message::Hello(_) | from_agent::Message::Heartbeat(_) => "other",
        };
        messages.iter().map(kind).collect()
    }

    fn target(count: u32) -> v1::SetTarget {
        v1::SetTarget { profiles: vec![v1::ExecutorProfile { count, ..Default::default() }] }
    }

    #[test]
    fn each_thing_is_told_once_a_stream_and_the_latest_counts() {
        let outbox = Outbox::default();
        outbox.report(&about(), Some(&Report::Preparing("setting limits")));
        outbox.report(&about(), Some(&Report::Running { since_unix_ms: 1 }));
        outbox.set_target(&about(), target(1));
        outbox.set_target(&about(), target(3));
        let messages = outbox.take();
        assert_eq!(kinds(&messages), ["target", "report"]);
        assert!(format!("{messages:?}").contains("count: 3") && format!("{messages:?}").contains("Running"));
        outbox.report(&about(), Some(&Report::Running { since_unix_ms: 1 }));
        assert!(outbox.take().is_empty());
    }

    #[test]
    fn a_new_stream_is_told_everything_that_still_holds() {
        let outbox = Outbox::default();
        outbox.report(&about(), Some(&Report::Running { since_unix_ms: 1 }));
        outbox.register_app(&about(), v1::RegisterApp::default());
        outbox.set_target(&about(), target(2));
        outbox.kill_executors(&about(), vec!["1".into()]);
        outbox.take();
        outbox.kill_executors(&about(), vec!["2".into()]);
        assert_eq!(outbox.begin().len(), 1);
        let messages = outbox.take();
        assert_eq!(kinds(&messages), ["register", "target", "kill"]);
        assert!(format!("{messages:?}").contains("[\"1\", \"2\"]"));
    }

    #[test]
    fn the_ui_of_a_driver_is_known_while_it_serves_one() {
        let outbox = Outbox::default();
        let ui_port = |launch| outbox.ui_port(&about().worker, launch);
        outbox.report(&about(), Some(&Report::Running { since_unix_ms: 1 }));
        assert_eq!(ui_port(Launch::FIRST), None);
        outbox.register_app(&about(), v1::RegisterApp::default());
        assert_eq!(ui_port(Launch::FIRST), None);
        outbox.register_app(&about(), v1::RegisterApp { ui_port: 4040, ..Default::default() });
        assert_eq!(ui_port(Launch::FIRST), Some(4040));
        assert_eq!(ui_port(Launch { attempt: 2, launch: 1 }), None);
        outbox.report(&about(), Some(&Report::Preparing("again")));
        assert_eq!(ui_port(Launch::FIRST), None);
        outbox.report(&about(), Some(&Report::Running { since_unix_ms: 1 }));
        outbox.unregister_app(&about());
        assert_eq!(ui_port(Launch::FIRST), None);
    }

    #[test]
    fn a_forgotten_worker_is_not_spoken_of() {
        let outbox = Outbox::default();
        outbox.report(&about(), Some(&Report::Running { since_unix_ms: 1 }));
        outbox.set_target(&about(), target(2));
        outbox.report(&about(), None);
        assert!(outbox.take().is_empty() && outbox.begin().is_empty());
    }

    #[tokio::test]
    async fn a_change_wakes_whoever_waits() {
        let outbox = Outbox::default();
        outbox.unregister_app(&about());
        outbox.changed().await;
        assert_eq!(kinds(&outbox.take()), ["unregister"]);
    }
}
