//! What users are told of a job run: why it is where it is, since when, and what may go wrong later. Laid over what was decided each
//! time it is asked for, so that nothing has to be written for it.

use crate::job_run::{JobRun, RunPhase};
use crate::preflight;
use crate::silence;
use crate::world::World;
use hearth_types::{Now, Timestamp};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The details of a job run. Of one that has ended they are as they were decided; of any other they also say since when, and
/// what is known to stand in its way.
pub fn details(world: &World, run: &JobRun, now: Now) -> String {
    if let RunPhase::Ended { .. } = run.phase {
        return run.details.clone();
    }
    let mut sentences = match silence::sentence(world, run, now) {
        // Why it is being cancelled is still so.
        Some(silence) if matches!(run.phase, RunPhase::Cancelling { .. }) => {
            vec![run.details.clone(), silence]
        }
        Some(silence) => vec![silence],
        None => vec![since(run)],
    };
    sentences.extend(preflight::no_executor_ever(world, run));
    sentences.extend(doubts(run));
    sentences.join(" ")
}

/// Why, and since when it is in its state: what it does there may have changed since.
fn since(run: &JobRun) -> String {
    let since = format!("{} since {}.", run.state(), by_the_wall(run.updated_at));
    match run.details.trim_end_matches('.') {
        "" => since,
        why => format!("{why}; {since}"),
    }
}

/// What was found wrong with its files when it was submitted; told until its driver runs, which will have found out itself.
fn doubts(run: &JobRun) -> Option<String> {
    let runs = matches!(run.phase, RunPhase::Running { .. } | RunPhase::Cancelling { .. });
    let doubts = (!runs).then_some(&run.spec.doubts).filter(|doubts| !doubts.is_empty())?;
    Some(format!("When it was submitted, {}.", doubts.join("; ")))
}

/// A time as users read it, in whole seconds.
pub(crate) fn by_the_wall(at: Timestamp) -> String {
    let seconds = at.as_millis().div_euclid(1000);
    let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    date.format(&Rfc3339).unwrap_or_default()
}
