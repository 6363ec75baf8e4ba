//! Starting a worker through a keeper.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hearth_faults::{Point, reach};
use hearth_keeper::durable::replace_file;
use hearth_keeper::supervise::{ENDED_LINE, RUNNING_LINE};
use hearth_keeper::{KEEPER_FILE, LAUNCH_FILE};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::exit::{Exit, KeeperRecord, RecordError};
use crate::handle::KeeperHandle;
use crate::{LaunchFormatError, LaunchPlan};

/// How long a keeper may take to have its worker running: binding directories of a slow disk, at worst.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// The keeper program of this installation.
#[derive(Debug, Clone)]
pub struct KeeperProgram(PathBuf);

/// What became of a start.
#[derive(Debug)]
pub enum Spawned {
    /// The worker runs.
    Running(KeeperHandle),
    /// It has ended already; with [`crate::End::LaunchFailed`] if it never ran.
    Ended(Exit),
}

/// Why a keeper was not started, or its worker's fate is unknown.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The plan cannot be written down.
    #[error("describing a worker's launch")]
    Plan(#[source] LaunchFormatError),
    /// The `launch` file could not be written.
    #[error("writing the launch file in {worker_dir}")]
    Write {
        /// The worker's directory.
        worker_dir: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The keeper program could not be started or watched.
    #[error("running {program}")]
    Run {
        /// The keeper program.
        program: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The keeper ended without a worker and without a record: it refused the directory (used before, or in use), or
    /// was killed.
    #[error("the keeper of {worker_dir} started nothing")]
    Refused {
        /// The worker's directory.
        worker_dir: PathBuf,
    },
    /// The worker was not running in time; the keeper has been killed, and whatever it started with it.
    #[error("the keeper of {worker_dir} had no worker after {waited:?}")]
    TooSlow {
        /// The worker's directory.
        worker_dir: PathBuf,
        /// How long it was given.
        waited: Duration,
    },
    /// The keeper's record cannot be read.
    #[error("reading what the keeper recorded")]
    Record(#[source] RecordError),
}

impl KeeperProgram {
    /// Names the program; it is not looked at yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The keeper that is installed beside the running program.
    ///
    /// # Errors
    /// The system's own, when the running program's path is unknown, and `NotFound` when there is no keeper beside it.
    pub fn beside_this_program() -> io::Result<Self> {
        let path = std::env::current_exe()?.with_file_name("hearth-keeper");
        path.metadata()?;
        Ok(Self(path))
    }

    /// The program's path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes `plan` into the worker's directory (absolute, prepared, never used before), starts a keeper there and
    /// waits until the worker runs or has failed to.
    ///
    /// Not cancel safe: dropped midway, the worker may or may not come to run; [`crate::adopt`] tells.
    ///
    /// # Errors
    /// As the variants of [`SpawnError`] say. Except for [`SpawnError::Plan`] and [`SpawnError::Write`], control groups
    /// of the worker should be killed before they are removed.
    pub async fn spawn(&self, worker_dir: &Path, plan: &LaunchPlan) -> Result<Spawned, SpawnError> {
        let text = plan.encode().map_err(SpawnError::Plan)?;
        write_launch(worker_dir, text).await?;
        reach(Point::AgentLaunchWritten);
        let failed = |source| SpawnError::Run { program: self.0.clone(), source };
        let mut keeper = self.command(worker_dir).spawn().map_err(failed)?;
        reach(Point::AgentKeeperSpawned);
        let line = match timeout(START_PATIENCE, first_line(&mut keeper)).await {
            Ok(line) => line.map_err(failed)?,
            Err(_) => {
                // The worker's process is bound to die with it.
                keeper.start_kill().map_err(failed)?;
                return Err(SpawnError::TooSlow {
                    worker_dir: worker_dir.to_owned(),
                    waited: START_PATIENCE,
                });
            }
        };
        self.result(worker_dir, keeper, &line)
    }

    fn command(&self, worker_dir: &Path) -> Command {
        let mut command = Command::new(&self.0);
        command.arg(worker_dir).current_dir("/").env_clear().envs(hearth_faults::inherited());
        // The pipe tells when to look at the records; the keeper does not mind when it is closed.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    fn result(&self, worker_dir: &Path, keeper: Child, line: &str) -> Result<Spawned, SpawnError> {
        let refused = || SpawnError::Refused { worker_dir: worker_dir.to_owned() };
        if line == RUNNING_LINE {
            let record = KeeperRecord::read(worker_dir).map_err(SpawnError::Record)?.ok_or_else(refused)?;
            let handle = KeeperHandle::open(worker_dir, record, Some(keeper))
                .map_err(|source| SpawnError::Run { program: self.0.clone(), source })?;
            if let Some(handle) = handle {
                return Ok(Spawned::Running(handle));
            }
        } else if line != ENDED_LINE {
            return Err(refused());
        }
        Exit::read(worker_dir).map_err(SpawnError::Record)?.map(Spawned::Ended).ok_or_else(refused)
    }
}

async fn write_launch(worker_dir: &Path, text: String) -> Result<(), SpawnError> {
    let directory = worker_dir.to_owned();
    let written = tokio::task::spawn_blocking(move || {
        if directory.join(KEEPER_FILE).exists() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        replace_file(&directory, LAUNCH_FILE, text.as_bytes())
    });
    let written = written.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
    written.map_err(|source| SpawnError::Write { worker_dir: worker_dir.to_owned(), source })
}

/// Reads what the keeper says first; empty when it ended without a word.
async fn first_line(keeper: &mut Child) -> io::Result<String> {
    let mut line = String::new();
    let pipe = keeper.stdout.take().expect("a piped stdout");
    BufReader::new(pipe).read_line(&mut line).await?;
    Ok(line)
}
