//! How far a job run is, as its driver last said.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The last word of a driver on its job (`GET /hearth/v1/job-runs/<id>/progress`).
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Progress {
    /// When the first task began, in milliseconds since the epoch.
    pub first_task_at_ms: Option<i64>,
    /// Tasks of all stages so far.
    pub tasks: Tasks,
    /// Stages that run, oldest first.
    pub stages: Vec<Stage>,
    /// Executors that run.
    pub executors: u32,
    /// When each phase began, in milliseconds since the epoch, such as `submitted_at_ms`.
    pub phases: BTreeMap<String, Option<i64>>,
}

/// Numbers of tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Tasks {
    /// All that are known so far.
    pub total: u64,
    /// Running.
    pub active: u64,
    /// Done.
    pub completed: u64,
    /// Failed, whether repeated or not.
    pub failed: u64,
}

/// A stage that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Stage {
    /// Spark's number for it.
    pub id: u64,
    /// Spark's name for it, such as `csv at NativeMethodAccessorImpl.java:0`.
    pub name: String,
    /// Its tasks.
    pub tasks: u64,
    /// Those that are done.
    pub completed: u64,
}

impl Progress {
    /// One line: `stage 4: 12 of 40 tasks, 2 executors`; `None` before there is anything to say.
    pub(super) fn line(&self) -> Option<String> {
        let executors = match self.executors {
            0 => "no executor yet".to_owned(),
            1 => "1 executor".to_owned(),
            many => format!("{many} executors"),
        };
        let failed =
            if self.tasks.failed > 0 { format!(", {} failed", self.tasks.failed) } else { String::new() };
        match self.stages.last() {
            Some(stage) => Some(format!(
                "stage {}: {} of {} tasks{failed}, {executors}",
                stage.id, stage.completed, stage.tasks
            )),
            None if self.tasks.total > 0 => {
                Some(format!("{} of {} tasks{failed}, {executors}", self.tasks.completed, self.tasks.total))
            }
            None if self.executors > 0 => Some(executors),
            None => None,
        }
    }

    /// The phases that have begun, in order, each with its name and the seconds since the one before; the first is the
    /// submission. The first task is one of them.
    pub(super) fn phase_seconds(&self) -> Vec<(String, f64)> {
        let mut moments: Vec<(i64, &str)> = self
            .phases
            .iter()
            .filter_map(|(name, at)| Some(((*at)?, name.strip_suffix("_at_ms").unwrap_or(name))))
            .collect();
        if let Some(at) =
            self.first_task_at_ms.filter(|_| !moments.iter().any(|(_, name)| *name == "first_task"))
        {
            moments.push((at, "first_task"));
        }
        moments.sort_by_key(|(at, _)| *at);
        let mut before = moments.first().map_or(0, |(at, _)| *at);
        let since = |(at, name): (i64, &str)| {
            let seconds = (at - before) as f64 / 1000.0;
            before = at;
            (name.replace('_', " "), seconds)
        };
        moments.into_iter().map(since).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_unknown_and_missing_members_is_read() {
        let progress: Progress = serde_json::from_str(
            r#"{"jobs":{"active":1},"tasks":{"total":9,"completed":3},"executors":2,
                "stages":[{"id":4,"name":"csv","tasks":6,"completed":1,"active":2}],"new":true}"#,
        )
        .unwrap();
        assert_eq!(progress.line().unwrap(), "stage 4: 1 of 6 tasks, 2 executors");
        assert_eq!(Progress::default().line(), None);
    }

    #[test]
    fn phases_come_in_the_order_of_time_with_the_first_task_among_them() {
        let progress: Progress = serde_json::from_str(
            r#"{"first_task_at_ms":4500,
                "phases":{"submitted_at_ms":1000,"running_at_ms":3000,"scheduled_at_ms":1200,"ended_at_ms":null}}"#,
        )
        .unwrap();
        let expected = [("submitted", 0.0), ("scheduled", 0.2), ("running", 1.8), ("first task", 1.5)];
        let expected: Vec<(String, f64)> = expected.map(|(name, seconds)| (name.to_owned(), seconds)).into();
        assert_eq!(progress.phase_seconds(), expected);
    }
}
