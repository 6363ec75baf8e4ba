//! What an agent has to tell, as levels: mirrors `agent/src/outbox.rs`.

use crate::wire::{Said, Up, Word};
use hearth_agent_core::level::Level;
use hearth_types::{Launch, WorkerId};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
struct Levels {
    launch: Option<Launch>,
    report: Level<Said>,
    registered: Level<()>,
    wants: Level<u32>,
    given_back: Level<BTreeSet<u32>>,
    unregistered: Level<()>,
}

/// Everything an agent's workers have to say.
#[derive(Debug, Default)]
pub(crate) struct Outbox(BTreeMap<WorkerId, Levels>);

impl Outbox {
    pub(crate) fn report(&mut self, said: Said) {
        let levels = self.0.entry(said.worker.clone()).or_default();
        levels.launch = Some(said.launch);
        if levels.report.value.as_ref() != Some(&said) {
            levels.report.set(said);
        }
    }

    pub(crate) fn repeat(&mut self, worker: &WorkerId) {
        if let Some(levels) = self.0.get_mut(worker) {
            levels.report.is_told = false;
        }
    }

    pub(crate) fn remove(&mut self, worker: &WorkerId) {
        self.0.remove(worker);
    }

    pub(crate) fn word(&mut self, worker: &WorkerId, launch: Launch, word: Word) {
        let levels = self.0.entry(worker.clone()).or_default();
        levels.launch = Some(launch);
        match word {
            Word::Registered => levels.registered.set(()),
            Word::Wants(count) => levels.wants.set(count),
            Word::GivesBack(executors) => {
                let mut all = levels.given_back.value.take().unwrap_or_default();
                all.extend(executors);
                levels.given_back.set(all);
            }
            Word::Unregistered => levels.unregistered.set(()),
            Word::Finished(_) => {}
        }
    }

    /// Starts over on a new stream: every report, for its greeting.
    pub(crate) fn begin(&mut self) -> Vec<Said> {
        for levels in self.0.values_mut() {
            levels.report.is_told = true;
            levels.registered.is_told = false;
            levels.wants.is_told = false;
            levels.given_back.is_told = false;
            levels.unregistered.is_told = false;
        }
        self.0.values().filter_map(|levels| levels.report.value.clone()).collect()
    }

    /// Takes what was not told on this stream yet.
    pub(crate) fn take(&mut self) -> Vec<Up> {
        let mut messages = Vec::new();
        for (worker, levels) in &mut self.0 {
            let words = [
                levels.registered.take_untold().map(|()| Word::Registered),
                levels.wants.take_untold().map(Word::Wants),
                levels.given_back.take_untold().map(|all| Word::GivesBack(all.into_iter().collect())),
                levels.unregistered.take_untold().map(|()| Word::Unregistered),
            ];
            if let Some(launch) = levels.launch {
                let word = |word| Up::Word { worker: worker.clone(), launch, word };
                messages.extend(words.into_iter().flatten().map(word));
            }
            messages.extend(levels.report.take_untold().map(Up::Report));
        }
        messages
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
