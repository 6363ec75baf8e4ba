//! What the account may ask for and hold (guide:9060-9100): nothing is limited but the queue, unless it is asked for.

use super::CoordinatorConfig;
use anyhow::Context;
use hearth_api::emr::{Rate, Throttle};
use hearth_coordinator_core::quotas::Quotas;
use serde::Deserialize;

/// vCPUs that the service lets an account hold by default.
const SERVICE_VCPUS: u32 = 16;

/// How often an operation may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiLimit {
    /// Requests a second in the long run.
    pub per_second: u32,
    /// Requests at once.
    pub burst: u32,
}

impl CoordinatorConfig {
    /// What the account may have at once.
    pub(crate) fn quotas(&self) -> Quotas {
        let queued_job_runs = usize::try_from(self.quota_queued_job_runs).unwrap_or(usize::MAX);
        let vcpus = self.quota_vcpus.or_else(|| self.service_quotas.then_some(SERVICE_VCPUS));
        Quotas { queued_job_runs, vcpus }
    }

    /// How often each operation may be asked for.
    pub(crate) fn throttle(&self) -> anyhow::Result<Throttle> {
        let mut throttle = match self.service_quotas {
            true => Throttle::as_in_the_service(),
            false => Throttle::default(),
        };
        for (operation, limit) in &self.api_limits {
            let ApiLimit { per_second, burst } = *limit;
            anyhow::ensure!(
                per_second >= 1 && burst >= 1,
                "api_limits.{operation} must allow at least 1 request a second and 1 at once"
            );
            throttle.limit(operation, Rate { per_second, burst }).context("reading api_limits")?;
        }
        Ok(throttle)
    }

    pub(super) fn check_quotas(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.quota_vcpus != Some(0) && self.quota_queued_job_runs >= 1,
            "quota_vcpus and quota_queued_job_runs must be at least 1"
        );
        self.throttle().map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> CoordinatorConfig {
        hearth_configuration::parse(text, std::iter::empty()).unwrap()
    }

    fn limits(config: &CoordinatorConfig) -> Vec<&'static str> {
        config.throttle().unwrap().refusals().map(|(operation, _)| operation).collect()
    }

    #[test]
    fn one_switch_brings_the_services_limits_and_single_ones_can_be_set() {
        let off = CoordinatorConfig::default();
        assert_eq!((off.quotas(), limits(&off).len()), (Quotas::default(), 0));
        let on = parse("service_quotas = true");
        assert_eq!((on.quotas(), limits(&on).len()), (Quotas { vcpus: Some(16), queued_job_runs: 2000 }, 12));
        let own = parse(
            "quota_vcpus = 64\nquota_queued_job_runs = 5\n[api_limits]\nTagResource = { per_second = 3, burst = 9 }",
        );
        assert_eq!(own.quotas(), Quotas { vcpus: Some(64), queued_job_runs: 5 });
        assert_eq!(limits(&own), ["TagResource"]);
        own.check().unwrap();
    }

    #[test]
    fn limits_that_cannot_work_are_refused() {
        for text in [
            "quota_vcpus = 0",
            "quota_queued_job_runs = 0",
            "[api_limits]\nStartJob = { per_second = 1, burst = 1 }",
            "[api_limits]\nStartJobRun = { per_second = 0, burst = 1 }",
            "[api_limits]\nStartJobRun = { per_second = 1, burst = 0 }",
        ] {
            assert!(parse(text).check().is_err(), "{text}");
        }
    }
}
