//! `hearth down`: stops the `hearth up` of a data directory and waits until it is gone.

use super::error::CliError;
use super::screen;
use super::up_pid;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::time::{Duration, Instant};

/// Job runs get half a minute to end, the rest follows within this.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at the process.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Sends SIGTERM and returns when the process has ended.
pub(super) async fn down(data_dir: &Path) -> Result<(), CliError> {
    let Some(up) = up_pid::read(data_dir)?.filter(|up| up.is_alive()) else {
        return Err(CliError::NotUp(data_dir.to_owned()));
    };
    kill(Pid::from_raw(up.pid), Signal::SIGTERM)
        .map_err(|source| CliError::Signal { pid: up.pid, source })?;
    let start = Instant::now();
    while up.is_alive() {
        if start.elapsed() > PATIENCE {
            return Err(CliError::StillRunning { pid: up.pid, seconds: PATIENCE.as_secs() });
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    screen::line(&format!("hearth on {} is down", data_dir.display()))
}
