//! `hearth agent`: the hosts of a cluster.

use super::arguments::{Agent, AgentRef};
use super::endpoint::{Endpoint, Request, segment};
use super::error::CliError;
use super::{connection, screen};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;

/// Signing name: hearth's own pages take any.
const SERVICE: &str = "emr-serverless";

/// An agent, as the endpoint tells of it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    host_name: String,
    worker_address: String,
    standing: String,
    contact: String,
    silent_seconds: Option<u64>,
    offered: Size,
    booked: Size,
    worker_count: u64,
    /// In a description alone.
    #[serde(default)]
    workers: Vec<Worker>,
    /// What else there is, for `--json`.
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Size {
    v_cpu: f64,
    memory_gb: f64,
    disk_gb: u64,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Worker {
    id: String,
    kind: String,
    application_id: String,
    job_run_id: String,
    attempt: u32,
    created_at: f64,
}

#[derive(Deserialize)]
struct Rows {
    agents: Vec<Row>,
}

/// Does what was asked.
pub(super) async fn agent(
    verb: &Agent,
    data_dir: Option<&Path>,
    endpoint: impl FnOnce() -> Result<Endpoint, CliError>,
) -> Result<(), CliError> {
    match verb {
        Agent::JoinToken => join_token(data_dir).await,
        Agent::List(options) => list(&endpoint()?, options.json).await,
        Agent::Describe { agent, json } => {
            let row = ask(&endpoint()?, "GetAgent", Method::GET, &segment(&agent.agent)).await?;
            if *json { screen::json(&row) } else { describe(&row) }
        }
        Agent::Drain(agent) => change(&endpoint()?, "DrainAgent", agent, "drain").await,
        Agent::Undrain(agent) => change(&endpoint()?, "UndrainAgent", agent, "undrain").await,
        Agent::Revoke(agent) => change(&endpoint()?, "RevokeAgent", agent, "revoke").await,
    }
}

async fn join_token(data_dir: Option<&Path>) -> Result<(), CliError> {
    let invited = crate::enrolment::invite(&connection::data_dir(data_dir)).await;
    let invitation = invited.map_err(CliError::Daemon)?;
    screen::line(&invitation.token)?;
    screen::note(&format!(
        "on the host that joins: hearth-agent join --coordinator HOST:{} --token TOKEN --ca-fingerprint {}",
        invitation.enrolment_port, invitation.ca_fingerprint
    ));
    Ok(())
}

async fn list(endpoint: &Endpoint, as_json: bool) -> Result<(), CliError> {
    let request = Request::new(SERVICE, "ListAgents", Method::GET, "/hearth/v1/agents".to_owned());
    let Rows { agents } = endpoint.send(request).await?.json().await?;
    if as_json {
        return screen::json(&json!({ "agents": agents }));
    }
    if agents.is_empty() {
        return screen::line("no agents; `hearth agent join-token` lets a host join");
    }
    let mut table =
        screen::table(["AGENT", "HOST", "ADDRESS", "STANDING", "CONTACT", "WORKERS", "VCPU", "MEMORY"]);
    for row in &agents {
        table.add_row([
            row.id.clone(),
            row.host_name.clone(),
            row.worker_address.clone(),
            row.standing.clone(),
            contact(row),
            row.worker_count.to_string(),
            format!("{} of {}", row.booked.v_cpu, row.offered.v_cpu),
            format!("{} of {} GB", row.booked.memory_gb, row.offered.memory_gb),
        ]);
    }
    screen::print_table(&table)
}

fn contact(row: &Row) -> String {
    match row.silent_seconds {
        Some(seconds) => format!("{} for {seconds} s", row.contact),
        None => row.contact.clone(),
    }
}

fn describe(row: &Row) -> Result<(), CliError> {
    for (name, value) in [
        ("agent", row.id.clone()),
        ("host", row.host_name.clone()),
        ("address", row.worker_address.clone()),
        ("standing", row.standing.clone()),
        ("contact", contact(row)),
        ("vCPU", format!("{} of {}", row.booked.v_cpu, row.offered.v_cpu)),
        ("memory", format!("{} of {} GB", row.booked.memory_gb, row.offered.memory_gb)),
        ("disk", format!("{} of {} GB", row.booked.disk_gb, row.offered.disk_gb)),
    ] {
        screen::line(&format!("{name:<9} {value}"))?;
    }
    if row.workers.is_empty() {
        return screen::line("workers   none");
    }
    screen::line("")?;
    let mut table = screen::table(["WORKER", "KIND", "JOB RUN", "ATTEMPT", "APPLICATION"]);
    for worker in &row.workers {
        table.add_row([
            worker.id.clone(),
            worker.kind.clone(),
            worker.job_run_id.clone(),
            worker.attempt.to_string(),
            worker.application_id.clone(),
        ]);
    }
    screen::print_table(&table)
}

async fn change(
    endpoint: &Endpoint,
    operation: &'static str,
    agent: &AgentRef,
    verb: &str,
) -> Result<(), CliError> {
    let path = format!("{}/{verb}", segment(&agent.agent));
    let row = ask(endpoint, operation, Method::POST, &path).await?;
    screen::line(&format!("{} is {}, with {} workers", row.id, row.standing, row.worker_count))
}

async fn ask(
    endpoint: &Endpoint,
    operation: &'static str,
    method: Method,
    path: &str,
) -> Result<Row, CliError> {
    let request = Request::new(SERVICE, operation, method, format!("/hearth/v1/agents/{path}"));
    endpoint.send(request).await?.json().await
}
