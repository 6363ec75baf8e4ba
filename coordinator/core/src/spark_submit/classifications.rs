//! Which classifications a Spark application has, and since which release.

use super::Fault;
use crate::rules::Feature;

/// A classification of Spark applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Classification {
    /// Spark's settings.
    SparkDefaults,
    /// The service's own switches (guide:2867).
    Spark,
    /// Log4j properties of the driver (guide:5082).
    DriverLog4j2,
    /// Log4j properties of executors (guide:5082).
    ExecutorLog4j2,
    /// Hadoop's settings (guide:2171), which Spark takes as `spark.hadoop.*`.
    CoreSite,
    /// Hive's, likewise (guide:3448).
    HiveSite,
}

impl Classification {
    /// All of them, as messages list them.
    const ALL: [Self; 6] = [
        Self::SparkDefaults,
        Self::Spark,
        Self::DriverLog4j2,
        Self::ExecutorLog4j2,
        Self::CoreSite,
        Self::HiveSite,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::SparkDefaults => "spark-defaults",
            Self::Spark => "spark",
            Self::DriverLog4j2 => "spark-driver-log4j2",
            Self::ExecutorLog4j2 => "spark-executor-log4j2",
            Self::CoreSite => "core-site",
            Self::HiveSite => "hive-site",
        }
    }

    /// What a release must have for it; nothing where every release has it.
    const fn feature(self) -> Option<Feature> {
        match self {
            Self::DriverLog4j2 | Self::ExecutorLog4j2 => Some(Feature::Log4jClassifications),
            Self::SparkDefaults | Self::Spark | Self::CoreSite | Self::HiveSite => None,
        }
    }

    /// Whether its settings go to Spark under `spark.hadoop.`, below those of `spark-defaults`.
    pub(super) const fn is_site_file(self) -> bool {
        match self {
            Self::CoreSite | Self::HiveSite => true,
            Self::SparkDefaults | Self::Spark | Self::DriverLog4j2 | Self::ExecutorLog4j2 => false,
        }
    }

    /// The classification of this name, if Spark applications of the release have it.
    pub(super) fn parse(name: &str, release: &str) -> Result<Self, Fault> {
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        let known = known.ok_or_else(|| Fault::Classification(name.to_owned()))?;
        if let Some(feature) = known.feature() {
            feature.check(&format!("classification {name}"), release)?;
        }
        Ok(known)
    }

    /// Their names, for messages.
    pub(super) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logging_is_configured_from_6_8_on_and_the_rest_everywhere() {
        for classification in Classification::ALL {
            let logs = classification.name().ends_with("log4j2");
            for (release, has) in
                [("emr-6.7.0", !logs), ("emr-6.8.0", true), ("emr-7.6.0", true), ("spark-3.5.3", true)]
            {
                let parsed = Classification::parse(classification.name(), release);
                assert_eq!(parsed.is_ok(), has, "{classification:?} {release}");
            }
        }
        let foreign = Classification::parse("tez-site", "emr-7.6.0").expect_err("Hive's");
        assert_eq!(
            foreign.to_string(),
            "classification 'tez-site' is not supported for Spark applications; supported: spark-defaults, spark, \
             spark-driver-log4j2, spark-executor-log4j2, core-site, hive-site"
        );
    }
}
