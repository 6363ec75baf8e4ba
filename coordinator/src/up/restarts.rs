//! When an agent that does not run is started again, and what of it is told.

use std::time::Duration;

/// The pause after an agent that did not live long; it doubles with each further one in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// An agent that ends within this may well end again the same way.
const YOUNG: Duration = Duration::from_secs(5);

/// What the last failures in a row were like.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    pause: Duration,
    told: Option<String>,
}

impl Restarts {
    /// Whether `reason` is to be told: the log is not filled with what it says already.
    pub(super) fn is_news(&mut self, reason: &str) -> bool {
        let is_news = self.told.as_deref() != Some(reason);
        self.told = Some(reason.to_owned());
        is_news
    }

    /// How long to wait after an agent that `lived` this long: not at all after one that did well, whose next end is news
    /// whatever the reason.
    pub(super) fn pause_after(&mut self, lived: Duration) -> Duration {
        self.pause = if lived < YOUNG {
            (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE)
        } else {
            self.told = None;
            Duration::ZERO
        };
        self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_agents_that_keep_failing_young_are_waited_for_and_never_for_long() {
        let mut restarts = Restarts::default();
        let seconds = Duration::from_secs_f32;
        for (lived, pause) in [
            (60.0, 0.0),
            (4.9, 0.5),
            (0.0, 1.0),
            (0.0, 2.0),
            (0.0, 4.0),
            (0.0, 5.0),
            (0.0, 5.0),
            (5.0, 0.0),
            (0.0, 0.5),
        ] {
            assert_eq!(restarts.pause_after(seconds(lived)), seconds(pause), "after {lived} s");
        }
    }

    #[test]
    fn a_reason_is_told_once_until_it_changes_or_the_agent_did_well() {
        let mut restarts = Restarts::default();
        for (reason, is_news, lived) in [
            ("no program", true, 0),
            ("no program", false, 0),
            ("no process left", true, 0),
            ("no program", true, 60),
            ("no program", true, 0),
        ] {
            assert_eq!(restarts.is_news(reason), is_news);
            restarts.pause_after(Duration::from_secs(lived));
        }
    }
}
