//! Active job runs by what is asked of all of them at every turn, so that a turn costs what it changes and not what waits.

use crate::application::Application;
use crate::job_run::JobRun;
use crate::queueing::as_if_since;
use hearth_types::{ApplicationId, JobRunId, Moment, Timestamp};
use rpds::{RedBlackTreeMapSync as Map, RedBlackTreeSetSync as Set};

/// Indexes over active job runs. Each run that is added is removed in the state in which it was added.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RunIndex {
    waiting: Set<(Timestamp, JobRunId)>,
    waiting_of: Map<ApplicationId, usize>,
    driven: Set<JobRunId>,
    time_outs: Set<(Timestamp, JobRunId)>,
    pauses: Set<(Moment, JobRunId)>,
    queued: Map<ApplicationId, Set<(Timestamp, JobRunId)>>,
}

impl RunIndex {
    pub(crate) fn add(&mut self, run: &JobRun) {
        let id = &run.id;
        if run.waits_for_driver() {
            self.waiting.insert_mut((run.created_at, id.clone()));
            let count = self.count_waiting_of(&run.application);
            self.waiting_of.insert_mut(run.application.clone(), count + 1);
        }
        if run.driver().is_some() {
            self.driven.insert_mut(id.clone());
        }
        if let Some(at) = run.times_out_at() {
            self.time_outs.insert_mut((at, id.clone()));
        }
        if let Some(until) = pause_ends_at(run) {
            self.pauses.insert_mut((until, id.clone()));
        }
        if let Some(since) = as_if_since(run) {
            put_in(&mut self.queued, &run.application, &(since, id.clone()));
        }
    }

    pub(crate) fn remove(&mut self, run: &JobRun) {
        let id = &run.id;
        if run.waits_for_driver() {
            self.waiting.remove_mut(&(run.created_at, id.clone()));
            match self.count_waiting_of(&run.application) {
                0 | 1 => self.waiting_of.remove_mut(&run.application),
                count => {
                    self.waiting_of.insert_mut(run.application.clone(), count - 1);
                    true
                }
            };
        }
        if run.driver().is_some() {
            self.driven.remove_mut(id);
        }
        if let Some(at) = run.times_out_at() {
            self.time_outs.remove_mut(&(at, id.clone()));
        }
        if let Some(until) = pause_ends_at(run) {
            self.pauses.remove_mut(&(until, id.clone()));
        }
        if let Some(since) = as_if_since(run) {
            remove_from(&mut self.queued, &run.application, &(since, id.clone()));
        }
    }

    /// Those that wait for their driver, the longest waiting first.
    pub(crate) fn waiting(&self) -> impl DoubleEndedIterator<Item = &JobRunId> {
        self.waiting.iter().map(|(_, id)| id)
    }

    pub(crate) fn count_waiting(&self) -> usize {
        self.waiting.size()
    }

    pub(crate) fn count_waiting_of(&self, application: &ApplicationId) -> usize {
        self.waiting_of.get(application).copied().unwrap_or(0)
    }

    /// Those with a driver, by id.
    pub(crate) fn driven(&self) -> impl Iterator<Item = &JobRunId> {
        self.driven.iter()
    }

    /// Those that may run only so long, the first to be over first.
    pub(crate) fn time_outs(&self) -> impl Iterator<Item = &(Timestamp, JobRunId)> {
        self.time_outs.iter()
    }

    /// Those in a pause, the first to be over first.
    pub(crate) fn pauses(&self) -> impl Iterator<Item = &(Moment, JobRunId)> {
        self.pauses.iter()
    }

    /// Those of an application that are in QUEUED, the first to be there too long first, and when each is.
    pub(crate) fn too_long(&self, application: &Application) -> impl Iterator<Item = (Timestamp, &JobRunId)> {
        let timeout = application.queue_timeout;
        let queued = self.queued.get(&application.id).into_iter().flatten();
        queued.filter_map(move |(since, id)| Some((since.plus(timeout?), id)))
    }
}

fn pause_ends_at(run: &JobRun) -> Option<Moment> {
    run.pause.filter(|_| run.waits_for_driver()).map(|pause| pause.until)
}

pub(crate) fn put_in<K: Ord + Clone, V: Ord + Clone>(sets: &mut Map<K, Set<V>>, key: &K, value: &V) {
    let set = sets.get(key).cloned().unwrap_or_default();
    sets.insert_mut(key.clone(), set.insert(value.clone()));
}

pub(crate) fn remove_from<K: Ord + Clone, V: Ord>(sets: &mut Map<K, Set<V>>, key: &K, value: &V) {
    let Some(set) = sets.get(key).map(|set| set.remove(value)) else { return };
    if set.is_empty() {
        sets.remove_mut(key);
    } else {
        sets.insert_mut(key.clone(), set);
    }
}
