//! Which agent is reachable through which stream.

use hearth_proto::v1::{ToAgent, to_agent};
use hearth_types::AgentId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Messages that may wait for one agent's stream. An agent that lets it fill up is cut off: whatever it misses is
/// derived again when it attaches.
pub(crate) const OUTBOX: usize = 1024;

/// One stream.
struct Session {
    number: u64,
    outbox: mpsc::Sender<Result<ToAgent, tonic::Status>>,
    closed: CancellationToken,
}

/// The open streams; cheap to clone.
#[derive(Clone, Default)]
pub struct Sessions {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    open: BTreeMap<AgentId, Session>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Sessions {
    /// Makes a stream the agent's one; an older one is closed. Answers the stream's number.
    pub(crate) fn open(
        &self,
        agent: &AgentId,
        outbox: mpsc::Sender<Result<ToAgent, tonic::Status>>,
        closed: CancellationToken,
    ) -> u64 {
        let mut inner = self.inner.lock().expect("nobody panics while holding the sessions");
        inner.next += 1;
        let number = inner.next;
        if let Some(older) = inner.open.insert(agent.clone(), Session { number, outbox, closed }) {
            older.closed.cancel();
        }
        number
    }

    /// Forgets a stream; whether it was still the agent's one.
    pub(crate) fn close(&self, agent: &AgentId, number: u64) -> bool {
        let mut inner = self.inner.lock().expect("nobody panics while holding the sessions");
        if inner.open.get(agent).is_some_and(|session| session.number == number) {
            inner.open.remove(agent);
            return true;
        }
        false
    }

    /// Sends to an agent if it is reachable. One that does not take its messages is cut off.
    pub(crate) fn send(&self, agent: &AgentId, message: to_agent::Message) {
        let inner = self.inner.lock().expect("nobody panics while holding the sessions");
        let Some(session) = inner.open.get(agent) else { return };
        if session.outbox.try_send(Ok(ToAgent { message: Some(message) })).is_err() {
            tracing::warn!(agent_id = %agent, "agent does not take its messages; closing its stream");
            session.closed.cancel();
        }
    }
}
