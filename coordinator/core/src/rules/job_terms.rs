//! How a job run may be run: its mode, how long, and how often (guide:2640-2660, guide:3198-3250).

use super::releases::emr_series;
use super::{Broken, Feature, NeedsRelease};
use crate::job_run::Retries;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Minutes a batch job run may take unless it says otherwise (guide:2369).
pub const DEFAULT_MINUTES: u64 = 720;
/// Attempts that a batch job run may have, and failed ones that a streaming job run may have in an hour (guide:3208-3216).
const ATTEMPTS: RangeInclusive<u32> = 1..=10;
/// Failed attempts in an hour that end a streaming job run unless it says otherwise (guide:3209).
const DEFAULT_FAILURES_PER_HOUR: u32 = 5;
/// The longest execution timeout of a batch job run, in minutes, where it is limited (model: `executionTimeoutMinutes`).
const LONGEST_MINUTES: u64 = 10_080;
/// The first EMR release that limits it.
const LIMITED_SINCE: (u32, u32) = (7, 11);

/// Whether a job run is meant to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It is.
    #[default]
    Batch,
    /// It runs until it is cancelled.
    Streaming,
}

/// What a request says about how its job run is to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The application's release label.
    pub release: &'a str,
    /// `mode`.
    pub mode: Mode,
    /// `executionTimeoutMinutes`.
    pub timeout_minutes: Option<u64>,
    /// `retryPolicy.maxAttempts`.
    pub max_attempts: Option<u32>,
    /// `retryPolicy.maxFailedAttemptsPerHour`.
    pub max_failed_attempts_per_hour: Option<u32>,
}

/// How a job run is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long it may take, in all attempts together; absent for no limit.
    pub timeout: Option<Duration>,
    /// When another attempt follows one that failed.
    pub retries: Retries,
}

/// What is wrong with how a job run is to be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TermFault {
    /// A value out of bounds.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The release is too old.
    #[error(transparent)]
    Release(#[from] NeedsRelease),
}

/// The timeout in effect, as the API shows it: 0 for none.
pub fn timeout_minutes(mode: Mode, asked: Option<u64>) -> u64 {
    asked.unwrap_or(match mode {
        Mode::Batch => DEFAULT_MINUTES,
        Mode::Streaming => 0,
    })
}

impl Asked<'_> {
    /// Decides how the job run is run, or says everything that is wrong. A timeout of 0 is no limit in either mode; the service's
    /// newest model takes that from batch job runs, hearth leaves it to them.
    pub fn settle(&self) -> Result<Terms, Vec<TermFault>> {
        let mut faults = Vec::new();
        self.check_timeout(&mut faults);
        self.check_retries(&mut faults);
        if self.mode == Mode::Streaming {
            let checked = Feature::Streaming.check("mode STREAMING", self.release);
            faults.extend(checked.err().map(TermFault::from));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let minutes = timeout_minutes(self.mode, self.timeout_minutes);
        Ok(Terms {
            timeout: (minutes > 0).then(|| Duration::from_secs(minutes.saturating_mul(60))),
            retries: match self.mode {
                Mode::Batch => Retries::Attempts(self.max_attempts.unwrap_or(1)),
                Mode::Streaming => Retries::FailuresPerHour(
                    self.max_failed_attempts_per_hour.unwrap_or(DEFAULT_FAILURES_PER_HOUR),
                ),
            },
        })
    }

    fn check_timeout(&self, faults: &mut Vec<TermFault>) {
        let minutes = self.timeout_minutes.unwrap_or(0);
        let rule = match self.mode {
            Mode::Streaming if minutes > 0 => "must not be set for mode STREAMING",
            Mode::Batch if minutes > LONGEST_MINUTES && limits_timeout(self.release) => {
                "must be at most 10080 from release emr-7.11.0 on"
            }
            Mode::Streaming | Mode::Batch => return,
        };
        faults.push(Broken::number("executionTimeoutMinutes", rule, minutes).into());
    }

    fn check_retries(&self, faults: &mut Vec<TermFault>) {
        let members = [
            ("retryPolicy.maxAttempts", self.max_attempts, Mode::Batch),
            ("retryPolicy.maxFailedAttemptsPerHour", self.max_failed_attempts_per_hour, Mode::Streaming),
        ];
        for (member, value, mode) in members {
            let Some(value) = value else { continue };
            let rule = match mode {
                _ if !ATTEMPTS.contains(&value) => "must be between 1 and 10",
                Mode::Batch if self.mode != mode => "is for mode BATCH, not STREAMING",
                Mode::Streaming if self.mode != mode => "is for mode STREAMING, not BATCH",
                Mode::Batch | Mode::Streaming => continue,
            };
            faults.push(Broken::number(member, rule, value.into()).into());
        }
        if let Some(attempts) = self.max_attempts.filter(|attempts| *attempts > 1) {
            let wanted = format!("retryPolicy.maxAttempts {attempts}");
            faults.extend(Feature::Retries.check(&wanted, self.release).err().map(TermFault::from));
        }
    }
}

fn limits_timeout(release: &str) -> bool {
    emr_series(release).is_some_and(|series| series >= LIMITED_SINCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: Asked<'_> = Asked {
        release: "emr-7.6.0",
        mode: Mode::Batch,
        timeout_minutes: None,
        max_attempts: None,
        max_failed_attempts_per_hour: None,
    };
    const STREAMING: Asked<'_> = Asked { mode: Mode::Streaming, ..BATCH };

    #[test]
    fn what_is_not_said_is_as_in_the_service() {
        let twelve_hours = Some(Duration::from_secs(12 * 3600));
        let one = Retries::Attempts(1);
        for (asked, timeout, retries) in [
            (BATCH, twelve_hours, one),
            (Asked { timeout_minutes: Some(0), ..BATCH }, None, one),
            (Asked { timeout_minutes: Some(1), ..BATCH }, Some(Duration::from_secs(60)), one),
            (Asked { max_attempts: Some(10), ..BATCH }, twelve_hours, Retries::Attempts(10)),
            (STREAMING, None, Retries::FailuresPerHour(5)),
            (Asked { timeout_minutes: Some(0), ..STREAMING }, None, Retries::FailuresPerHour(5)),
            (Asked { max_failed_attempts_per_hour: Some(1), ..STREAMING }, None, Retries::FailuresPerHour(1)),
            (Asked { release: "spark-3.5.3", ..STREAMING }, None, Retries::FailuresPerHour(5)),
            (Asked { release: "emr-6.6.0", max_attempts: Some(1), ..BATCH }, twelve_hours, one),
        ] {
            assert_eq!(asked.settle(), Ok(Terms { timeout, retries }), "{asked:?}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused_by_name_and_all_at_once() {
        let cases: [(Asked<'_>, &[&str]); 9] = [
            (
                Asked { max_attempts: Some(11), ..BATCH },
                &["retryPolicy.maxAttempts must be between 1 and 10, got 11"],
            ),
            (
                Asked { max_attempts: Some(0), ..BATCH },
                &["retryPolicy.maxAttempts must be between 1 and 10, got 0"],
            ),
            (
                Asked { max_failed_attempts_per_hour: Some(5), ..BATCH },
                &["retryPolicy.maxFailedAttemptsPerHour is for mode STREAMING, not BATCH, got 5"],
            ),
            (
                Asked { max_attempts: Some(2), timeout_minutes: Some(720), ..STREAMING },
                &[
                    "executionTimeoutMinutes must not be set for mode STREAMING, got 720",
                    "retryPolicy.maxAttempts is for mode BATCH, not STREAMING, got 2",
                ],
            ),
            (
                Asked { max_failed_attempts_per_hour: Some(11), ..STREAMING },
                &["retryPolicy.maxFailedAttemptsPerHour must be between 1 and 10, got 11"],
            ),
            (
                Asked { release: "emr-7.0.0", ..STREAMING },
                &["mode STREAMING needs release emr-7.1.0 or later, the application has emr-7.0.0"],
            ),
            (
                Asked { release: "emr-6.15.0", max_attempts: Some(3), ..BATCH },
                &[
                    "retryPolicy.maxAttempts 3 needs release emr-7.1.0 or later, the application has emr-6.15.0",
                ],
            ),
            (
                Asked { release: "emr-7.11.0", timeout_minutes: Some(10_081), ..BATCH },
                &["executionTimeoutMinutes must be at most 10080 from release emr-7.11.0 on, got 10081"],
            ),
            (Asked { release: "emr-7.10.0", timeout_minutes: Some(10_081), ..BATCH }, &[]),
        ];
        for (asked, expected) in cases {
            let faults = asked.settle().err().unwrap_or_default();
            let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
            assert_eq!(said, expected, "{asked:?}");
        }
    }
}
