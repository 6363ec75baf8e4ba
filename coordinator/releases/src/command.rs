//! Running pip, Maven and Python: their output kept, their whole process group stopped on request.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::error::{Error, Result};

/// Stops a build from another thread; clones share one flag. A stopped build returns [`Error::Cancelled`] within a second
/// and leaves nothing behind but its download cache.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Stops every build that was given this flag, for good.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Fails once the flag is set.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// One run of a program.
pub(crate) struct Tool {
    name: &'static str,
    command: Command,
    log: PathBuf,
}

/// Between two looks at a running program.
const POLL: Duration = Duration::from_millis(100);

impl Tool {
    /// Prepares `program`, known to people as `name`; its output goes to `log`.
    pub(crate) fn new(name: &'static str, program: &OsStr, log: PathBuf) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).process_group(0);
        Self { name, command, log }
    }

    /// Adds arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts in this directory.
    pub(crate) fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Runs to the end and calls `tick` some times a second meanwhile.
    ///
    /// # Errors
    /// [`Error::ToolFailed`] with the last lines of its output; [`Error::Cancelled`]; [`Error::Io`].
    pub(crate) fn run(mut self, cancel: &Cancel, tick: &dyn Fn()) -> Result<()> {
        let log = File::create(&self.log).map_err(Error::io("create", &self.log))?;
        let same = log.try_clone().map_err(Error::io("open", &self.log))?;
        let child = self
            .command
            .stdout(log)
            .stderr(same)
            .spawn()
            .map_err(Error::io("run", self.command.get_program()))?;
        let mut group = Group(child);
        let status = loop {
            cancel.check()?;
            match group.0.try_wait().map_err(Error::io("wait for", self.command.get_program()))? {
                Some(status) => break status,
                None => thread::sleep(POLL),
            }
            tick();
        };
        self.judge(status)
    }

    fn judge(&self, status: ExitStatus) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        let output = fs::read(&self.log).unwrap_or_default();
        Err(Error::ToolFailed {
            program: self.name,
            status: status.to_string(),
            output: last_lines(&output, 15),
        })
    }
}

/// A child that leads a process group; dropped while it runs, the whole group is killed.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        // The group may be gone by now; then there is nothing to stop.
        let _ = killpg(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGKILL);
        let _: io::Result<ExitStatus> = self.0.wait();
    }
}

/// The last `count` lines of a program's output, without trailing white space.
fn last_lines(output: &[u8], count: usize) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, dir: &Path) -> Tool {
        Tool::new("sh", OsStr::new("sh"), dir.join("log")).args(["-c", script])
    }

    #[test]
    fn a_failure_carries_the_last_words() {
        let dir = tempfile::tempdir().unwrap();
        let error = shell("echo first; echo why >&2; exit 3", dir.path())
            .run(&Cancel::default(), &|| ())
            .unwrap_err();
        let Error::ToolFailed { output, status, .. } = error else { panic!("{error}") };
        assert_eq!((output.as_str(), status.as_str()), ("first\nwhy", "exit status: 3"));
    }

    #[test]
    fn a_cancelled_program_dies_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let cancel = Cancel::default();
        let pid_file = dir.path().join("pid");
        // The grandchild writes its pid; the first tick that sees it cancels.
        let tool =
            shell("sleep 600 & echo $! > pid.new; mv pid.new pid; wait", dir.path()).current_dir(dir.path());
        let result = tool.run(&cancel, &|| {
            if pid_file.exists() {
                cancel.cancel();
            }
        });
        assert!(matches!(result, Err(Error::Cancelled)));
        let pid: i32 = fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
        // Orphaned and killed, it is gone or a zombie that its new parent has not read yet.
        let ended =
            || fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z"));
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !ended() {
            assert!(std::time::Instant::now() < deadline, "process {pid} lives on");
            thread::yield_now();
        }
    }
}
