//! Applications: from the API's request to the core's value, and back to the API's document.

use super::refusals::{in_service_words, no_application};
use super::settings::{self, DEFAULT_IDLE_MINUTES};
use super::{Control, paging, tags};
use hearth_api::emr::control_plane::{
    ApplicationFilter, Caller, ControlError, Listing, Page, TaggedResource,
};
use hearth_api::emr::wire;
use hearth_coordinator_core::application::{Application, UpdatableIn};
use hearth_coordinator_core::command::{ClientToken, Command, Refusal, Reply};
use hearth_coordinator_core::configuration::Configuration;
use hearth_engine::{EngineError, fresh_application_id, now};
use hearth_releases::Catalog;
use hearth_store::ApplicationRecord;
use hearth_types::{ApplicationId, ApplicationState, Architecture, ReleaseLabel, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// Updates of the same application that one may lose against: each time somebody else's came through.
const TRIES: usize = 32;

/// Which updates of an application are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Updates {
    /// Those that the service carries out: in CREATED and STOPPED; in STARTED of the scheduler's settings alone.
    Strict,
    /// In STARTED any.
    WhileStarted,
}

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
        let mut faults = Vec::new();
        if !request.engine_type.eq_ignore_ascii_case("spark") {
            let kind = &request.engine_type;
            faults.push(format!("type {kind:?} is not supported by this version; supported: Spark."));
        }
        if let Err(fault) = tags::check(request.tags.as_ref().unwrap_or(&BTreeMap::new())) {
            faults.push(fault.to_string());
        }
        let mut document = wire::Application {
            arn: self.site.application_arn(&id),
            application_id: id.clone(),
            name: request.name.clone(),
            release_label: request.release_label.clone(),
            engine_type: "Spark".to_owned(),
            state: ApplicationState::Created,
            state_details: None,
            initial_capacity: None,
            maximum_capacity: None,
            created_at: at,
            updated_at: at,
            tags: Some(request.tags.clone().unwrap_or_default()),
            auto_start_configuration: None,
            auto_stop_configuration: None,
            network_configuration: None,
            architecture: Some(Architecture::default()),
            image_configuration: None,
            worker_type_specifications: None,
            runtime_configuration: None,
            monitoring_configuration: None,
            disk_encryption_configuration: None,
            interactive_configuration: None,
            scheduler_configuration: None,
            identity_center_configuration: None,
            job_level_cost_allocation_configuration: None,
        };
        let mut wanted = settings::of_creation(id, request);
        wanted.auto_start_configuration.get_or_insert_default();
        wanted.auto_stop_configuration.get_or_insert_default();
        self.set(&mut document, wanted, faults)?;
        Ok(document)
    }

    /// Lays what a request sets over a document, unless something is wrong with it: all of that is told, after `faults`.
    fn set(
        &self,
        document: &mut wire::Application,
        wanted: wire::UpdateApplicationRequest,
        mut faults: Vec<String>,
    ) -> Result<(), ControlError> {
        if let Some(Err(fault)) = wanted.release_label.as_deref().map(|label| self.check_release(label)) {
            faults.push(fault.to_string());
        }
        faults.extend(settings::faults_of_request(&wanted));
        settings::lay_over(document, wanted);
        faults.extend(settings::faults(document));
        settings::refuse(&faults)
    }

    pub(super) fn check_release(&self, label: &str) -> Result<ReleaseLabel, ControlError> {
        available_release(&self.catalog, label).map_err(|message| ControlError::Validation { message })
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

    /// Changes an application's settings; job runs that were submitted keep those that they were submitted under.
    pub(super) async fn update_application(
        &self,
        request: wire::UpdateApplicationRequest,
    ) -> Result<wire::Application, ControlError> {
        let id = request.application_id.clone();
        let states = match self.updates {
            Updates::Strict if !settings::is_scheduling_alone(&request) => UpdatableIn::AtRest,
            Updates::Strict | Updates::WhileStarted => UpdatableIn::AtRestOrStarted,
        };
        let token = ClientToken {
            scope: format!("{id}/updates"),
            token: request.client_token.clone(),
            digest: request.payload_digest(),
        };
        let mut tries = TRIES;
        loop {
            let record = self.application_record(&id).await?;
            if record.application.state == ApplicationState::Terminated {
                return Err(no_application(&id));
            }
            let revision = record.application.revision;
            let mut document: wire::Application = record.document.read().map_err(ControlError::internal)?;
            self.set(&mut document, request.clone(), Vec::new())?;
            let application = Application { revision, ..core_application(&document)? };
            let document = serde_json::to_value(&document).map_err(ControlError::internal)?;
            let token = token.clone();
            match self.engine.ask(Command::UpdateApplication { application, document, token, states }).await {
                Ok(_) => return self.show_application(&id).await,
                Err(EngineError::Refused(Refusal::UpdatedMeanwhile(_))) if tries > 1 => tries -= 1,
                Err(error) => return Err(in_service_words(error)),
            }
        }
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

/// A label whose bundle can be built, or what is wrong with it.
fn available_release(catalog: &Catalog, label: &str) -> Result<ReleaseLabel, String> {
    let fault = match catalog.get(label) {
        Ok(_) => match ReleaseLabel::new(label) {
            Ok(label) => return Ok(label),
            Err(error) => error.to_string(),
        },
        Err(hearth_releases::Error::NotBuildable { reason, .. }) => {
            format!("Release label {label:?} exists, but cannot be built here: {reason}")
        }
        Err(_) => format!("Release label {label:?} is not available"),
    };
    let available = catalog.buildable().collect::<Vec<_>>().join(", ");
    Err(format!("{}; available: {available}.", fault.trim_end_matches('.')))
}

pub(super) fn unexpected_reply() -> ControlError {
    ControlError::internal("the engine answered something else than was asked")
}

/// The stored document with what changed since laid over it.
pub(super) fn view(record: ApplicationRecord) -> Result<wire::Application, ControlError> {
    let mut document: wire::Application = record.document.read().map_err(ControlError::internal)?;
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
        maximum_capacity: document
            .maximum_capacity
            .as_ref()
            .map(settings::maximum_capacity)
            .transpose()
            .map_err(ControlError::internal)?,
        concurrency: scheduler.max_concurrent_runs.and_then(|runs| u32::try_from(runs).ok()),
        queue_timeout: scheduler
            .queue_timeout_minutes
            .and_then(|minutes| u64::try_from(minutes).ok())
            .map(|minutes| Duration::from_secs(minutes * 60)),
        revision: 0,
        created_at: document.created_at,
        updated_at: document.created_at,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_exists_but_cannot_be_built_is_refused_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let labels = "[[label]]\nlabel = \"emr-8.0.0\"\nspark = \"4.0.0\"\nmissing = \"It needs JDK 21.\"";
        std::fs::write(dir.path().join("labels.toml"), labels).unwrap();
        std::fs::copy(
            concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/releases/emr-7.6.0.toml"),
            dir.path().join("emr-7.6.0.toml"),
        )
        .unwrap();
        let catalog = Catalog::load(dir.path()).unwrap();
        assert_eq!(available_release(&catalog, "emr-7.6.0").unwrap().as_str(), "emr-7.6.0");
        for (label, told) in [
            (
                "emr-8.0.0",
                "Release label \"emr-8.0.0\" exists, but cannot be built here: It needs JDK 21; available: emr-7.6.0.",
            ),
            ("emr-5.36.0", "Release label \"emr-5.36.0\" is not available; available: emr-7.6.0."),
        ] {
            assert_eq!(available_release(&catalog, label).unwrap_err(), told);
        }
    }
}
