//! Decisions of operators about agents: out of service, back in, or off for ever.

use super::Turn;
use crate::agent::{Agent, Standing};
use crate::command::{Effect, Refusal, Reply};
use crate::worker::{Exit, Role, Worker};
use hearth_types::AgentId;

impl Turn<'_> {
    pub(super) fn set_standing(&mut self, id: &AgentId, standing: Standing) -> Result<Reply, Refusal> {
        let agent = self.world.agent(id).cloned().ok_or_else(|| Refusal::NoAgent(id.clone()))?;
        match (agent.standing, standing) {
            (Standing::Revoked, Standing::Revoked) => {}
            (Standing::Revoked, Standing::InService | Standing::Draining) => {
                return Err(Refusal::AgentRevoked(id.clone()));
            }
            (Standing::InService | Standing::Draining, Standing::InService | Standing::Draining) => {
                self.put_agent(Agent { standing, ..agent });
            }
            (Standing::InService | Standing::Draining, Standing::Revoked) => self.revoke(agent),
        }
        Ok(Self::done())
    }

    /// Nothing that the agent says counts from now on, so its executors are lost at once. Its drivers are lost when
    /// their leases are surely over: until then they may run, and nobody may go on in their place (promise P3).
    fn revoke(&mut self, agent: Agent) {
        let id = agent.id.clone();
        self.put_agent(Agent { standing: Standing::Revoked, ..agent });
        self.effects.push(Effect::Cut(id.clone()));
        let executors: Vec<Worker> =
            self.world.workers_on(&id).filter(|worker| worker.role != Role::Driver).cloned().collect();
        for executor in executors {
            self.worker_ended(executor, &Exit::lost(format!("agent {id} of its host was revoked")));
        }
    }
}
