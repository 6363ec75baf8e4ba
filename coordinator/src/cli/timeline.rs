//! What happened to a job run, as the coordinator tells it.

use super::screen;
use hearth_types::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The story of a job run (`GET /hearth/v1/job-runs/<id>/timeline`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Timeline {
    /// What happened, oldest first.
    pub events: Vec<Event>,
    /// Why it failed, as a name for programs; absent unless it has, and knows.
    pub cause: Option<String>,
    /// What was wrong with its files when it was submitted.
    pub doubts: Vec<String>,
    /// Milliseconds that it waited in QUEUED.
    pub queued_ms: u64,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Event {
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// What.
    pub what: String,
}

impl Timeline {
    /// A line for each event, the first with its time, the others with how long after it they came.
    pub(super) fn lines(&self) -> Vec<String> {
        let Some(first) = self.events.first() else { return Vec::new() };
        let begin = Timestamp::from_millis(first.at_ms);
        let line = |(position, event): (usize, &Event)| {
            let when = match position {
                0 => screen::moment(begin),
                _ => format!("+{}", screen::span(Timestamp::from_millis(event.at_ms).since(begin))),
            };
            format!("{when:<22}{}", event.what)
        };
        let mut lines: Vec<String> = self.events.iter().enumerate().map(line).collect();
        if self.queued_ms > 0 {
            let queued = screen::span(Duration::from_millis(self.queued_ms));
            lines.push(format!("{:<22}queued for {queued} in all", ""));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_from_the_first_on() {
        let timeline: Timeline = serde_json::from_str(
            r#"{"events":[{"at_ms":1769861109000,"what":"submitted"},{"at_ms":1769861110500,"what":"driver runs"}],
                "queued_ms":1200,"new":true}"#,
        )
        .unwrap();
        assert_eq!(
            timeline.lines(),
            [
                "2026-01-31 12:05:09Z  submitted",
                "+1.5 s                driver runs",
                "                      queued for 1.2 s in all",
            ]
        );
        assert_eq!(Timeline::default().lines(), Vec::<String>::new());
    }
}
