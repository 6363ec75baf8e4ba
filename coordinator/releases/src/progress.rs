//! Telling how far a build is: to a terminal, to a log file, or as one line of text for `stateDetails`.

use std::fmt;
use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A phase of a release build, in the order in which they come; each at most once a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Another build works in the same directory.
    Waiting,
    /// pip and Maven download what the cache lacks.
    Fetching,
    /// Digests are compared with the manifest.
    Verifying,
    /// Archives are unpacked.
    Unpacking,
    /// The bundle is written.
    Packing,
}

/// Receives the progress of one build. Calls come from one thread at a time, a few a second at most for each phase.
pub trait Progress: Send + Sync {
    /// A phase begins, of `total` bytes if that is known; it ends the former one.
    fn begin(&self, phase: Phase, total: Option<u64>);
    /// So many bytes of the current phase are done; never less than before.
    fn advanced(&self, done: u64);
    /// The build has ended, well or not.
    fn finished(&self);
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting for another build",
            Self::Fetching => "fetching artifacts",
            Self::Verifying => "verifying digests",
            Self::Unpacking => "unpacking",
            Self::Packing => "packing the bundle",
        })
    }
}

/// Tells nobody.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: Phase, _: Option<u64>) {}
    fn advanced(&self, _: u64) {}
    fn finished(&self) {}
}

/// One bar a phase on standard error, for a terminal.
#[derive(Debug, Default)]
pub struct TerminalProgress {
    bar: Mutex<Option<ProgressBar>>,
}

impl TerminalProgress {
    fn replace(&self, next: Option<ProgressBar>) {
        let former =
            std::mem::replace(&mut *self.bar.lock().unwrap_or_else(|poisoned| poisoned.into_inner()), next);
        if let Some(bar) = former {
            bar.finish();
        }
    }
}

impl Progress for TerminalProgress {
    fn begin(&self, phase: Phase, total: Option<u64>) {
        const BYTES: &str = "{msg:26} [{wide_bar:.cyan}] {bytes}/{total_bytes} {elapsed}";
        const UNKNOWN: &str = "{msg:26} {spinner} {elapsed}";
        let bar = match total {
            Some(total) => ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr())
                .with_style(style(BYTES)),
            None => {
                ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style(UNKNOWN))
            }
        };
        bar.set_message(phase.to_string());
        bar.enable_steady_tick(Duration::from_millis(250));
        self.replace(Some(bar));
    }

    fn advanced(&self, done: u64) {
        if let Some(bar) = &*self.bar.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) {
            bar.set_position(done);
        }
    }

    fn finished(&self) {
        self.replace(None);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are valid").progress_chars("=> ")
}

/// Calls `tell` with one readable text, such as `fetching artifacts: 212.0 MiB of 588.9 MiB`: at once when a phase begins and
/// then at most once each `interval`.
///
/// The text is meant for `stateDetails` of a job that waits for the release.
pub struct PhaseText<F> {
    tell: F,
    interval: Duration,
    state: Mutex<Option<Running>>,
}

#[derive(Debug, Clone, Copy)]
struct Running {
    phase: Phase,
    total: Option<u64>,
    told: Instant,
}

impl<F: Fn(String) + Send + Sync> PhaseText<F> {
    /// Makes one that calls `tell`; the call must not block for long.
    pub fn new(interval: Duration, tell: F) -> Self {
        Self { tell, interval, state: Mutex::new(None) }
    }
}

impl<F: Fn(String) + Send + Sync> Progress for PhaseText<F> {
    fn begin(&self, phase: Phase, total: Option<u64>) {
        let running = Running { phase, total, told: Instant::now() };
        *self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(running);
        (self.tell)(match total {
            Some(total) => format!("{phase} ({})", HumanBytes(total)),
            None => phase.to_string(),
        });
    }

    fn advanced(&self, done: u64) {
        let due = {
            let mut state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            state.as_mut().filter(|running| running.told.elapsed() >= self.interval).map(|running| {
                running.told = Instant::now();
                *running
            })
        };
        match due {
            Some(Running { phase, total: Some(total), .. }) => {
                (self.tell)(format!("{phase}: {} of {}", HumanBytes(done.min(total)), HumanBytes(total)));
            }
            Some(Running { phase, total: None, .. }) => (self.tell)(format!("{phase}: {}", HumanBytes(done))),
            None => {}
        }
    }

    fn finished(&self) {}
}

/// Plain lines, for a log file or a pipe: one when a phase begins and one every few seconds within it.
pub struct PlainProgress(PhaseText<Box<dyn Fn(String) + Send + Sync>>);

impl PlainProgress {
    /// Seconds between two lines of one phase.
    const INTERVAL: Duration = Duration::from_secs(5);

    /// Writes to `out`, each line after `prefix`. A line that cannot be written is dropped.
    pub fn new(prefix: impl Into<String>, out: impl Write + Send + 'static) -> Self {
        let (prefix, out, start) = (prefix.into(), Mutex::new(out), Instant::now());
        Self(PhaseText::new(
            Self::INTERVAL,
            Box::new(move |text| {
                let mut out = out.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                // Progress is a courtesy: a closed pipe must not fail the build.
                let _ = writeln!(out, "{prefix}{text} [{:.1} s]", start.elapsed().as_secs_f64())
                    .and_then(|()| out.flush());
            }),
        ))
    }
}

impl Progress for PlainProgress {
    fn begin(&self, phase: Phase, total: Option<u64>) {
        self.0.begin(phase, total);
    }
    fn advanced(&self, done: u64) {
        self.0.advanced(done);
    }
    fn finished(&self) {
        self.0.finished();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_phase_is_told_at_once_and_its_bytes_at_most_once_an_interval() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let hourly = PhaseText::new(Duration::from_secs(3600), move |text| sink.lock().unwrap().push(text));
        hourly.begin(Phase::Fetching, Some(1024));
        hourly.advanced(512);
        hourly.begin(Phase::Packing, None);
        assert_eq!(*told.lock().unwrap(), ["fetching artifacts (1.00 KiB)", "packing the bundle"]);

        let sink = Arc::clone(&told);
        let eager = PhaseText::new(Duration::ZERO, move |text| sink.lock().unwrap().push(text));
        eager.begin(Phase::Fetching, Some(1024));
        eager.advanced(512);
        assert_eq!(told.lock().unwrap().last().unwrap(), "fetching artifacts: 512 B of 1.00 KiB");
    }
}
