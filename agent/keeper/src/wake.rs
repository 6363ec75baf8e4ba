//! What a keeper waits for: an ended child, the agent's nudge, or a moment.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::step::{DuringStep, StepFailed};

/// The signal by which an agent tells that it has moved the deadlines of a lease.
pub const NUDGE: Signal = Signal::SIGUSR1;

/// Signals that no longer interrupt this process: those that wake it, and the polite ones that it does not heed.
const BLOCKED: [Signal; 6] =
    [Signal::SIGCHLD, NUDGE, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// Wakes the keeper.
pub(crate) struct Wakes {
    signals: SignalFd,
    timer: TimerFd,
}

impl Wakes {
    /// Blocks the signals, so that none is missed from here on.
    pub(crate) fn new() -> Result<Self, StepFailed> {
        // Blocked rather than ignored: the child can unblock in safe code, whereas ignoring would be inherited for good.
        SigSet::from_iter(BLOCKED).thread_block().during(|| "blocking signals")?;
        let waking = SigSet::from_iter([Signal::SIGCHLD, NUDGE]);
        let signals = SignalFd::with_flags(&waking, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .during(|| "watching signals")?;
        // Runs on while the host is suspended, unlike the timeout of a poll.
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)
            .during(|| "making a timer")?;
        Ok(Self { signals, timer })
    }

    /// Waits for a signal, but not beyond `until`. May return early.
    pub(crate) fn wait(&self, until: Option<Duration>) -> Result<(), Errno> {
        match until {
            Some(until) => {
                let at = Expiration::OneShot(TimeSpec::from_duration(until));
                self.timer.set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            }
            None => self.timer.unset()?,
        }
        let mut sources =
            [self.signals.as_fd(), self.timer.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut sources, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        // Which signals came does not matter: whoever is woken looks at everything.
        while self.signals.read_signal()?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::boottime;

    #[test]
    fn a_moment_and_a_signal_each_end_the_wait() {
        let wakes = Wakes::new().expect("made");
        let until = boottime() + Duration::from_millis(20);
        while boottime() < until {
            wakes.wait(Some(until)).expect("waited");
        }
        // To this thread, whose signals are blocked.
        nix::sys::signal::raise(NUDGE).expect("sent");
        wakes.wait(None).expect("waited");
        wakes.wait(Some(Duration::from_nanos(1))).expect("a moment long past");
    }
}
