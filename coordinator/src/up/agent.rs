//! The agent of `hearth up`: enrolled once, started apart from this process so that it outlives it, restarted when it dies.

use crate::daemon::{Coordinator, private_dir, write_private};
use crate::process::Process;
use anyhow::Context;
use hearth_faults::{Point, reach};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// What this host claims to have, whatever it has (design §6.1): default-sized jobs run as written on a laptop.
const CLAIMED: &str = "[capacity]\nvcpu = 64\nmemory_gib = 256\ndisk_gib = 1000\n";
/// How long to wait between looks at an agent that is not our child, and before an agent that died is started again.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long an agent may take to end.
const END_WITHIN: Duration = Duration::from_secs(10);

/// The agent of one data directory.
pub(super) struct Agent {
    dir: PathBuf,
    process: Process,
}

impl Agent {
    /// Finds the agent that an earlier `hearth up` left behind, or enrols and starts one. One left behind by another
    /// version is replaced; its workers stay.
    pub(super) async fn start(
        data_dir: &Path,
        coordinator: &Coordinator,
        capacity_real: bool,
    ) -> anyhow::Result<Self> {
        let dir = data_dir.join("agent");
        private_dir(&dir)?;
        // The agent reads this file each time it connects: the coordinator's port may have changed.
        write_private(&dir.join("coordinator"), coordinator.agents.to_string().as_bytes())?;
        let claimed = if capacity_real { "" } else { CLAIMED };
        let health = "[health]\nlisten = \"127.0.0.1:0\"\n";
        let config = format!(
            "state_dir = {:?}\ncoordinator_file = {:?}\n{claimed}{health}",
            dir.join("state"),
            dir.join("coordinator")
        );
        write_private(&dir.join("agent.toml"), config.as_bytes())?;
        // Its identity is the one proof that it joined: a record of our own could be missing though it did.
        if !dir.join("state/identity.pem").exists() {
            enrol(&dir, coordinator).await?;
            reach(Point::UpEnrolled);
        }
        let found = working(&dir.join("state/lock")).or_else(|| noted_by_an_earlier_version(&dir));
        let wanted = program()?;
        if let Some(outdated) = found.filter(|agent| !agent.runs(&wanted)) {
            tracing::info!(pid = outdated.pid, "replacing an agent of another version");
            end(outdated).await;
        }
        let process = found_or_launched(&dir)?;
        Ok(Self { dir, process })
    }

    /// Where the agent writes its log.
    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("agent.log")
    }

    /// Starts the agent again whenever it dies; ends only if it cannot be started. Cancel safe.
    pub(super) async fn keep_alive(&mut self) -> anyhow::Result<()> {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if !self.process.is_alive() {
                tracing::warn!("the agent died; starting it again");
                self.process = found_or_launched(&self.dir)?;
            }
        }
    }

    /// Ends the agent.
    pub(super) async fn stop(self) {
        end(self.process).await;
    }
}

/// Ends an agent, by force if it takes too long. Its workers stay.
async fn end(agent: Process) {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        if agent.is_alive() {
            // One that ended in this very moment needs no signal.
            let _ended = kill(Pid::from_raw(agent.pid), signal);
        }
        let ended = async {
            while agent.is_alive() {
                tokio::time::sleep(LOOK_EVERY / 10).await;
            }
        };
        if tokio::time::timeout(END_WITHIN, ended).await.is_ok() {
            return;
        }
        tracing::warn!(%signal, "the agent did not end in time");
    }
}

fn program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program's own path")?;
    let agent = own.with_file_name("hearth-agent");
    anyhow::ensure!(agent.exists(), "{} is missing; run `./deploy/build.sh`", agent.display());
    Ok(agent)
}

async fn enrol(dir: &Path, coordinator: &Coordinator) -> anyhow::Result<()> {
    let token = hearth_agents::new_join_token(&coordinator.store, crate::enrolment::JOIN_TOKEN_VALID).await?;
    let output = tokio::process::Command::new(program()?)
        .arg("join")
        .args(["--coordinator", &coordinator.enrolment.to_string()])
        .args(["--ca-fingerprint", &coordinator.ca_fingerprint])
        .arg("--state-dir")
        .arg(dir.join("state"))
        // By the environment: arguments can be read by every user of the host.
        .env("HEARTH_JOIN_TOKEN", token)
        .stdin(Stdio::null())
        .output()
        .await
        .context("starting hearth-agent join")?;
    anyhow::ensure!(
        output.status.success(),
        "enrolling the agent failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// The agent that works on this directory, whoever started it, or else a new one.
fn found_or_launched(dir: &Path) -> anyhow::Result<Process> {
    match working(&dir.join("state/lock")) {
        Some(process) => Ok(process),
        None => launch(dir),
    }
}

/// The agent that holds its state directory by this file, and has written itself into it.
fn working(lock: &Path) -> Option<Process> {
    let file = std::fs::File::open(lock).ok()?;
    match file.try_lock_shared() {
        Err(std::fs::TryLockError::WouldBlock) => {
            Process::of(std::fs::read_to_string(lock).ok()?.trim().parse().ok()?)
        }
        Ok(()) | Err(std::fs::TryLockError::Error(_)) => None,
    }
}

/// The agent as a `hearth up` wrote it down whose agents did not write themselves into their lock.
fn noted_by_an_earlier_version(dir: &Path) -> Option<Process> {
    let noted: Process = serde_json::from_slice(&std::fs::read(dir.join("agent.pid")).ok()?).ok()?;
    noted.is_alive().then_some(noted)
}

/// Starts the agent in a session of its own: signals of our terminal are not for it, and it outlives us.
fn launch(dir: &Path) -> anyhow::Result<Process> {
    use std::os::unix::process::CommandExt;
    let log = dir.join("agent.log");
    let output = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("opening {}", log.display()))?;
    let child = std::process::Command::new(program()?)
        .arg("--config")
        .arg(dir.join("agent.toml"))
        .stdin(Stdio::null())
        .stdout(output.try_clone().context("sharing the agent's log")?)
        .stderr(output)
        .process_group(0)
        .current_dir("/")
        .spawn()
        .context("starting hearth-agent")?;
    let process = Process::of(child.id()).context("the agent ended at once; see its log")?;
    reach(Point::UpAgentStarted);
    reap(child);
    Ok(process)
}

/// Waits for the child on a thread of its own, so that it does not stay a zombie when it dies.
fn reap(mut child: std::process::Child) {
    std::thread::spawn(move || {
        if let Ok(status) = child.wait() {
            tracing::info!(%status, "the agent ended");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn an_agent_is_found_by_the_lock_it_holds_and_not_by_what_a_dead_one_wrote() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("lock");
        assert_eq!(working(&path), None, "none was ever started");
        let mut lock = std::fs::File::create(&path).expect("made");
        lock.try_lock().expect("free");
        assert_eq!(working(&path), None, "it has not said yet who it is");
        writeln!(lock, "{}", std::process::id()).expect("written");
        assert_eq!(working(&path), Some(Process::own()));
        drop(lock);
        assert_eq!(working(&path), None, "it is dead");
    }
}
