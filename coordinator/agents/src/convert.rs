//! Between the wire's messages and the core's values. A message is turned into values once, here.

use hearth_coordinator_core::agent::{Agent, Contact, Standing};
use hearth_coordinator_core::command::{DriverWord, News, Report, ReportState};
use hearth_coordinator_core::job_run::{DriverApp, ExecutorProfile};
use hearth_coordinator_core::worker::Exit;
use hearth_engine::DriverProgress;
use hearth_proto::v1;
use hearth_types::{AgentId, Launch, WorkerId, WorkerSize};
use std::collections::BTreeSet;
use std::time::Duration;

/// Why a message is not understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error(transparent)]
    Id(#[from] hearth_types::IdError),
    #[error(transparent)]
    Architecture(#[from] hearth_types::UnknownArchitecture),
    #[error("progress is not readable: {0}")]
    Progress(#[from] serde_json::Error),
    #[error("executor id {0:?} is not a number")]
    Executor(String),
}

pub(crate) fn launch(launch: Option<v1::Launch>) -> Result<Launch, Malformed> {
    let launch = launch.ok_or(Malformed::Missing("launch"))?;
    Ok(Launch { attempt: launch.attempt, launch: launch.launch })
}

pub(crate) fn to_launch(launch: Launch) -> v1::Launch {
    v1::Launch { attempt: launch.attempt, launch: launch.launch }
}

pub(crate) fn to_size(size: WorkerSize) -> v1::WorkerSize {
    v1::WorkerSize { cpu_millis: size.cpu_millis, memory_mib: size.memory_mib, disk_gib: size.disk_gib }
}

pub(crate) fn agent(id: AgentId, inventory: v1::Inventory) -> Result<Agent, Malformed> {
    let offered = inventory.offered.ok_or(Malformed::Missing("offered"))?;
    Ok(Agent {
        id,
        host_name: inventory.host_name,
        architecture: inventory.architecture.parse()?,
        offered: WorkerSize {
            cpu_millis: offered.cpu_millis,
            memory_mib: offered.memory_mib,
            disk_gib: offered.disk_gib,
        },
        worker_address: inventory.worker_address,
        java: inventory.java.iter().map(|java| java.major).collect(),
        contact: Contact::Attached,
        standing: Standing::InService,
        extension: None,
        leftovers: BTreeSet::new(),
    })
}

pub(crate) fn report(report: v1::WorkerReport) -> Result<Report, Malformed> {
    let state = match report.state.ok_or(Malformed::Missing("state"))? {
        v1::worker_report::State::Preparing(preparing) => ReportState::Preparing { step: preparing.step },
        v1::worker_report::State::Running(_) => ReportState::Running,
        v1::worker_report::State::Ended(ended) => ReportState::Ended(exit(ended)),
    };
    Ok(Report { worker: WorkerId::new(report.worker_id)?, launch: launch(report.launch)?, state })
}

fn exit(ended: v1::Ended) -> Exit {
    // Neither the job nor the engine is to blame for what host and agent did.
    let host_fault = match ended.agent_cause.as_str() {
        "no-launch" => Some(format!("the host could not start it: {}", ended.launch_error)),
        "lost" => Some("the host lost its process".to_owned()),
        "outdated" => Some("its host held an outdated launch".to_owned()),
        _ => None,
    };
    Exit {
        code: ended.exit_code,
        signal: ended.signal,
        oom_killed: ended.oom_killed,
        launch_error: ended.launch_error,
        error_class: ended.error_class,
        error_message: ended.error_message,
        log_failures: ended.log_failures,
        ran: ended.ran_ms.map(Duration::from_millis),
        host_fault,
    }
}

/// What a driver says: a word for the engine, or progress for people.
pub(crate) enum Said {
    Word(DriverWord),
    Progress(DriverProgress),
}

pub(crate) fn said(message: v1::driver_message::Message) -> Result<Said, Malformed> {
    use v1::driver_message::Message;
    Ok(Said::Word(match message {
        Message::RegisterApp(app) => DriverWord::Registered(DriverApp {
            app_id: app.app_id,
            driver_url: app.driver_url,
            ui_port: u16::try_from(app.ui_port).unwrap_or(0),
            executor_java_opts: app.executor_java_opts,
            executor_env: app.executor_env.into_iter().collect(),
            executor_properties: app.executor_properties.into_iter().collect(),
            executor_class_path: app.executor_class_path,
        }),
        Message::SetTarget(target) => DriverWord::Wants(target.profiles.into_iter().map(profile).collect()),
        Message::KillExecutors(kill) => {
            let number = |id: String| id.parse().map_err(|_| Malformed::Executor(id));
            DriverWord::GivesBack(kill.executor_ids.into_iter().map(number).collect::<Result<_, _>>()?)
        }
        Message::UnregisterApp(v1::UnregisterApp {}) => DriverWord::Unregistered,
        Message::Progress(progress) => return Ok(Said::Progress(serde_json::from_str(&progress.json)?)),
    }))
}

fn profile(profile: v1::ExecutorProfile) -> ExecutorProfile {
    ExecutorProfile {
        profile_id: profile.profile_id,
        count: profile.count,
        cores: profile.cores,
        heap_mib: profile.heap_mib,
        total_mib: profile.total_mib,
    }
}

pub(crate) fn to_news(news: News) -> v1::executor_news::News {
    match news {
        News::Launched { executor, host } => v1::executor_news::News::Launched(v1::ExecutorLaunched {
            executor_id: executor.to_string(),
            host,
        }),
        News::Exited { executor, code, caused_by_app, reason } => {
            v1::executor_news::News::Exited(v1::ExecutorExited {
                executor_id: executor.to_string(),
                exit_code: code,
                caused_by_app,
                reason,
            })
        }
    }
}
