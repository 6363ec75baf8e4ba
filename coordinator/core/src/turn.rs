//! One turn: the commands that wait, every deadline that is due and the placements that follow, decided together.
//!
//! Whoever takes a turn makes all its changes durable in one transaction, and only then answers and performs: the engine
//! with a store, the simulation (`tests/simulation`) with one whose writes get lost.

use crate::command::{Change, Command, Decision, Effect, Refusal, Reply};
use crate::decide::decide;
use crate::job_run::{JobRun, RunPhase};
use crate::schedule::{Plan, schedule, schedule_arrivals};
use crate::world::World;
use hearth_types::{JobRunId, Now, WorkerId};
use std::collections::BTreeSet;

/// Plans turn by turn, and remembers whether anything that was there before can still be placed. A new one, or one whose
/// world was read anew, knows nothing yet.
#[derive(Debug, Clone, Default)]
pub struct Planner {
    is_planned: bool,
}

impl Planner {
    /// The plan for a world that these changes led to; it must be carried out before the next one is asked for.
    pub fn plan(&mut self, world: &World, changes: &[Change]) -> Plan {
        let was_planned = std::mem::replace(&mut self.is_planned, true);
        let arrivals = if was_planned { arrivals(world, changes) } else { None };
        arrivals.and_then(|arrivals| schedule_arrivals(world, &arrivals)).unwrap_or_else(|| schedule(world))
    }
}

/// The job runs that these changes brought, in their order, if they brought nothing else that a plan looks at, and all
/// of them come after those that waited.
fn arrivals<'a>(world: &'a World, changes: &[Change]) -> Option<Vec<&'a JobRun>> {
    let mut ids: BTreeSet<&JobRunId> = BTreeSet::new();
    for change in changes {
        match change {
            // No plan leaves a job run in SUBMITTED.
            Change::JobRun(run) if run.phase == RunPhase::Submitted => {
                ids.insert(&run.id);
            }
            // One that is forgotten had ended.
            Change::JobRunForgotten(_)
            | Change::JobRunDocument { .. }
            | Change::ApplicationDocument { .. }
            | Change::Token { .. } => {}
            Change::JobRun(_)
            | Change::Application(_)
            | Change::Worker(_)
            | Change::Agent(_)
            | Change::Release(_)
            | Change::ReleaseForgotten(_) => return None,
        }
    }
    let mut last: Vec<&JobRun> = world.waiting().rev().take(ids.len()).collect();
    last.reverse();
    last.iter().all(|run| ids.contains(&run.id)).then_some(last)
}

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
    /// worker gets an identifier from `fresh`. All turns of a world are taken with the same planner.
    pub fn take(
        world: &mut World,
        planner: &mut Planner,
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
        let plan = planner.plan(world, &turn.changes);
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
