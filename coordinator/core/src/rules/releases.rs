//! Which release has what. The numbers are the service's; hearth's own releases (`spark-…`) have all of it.

/// Something that older releases do not have.
///
/// Queueing is not among it: hearth offers that on every release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Configuration of logging by classification (guide:2852).
    Log4jClassifications,
    /// Workers of 64-bit ARM (guide:9310).
    Arm64,
    /// Endpoints for notebooks and Livy (guide:4234, guide:4601).
    InteractiveEndpoints,
    /// Job runs in mode `STREAMING` (guide:2654).
    Streaming,
    /// More than one attempt (guide:3200).
    Retries,
    /// Disks of more than 200 GB (guide:2439).
    ShuffleOptimizedDisks,
    /// Metrics to a Prometheus workspace (guide:5508).
    PrometheusMetrics,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Log4jClassifications,
        Self::Arm64,
        Self::InteractiveEndpoints,
        Self::Streaming,
        Self::Retries,
        Self::ShuffleOptimizedDisks,
        Self::PrometheusMetrics,
    ];

    /// The first EMR release that has it, as its first two numbers.
    pub const fn since(self) -> (u32, u32) {
        match self {
            Self::Log4jClassifications => (6, 8),
            Self::Arm64 => (6, 9),
            Self::InteractiveEndpoints => (6, 14),
            Self::Streaming | Self::Retries | Self::ShuffleOptimizedDisks | Self::PrometheusMetrics => (7, 1),
        }
    }

    /// Whether a release has it. `wanted` is what asks for it, for the message: a member with its value.
    pub fn check(self, wanted: &str, release: &str) -> Result<(), NeedsRelease> {
        if emr_series(release).is_none_or(|series| series >= self.since()) {
            return Ok(());
        }
        Err(NeedsRelease { wanted: wanted.to_owned(), since: self.since(), release: release.to_owned() })
    }
}

/// The release is too old for something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} needs release emr-{}.{}.0 or later, the application has {release}", since.0, since.1)]
pub struct NeedsRelease {
    /// What asks for it.
    pub wanted: String,
    /// The first release that has it, as its first two numbers.
    pub since: (u32, u32),
    /// The release at hand.
    pub release: String,
}

/// The first two numbers of an EMR release; `None` for hearth's own releases, which are recent.
pub(crate) fn emr_series(label: &str) -> Option<(u32, u32)> {
    let mut numbers = label.strip_prefix("emr-")?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_there_from_its_release_on_and_in_hearths_own() {
        for feature in Feature::ALL {
            let (major, minor) = feature.since();
            for (label, has) in [
                (format!("emr-{major}.{minor}.0"), true),
                (format!("emr-{major}.{}.0", minor + 1), true),
                (format!("emr-{}.0.0", major + 1), true),
                (format!("emr-{major}.{}.0", minor - 1), false),
                ("emr-5.36.0".to_owned(), false),
                ("spark-3.5.3".to_owned(), true),
            ] {
                assert_eq!(feature.check("x", &label).is_ok(), has, "{feature:?} {label}");
            }
        }
    }

    #[test]
    fn a_refusal_names_what_is_wanted_and_both_releases() {
        let refused = Feature::Streaming.check("mode STREAMING", "emr-6.15.0").expect_err("too old");
        assert_eq!(
            refused.to_string(),
            "mode STREAMING needs release emr-7.1.0 or later, the application has emr-6.15.0"
        );
    }
}
