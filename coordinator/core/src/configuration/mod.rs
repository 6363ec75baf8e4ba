//! Classification objects: the configuration of an application, a job's overrides, and how they merge.
//!
//! The granularity is the classification (guide:1554): what a job says about one replaces all the application says
//! about it, an empty declaration removes it, and what the job does not mention is inherited (guide:1560-1568).

mod limits;

pub use limits::{ConfigurationFault, check};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One classification object, as on the wire of the API.
///
/// `Debug` shows names only: values may be passwords, and the service model marks them as sensitive.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Configuration {
    /// What is configured, such as `spark-defaults`.
    pub classification: String,
    /// Settings by name; none at all removes the classification.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Nested objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub configurations: Vec<Configuration>,
}

impl Configuration {
    /// Whether this is the empty declaration that removes a classification (guide:1568).
    pub fn is_removal(&self) -> bool {
        self.properties.is_empty() && self.configurations.is_empty()
    }
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration")
            .field("classification", &self.classification)
            .field("properties", &self.properties.keys())
            .field("configurations", &self.configurations)
            .finish()
    }
}

/// The application's objects that a job with these overrides inherits, in their order.
///
/// They come before the job's own in priority (guide:2854-2865), so whoever flattens the two must apply these first.
pub fn inherited<'a>(application: &'a [Configuration], job: &[Configuration]) -> Vec<&'a Configuration> {
    application
        .iter()
        .filter(|own| !own.is_removal())
        .filter(|own| job.iter().all(|other| other.classification != own.classification))
        .collect()
}

/// What applies to a job: the inherited objects, then the job's own without its removals.
///
/// Both lists must have passed [`check`]; the result then holds every classification once.
pub fn merge(application: &[Configuration], job: &[Configuration]) -> Vec<Configuration> {
    inherited(application, job)
        .into_iter()
        .chain(job.iter().filter(|own| !own.is_removal()))
        .cloned()
        .collect()
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

    #[test]
    fn a_job_replaces_adds_and_removes_whole_classifications() {
        let application = [
            object("spark-defaults", &[("spark.driver.cores", "4"), ("spark.executor.instances", "2")]),
            object("spark-driver-log4j2", &[("rootLogger.level", "error")]),
            object("core-site", &[("fs.x", "1")]),
        ];
        let job = [
            object("spark-defaults", &[("spark.driver.cores", "2")]),
            object("spark-executor-log4j2", &[("rootLogger.level", "debug")]),
            object("spark-driver-log4j2", &[]),
        ];
        assert_eq!(
            merge(&application, &job),
            [
                object("core-site", &[("fs.x", "1")]),
                object("spark-defaults", &[("spark.driver.cores", "2")]),
                object("spark-executor-log4j2", &[("rootLogger.level", "debug")]),
            ]
        );
    }

    #[test]
    fn without_overrides_everything_is_inherited() {
        let application = [object("spark-defaults", &[("spark.driver.cores", "4")])];
        assert_eq!(merge(&application, &[]), application);
    }

    #[test]
    fn debug_output_has_no_values() {
        let text = format!("{:?}", object("spark-defaults", &[("spark.password", "hunter2")]));
        assert!(text.contains("spark.password") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn the_wire_form_is_the_apis() {
        let read: Configuration = serde_json::from_str(
            r#"{"classification":"a","properties":{"k":"v"},"configurations":[{"classification":"b"}]}"#,
        )
        .expect("valid");
        assert_eq!(read.configurations[0].classification, "b");
        assert!(read.configurations[0].is_removal());
    }
}
