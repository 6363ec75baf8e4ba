//! Where a job run's logs go: what it says itself, kind by kind, and else what its application says (guide:1554-1575).

use hearth_api::emr::wire::MonitoringConfiguration;
use hearth_coordinator_core::rules::{Feature, NeedsRelease, check_log_types, places};

/// Lays a job's monitoring over its application's. The granularity is the kind: what the job says of one counts whole, and
/// an empty declaration removes it; what it does not mention is inherited.
pub(super) fn merged(
    application: Option<&MonitoringConfiguration>,
    job: Option<&MonitoringConfiguration>,
) -> MonitoringConfiguration {
    let application = application.cloned().unwrap_or_default();
    let job = job.cloned().unwrap_or_default();
    MonitoringConfiguration {
        s3_monitoring_configuration: job
            .s3_monitoring_configuration
            .or(application.s3_monitoring_configuration),
        managed_persistence_monitoring_configuration: job
            .managed_persistence_monitoring_configuration
            .or(application.managed_persistence_monitoring_configuration),
        cloud_watch_logging_configuration: job
            .cloud_watch_logging_configuration
            .or(application.cloud_watch_logging_configuration),
        prometheus_monitoring_configuration: job
            .prometheus_monitoring_configuration
            .or(application.prometheus_monitoring_configuration),
    }
}

/// Everything that is wrong with a monitoring configuration by itself; `member` is where it stands in its request.
pub(super) fn faults(member: &str, monitoring: &MonitoringConfiguration) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(uri) = monitoring.s3_monitoring_configuration.as_ref().and_then(|s3| s3.log_uri.as_deref()) {
        faults
            .extend(places::check_log_uri(&format!("{member}.s3MonitoringConfiguration.logUri"), uri).err());
    }
    let logs = monitoring.cloud_watch_logging_configuration.as_ref().and_then(|logs| logs.log_types.as_ref());
    let member = format!("{member}.cloudWatchLoggingConfiguration.logTypes");
    for (worker, types) in logs.into_iter().flatten() {
        faults.extend(check_log_types(&member, worker, types));
    }
    faults.iter().map(ToString::to_string).collect()
}

/// Whether a release can do what a monitoring configuration asks for.
pub(super) fn check_release(
    member: &str,
    monitoring: &MonitoringConfiguration,
    release: &str,
) -> Result<(), NeedsRelease> {
    let prometheus = monitoring.prometheus_monitoring_configuration.as_ref();
    match prometheus.and_then(|prometheus| prometheus.remote_write_url.as_ref()) {
        Some(_) => Feature::PrometheusMetrics
            .check(&format!("{member}.prometheusMonitoringConfiguration.remoteWriteUrl"), release),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn over(lower: &MonitoringConfiguration, upper: &MonitoringConfiguration) -> MonitoringConfiguration {
        merged(Some(lower), Some(upper))
    }

    fn read(value: &Value) -> MonitoringConfiguration {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn a_job_replaces_adds_and_removes_whole_kinds_and_inherits_the_others() {
        // The guide's example (guide:1538-1545 and 1626-1640).
        let application = json!({
            "s3MonitoringConfiguration": {"logUri": "s3://logs/app-level", "encryptionKeyArn": "key"},
            "managedPersistenceMonitoringConfiguration": {"enabled": false},
        });
        let cases = [
            (json!({}), application.clone()),
            (
                json!({
                    "managedPersistenceMonitoringConfiguration": {"enabled": true},
                    "s3MonitoringConfiguration": {},
                    "cloudWatchLoggingConfiguration": {"enabled": true},
                }),
                json!({
                    "managedPersistenceMonitoringConfiguration": {"enabled": true},
                    "s3MonitoringConfiguration": {},
                    "cloudWatchLoggingConfiguration": {"enabled": true},
                }),
            ),
            (
                json!({"s3MonitoringConfiguration": {"logUri": "s3://logs/job"}}),
                json!({
                    "s3MonitoringConfiguration": {"logUri": "s3://logs/job"},
                    "managedPersistenceMonitoringConfiguration": {"enabled": false},
                }),
            ),
            (
                json!({"managedPersistenceMonitoringConfiguration": {}}),
                json!({
                    "s3MonitoringConfiguration": {"logUri": "s3://logs/app-level", "encryptionKeyArn": "key"},
                    "managedPersistenceMonitoringConfiguration": {},
                }),
            ),
        ];
        for (job, expected) in cases {
            let found = merged(Some(&read(&application)), Some(&read(&job)));
            assert_eq!(found, read(&expected), "{job}");
        }
        assert_eq!(merged(Some(&read(&application)), None), read(&application));
        assert_eq!(merged(None, Some(&read(&application))), read(&application));
    }

    #[test]
    fn merging_is_associative() {
        let uri = |uri| json!({"s3MonitoringConfiguration": {"logUri": uri}});
        let all = [
            json!({}),
            uri("s3://a"),
            uri("s3://b"),
            json!({"s3MonitoringConfiguration": {}}),
            json!({"managedPersistenceMonitoringConfiguration": {"enabled": false}}),
            json!({"managedPersistenceMonitoringConfiguration": {}, "prometheusMonitoringConfiguration": {}}),
            json!({"cloudWatchLoggingConfiguration": {"enabled": false}}),
        ];
        let all: Vec<_> = all.iter().map(read).collect();
        for a in &all {
            for b in &all {
                for c in &all {
                    assert_eq!(over(&over(a, b), c), over(a, &over(b, c)), "{a:?} {b:?} {c:?}");
                }
            }
        }
    }
}
