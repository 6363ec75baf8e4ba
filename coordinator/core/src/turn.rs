//! One turn: the commands that wait, every deadline that is due and the placements that follow, decided together.
//!
//! Whoever takes a turn makes all its changes durable in one transaction, and only then answers and performs: the engine
//! with a store, the simulation (`tests/simulation`) with one whose writes get lost.

use crate::command::{Change, Command, Decision, Effect, Refusal, Reply};
use crate::decide::decide;
use crate::schedule::schedule;
use crate::world::World;
use hearth_types::{Now, WorkerId};

/// What a turn came to. The world is ahead of the store until the changes are durable.
#[derive(Debug, Default)]
pub struct Turn {
    /// To be made durable together, in order; a later change of a row supersedes an earlier one.
    pub changes: Vec<Change>,
    /// To be performed once they are, in order.
    pub effects: Vec<Effect>,
    /// The answer to each command, in order, to be given once the changes are durable.
    pub answers: Vec<Result<Reply, Refusal>>,
}

impl Turn {
    /// Decides `commands` one after another as of `now`, then what time has brought, then what can be placed. Each new
    /// worker gets an identifier from `fresh`.
    pub fn take(
        world: &mut World,
        commands: impl IntoIterator<Item = Command>,
        now: Now,
        mut fresh: impl FnMut() -> WorkerId,
    ) -> Self {
        let mut turn = Self::default();
        for command in commands {
            let decided = decide(world, command, now);
            let answer = decided.map(|decision| turn.keep(decision));
            turn.answers.push(answer);
        }
        let passed = decide(world, Command::TimePassed, now).map(|decision| turn.keep(decision));
        debug_assert!(passed.is_ok(), "time cannot be refused");
        let plan = schedule(world);
        if !plan.is_empty() {
            let ids = plan.placements.iter().map(|_| fresh()).collect();
            let placed = decide(world, Command::Place { plan, ids }, now).map(|decision| turn.keep(decision));
            debug_assert!(placed.is_ok(), "a plan is carried out as far as it holds");
        }
        turn
    }

    fn keep(&mut self, decision: Decision) -> Reply {
        self.changes.extend(decision.changes);
        self.effects.extend(decision.effects);
        decision.reply
    }
}
