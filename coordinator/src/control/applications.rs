//! Applications: from the API's request to the core's value, and back to the API's document.

use super::refusals::{in_service_words, no_application};
use super::{Control, paging, tags};
use hearth_api::emr::control_plane::{
    ApplicationFilter, Caller, ControlError, Listing, Page, TaggedResource,
};
use hearth_api::emr::wire;
use hearth_coordinator_core::application::Application;
use hearth_coordinator_core::command::{ClientToken, Command, Reply};
use hearth_coordinator_core::configuration::{self, Configuration};
use hearth_coordinator_core::spark_submit::layers::check_application;
use hearth_engine::{fresh_application_id, now};
use hearth_store::ApplicationRecord;
use hearth_types::{ApplicationId, ApplicationState, ReleaseLabel, Timestamp, WorkerSize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Idle minutes before an application stops by itself (guide:1312).
const DEFAULT_IDLE_MINUTES: u32 = 15;

impl Control {
    pub(super) async fn create_application(
        &self,
        _caller: &Caller,
        request: wire::CreateApplicationRequest,
    ) -> Result<wire::CreateApplicationResponse, ControlError> {
        let token = ClientToken {
            scope: "applications".to_owned(),
            token: request.client_token.clone(),
            digest: request.payload_digest(),
        };
        let id = fresh_application_id();
        let document = self.new_document(id.clone(), request, now())?;
        let application = core_application(&document)?;
        let name = document.name.clone();
        let document = serde_json::to_value(&document).map_err(ControlError::internal)?;
        let command = Command::CreateApplication { application, document, token };
        match self.engine.ask(command).await.map_err(in_service_words)? {
            Reply::Application(id) => Ok(wire::CreateApplicationResponse {
                arn: self.site.application_arn(&id),
                application_id: id,
                name,
            }),
            Reply::Done | Reply::JobRun(_) => Err(unexpected_reply()),
        }
    }

    /// The document of a new application, checked against what the model does not state; defaults filled in as the
    /// service answers them.
    fn new_document(
        &self,
        id: ApplicationId,
        request: wire::CreateApplicationRequest,
        at: Timestamp,
    ) -> Result<wire::Application, ControlError> {
        if !request.engine_type.eq_ignore_ascii_case("spark") {
            return Err(ControlError::Validation {
                message: format!(
                    "type {:?} is not supported by this version; supported: Spark.",
                    request.engine_type
                ),
            });
        }
        self.check_release(&request.release_label)?;
        tags::check(request.tags.as_ref().unwrap_or(&BTreeMap::new()))?;
        check_configurations(request.runtime_configuration.as_deref().unwrap_or_default())?;
        let auto_start = request.auto_start_configuration.unwrap_or_default();
        let auto_stop = request.auto_stop_configuration.unwrap_or_default();
        Ok(wire::Application {
            arn: self.site.application_arn(&id),
            application_id: id,
            name: request.name,
            release_label: request.release_label,
            engine_type: "Spark".to_owned(),
            state: ApplicationState::Created,
            state_details: None,
            initial_capacity: request.initial_capacity,
            maximum_capacity: request.maximum_capacity,
            created_at: at,
            updated_at: at,
            tags: Some(request.tags.unwrap_or_default()),
            auto_start_configuration: Some(wire::AutoStartConfig {
                enabled: Some(auto_start.enabled.unwrap_or(true)),
            }),
            auto_stop_configuration: Some(wire::AutoStopConfig {
                enabled: Some(auto_stop.enabled.unwrap_or(true)),
                idle_timeout_minutes: Some(auto_stop.idle_timeout_minutes.unwrap_or(DEFAULT_IDLE_MINUTES)),
            }),
            network_configuration: request.network_configuration,
            architecture: Some(request.architecture.unwrap_or_default()),
            image_configuration: None,
            worker_type_specifications: None,
            runtime_configuration: request.runtime_configuration,
            monitoring_configuration: request.monitoring_configuration,
            disk_encryption_configuration: request.disk_encryption_configuration,
            interactive_configuration: request.interactive_configuration,
            scheduler_configuration: request.scheduler_configuration,
            identity_center_configuration: None,
            job_level_cost_allocation_configuration: request.job_level_cost_allocation_configuration,
        })
    }

    pub(super) fn check_release(&self, label: &str) -> Result<ReleaseLabel, ControlError> {
        let known = self.catalog.get(label).is_ok();
        ReleaseLabel::new(label).ok().filter(|_| known).ok_or_else(|| {
            let labels: Vec<&str> = self.catalog.labels().collect();
            ControlError::Validation {
                message: format!(
                    "Release label {label:?} is not available; available: {}.",
                    labels.join(", ")
                ),
            }
        })
    }

    pub(super) async fn application_record(
        &self,
        id: &ApplicationId,
    ) -> Result<ApplicationRecord, ControlError> {
        let found = self.store.application(id).await.map_err(ControlError::internal)?;
        found.ok_or_else(|| no_application(id))
    }

    pub(super) async fn show_application(
        &self,
        id: &ApplicationId,
    ) -> Result<wire::Application, ControlError> {
        let mut application = view(self.application_record(id).await?)?;
        self.lay_over_tags(TaggedResource::Application(id.clone()), &mut application.tags).await?;
        Ok(application)
    }

    pub(super) async fn list_applications(
        &self,
        filter: ApplicationFilter,
        page: Page,
    ) -> Result<Listing<wire::ApplicationSummary>, ControlError> {
        let after = paging::cursor(&page)?;
        let records = self
            .store
            .applications(&filter.states, after.as_ref(), paging::one_more(page.limit))
            .await
            .map_err(ControlError::internal)?;
        let (records, next) = paging::cut(records, page.limit, |record| {
            (record.application.created_at, record.application.id.to_string())
        });
        let items = records.into_iter().map(|record| view(record).map(summary)).collect::<Result<_, _>>()?;
        Ok(Listing { items, next })
    }

    pub(super) async fn update_application(
        &self,
        request: wire::UpdateApplicationRequest,
    ) -> Result<wire::Application, ControlError> {
        self.show_application(&request.application_id).await?;
        Err(ControlError::Validation {
            message:
                "UpdateApplication is not served by this version; delete the application and create it anew."
                    .to_owned(),
        })
    }

    pub(super) async fn start_application(&self, id: &ApplicationId) -> Result<(), ControlError> {
        self.done(Command::StartApplication(id.clone())).await
    }

    pub(super) async fn stop_application(&self, id: &ApplicationId) -> Result<(), ControlError> {
        self.done(Command::StopApplication(id.clone())).await
    }

    pub(super) async fn delete_application(&self, id: &ApplicationId) -> Result<(), ControlError> {
        self.done(Command::DeleteApplication(id.clone())).await
    }

    pub(super) async fn done(&self, command: Command) -> Result<(), ControlError> {
        self.engine.ask(command).await.map(|_| ()).map_err(in_service_words)
    }
}

pub(super) fn unexpected_reply() -> ControlError {
    ControlError::internal("the engine answered something else than was asked")
}

/// The stored document with what changed since laid over it.
pub(super) fn view(record: ApplicationRecord) -> Result<wire::Application, ControlError> {
    let mut document: wire::Application =
        serde_json::from_value(record.document).map_err(ControlError::internal)?;
    document.state = record.application.state;
    document.state_details = Some(record.application.details);
    document.updated_at = record.application.updated_at;
    Ok(document)
}

fn summary(application: wire::Application) -> wire::ApplicationSummary {
    wire::ApplicationSummary {
        id: application.application_id,
        name: application.name,
        arn: application.arn,
        release_label: application.release_label,
        engine_type: application.engine_type,
        state: application.state,
        state_details: application.state_details,
        created_at: application.created_at,
        updated_at: application.updated_at,
        architecture: application.architecture,
    }
}

fn core_application(document: &wire::Application) -> Result<Application, ControlError> {
    let scheduler = document.scheduler_configuration.clone().unwrap_or_default();
    let auto_stop = document.auto_stop_configuration.clone().unwrap_or_default();
    let minutes = u64::from(auto_stop.idle_timeout_minutes.unwrap_or(DEFAULT_IDLE_MINUTES));
    Ok(Application {
        id: document.application_id.clone(),
        release: ReleaseLabel::new(document.release_label.clone()).map_err(ControlError::internal)?,
        architecture: document.architecture.unwrap_or_default(),
        state: ApplicationState::Created,
        details: String::new(),
        auto_start: document.auto_start_configuration.as_ref().and_then(|auto| auto.enabled).unwrap_or(true),
        idle_timeout: auto_stop.enabled.unwrap_or(true).then(|| Duration::from_secs(minutes * 60)),
        idle_since: document.created_at,
        maximum_capacity: document.maximum_capacity.as_ref().map(maximum_capacity).transpose()?,
        concurrency: scheduler.max_concurrent_runs.and_then(|runs| u32::try_from(runs).ok()),
        created_at: document.created_at,
        updated_at: document.created_at,
    })
}

/// Reads `400 vCPU`, `1024 GB`, `1000 GB`; the disk is unlimited when it is absent.
fn maximum_capacity(limit: &wire::MaximumAllowedResources) -> Result<WorkerSize, ControlError> {
    let number = |member: &str, text: &str, unit: &str| {
        let digits = text.trim();
        let split = digits.len().saturating_sub(unit.len());
        let has_unit = digits.get(split..).is_some_and(|tail| tail.eq_ignore_ascii_case(unit));
        let digits = if has_unit { &digits[..split] } else { digits };
        digits.trim().parse::<u64>().map_err(|_| ControlError::Validation {
            message: format!("maximumCapacity.{member} must be a whole number of {unit}, got {text:?}"),
        })
    };
    let disk = limit.disk.as_deref().map(|disk| number("disk", disk, "GB")).transpose()?;
    Ok(WorkerSize {
        cpu_millis: number("cpu", &limit.cpu, "vCPU")?.saturating_mul(1000),
        memory_mib: number("memory", &limit.memory, "GB")?.saturating_mul(1024),
        disk_gib: disk.unwrap_or(u64::MAX),
    })
}

/// The API's configurations as the core's.
pub(super) fn core_configurations(configurations: &[wire::Configuration]) -> Vec<Configuration> {
    configurations
        .iter()
        .map(|configuration| Configuration {
            classification: configuration.classification.clone(),
            properties: configuration.properties.clone().unwrap_or_default(),
            configurations: core_configurations(configuration.configurations.as_deref().unwrap_or_default()),
        })
        .collect()
}

fn check_configurations(configurations: &[wire::Configuration]) -> Result<(), ControlError> {
    let configurations = core_configurations(configurations);
    let invalid = |faults: Vec<String>| ControlError::Validation { message: faults.join("; ") };
    configuration::check(&configurations)
        .map_err(|faults| invalid(faults.iter().map(ToString::to_string).collect()))?;
    check_application(&configurations)
        .map_err(|faults| invalid(faults.iter().map(ToString::to_string).collect()))
}
