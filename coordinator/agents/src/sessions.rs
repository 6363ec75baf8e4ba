//! Which agent is reachable through which stream.

use hearth_proto::v1::{LeaseExtension, ToAgent, Welcome, to_agent};
use hearth_types::AgentId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Messages that may wait for one agent's stream. An agent that lets it fill up is cut off: whatever it misses is
/// derived again when it attaches.
pub(crate) const OUTBOX: usize = 1024;

/// One stream.
struct Session {
    number: u64,
    /// The connection it came on, among all of the coordinator.
    connection: u64,
    /// Absent once the stream is closed.
    outbox: Option<mpsc::Sender<Result<ToAgent, tonic::Status>>>,
    closed: CancellationToken,
    over: CancellationToken,
}

/// A stream's place among its agent's streams.
pub(crate) struct Place {
    /// Among all streams of this coordinator.
    pub(crate) number: u64,
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
    /// Makes the stream on `connection` the agent's one, with `welcome` as its first message; an older one is closed.
    ///
    /// Nothing once the coordinator is going down: then nobody is welcome any more. Nothing either if the agent has
    /// greeted on a later connection: this greeting was under way when the agent gave it up, and what it says of its
    /// workers is out of date.
    pub(crate) fn open(
        &self,
        agent: &AgentId,
        connection: u64,
        outbox: mpsc::Sender<Result<ToAgent, tonic::Status>>,
        welcome: Welcome,
    ) -> Option<Place> {
        let (closed, over) = (CancellationToken::new(), CancellationToken::new());
        let mut inner = self.inner.lock().expect("nobody panics while holding the sessions");
        if inner.is_closed {
            return None;
        }
        if let Some(later) =
            inner.latest.get(agent).map(|latest| latest.connection).filter(|later| *later > connection)
        {
            tracing::info!(agent_id = %agent, connection, later, "a greeting that its agent gave up is passed over");
            return None;
        }
        inner.next += 1;
        let number = inner.next;
        let welcome = ToAgent { message: Some(to_agent::Message::Welcome(welcome)) };
        outbox.try_send(Ok(welcome)).ok()?;
        let session =
            Session { number, connection, outbox: Some(outbox), closed: closed.clone(), over: over.clone() };
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
        Some(Place { number, closed, former_over, _over: over.drop_guard() })
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

    /// Tells every agent in contact for which that is recorded how long its leases are good for, and opens no stream from
    /// now on: a later welcome would take that back.
    pub fn extend_leases(&self, length: Duration, is_recorded: impl Fn(&AgentId) -> bool) {
        let length_ms = u32::try_from(length.as_millis()).unwrap_or(u32::MAX);
        let extension = to_agent::Message::LeaseExtension(LeaseExtension { length_ms });
        let mut inner = self.inner.lock().expect("nobody panics while holding the sessions");
        inner.is_closed = true;
        for (agent, session) in inner.latest.iter().filter(|(agent, _)| is_recorded(agent)) {
            send(agent, session, extension.clone());
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
        if let Some(session) = inner.latest.get(agent) {
            send(agent, session, message);
        }
    }

    /// Sends down one stream, if it still is the agent's one.
    pub(crate) fn send_down(&self, agent: &AgentId, stream: u64, message: to_agent::Message) {
        let inner = self.inner.lock().expect("nobody panics while holding the sessions");
        if let Some(session) = inner.latest.get(agent).filter(|session| session.number == stream) {
            send(agent, session, message);
        }
    }
}

fn send(agent: &AgentId, session: &Session, message: to_agent::Message) {
    let Some(outbox) = &session.outbox else { return };
    if outbox.try_send(Ok(ToAgent { message: Some(message) })).is_err() {
        tracing::warn!(agent_id = %agent, "agent does not take its messages; closing its stream");
        session.closed.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Inbox = mpsc::Receiver<Result<ToAgent, tonic::Status>>;

    fn open(sessions: &Sessions, agent: &AgentId) -> (Place, Inbox) {
        open_on(1, sessions, agent)
    }

    fn open_on(connection: u64, sessions: &Sessions, agent: &AgentId) -> (Place, Inbox) {
        let (outbox, mut inbox) = mpsc::channel(1);
        let place = sessions.open(agent, connection, outbox, Welcome::default()).expect("it is open");
        assert!(inbox.try_recv().is_ok(), "the welcome comes first");
        (place, inbox)
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
    fn a_greeting_that_was_given_up_replaces_no_later_one() {
        let (sessions, agent) = (Sessions::default(), "a".parse().expect("an id"));
        let (present, mut present_inbox) = open_on(7, &sessions, &agent);
        let (outbox, mut inbox) = mpsc::channel(1);
        assert!(sessions.open(&agent, 6, outbox, Welcome::default()).is_none());
        assert!(inbox.try_recv().is_err() && !present.closed.is_cancelled());
        sessions.send(&agent, forget());
        assert!(present_inbox.try_recv().is_ok());
        // Also once the later one is over: it was the agent's last word.
        assert!(sessions.close(&agent, &present));
        let (outbox, _inbox) = mpsc::channel(1);
        assert!(sessions.open(&agent, 6, outbox, Welcome::default()).is_none());
        open_on(8, &sessions, &agent);
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
        let (outbox, mut inbox) = mpsc::channel(1);
        assert!(sessions.open(&"b".parse().expect("an id"), 1, outbox, Welcome::default()).is_none());
        assert!(inbox.try_recv().is_err(), "nobody is welcome any more");
    }

    #[test]
    fn leases_are_extended_where_that_is_recorded_and_no_welcome_takes_it_back() {
        let (sessions, agent) = (Sessions::default(), "a".parse().expect("an id"));
        let (_place, mut inbox) = open(&sessions, &agent);
        // Its stream is open, but that it is attached is not recorded yet.
        let (_early, mut early_inbox) = open(&sessions, &"b".parse().expect("an id"));
        sessions.extend_leases(Duration::from_secs(300), |id| *id == agent);
        assert!(early_inbox.try_recv().is_err());
        let told = inbox.try_recv().expect("a message").expect("no end").message;
        let extension = LeaseExtension { length_ms: 300_000 };
        assert_eq!(told, Some(to_agent::Message::LeaseExtension(extension)));
        let (outbox, mut inbox) = mpsc::channel(1);
        assert!(sessions.open(&agent, 1, outbox, Welcome::default()).is_none());
        assert!(inbox.try_recv().is_err());
    }

    #[test]
    fn a_judgement_goes_down_no_other_stream() {
        let (sessions, agent) = (Sessions::default(), "a".parse().expect("an id"));
        let (first, _first_inbox) = open(&sessions, &agent);
        let (second, mut inbox) = open(&sessions, &agent);
        sessions.send_down(&agent, first.number, forget());
        assert!(inbox.try_recv().is_err());
        sessions.send_down(&agent, second.number, forget());
        assert!(inbox.try_recv().is_ok());
    }
}
