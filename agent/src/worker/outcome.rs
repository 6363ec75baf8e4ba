//! How a worker ended, from what its keeper wrote down.

use hearth_agent_core::life::{AgentCause, Outcome};
use hearth_processes::{End, Exit};
use std::time::Duration;

/// The outcome that a keeper's record tells of.
pub(super) fn outcome(exit: Exit) -> Outcome {
    let (exit_code, signal, launch_error) = match exit.end {
        End::Exited(code) => (Some(code), None, None),
        End::Signaled(signal) => (None, Some(signal), None),
        End::LaunchFailed(reason) => (None, None, Some(reason)),
    };
    let cause = match &launch_error {
        Some(_) => AgentCause::NoLaunch,
        // Nobody was in touch to order it, and nothing of the job is to blame.
        None if exit.lease_ended => AgentCause::Lost,
        None => AgentCause::None,
    };
    Outcome {
        exit_code,
        signal,
        oom_killed: exit.oom_killed,
        launch_error,
        memory_peak_bytes: exit.memory_peak_bytes,
        cpu_usec: exit.cpu.map(|cpu| u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX)),
        ran_ms: exit.ran.map(|ran| u64::try_from(ran.as_millis()).unwrap_or(u64::MAX)),
        at_unix_ms: i64::try_from(exit.ended_at_unix_ms).unwrap_or(i64::MAX),
        cause,
    }
}

/// The wall clock, in milliseconds since the Unix epoch.
pub(super) fn now_unix_ms() -> i64 {
    i64::try_from(hearth_keeper::system::unix_ms()).unwrap_or(i64::MAX)
}

/// The wall clock at a moment of `CLOCK_BOOTTIME`.
pub(super) fn unix_ms_at(boottime: Duration) -> i64 {
    let ago = hearth_processes::host::boottime().saturating_sub(boottime);
    now_unix_ms() - i64::try_from(ago.as_millis()).unwrap_or(0)
}
