//! How long leases are, as configured (design §9).

use super::CoordinatorConfig;
use hearth_coordinator_core::lease::LeaseTerms;
use std::time::Duration;

/// The longest extension of a lease.
const LONGEST_EXTENSION: Duration = Duration::from_secs(30 * 60);

fn span(millis: u32) -> Duration {
    Duration::from_millis(u64::from(millis))
}

impl CoordinatorConfig {
    /// The lengths that leases are made of.
    pub fn lease_terms(&self) -> LeaseTerms {
        LeaseTerms {
            lease: span(self.lease_ms),
            skew: span(self.lease_skew_ms),
            lost_after: span(self.lost_after_ms),
        }
    }

    /// Time between an agent's heartbeats.
    pub fn heartbeat(&self) -> Duration {
        span(self.heartbeat_ms)
    }

    /// What leases are extended to when the coordinator is stopped in good order.
    pub fn lease_extension(&self) -> Duration {
        span(self.lease_extension_ms)
    }

    pub(super) fn check_leases(&self) -> anyhow::Result<()> {
        let terms = self.lease_terms();
        anyhow::ensure!(
            terms.lease >= self.heartbeat() * 2 && !self.heartbeat().is_zero(),
            "lease_ms must be at least twice heartbeat_ms, or one late heartbeat freezes drivers"
        );
        anyhow::ensure!(
            terms.over_after(terms.lease) <= terms.lost_after,
            "lost_after_ms must be at least lease_ms and 1 % of it and lease_skew_ms together"
        );
        anyhow::ensure!(
            self.lease_extension() <= LONGEST_EXTENSION,
            "lease_extension_ms must be at most {}",
            LONGEST_EXTENSION.as_millis()
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_that_do_not_go_together_are_refused() {
        let fine = CoordinatorConfig::default;
        assert!(fine().check_leases().is_ok());
        let cases = [
            CoordinatorConfig { lease_ms: 9_999, ..fine() },
            CoordinatorConfig { heartbeat_ms: 0, ..fine() },
            CoordinatorConfig { lost_after_ms: 35_299, ..fine() },
            CoordinatorConfig { lease_extension_ms: 1_800_001, ..fine() },
        ];
        for config in cases {
            assert!(config.check_leases().is_err(), "{config:?}");
        }
        let narrow = CoordinatorConfig { lost_after_ms: 35_300, lease_extension_ms: 1_800_000, ..fine() };
        assert!(narrow.check_leases().is_ok());
    }
}
