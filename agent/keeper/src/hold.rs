//! Holding a worker by its lease, whatever has become of the agent.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearth_lease::{Act, Deadlines, Leash};

use crate::freezer::Freezer;
use crate::launch::LaunchPlan;
use crate::step::{DuringStep, StepFailed};
use crate::system;

/// How often a file is read that is just being overwritten.
const TRIES: usize = 10;

/// The hold on one worker that has a lease.
pub(crate) struct Hold {
    file: PathBuf,
    /// As last read: a file that cannot be read any more moves nothing on.
    deadlines: Deadlines,
    leash: Leash,
    freezer: Freezer,
}

impl Hold {
    /// Takes hold; `None` for a worker without a lease.
    ///
    /// # Errors
    /// When the lease cannot be read: nothing may run that would never be stopped.
    pub(crate) fn open(plan: &LaunchPlan) -> Result<Option<Self>, StepFailed> {
        let Some(file) = plan.lease.clone() else { return Ok(None) };
        let deadlines = read(&file).during(|| format!("reading the lease {}", file.display()))?;
        let freezer = Freezer::new(plan.freeze_cgroup.as_deref());
        Ok(Some(Self { file, deadlines, leash: Leash::Free, freezer }))
    }

    /// Does what the lease calls for now, with `kill` for killing; answers when to be called again at the latest.
    pub(crate) fn tend(&mut self, kill: impl FnOnce()) -> Option<Duration> {
        // The clock first: a file read later can only allow more.
        let now = system::boottime();
        if let Ok(deadlines) = read(&self.file) {
            self.deadlines = deadlines;
        }
        let look = self.leash.look(now, self.deadlines, || self.freezer.is_at_rest());
        match look.act {
            Act::Wait => {}
            Act::Freeze => self.freezer.freeze(),
            Act::Thaw => self.freezer.thaw(),
            Act::Kill => kill(),
        }
        look.again_at
    }

    /// Whether it killed the worker.
    pub(crate) fn has_killed(&self) -> bool {
        self.leash == Leash::Doomed
    }
}

fn read(file: &Path) -> io::Result<Deadlines> {
    for _ in 0..TRIES {
        if let Some(deadlines) = Deadlines::parse(&fs::read_to_string(file)?) {
            return Ok(deadlines);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "not the text of a lease"))
}
