//! Flattens the classifications of a Spark application into settings.

use super::classifications::Classification;
use super::options::reserved_setting;
use super::{Fault, log4j2};
use crate::configuration::{Configuration, inherited};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Flattens `application` and `job` on a release; both must have passed [`crate::configuration::check`].
    ///
    /// Faulty are classifications that Spark applications of the release do not have, and settings that are hearth's own:
    /// passing either over in silence would be worse than refusing. The layers come without what is faulty.
    pub fn flatten(
        release: &str,
        application: &[Configuration],
        job: &[Configuration],
    ) -> (Self, Vec<Fault>) {
        let mut layers = Self::default();
        let mut faults = Vec::new();
        let lower = inherited(application, job);
        let upper: Vec<_> = job.iter().filter(|own| !own.is_removal()).collect();
        for level in [lower, upper] {
            let mut known = Vec::new();
            for object in level {
                Self::check_nested(object, &mut faults);
                match Classification::parse(&object.classification, release) {
                    Ok(classification) => known.push((classification, object)),
                    Err(fault) => faults.push(fault),
                }
            }
            // Site files come first: within a level `spark-defaults` wins over them.
            known.sort_by_key(|(classification, _)| !classification.is_site_file());
            for (classification, object) in known {
                layers.apply(classification, object, &mut faults);
            }
        }
        (layers, faults)
    }

    fn check_nested(object: &Configuration, faults: &mut Vec<Fault>) {
        for nested in &object.configurations {
            let path = format!("{}/{}", object.classification, nested.classification);
            faults.push(Fault::Classification(path));
        }
    }

    fn apply(&mut self, classification: Classification, object: &Configuration, faults: &mut Vec<Fault>) {
        match classification {
            Classification::CoreSite | Classification::HiveSite => {
                let prefixed =
                    object.properties.iter().map(|(k, v)| (format!("spark.hadoop.{k}"), v.clone()));
                self.settings.extend(prefixed);
            }
            Classification::SparkDefaults => self.spark_defaults(object, faults),
            Classification::Spark => self.switches(object, faults),
            Classification::DriverLog4j2 => {
                self.ignore_fixed(object);
                self.driver_log4j2.clone_from(&object.properties);
            }
            Classification::ExecutorLog4j2 => {
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

/// The faults of an application's own configuration on a release, for when it is created or updated.
pub fn check_application(release: &str, configuration: &[Configuration]) -> Vec<Fault> {
    Layers::flatten(release, configuration, &[]).1
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
        let (layers, faults) = Layers::flatten("emr-7.6.0", application, job);
        assert_eq!(faults, []);
        layers
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
        let logging = object("spark-driver-log4j2", &[("rootLogger.level", "error")]);
        let configuration = [nested, object("tez-site", &[("a", "b")]), logging];
        assert_eq!(check_application("emr-7.6.0", &configuration).len(), 3);
        assert_eq!(check_application("emr-6.7.0", &configuration).len(), 4);
    }
}
