//! Holding a worker by its lease, whatever has become of the agent.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hearth_lease::{Act, Deadlines, Leash, TEXT_LENGTH};

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

/// The lease as the child sees it, which changes its user and its view of the file system before it becomes the worker.
pub(crate) struct Grant(Option<File>);

impl Grant {
    /// Opens the lease's file, if the worker has one.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn open(plan: &LaunchPlan) -> Result<Self, StepFailed> {
        let file = plan.lease.as_deref().map(File::open).transpose();
        file.map(Self).during(|| "opening the lease")
    }

    /// Asks whether the worker may begin.
    ///
    /// # Errors
    /// When its lease is over, or cannot be read: whoever granted it may have placed somebody else meanwhile.
    pub(crate) fn check(&self) -> Result<(), StepFailed> {
        let step = || "looking at the lease";
        let Some(file) = &self.0 else { return Ok(()) };
        let text = || {
            let mut text = [0; TEXT_LENGTH];
            file.read_exact_at(&mut text, 0)?;
            String::from_utf8(text.to_vec()).map_err(io::Error::other)
        };
        let deadlines = parse(text).during(step)?;
        if system::boottime() < deadlines.first() {
            Ok(())
        } else {
            Err(StepFailed::new(step(), io::Error::other("it is over before the worker began")))
        }
    }
}

fn read(file: &Path) -> io::Result<Deadlines> {
    parse(|| fs::read_to_string(file))
}

fn parse(text: impl Fn() -> io::Result<String>) -> io::Result<Deadlines> {
    for _ in 0..TRIES {
        if let Some(deadlines) = Deadlines::parse(&text()?) {
            return Ok(deadlines);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "not the text of a lease"))
}
