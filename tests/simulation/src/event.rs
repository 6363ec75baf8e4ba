//! Everything that can happen next.

use crate::wire::{Down, Up};
use hearth_types::WorkerId;

/// One of the streams there ever were, by number.
pub(crate) type StreamId = usize;

/// What happens.
#[derive(Debug, Clone, Hash)]
pub(crate) enum Event {
    Client(Client),
    /// The coordinator's process of this term.
    Coordinator(u64, Coordinator),
    CoordinatorStarts,
    CoordinatorStops,
    /// A message reaches the coordinator.
    Up(StreamId, Up),
    /// A message reaches an agent.
    Down(StreamId, Down),
    /// The coordinator learns that a stream is broken.
    CoordinatorNotices(StreamId),
    /// The agent does.
    AgentNotices(StreamId),
    AgentStarts(usize),
    /// An agent's process, by host and incarnation.
    Agent(usize, u64, Agent),
    /// A keeper or its worker, by host and boot.
    Process(usize, u64, WorkerId, Process),
    Fault(usize),
    /// Time to look whether everything has come to rest.
    Rest,
}

/// What happens to clients.
#[derive(Debug, Clone, Copy, Hash)]
pub(crate) enum Client {
    /// A client sends a request.
    Asks(Request),
    /// The request reaches the coordinator.
    Arrives(Request),
    /// Its answer reaches the client.
    Hears(Request, Heard),
    /// The client has waited long enough.
    GivesUp(Request),
}

/// A client's request: what for, and which try.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Request {
    pub(crate) wish: Wish,
    pub(crate) attempt: u32,
}

/// What a client wants.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wish {
    Create(usize),
    /// Submit a job run; the second of two who do so at once is another client.
    Submit {
        run: usize,
        is_second: bool,
    },
    /// Submit another one under the same token.
    Conflict(usize),
    Cancel(usize),
    Meddle(usize, usize),
}

/// What a client is told.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
pub(crate) enum Heard {
    Done,
    /// The rules refuse it.
    Refused,
    /// A server error: to be tried again.
    Failed,
}

/// What happens in the coordinator.
#[derive(Debug, Clone, Copy, Hash)]
pub(crate) enum Coordinator {
    /// The engine looks at what waits.
    Wakes,
    /// Something may be due.
    Due(u64),
    /// The store has answered.
    Committed,
    /// The engine tries to read the world.
    ReadsAgain,
    /// The performer takes the next effect.
    Performs,
    /// A release's bundle is there.
    Built,
    /// A stream has been silent for long.
    Patience(StreamId),
    /// The agent's detaching is recorded once more.
    DetachesAgain(StreamId),
}

/// What happens in an agent.
#[derive(Debug, Clone, Hash)]
pub(crate) enum Agent {
    /// It dials the coordinator.
    Dials,
    /// It has waited long enough for the welcome.
    NoWelcome(StreamId),
    /// Time for a heartbeat.
    Beats(StreamId),
    /// A write is on disk.
    Written(u64),
    /// A deed of a worker's task is done, or its time has come.
    Deed(WorkerId, u64),
    /// Something about a worker is new.
    Poke(WorkerId),
}

/// What happens to a worker's keeper and process.
#[derive(Debug, Clone, Copy, Hash)]
pub(crate) enum Process {
    /// The keeper begins.
    Begins,
    /// The keeper looks at the lease.
    Looks(u64),
    /// The worker's program is executed.
    Executes,
    /// A driver says the next thing of its plan.
    Says(u32),
    /// It ends by itself.
    Ends { code: Option<i32>, signal: Option<i32> },
    /// The keeper has cleared up and records the end.
    Records,
}
