//! When to try a failing destination again, and when to give it up.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use crate::error::ShipError;

const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(15);

/// The state of one destination; time is an argument.
///
/// A destination that does not answer is tried for as long as the worker lives. One that refuses is given up once it
/// has refused for the whole budget: a role or bucket may be mended meanwhile, but not often.
#[derive(Debug)]
pub(crate) struct Health {
    refusal_budget: Duration,
    trouble: Option<Trouble>,
    given_up: Option<ShipError>,
}

#[derive(Debug)]
struct Trouble {
    last: ShipError,
    retry_at: Instant,
    refused_since: Option<Instant>,
    delays: ExponentialBackoff,
}

impl Health {
    pub(crate) fn new(refusal_budget: Duration) -> Self {
        Self { refusal_budget, trouble: None, given_up: None }
    }

    /// Takes note that it was given up by an earlier agent process.
    pub(crate) fn gave_up_earlier(&mut self, reason: String) {
        self.given_up = Some(ShipError::RefusedEarlier(reason));
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.is_some()
    }

    /// When it is worth trying; `None` when it was given up.
    pub(crate) fn next_try(&self, now: Instant) -> Option<Instant> {
        match (&self.given_up, &self.trouble) {
            (Some(_), _) => None,
            (None, Some(trouble)) => Some(trouble.retry_at),
            (None, None) => Some(now),
        }
    }

    pub(crate) fn succeeded(&mut self) {
        self.trouble = None;
    }

    pub(crate) fn failed(&mut self, error: ShipError, now: Instant) {
        let refuses = matches!(error, ShipError::Refused(_));
        let (mut delays, refused_before) = match self.trouble.take() {
            Some(trouble) => (trouble.delays, trouble.refused_since),
            None => (delays(), None),
        };
        let refused_since = refuses.then(|| refused_before.unwrap_or(now));
        if refused_since.is_some_and(|since| now.duration_since(since) >= self.refusal_budget) {
            self.given_up = Some(error);
            return;
        }
        let mut retry_at = now + delays.next().unwrap_or(LONGEST_DELAY);
        if let Some(since) = refused_since {
            retry_at = retry_at.min(since + self.refusal_budget);
        }
        self.trouble = Some(Trouble { last: error, retry_at, refused_since, delays });
    }

    /// Gives it up because time is up.
    pub(crate) fn give_up(&mut self) {
        let last = self.trouble.take().map(|trouble| trouble.last);
        self.given_up.get_or_insert(last.unwrap_or(ShipError::TimeUp));
    }

    /// Why it was given up, as text to keep.
    pub(crate) fn reason(&self) -> Option<String> {
        self.given_up.as_ref().map(ShipError::chain)
    }

    /// Why it was given up.
    pub(crate) fn into_error(self) -> Option<ShipError> {
        self.given_up
    }
}

fn delays() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_DELAY)
        .with_max_delay(LONGEST_DELAY)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_secs(15);

    fn refused() -> ShipError {
        ShipError::from_store(object_store::Error::PermissionDenied { path: "p".into(), source: "no".into() })
    }

    fn away() -> ShipError {
        ShipError::from_store(object_store::Error::Generic { store: "S3", source: "away".into() })
    }

    #[tokio::test]
    async fn a_refusal_is_final_after_the_budget_and_not_before() {
        let mut health = Health::new(BUDGET);
        let start = Instant::now();
        let mut now = start;
        let mut tries = 0;
        while let Some(next) = health.next_try(now) {
            now = next;
            health.failed(refused(), now);
            tries += 1;
        }
        assert_eq!(now - start, BUDGET);
        assert!((4..20).contains(&tries), "{tries} tries");
        assert!(matches!(health.into_error(), Some(ShipError::Refused(_))));
    }

    #[tokio::test]
    async fn silence_is_never_final_by_itself() {
        let mut health = Health::new(BUDGET);
        let start = Instant::now();
        let mut now = start;
        while now < start + 100 * BUDGET {
            let next = health.next_try(now).unwrap();
            assert!(next <= now + 3 * LONGEST_DELAY);
            now = next;
            health.failed(away(), now);
        }
        health.succeeded();
        assert_eq!(health.next_try(now), Some(now));
        health.failed(away(), now);
        health.give_up();
        assert!(matches!(health.into_error(), Some(ShipError::Unreachable(_))));
    }

    #[tokio::test]
    async fn a_refusal_between_silences_starts_its_budget_anew() {
        let mut health = Health::new(BUDGET);
        let start = Instant::now();
        health.failed(refused(), start);
        health.failed(away(), start + BUDGET / 2);
        health.failed(refused(), start + BUDGET);
        assert!(!health.is_given_up());
    }
}
