//! `/hearth/v1/agents`: what operators see of agents and ask of them.
//!
//! | request | needs the right to | on |
//! |---|---|---|
//! | `GET /hearth/v1/agents` | `hearth:ListAgents` | `arn:aws:hearth:<region>:<account>:/agents` |
//! | `GET /hearth/v1/agents/<id>` | `hearth:GetAgent` | `…:/agents/<id>` |
//! | `POST /hearth/v1/agents/<id>/drain`, `/undrain`, `/revoke` | `hearth:DrainAgent`, `hearth:UndrainAgent`, `hearth:RevokeAgent` | `…:/agents/<id>` |

use super::signed::{Refused, allowed, refused, signed};
use axum::Json;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hearth_coordinator_core::agent::{Agent, Contact, Standing};
use hearth_coordinator_core::command::{Command, Refusal};
use hearth_coordinator_core::worker::{Role, Worker};
use hearth_coordinator_core::world::World;
use hearth_engine::{Engine, EngineError};
use hearth_identity::Identity;
use hearth_types::{AgentId, WorkerKind, WorkerSize};
use serde_json::{Value, json};
use std::sync::Arc;

/// Answers for agents.
pub(super) struct AgentsPage {
    pub(super) identity: Arc<Identity>,
    pub(super) engine: Engine,
    pub(super) region: String,
    pub(super) account_id: String,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    List,
    Describe(AgentId),
    Change(AgentId, Standing),
}

impl Asked {
    fn read(method: &Method, path: &str) -> Option<Self> {
        let mut rest = path.strip_prefix("/hearth/v1/agents")?.split('/').skip(1);
        let (id, verb, end) = (rest.next(), rest.next(), rest.next());
        match (method, id, verb, end) {
            (&Method::GET, None, None, None) => Some(Self::List),
            (&Method::GET, Some(id), None, None) => Some(Self::Describe(id.parse().ok()?)),
            (&Method::POST, Some(id), Some(verb), None) => {
                let standing = match verb {
                    "drain" => Standing::Draining,
                    "undrain" => Standing::InService,
                    "revoke" => Standing::Revoked,
                    _ => return None,
                };
                Some(Self::Change(id.parse().ok()?, standing))
            }
            _ => None,
        }
    }

    /// The right it takes.
    fn action(&self) -> &'static str {
        match self {
            Self::List => "hearth:ListAgents",
            Self::Describe(_) => "hearth:GetAgent",
            Self::Change(_, Standing::Draining) => "hearth:DrainAgent",
            Self::Change(_, Standing::InService) => "hearth:UndrainAgent",
            Self::Change(_, Standing::Revoked) => "hearth:RevokeAgent",
        }
    }

    /// What it takes the right on, below the account.
    fn resource(&self) -> String {
        match self {
            Self::List => "/agents".to_owned(),
            Self::Describe(id) | Self::Change(id, _) => format!("/agents/{id}"),
        }
    }
}

impl AgentsPage {
    pub(super) async fn answer(&self, request: Request) -> Response {
        match self.try_answer(request).await {
            Ok(value) => Json(value).into_response(),
            Err(refusal) => refusal.into_response(),
        }
    }

    async fn try_answer(&self, request: Request) -> Result<Value, Refused> {
        let (parts, _) = request.into_parts();
        let by = signed(&self.identity, &self.region, &parts)?;
        let asked = Asked::read(&parts.method, parts.uri.path())
            .ok_or_else(|| refused(StatusCode::NOT_FOUND, "There is no such page."))?;
        let resource = format!("arn:aws:hearth:{}:{}:{}", self.region, self.account_id, asked.resource());
        allowed(&self.identity, &by, asked.action(), &resource)?;
        match asked {
            Asked::List => {
                let world = self.engine.snapshot();
                let agents: Vec<Value> = world.agents().map(|agent| self.row(&world, agent)).collect();
                Ok(json!({ "agents": agents }))
            }
            Asked::Describe(id) => self.describe(&id),
            Asked::Change(id, standing) => {
                let command = Command::SetStanding { agent: id.clone(), standing };
                self.engine.ask(command).await.map_err(refusal)?;
                tracing::info!(agent_id = %id, ?standing, by = by.principal.arn(), "agent's standing set");
                self.describe(&id)
            }
        }
    }

    fn describe(&self, id: &AgentId) -> Result<Value, Refused> {
        let world = self.engine.snapshot();
        let agent = world.agent(id).ok_or_else(|| unknown(id))?;
        let mut page = self.row(&world, agent);
        page["workers"] = world.workers_on(id).map(worker).collect();
        Ok(page)
    }

    fn row(&self, world: &World, agent: &Agent) -> Value {
        let silent_seconds = match agent.contact {
            Contact::Detached { since } => Some(self.engine.clock().now().moment.since(since).as_secs()),
            Contact::Attached | Contact::Lost => None,
        };
        json!({
            "id": agent.id,
            "hostName": agent.host_name,
            "workerAddress": agent.worker_address,
            "architecture": agent.architecture.as_str(),
            "standing": match agent.standing {
                Standing::InService => "IN_SERVICE",
                Standing::Draining => "DRAINING",
                Standing::Revoked => "REVOKED",
            },
            "contact": match agent.contact {
                Contact::Attached => "ATTACHED",
                Contact::Detached { .. } => "DETACHED",
                Contact::Lost => "LOST",
            },
            "silentSeconds": silent_seconds,
            "java": agent.java,
            "offered": size(&agent.offered),
            "booked": size(&world.booked(&agent.id)),
            "workerCount": world.workers_on(&agent.id).count(),
        })
    }
}

fn size(size: &WorkerSize) -> Value {
    json!({
        "vCpu": size.cpu_millis as f64 / 1000.0,
        "memoryGb": size.memory_mib as f64 / 1024.0,
        "diskGb": size.disk_gib,
    })
}

fn worker(worker: &Worker) -> Value {
    let kind = match worker.role {
        Role::Driver => WorkerKind::SparkDriver,
        Role::Executor { .. } => WorkerKind::SparkExecutor,
    };
    json!({
        "id": worker.id,
        "kind": kind.as_str(),
        "applicationId": worker.application,
        "jobRunId": worker.run,
        "attempt": worker.launch.attempt,
        "createdAt": worker.created_at.as_millis() as f64 / 1000.0,
    })
}

fn unknown(id: &AgentId) -> Refused {
    refused(StatusCode::NOT_FOUND, Refusal::NoAgent(id.clone()).to_string())
}

fn refusal(error: EngineError) -> Refused {
    match error {
        EngineError::Refused(Refusal::NoAgent(id)) => unknown(&id),
        EngineError::Refused(refusal) => refused(StatusCode::CONFLICT, refusal.to_string()),
        error @ (EngineError::Store(_) | EngineError::Stopped) => {
            tracing::error!(error = hearth_telemetry::error_chain(&error), "setting an agent's standing");
            refused(StatusCode::INTERNAL_SERVER_ERROR, "The change could not be recorded; try again.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_takes_its_own_right_on_what_it_names() {
        for (method, path, action, resource) in [
            (Method::GET, "/hearth/v1/agents", "hearth:ListAgents", "/agents"),
            (Method::GET, "/hearth/v1/agents/a-1", "hearth:GetAgent", "/agents/a-1"),
            (Method::POST, "/hearth/v1/agents/a-1/drain", "hearth:DrainAgent", "/agents/a-1"),
            (Method::POST, "/hearth/v1/agents/a-1/undrain", "hearth:UndrainAgent", "/agents/a-1"),
            (Method::POST, "/hearth/v1/agents/a-1/revoke", "hearth:RevokeAgent", "/agents/a-1"),
        ] {
            let asked = Asked::read(&method, path).unwrap();
            assert_eq!((asked.action(), asked.resource().as_str()), (action, resource));
        }
    }

    #[test]
    fn what_is_nearly_a_request_is_none() {
        for (method, path) in [
            (Method::POST, "/hearth/v1/agents"),
            (Method::GET, "/hearth/v1/agents/"),
            (Method::GET, "/hearth/v1/agents/a-1/revoke"),
            (Method::POST, "/hearth/v1/agents/a-1/revoke/now"),
            (Method::POST, "/hearth/v1/agents/a-1/thaw"),
            (Method::GET, "/hearth/v1/agents/a%2F1"),
        ] {
            assert_eq!(Asked::read(&method, path), None, "{method} {path}");
        }
    }
}
