//! Forgetting what was kept for long enough.

use super::Turn;
use crate::command::{Change, Reply};
use crate::retention::{EndedRun, is_unused, may_forget_run};
use hearth_types::ReleaseLabel;
use std::time::Duration;

impl Turn<'_> {
    pub(super) fn forget_job_runs(&mut self, ended: Vec<EndedRun>, keep: Duration) -> Reply {
        for run in ended {
            if may_forget_run(self.world, &run, keep, self.now) {
                self.change(Change::JobRunForgotten(run));
            }
        }
        Self::done()
    }

    pub(super) fn forget_release(&mut self, label: ReleaseLabel) -> Reply {
        if is_unused(self.world, &label) {
            self.change(Change::ReleaseForgotten(label));
        }
        Self::done()
    }
}
