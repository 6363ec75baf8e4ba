//! Flattens the classifications of a Spark application into settings.

use super::options::reserved_setting;
use super::{Fault, log4j2};
use crate::configuration::{Configuration, inherited};
use std::collections::{BTreeMap, BTreeSet};

/// The classifications a Spark application has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Spark's settings.
    SparkDefaults,
    /// The service's own switches (guide:2867).
    Spark,
    /// Log4j properties of the driver (guide:5082).
    DriverLog4j2,
    /// Log4j properties of executors (guide:5082).
    ExecutorLog4j2,
    /// Hadoop's settings (guide:2171) and Hive's, which Spark takes as `spark.hadoop.*`.
    Site,
}

impl Known {
    fn parse(classification: &str) -> Option<Self> {
        match classification {
            "spark-defaults" => Some(Self::SparkDefaults),
            "spark" => Some(Self::Spark),
            "spark-driver-log4j2" => Some(Self::DriverLog4j2),
            "spark-executor-log4j2" => Some(Self::ExecutorLog4j2),
            "core-site" | "hive-site" => Some(Self::Site),
            _ => None,
        }
    }
}

/// What the classifications of an application and of a job come to.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Layers {
    /// Spark settings; the job's win over the application's, and `spark-defaults` over the site files of its level.
    pub settings: BTreeMap<String, String>,
    /// Names that have no effect: in `spark-defaults` those that do not start with `spark.`, unknown switches, and Log4j
    /// properties that are fixed.
    pub ignored: BTreeSet<String>,
    /// `dynamicAllocationOptimization` of the `spark` classification.
    pub optimize_allocation: bool,
    /// Log4j properties for the driver.
    pub driver_log4j2: BTreeMap<String, String>,
    /// Log4j properties for executors.
    pub executor_log4j2: BTreeMap<String, String>,
}

impl Layers {
    /// Flattens `application` and `job`, which both must have passed [`crate::configuration::check`].
    ///
    /// Fails for classifications that Spark applications do not have, and for settings that are hearth's own: passing
    /// either over in silence would be worse than refusing.
    pub fn flatten(application: &[Configuration], job: &[Configuration]) -> Result<Self, Vec<Fault>> {
        let mut layers = Self::default();
        let mut faults = Vec::new();
        let lower = inherited(application, job);
        let upper: Vec<_> = job.iter().filter(|own| !own.is_removal()).collect();
        for level in [lower, upper] {
            for site_files in [true, false] {
                for object in &level {
                    layers.apply(object, site_files, &mut faults);
                }
            }
        }
        if faults.is_empty() { Ok(layers) } else { Err(faults) }
    }

    /// Applies `object` if it belongs to this pass: site files, or everything else.
    fn apply(&mut self, object: &Configuration, site_files: bool, faults: &mut Vec<Fault>) {
        let known = Known::parse(&object.classification);
        if (known == Some(Known::Site)) != site_files {
            return;
        }
        for nested in &object.configurations {
            let path = format!("{}/{}", object.classification, nested.classification);
            faults.push(Fault::Classification(path));
        }
        match known {
            None => faults.push(Fault::Classification(object.classification.clone())),
            Some(Known::Site) => {
                let prefixed =
                    object.properties.iter().map(|(k, v)| (format!("spark.hadoop.{k}"), v.clone()));
                self.settings.extend(prefixed);
            }
            Some(Known::SparkDefaults) => self.spark_defaults(object, faults),
            Some(Known::Spark) => self.switches(object, faults),
            Some(Known::DriverLog4j2) => {
                self.ignore_fixed(object);
                self.driver_log4j2.clone_from(&object.properties);
            }
            Some(Known::ExecutorLog4j2) => {
                self.ignore_fixed(object);
                self.executor_log4j2.clone_from(&object.properties);
            }
        }
    }

    fn ignore_fixed(&mut self, object: &Configuration) {
        let fixed = object.properties.keys().filter(|property| log4j2::is_fixed(property));
        self.ignored.extend(fixed.map(|property| format!("{}/{property}", object.classification)));
    }

    fn spark_defaults(&mut self, object: &Configuration, faults: &mut Vec<Fault>) {
        for (key, value) in &object.properties {
            if let Some(fault) = reserved_setting(key) {
                faults.push(fault);
            } else if key.starts_with("spark.") {
                self.settings.insert(key.clone(), value.clone());
            } else {
                self.ignored.insert(key.clone());
            }
        }
    }

    fn switches(&mut self, object: &Configuration, faults: &mut Vec<Fault>) {
        for (key, value) in &object.properties {
            match (key.as_str(), value.to_ascii_lowercase().as_str()) {
                ("dynamicAllocationOptimization", "true") => self.optimize_allocation = true,
                ("dynamicAllocationOptimization", "false") => self.optimize_allocation = false,
                ("dynamicAllocationOptimization", _) => faults.push(Fault::Value {
                    key: key.clone(),
                    value: value.clone(),
                    rule: "true or false",
                }),
                _ => {
                    self.ignored.insert(key.clone());
                }
            }
        }
    }
}

/// The faults of an application's own configuration, for when it is created or updated.
pub fn check_application(configuration: &[Configuration]) -> Result<(), Vec<Fault>> {
    Layers::flatten(configuration, &[]).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(classification: &str, properties: &[(&str, &str)]) -> Configuration {
        Configuration {
            classification: classification.to_owned(),
            properties: properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            configurations: Vec::new(),
        }
    }

    fn flat(application: &[Configuration], job: &[Configuration]) -> Layers {
        Layers::flatten(application, job).unwrap_or_else(|faults| panic!("{faults:?}"))
    }

    #[test]
    fn a_jobs_spark_defaults_replace_the_applications() {
        let application = [object("spark-defaults", &[("spark.a", "1"), ("spark.b", "1")])];
        let job = [object("spark-defaults", &[("spark.a", "2")])];
        assert_eq!(flat(&application, &job).settings, [("spark.a".into(), "2".into())].into());
    }

    #[test]
    fn a_level_above_wins_even_as_a_site_file() {
        let application = [object("spark-defaults", &[("spark.hadoop.fs.x", "application")])];
        let job = [object("core-site", &[("fs.x", "job")])];
        assert_eq!(flat(&application, &job).settings["spark.hadoop.fs.x"], "job");
        let same_level =
            [object("spark-defaults", &[("spark.hadoop.fs.x", "a")]), object("core-site", &[("fs.x", "b")])];
        assert_eq!(flat(&same_level, &[]).settings["spark.hadoop.fs.x"], "a");
    }

    #[test]
    fn logging_and_switches_are_told_apart() {
        let layers = flat(
            &[
                object("spark-driver-log4j2", &[("rootLogger.level", "error")]),
                object("spark-executor-log4j2", &[("a", "b"), ("appender.console.target", "SYSTEM_OUT")]),
            ],
            &[
                object("spark", &[("dynamicAllocationOptimization", "true")]),
                object("spark-driver-log4j2", &[]),
            ],
        );
        assert!(layers.optimize_allocation && layers.driver_log4j2.is_empty());
        assert_eq!(layers.executor_log4j2["a"], "b");
        assert_eq!(layers.ignored, ["spark-executor-log4j2/appender.console.target".to_owned()].into());
    }

    #[test]
    fn unknown_classifications_and_reserved_settings_are_refused() {
        let mut nested = object("spark-defaults", &[("spark.master", "yarn"), ("log.x", "1")]);
        nested.configurations = vec![object("export", &[])];
        let faults = check_application(&[nested, object("tez-site", &[("a", "b")])]).expect_err("faulty");
        assert_eq!(faults.len(), 3, "{faults:?}");
    }
}
