//! What `CreateApplication` and `UpdateApplication` set alike: laid over an application's document, and checked against
//! what the service model does not state.

use super::applications::core_configurations;
use super::monitoring;
use hearth_api::emr::control_plane::ControlError;
use hearth_api::emr::wire;
use hearth_coordinator_core::configuration;
use hearth_coordinator_core::rules::{Broken, Feature, places};
use hearth_coordinator_core::spark_submit::layers::check_application;
use hearth_coordinator_core::worker_size::{self, DiskType};
use hearth_types::{ApplicationId, Architecture, WorkerSize};
use std::ops::RangeInclusive;

/// Idle minutes before an application stops by itself (guide:1312).
pub(super) const DEFAULT_IDLE_MINUTES: u32 = 15;
/// Job runs at once where a scheduler configuration names no number (model: `SchedulerConfiguration`).
const DEFAULT_CONCURRENT_RUNS: i32 = 15;
/// Minutes in the queue where a scheduler configuration names none (model: `SchedulerConfiguration`).
const DEFAULT_QUEUE_MINUTES: i32 = 360;
/// Job runs at once that can be asked for (guide:2153).
const CONCURRENT_RUNS: RangeInclusive<i32> = 1..=1000;
/// Minutes in the queue that can be asked for (guide:2153).
const QUEUE_MINUTES: RangeInclusive<i32> = 15..=720;
/// Where both requests have their monitoring.
const MONITORING: &str = "monitoringConfiguration";
/// Kinds of workers that a Spark application keeps ready, in any case (guide:1405).
const SPARK_WORKER_TYPES: [&str; 2] = ["DRIVER", "EXECUTOR"];

/// A request to create an application, as the update of one without settings.
pub(super) fn of_creation(
    id: ApplicationId,
    request: wire::CreateApplicationRequest,
) -> wire::UpdateApplicationRequest {
    wire::UpdateApplicationRequest {
        application_id: id,
        client_token: request.client_token,
        initial_capacity: request.initial_capacity,
        maximum_capacity: request.maximum_capacity,
        auto_start_configuration: request.auto_start_configuration,
        auto_stop_configuration: request.auto_stop_configuration,
        network_configuration: request.network_configuration,
        architecture: request.architecture,
        image_configuration: request.image_configuration,
        worker_type_specifications: request.worker_type_specifications,
        interactive_configuration: request.interactive_configuration,
        release_label: Some(request.release_label),
        runtime_configuration: request.runtime_configuration,
        monitoring_configuration: request.monitoring_configuration,
        disk_encryption_configuration: request.disk_encryption_configuration,
        scheduler_configuration: request.scheduler_configuration,
        identity_center_configuration: request.identity_center_configuration,
        job_level_cost_allocation_configuration: request.job_level_cost_allocation_configuration,
    }
}

/// Whether nothing but the scheduler's settings is asked for: the one thing that the service updates in state STARTED
/// (guide:2152).
pub(super) fn is_scheduling_alone(request: &wire::UpdateApplicationRequest) -> bool {
    let given = serde_json::to_value(request).expect("wire structures are JSON");
    let mut members = given.as_object().into_iter().flat_map(|members| members.keys());
    members
        .all(|member| ["applicationId", "clientToken", "schedulerConfiguration"].contains(&member.as_str()))
}

/// Puts what a request names in the place of what a document holds, each member as a whole (guide:1391), with the
/// defaults that the service answers.
pub(super) fn lay_over(document: &mut wire::Application, request: wire::UpdateApplicationRequest) {
    fn put<T>(to: &mut Option<T>, wanted: Option<T>) {
        if wanted.is_some() {
            *to = wanted;
        }
    }
    if let Some(label) = request.release_label {
        document.release_label = label;
    }
    put(&mut document.initial_capacity, request.initial_capacity);
    put(&mut document.maximum_capacity, request.maximum_capacity);
    put(
        &mut document.auto_start_configuration,
        request
            .auto_start_configuration
            .map(|auto| wire::AutoStartConfig { enabled: auto.enabled.or(Some(true)) }),
    );
    put(
        &mut document.auto_stop_configuration,
        request.auto_stop_configuration.map(|auto| wire::AutoStopConfig {
            enabled: auto.enabled.or(Some(true)),
            idle_timeout_minutes: auto.idle_timeout_minutes.or(Some(DEFAULT_IDLE_MINUTES)),
        }),
    );
    put(&mut document.network_configuration, request.network_configuration);
    put(&mut document.architecture, request.architecture);
    put(&mut document.interactive_configuration, request.interactive_configuration);
    put(&mut document.runtime_configuration, request.runtime_configuration);
    put(&mut document.monitoring_configuration, request.monitoring_configuration);
    put(&mut document.disk_encryption_configuration, request.disk_encryption_configuration);
    put(
        &mut document.scheduler_configuration,
        request.scheduler_configuration.map(|scheduler| wire::SchedulerConfiguration {
            queue_timeout_minutes: scheduler.queue_timeout_minutes.or(Some(DEFAULT_QUEUE_MINUTES)),
            max_concurrent_runs: scheduler.max_concurrent_runs.or(Some(DEFAULT_CONCURRENT_RUNS)),
        }),
    );
    put(
        &mut document.job_level_cost_allocation_configuration,
        request.job_level_cost_allocation_configuration,
    );
}

/// Everything that is wrong with what a request asks for by itself: what has not the form that it must have, and what this
/// version cannot do, since job runs that were accepted all the same would run without it.
pub(super) fn faults_of_request(request: &wire::UpdateApplicationRequest) -> Vec<String> {
    let names_image = |image: &Option<wire::ImageConfigurationInput>| {
        image.as_ref().is_some_and(|image| image.image_uri.is_some())
    };
    let mut faults = Vec::new();
    if names_image(&request.image_configuration) {
        faults
            .push("imageConfiguration.imageUri: custom images are not supported by this version.".to_owned());
    }
    for (kind, specification) in request.worker_type_specifications.iter().flatten() {
        faults.extend(check_worker_type("workerTypeSpecifications", kind));
        if names_image(&specification.image_configuration) {
            faults.push(format!(
                "workerTypeSpecifications.{kind}.imageConfiguration.imageUri: custom images are not supported by this version."
            ));
        }
    }
    if request.identity_center_configuration.as_ref().is_some_and(|identity| {
        identity.identity_center_instance_arn.is_some()
            || identity.user_background_sessions_enabled == Some(true)
    }) {
        faults.push(
            "identityCenterConfiguration: IAM Identity Center is not supported by this version.".to_owned(),
        );
    }
    if let Some(network) = &request.network_configuration {
        check_network(network, &mut faults);
    }
    if let Some(monitoring) = &request.monitoring_configuration {
        faults.extend(monitoring::faults(MONITORING, monitoring));
    }
    faults
}

fn check_network(network: &wire::NetworkConfiguration, faults: &mut Vec<String>) {
    type Check = fn(&str, &str) -> Result<(), Broken>;
    let lists: [(&str, &Option<Vec<String>>, Check); 2] = [
        ("subnetIds", &network.subnet_ids, places::check_subnet),
        ("securityGroupIds", &network.security_group_ids, places::check_security_group),
    ];
    for (member, ids, check) in lists {
        for (place, id) in ids.iter().flatten().enumerate() {
            let member = format!("networkConfiguration.{member}[{place}]");
            faults.extend(check(&member, id).err().map(|broken| broken.to_string()));
        }
    }
}

/// The fault of a kind of worker that Spark applications do not have.
fn check_worker_type(member: &str, kind: &str) -> Option<String> {
    let is_known = SPARK_WORKER_TYPES.iter().any(|known| known.eq_ignore_ascii_case(kind));
    (!is_known)
        .then(|| format!("{member}.{kind} is not a worker type of a Spark application: DRIVER or EXECUTOR."))
}

/// Everything that is wrong with a document, its release aside.
pub(super) fn faults(document: &wire::Application) -> Vec<String> {
    let mut faults = Vec::new();
    let configurations = core_configurations(document.runtime_configuration.as_deref().unwrap_or_default());
    if let Err(broken) = configuration::check(&configurations) {
        faults.extend(broken.iter().map(ToString::to_string));
    }
    let broken = check_application(&document.release_label, &configurations);
    faults.extend(broken.iter().map(ToString::to_string));
    check_features(document, &mut faults);
    check_scheduler(document, &mut faults);
    check_capacity(document, &mut faults);
    faults
}

/// Checks that the release has what the document asks for.
fn check_features(document: &wire::Application, faults: &mut Vec<String>) {
    let release = document.release_label.as_str();
    let mut check = |feature: Feature, wanted: &str| {
        faults.extend(feature.check(wanted, release).err().map(|fault| fault.to_string()));
    };
    if document.architecture == Some(Architecture::Arm64) {
        check(Feature::Arm64, "architecture ARM64");
    }
    if let Some(interactive) = &document.interactive_configuration {
        for (member, asked) in [
            ("interactiveConfiguration.studioEnabled", interactive.studio_enabled),
            ("interactiveConfiguration.livyEndpointEnabled", interactive.livy_endpoint_enabled),
        ] {
            if asked == Some(true) {
                check(Feature::InteractiveEndpoints, member);
            }
        }
    }
    for (kind, capacity) in document.initial_capacity.iter().flatten() {
        let disk = capacity.worker_configuration.as_ref().and_then(|worker| worker.disk_type.as_deref());
        if disk.and_then(|disk| disk.parse().ok()) == Some(DiskType::ShuffleOptimized) {
            let wanted = format!("initialCapacity.{kind}.workerConfiguration.diskType SHUFFLE_OPTIMIZED");
            check(Feature::ShuffleOptimizedDisks, &wanted);
        }
    }
    if let Some(monitoring) = &document.monitoring_configuration {
        let checked = monitoring::check_release(MONITORING, monitoring, release);
        faults.extend(checked.err().map(|fault| fault.to_string()));
    }
}

fn check_scheduler(document: &wire::Application, faults: &mut Vec<String>) {
    let Some(scheduler) = &document.scheduler_configuration else { return };
    let mut check = |member: &str, value: Option<i32>, range: RangeInclusive<i32>| {
        if let Some(value) = value.filter(|value| !range.contains(value)) {
            let (from, to) = range.into_inner();
            faults.push(format!(
                "schedulerConfiguration.{member} must be between {from} and {to}, got {value}."
            ));
        }
    };
    check("maxConcurrentRuns", scheduler.max_concurrent_runs, CONCURRENT_RUNS);
    check("queueTimeoutMinutes", scheduler.queue_timeout_minutes, QUEUE_MINUTES);
}

fn check_capacity(document: &wire::Application, faults: &mut Vec<String>) {
    let limit = match document.maximum_capacity.as_ref().map(maximum_capacity).transpose() {
        Ok(limit) => limit,
        Err(fault) => {
            faults.push(fault);
            None
        }
    };
    let mut total = WorkerSize::default();
    for (kind, capacity) in document.initial_capacity.iter().flatten() {
        faults.extend(check_worker_type("initialCapacity", kind));
        match capacity.worker_configuration.as_ref().map(worker_size).transpose() {
            Ok(size) => {
                let size = size.unwrap_or(DEFAULT_WORKER);
                total = total.plus(&times(&size, capacity.worker_count));
            }
            Err(fault) => {
                faults.push(format!("initialCapacity.{kind}.workerConfiguration: {fault}."));
            }
        }
    }
    if limit.is_some_and(|limit| !total.fits(&limit)) {
        faults.push(format!("initialCapacity needs {total}, which is more than maximumCapacity."));
    }
}

/// A worker whose size nobody named (guide:2913-2918).
const DEFAULT_WORKER: WorkerSize = WorkerSize { cpu_millis: 4_000, memory_mib: 16_384, disk_gib: 20 };

fn times(size: &WorkerSize, count: u64) -> WorkerSize {
    WorkerSize {
        cpu_millis: size.cpu_millis.saturating_mul(count),
        memory_mib: size.memory_mib.saturating_mul(count),
        disk_gib: size.disk_gib.saturating_mul(count),
    }
}

fn worker_size(worker: &wire::WorkerResourceConfig) -> Result<WorkerSize, worker_size::UnsupportedSize> {
    worker_size::from_api(&worker.cpu, &worker.memory, worker.disk.as_deref(), worker.disk_type.as_deref())
}

/// Reads `400 vCPU`, `1024 GB`, `1000 GB`; the disk is unlimited when it is absent.
pub(super) fn maximum_capacity(limit: &wire::MaximumAllowedResources) -> Result<WorkerSize, String> {
    let number = |member: &str, text: &str, unit: &str| {
        worker_size::amount(text, &unit.to_ascii_lowercase())
            .map_err(|_| format!("maximumCapacity.{member} must be a whole number of {unit}, got {text:?}."))
    };
    let disk = limit.disk.as_deref().map(|disk| number("disk", disk, "GB")).transpose()?;
    Ok(WorkerSize {
        cpu_millis: number("cpu", &limit.cpu, "vCPU")?.saturating_mul(1000),
        memory_mib: number("memory", &limit.memory, "GB")?.saturating_mul(1024),
        disk_gib: disk.unwrap_or(u64::MAX),
    })
}

/// All faults in one message, as the service numbers them.
pub(super) fn refuse(faults: &[String]) -> Result<(), ControlError> {
    match faults {
        [] => Ok(()),
        [fault] => Err(ControlError::Validation { message: fault.clone() }),
        several => Err(ControlError::Validation {
            message: format!("{} validation errors detected: {}", several.len(), several.join("; ")),
        }),
    }
}
