//! How long things are kept, as configured.

use super::CoordinatorConfig;
use std::time::Duration;

/// `hearth run` takes an upload for good for a day; it must not go while a job run is on its way to it.
const LEAST_SOURCE_DAYS: u32 = 2;

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keep {
    /// Job runs, from their end.
    pub(crate) job_runs: Duration,
    /// Logs in managed storage, from when they were written.
    pub(crate) logs: Duration,
    /// What `hearth run` uploaded, from when it last did.
    pub(crate) sources: Duration,
    /// Bundles that nobody uses, from when they were made.
    pub(crate) bundles: Duration,
}

fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 24 * 60 * 60)
}

impl CoordinatorConfig {
    /// How long things are kept.
    pub(crate) fn keep(&self) -> Keep {
        Keep {
            job_runs: days(self.job_run_retention_days),
            logs: days(self.managed_log_retention_days),
            sources: days(self.source_retention_days),
            bundles: days(self.bundle_retention_days),
        }
    }

    pub(super) fn check_retention(&self) -> anyhow::Result<()> {
        for (key, value, least, reason) in [
            ("job_run_retention_days", self.job_run_retention_days, 1, "nobody can see how a job run ended"),
            (
                "managed_log_retention_days",
                self.managed_log_retention_days,
                1,
                "logs are gone before they can be read",
            ),
            (
                "source_retention_days",
                self.source_retention_days,
                LEAST_SOURCE_DAYS,
                "a job run may not find what `hearth run` uploaded for it",
            ),
            ("bundle_retention_days", self.bundle_retention_days, 1, "releases are built again and again"),
        ] {
            anyhow::ensure!(value >= least, "{key} must be at least {least}, or {reason}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_go_too_early_is_refused() {
        let fine = CoordinatorConfig::default;
        assert!(fine().check_retention().is_ok());
        for short in [
            CoordinatorConfig { job_run_retention_days: 0, ..fine() },
            CoordinatorConfig { managed_log_retention_days: 0, ..fine() },
            CoordinatorConfig { source_retention_days: 1, ..fine() },
            CoordinatorConfig { bundle_retention_days: 0, ..fine() },
        ] {
            assert!(short.check_retention().is_err(), "{short:?}");
        }
    }
}
