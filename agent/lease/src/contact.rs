//! What an agent knows of its contact with the coordinator, and the deadlines that follow from it.

use crate::{Deadlines, Lease};
use std::time::Duration;

/// The contact on one stream, from its welcome on, also after its loss. A new stream starts a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    greeted: Duration,
    is_settled: bool,
    answered: Option<Duration>,
    extension: Option<Extension>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extension {
    from: Duration,
    length: Duration,
}

impl Contact {
    /// The contact that a welcome establishes; `greeted` is when the greeting that it answers was sent.
    pub const fn new(greeted: Duration) -> Self {
        Self { greeted, is_settled: false, answered: None, extension: None }
    }

    /// The coordinator has judged what this agent reported: from now on heartbeats renew leases.
    pub const fn settle(&mut self) {
        self.is_settled = true;
    }

    /// Whether the coordinator has judged what this agent reported.
    pub const fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// The heartbeat sent at `sent` was answered. Before [`Contact::settle`] that renews nothing.
    pub fn answer(&mut self, sent: Duration) {
        if self.is_settled {
            self.answered = self.answered.max(Some(sent));
        }
    }

    /// The coordinator said that it will be away, and that every lease is good for `length` from then on at least. Its word
    /// may have waited long for this agent, so it counts from what the coordinator had heard before for sure.
    pub fn extend(&mut self, length: Duration) {
        let told = Extension { from: self.answered.unwrap_or(self.greeted), length };
        let is_longer = self.extension.is_none_or(|known| known.from + known.length < told.from + length);
        if is_longer {
            self.extension = Some(told);
        }
    }

    /// The deadlines of a worker with this lease. `current` are those in force, which outlive an agent and a stream; none
    /// for a worker that is about to start.
    ///
    /// A welcome alone moves nothing on. It shortens what a former coordinator's extension left to an ordinary lease
    /// counted from the greeting. Asking again with the answer changes nothing.
    #[must_use]
    pub fn deadlines(&self, lease: Lease, current: Option<Deadlines>) -> Deadlines {
        let greeted = lease.deadlines(self.greeted);
        let granted = [
            self.answered.map(|sent| lease.deadlines(sent)),
            self.extension.map(|told| Lease { length: told.length, ..lease }.deadlines(told.from)),
        ];
        let welcomed = current.map_or(greeted, |current| current.earlier(greeted));
        granted.into_iter().flatten().fold(welcomed, Deadlines::later)
    }
}
