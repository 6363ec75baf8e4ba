//! Showing a job run on its way: one live line on a terminal, plain lines elsewhere.

use super::progress::Progress;
use super::screen;
use hearth_api::emr::wire::JobRun;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Between two plain lines about tasks; a change of state is told at once.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// The view of one job run, on standard error.
#[derive(Debug)]
pub(super) struct Watch {
    view: View,
}

#[derive(Debug)]
enum View {
    Terminal(ProgressBar),
    Plain { start: Instant, told: String, told_at: Instant, tasks: Option<String> },
}

impl Watch {
    /// For the standard error there is.
    pub(super) fn new() -> Self {
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner().with_style(
                ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}")
                    .expect("the template is valid"),
            );
            bar.enable_steady_tick(Duration::from_millis(120));
            return Self { view: View::Terminal(bar) };
        }
        let now = Instant::now();
        Self { view: View::Plain { start: now, told: String::new(), told_at: now, tasks: None } }
    }

    /// Shows what is new.
    pub(super) fn show(&mut self, run: &JobRun, progress: Option<&Progress>) {
        let state = state_line(run);
        let tasks = progress.and_then(Progress::line);
        match &mut self.view {
            View::Terminal(bar) => {
                let parts: Vec<String> = std::iter::once(state).chain(tasks).collect();
                bar.set_message(parts.join(" · "));
                if run.state.is_final() {
                    bar.finish_and_clear();
                }
            }
            View::Plain { start, told, told_at, tasks: told_tasks } => {
                let elapsed = screen::span(start.elapsed());
                if *told != state {
                    screen::note(&format!("[{elapsed}] {state}"));
                    (*told, *told_at) = (state, Instant::now());
                }
                if *told_tasks != tasks && told_at.elapsed() >= PLAIN_INTERVAL {
                    if let Some(tasks) = &tasks {
                        screen::note(&format!("[{elapsed}] {tasks}"));
                    }
                    (*told_tasks, *told_at) = (tasks, Instant::now());
                }
            }
        }
    }

    /// Lets `print` write without mixing with the live line.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.view {
            View::Terminal(bar) => bar.suspend(print),
            View::Plain { .. } => print(),
        }
    }
}

/// The state with the first line of its details: what follows is in the logs too.
fn state_line(run: &JobRun) -> String {
    match run.state_details.lines().next() {
        Some(first) => format!("{}: {first}", run.state),
        None => run.state.to_string(),
    }
}
