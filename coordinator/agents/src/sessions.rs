//! Which agent is reachable through which stream.

use hearth_proto::v1::{ToAgent, to_agent};
use hearth_types::AgentId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Messages that may wait for one agent's stream. An agent that lets it fill up is cut off: whatever it misses is
/// derived again when it attaches.
pub(crate) const OUTBOX: usize = 1024;

/// One stream.
struct Session {
    number: u64,
    /// Absent once the stream is closed.
    outbox: Option<mpsc::Sender<Result<ToAgent, tonic::Status>>>,
    closed: CancellationToken,
    over: CancellationToken,
}

/// A stream's place among its agent's streams.
pub(crate) struct Place {
    number: u64,
    /// Cancelled when the stream is to end.
    pub(crate) closed: CancellationToken,
    /// Cancelled once the agent's former stream has said its last word to the engine.
    pub(crate) former_over: CancellationToken,
    /// Says that this one has.
    _over: DropGuard,
}

/// The open streams; cheap to clone.
#[derive(Clone, Default)]
pub struct Sessions {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    is_closed: bool,
    /// The latest stream of each agent, open or closed.
    latest: BTreeMap<AgentId, Session>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Sessions {
    /// Makes a stream the agent's one; an older one is closed.
    pub(crate) fn open(
        &self,
        agent: &AgentId,
        outbox: mpsc::Sender<Result<ToAgent, tonic::Status>>,
    ) -> Place {
        let (closed, over) = (CancellationToken::new(), CancellationToken::new());
        let mut inner = self.inner.lock().expect("nobody panics while holding the sessions");
        inner.next += 1;
        let number = inner.next;
        if inner.is_closed {
            closed.cancel();
        }
        let session = Session { number, outbox: Some(outbox), closed: closed.clone(), over: over.clone() };
        let former_over = match inner.latest.insert(agent.clone(), session) {
            Some(former) => {
                former.closed.cancel();
                former.over
            }
            None => {
                let none = CancellationToken::new();
                none.cancel();
                none
            }
        };
        Place { number, closed, former_over, _over: over.drop_guard() }
    }

    /// Closes a stream for what is sent from now on; whether it was still the agent's one.
    pub(crate) fn close(&self, agent: &AgentId, place: &Place) -> bool {
        let mut inner = self.inner.lock().expect("nobody panics while holding the sessions");
        // The entry stays, so that the agent's next stream knows when this one is over.
        match inner.latest.get_mut(agent).filter(|session| session.number == place.number) {
            Some(session) => session.outbox.take().is_some(),
            None => false,
        }
    }

    /// Ends every stream, also those that are still to be opened: the coordinator is going down.
    pub fn close_all(&self) {
        let mut inner = self.inner.lock().expect("nobody panics while holding the sessions");
        inner.is_closed = true;
        for session in inner.latest.values() {
            session.closed.cancel();
        }
    }

    /// Ends an agent's stream, so that it attaches again and is told anew what it is owed.
    pub(crate) fn cut(&self, agent: &AgentId) {
        let inner = self.inner.lock().expect("nobody panics while holding the sessions");
        if let Some(session) = inner.latest.get(agent) {
            session.closed.cancel();
        }
    }

    /// Sends to an agent if it is reachable. One that does not take its messages is cut off.
    pub(crate) fn send(&self, agent: &AgentId, message: to_agent::Message) {
        let inner = self.inner.lock().expect("nobody panics while holding the sessions");
        let Some(session) = inner.latest.get(agent) else { return };
        let Some(outbox) = &session.outbox else { return };
        if outbox.try_send(Ok(ToAgent { message: Some(message) })).is_err() {
            tracing::warn!(agent_id = %agent, "agent does not take its messages; closing its stream");
            session.closed.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Inbox = mpsc::Receiver<Result<ToAgent, tonic::Status>>;

    fn open(sessions: &Sessions, agent: &AgentId) -> (Place, Inbox) {
        let (outbox, inbox) = mpsc::channel(1);
        (sessions.open(agent, outbox), inbox)
    }

    fn forget() -> to_agent::Message {
        to_agent::Message::ForgetWorker(hearth_proto::v1::ForgetWorker::default())
    }

    #[test]
    fn a_stream_is_replaced_at_once_but_waits_for_the_last_word_of_the_former() {
        let (sessions, agent) = (Sessions::default(), "a".parse().expect("an id"));
        let (first, mut first_inbox) = open(&sessions, &agent);
        assert!(first.former_over.is_cancelled() && !first.closed.is_cancelled());
        let (second, mut second_inbox) = open(&sessions, &agent);
        assert!(first.closed.is_cancelled() && !second.former_over.is_cancelled());
        sessions.send(&agent, forget());
        assert!(first_inbox.try_recv().is_err() && second_inbox.try_recv().is_ok());
        assert!(!sessions.close(&agent, &first), "the agent is still reachable");
        drop(first);
        assert!(second.former_over.is_cancelled());

        // Also one that was closed before its successor came may still have something to say.
        assert!(sessions.close(&agent, &second));
        sessions.send(&agent, forget());
        assert!(second_inbox.try_recv().is_err());
        let (third, _inbox) = open(&sessions, &agent);
        assert!(!third.former_over.is_cancelled());
        drop(second);
        assert!(third.former_over.is_cancelled());
    }

    #[test]
    fn an_agent_that_takes_no_messages_is_cut_off() {
        let (sessions, agent) = (Sessions::default(), "a".parse().expect("an id"));
        let (place, _inbox) = open(&sessions, &agent);
        sessions.send(&agent, forget());
        assert!(!place.closed.is_cancelled());
        sessions.send(&agent, forget());
        assert!(place.closed.is_cancelled());
    }

    #[test]
    fn a_coordinator_that_goes_down_opens_no_stream_any_more() {
        let (sessions, agent) = (Sessions::default(), "a".parse().expect("an id"));
        let (before, _inbox) = open(&sessions, &agent);
        sessions.close_all();
        assert!(before.closed.is_cancelled());
        let (after, _inbox) = open(&sessions, &"b".parse().expect("an id"));
        assert!(after.closed.is_cancelled());
    }
}
