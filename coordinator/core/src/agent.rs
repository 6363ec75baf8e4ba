//! An agent as the coordinator sees it: what its host offers and whether it is in contact.

use hearth_types::{AgentId, Architecture, Moment, WorkerId, WorkerSize};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// Contact with an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Contact {
    /// Its stream is open.
    Attached,
    /// Its stream is closed since then; its workers are presumed to run.
    Detached {
        /// When the last contact was, in the present term: a new term counts from its own beginning.
        since: Moment,
    },
    /// It was away too long: its workers were given up.
    Lost,
}

/// What an operator wants of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Standing {
    /// It takes workers.
    #[default]
    InService,
    /// It takes no new workers; those it has run to their end.
    Draining,
    /// It is not let in any more, for ever; its host may join anew under another identifier.
    Revoked,
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its identifier, from its certificate.
    pub id: AgentId,
    /// Its host's name.
    pub host_name: String,
    /// Its host's architecture.
    pub architecture: Architecture,
    /// What it offers to workers.
    pub offered: WorkerSize,
    /// Address at which its workers reach each other.
    pub worker_address: String,
    /// Major versions of the JDKs it has.
    pub java: Vec<u32>,
    /// Whether it is in contact.
    pub contact: Contact,
    /// What an operator wants of it. It has no say in this itself.
    #[serde(default)]
    pub standing: Standing,
    /// What a coordinator that stopped in good order extended its workers' leases to.
    #[serde(default)]
    pub extension: Option<Extension>,
    /// Workers that it held when it attached, though they count as ended: it was lost, or the store was brought back from a
    /// copy. They use up room that no booking tells of, until it says that they are gone.
    #[serde(default)]
    pub leftovers: BTreeSet<WorkerId>,
}

/// An extension of leases. Nothing but time ends it: an agent that attaches may never hear that it did, and lets its
/// workers run on for as long as it was told before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// How long the leases are good for.
    pub length: Duration,
    /// Since when, in the present term: a new term counts from its own beginning.
    pub from: Moment,
}

impl Agent {
    /// Whether its stream is open.
    pub const fn is_in_contact(&self) -> bool {
        match self.contact {
            Contact::Attached => true,
            Contact::Detached { .. } | Contact::Lost => false,
        }
    }

    /// Whether its leases are recorded as extended to that moment, at least.
    pub fn is_extended_to(&self, end: Moment) -> bool {
        self.extension.is_some_and(|told| told.from.plus(told.length) >= end)
    }

    /// Whether new workers may be placed on it.
    pub fn takes_workers(&self) -> bool {
        match self.standing {
            Standing::InService => self.is_in_contact() && self.leftovers.is_empty(),
            Standing::Draining | Standing::Revoked => false,
        }
    }
}
