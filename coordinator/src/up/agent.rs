//! The agent of `hearth up`: enrolled once, started apart from this process so that it outlives it, restarted when it dies.

use super::restarts::Restarts;
use crate::daemon::{Coordinator, private_dir, write_private};
use crate::process::Process;
use anyhow::Context;
use hearth_faults::{Point, reach};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// What this host claims to have, whatever it has (design §6.1): default-sized jobs run as written on a laptop.
const CLAIMED: &str = "[capacity]\nvcpu = 64\nmemory_gib = 256\ndisk_gib = 1000\n";
/// How long to wait between looks at the agent. While it is away its workers get no credentials, and few clients are patient.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long an agent may take to end.
const END_WITHIN: Duration = Duration::from_secs(10);

/// The agent of one data directory.
pub(super) struct Agent {
    dir: PathBuf,
    program: PathBuf,
    /// The one that was found or started last; none if it ended before it could be looked at.
    process: Option<Process>,
    /// The same, if this process started it: whoever starts it has to reap it.
    child: Option<Child>,
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
        let program = program()?;
        if let Some(outdated) = found.filter(|agent| !agent.runs(&program)) {
            tracing::info!(pid = outdated.pid, "replacing an agent of another version");
            end(outdated).await;
        }
        let mut agent = Self { dir, program, process: None, child: None };
        agent.find_or_launch()?;
        Ok(agent)
    }

    /// Where the agent writes its log.
    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("agent.log")
    }

    /// Starts the agent again whenever it ended, for as long as it is polled: what keeps it from starting may pass. Cancel
    /// safe.
    pub(super) async fn keep_alive(&mut self) -> Infallible {
        let mut restarts = Restarts::default();
        loop {
            let began = Instant::now();
            let reason = match self.find_or_launch() {
                Ok(()) => self.ended().await,
                Err(error) => format!("{error:#}"),
            };
            if restarts.is_news(&reason) {
                tracing::error!(reason, "the agent does not run; starting it again");
            }
            tokio::time::sleep(restarts.pause_after(began.elapsed())).await;
        }
    }

    fn is_alive(&self) -> bool {
        self.process.is_some_and(Process::is_alive)
    }

    /// Sees to it that there is an agent: the one that works in the state directory, whoever started it, or else a new one.
    fn find_or_launch(&mut self) -> anyhow::Result<()> {
        if self.is_alive() {
            return Ok(());
        }
        self.process = working(&self.dir.join("state/lock"));
        if self.process.is_none() {
            let child = launch(&self.program, &self.dir)?;
            self.process = Process::of(child.id());
            self.child = Some(child);
        }
        Ok(())
    }

    /// Waits for the agent's end, and answers how it ended.
    async fn ended(&mut self) -> String {
        while self.is_alive() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        match self.child.as_mut().map(Child::try_wait) {
            Some(Ok(Some(status))) => {
                self.child = None;
                format!("it ended with {status}")
            }
            // Not a child of ours, or not to be waited for.
            Some(Ok(None) | Err(_)) | None => "it ended".to_owned(),
        }
    }

    /// Ends the agent.
    pub(super) async fn stop(self) {
        if let Some(process) = self.process {
            end(process).await;
        }
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
                tokio::time::sleep(LOOK_EVERY / 2).await;
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

/// Starts the agent in a process group of its own: signals of our terminal are not for it, and it outlives us.
fn launch(program: &Path, dir: &Path) -> anyhow::Result<Child> {
    use std::os::unix::process::CommandExt;
    let log = dir.join("agent.log");
    let output = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("opening {}", log.display()))?;
    let child = std::process::Command::new(program)
        .arg("--config")
        .arg(dir.join("agent.toml"))
        .stdin(Stdio::null())
        .stdout(output.try_clone().context("sharing the agent's log")?)
        .stderr(output)
        .process_group(0)
        .current_dir("/")
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    reach(Point::UpAgentStarted);
    Ok(child)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

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

    /// An agent whose program notes each start in a line of `starts` and then waits to be ended.
    fn agent_in(dir: &Path) -> Agent {
        std::fs::create_dir(dir.join("state")).expect("made");
        let program = dir.join("program");
        let script = format!("#!/bin/sh\necho >> '{}/starts'\nexec sleep 600\n", dir.display());
        std::fs::write(&program, script).expect("written");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).expect("executable");
        Agent { dir: dir.to_owned(), program, process: None, child: None }
    }

    fn starts(dir: &Path) -> usize {
        std::fs::read(dir.join("starts")).map_or(0, |lines| lines.len())
    }

    /// Keeps the agent alive until `holds`.
    async fn kept_alive_until(agent: &mut Agent, what: &str, mut holds: impl FnMut() -> bool) {
        let held = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            never = agent.keep_alive() => match never {},
            in_time = tokio::time::timeout(Duration::from_secs(60), held) => in_time.expect(what),
        }
    }

    #[tokio::test]
    async fn an_agent_that_cannot_be_started_is_tried_again_until_it_can() {
        let directory = tempfile::tempdir().expect("a directory");
        let dir = directory.path();
        let mut agent = agent_in(dir);
        let (program, away, log) = (agent.program.clone(), dir.join("away"), agent.log());
        std::fs::rename(&program, &away).expect("moved");
        // It is opened before the program is looked for.
        kept_alive_until(&mut agent, "a vain try", || log.exists()).await;
        let mut tries = 0;
        let back = || {
            tries += 1;
            if tries == 50 {
                std::fs::rename(&away, &program).expect("moved back");
            }
            starts(dir) == 1
        };
        kept_alive_until(&mut agent, "a start", back).await;
        let killed = agent.process.expect("it runs").pid;
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(killed), nix::sys::signal::Signal::SIGKILL)
            .expect("it is ours");
        kept_alive_until(&mut agent, "another start", || starts(dir) == 2).await;
        agent.stop().await;
    }
}
