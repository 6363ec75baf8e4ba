//! The keeper's own life: start the worker, hold it by its lease, kill what it leaves, record how it ended.
//!
//! Whatever happens after the lock on the `launch` file is taken ends in an `exit.json`. The agent may die at any
//! moment: nothing here waits for it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use hearth_faults::{Point, reach};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, close, dup2_stdout, setsid};

use crate::child::{self, KEEPER_PID_VARIABLE};
use crate::descendants::{Descendants, children, reap_all, signal_children};
use crate::durable::replace_file;
use crate::groups::{self, Counters};
use crate::hold::Hold;
use crate::launch::LaunchPlan;
use crate::record::{Outcome, Running};
use crate::step::{DuringStep, StepFailed};
use crate::wake::Wakes;
use crate::{EXIT_FILE, KEEPER_FILE, LAUNCH_FILE, system};

/// Line written to standard output once `keeper.json` is in place.
pub const RUNNING_LINE: &str = "running\n";
/// Line written to standard output when `exit.json` is in place and the worker never ran.
pub const ENDED_LINE: &str = "ended\n";

/// Pause between rounds of killing, long enough for the killed to be gone in one or two.
const KILL_PAUSE: Duration = Duration::from_millis(1);
/// Pause between two looks where waiting fails, which no supported kernel does.
const WAIT_PAUSE: Duration = Duration::from_millis(100);
/// Pause before another try to record an outcome that the disk refused.
const RECORD_PAUSE: Duration = Duration::from_secs(1);

/// Keeps the worker of `worker_dir` from its start to its recorded end.
///
/// # Errors
/// Only when there is nothing to keep: no `launch` file, another keeper holds it, or the directory was used before.
pub fn run(worker_dir: &Path) -> Result<(), StepFailed> {
    close_inherited_files();
    let _lock = lock(worker_dir)?;
    let outcome = match start(worker_dir) {
        Ok(mut started) => {
            reach(Point::KeeperRecorded);
            tell_agent(RUNNING_LINE);
            let status = wait_for_end(&mut started);
            reach(Point::KeeperWorkerEnded);
            clear(&started.plan.kill_cgroups);
            let lease_ended = started.hold.is_some_and(|hold| hold.has_killed());
            Outcome { lease_ended, ..ended(status, Counters::read(&started.plan.cgroup_procs)) }
        }
        Err(failure) => Outcome { launch_error: Some(failure.to_string()), ..Outcome::default() },
    };
    let outcome = Outcome {
        ended_at_boottime_ns: system::boottime_ns(),
        ended_at_unix_ms: system::unix_ms(),
        ..outcome
    };
    record(worker_dir, &outcome)?;
    reach(Point::KeeperExitRecorded);
    tell_agent(ENDED_LINE);
    Ok(())
}

/// Closes what was passed on by mistake: a keeper lives long and must not keep foreign files or sockets open.
fn close_inherited_files() {
    let open: Vec<i32> = fs::read_dir("/proc/self/fd")
        .map(|entries| {
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
        })
        .unwrap_or_default();
    for number in open.into_iter().filter(|&number| number > 2) {
        // The handle of the listing itself is among them and already closed.
        let _ = close(number);
    }
}

/// Takes the worker directory for this keeper alone, until its death. The lock also tells a restarted agent that a
/// keeper is about to start a worker that has no record yet.
fn lock(worker_dir: &Path) -> Result<Flock<File>, StepFailed> {
    let path = worker_dir.join(LAUNCH_FILE);
    let step = || format!("locking {}", path.display());
    let file = File::open(&path).during(step)?;
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno).during(step)?;
    // An agent that gave this start up has removed the file under the lock.
    if lock.metadata().during(step)?.nlink() == 0 {
        return Err(StepFailed::new(step(), Errno::ENOENT));
    }
    // A directory serves one start, so that its records mean one worker.
    if [KEEPER_FILE, EXIT_FILE].iter().any(|name| worker_dir.join(name).exists()) {
        return Err(StepFailed::new(format!("starting in {}", worker_dir.display()), Errno::EEXIST));
    }
    Ok(lock)
}

/// A worker that runs, and what is needed to see it to its end.
struct Started {
    worker: Child,
    plan: LaunchPlan,
    hold: Option<Hold>,
    wakes: Wakes,
}

/// Starts the worker and records that it runs; on an error nothing of it is left.
fn start(worker_dir: &Path) -> Result<Started, StepFailed> {
    let wakes = Wakes::new()?;
    match setsid() {
        Ok(_) | Err(Errno::EPERM) => {} // EPERM: it leads its own group already.
        Err(errno) => return Err(StepFailed::new("starting a session", errno)),
    }
    set_child_subreaper(true).during(|| "becoming the reaper of descendants")?;
    let plan = child::read_plan(worker_dir)?;
    let hold = Hold::open(&plan)?;
    reach(Point::KeeperLaunchRead);
    let mut worker = spawn(worker_dir)?;
    let pid = Pid::from_raw(worker.id().cast_signed());
    let started = launch_report(&mut worker).and_then(|()| {
        reach(Point::KeeperWorkerStarted);
        record_running(worker_dir, pid)
    });
    if let Err(failure) = started {
        let _ = kill(pid, Signal::SIGKILL);
        clear(&plan.kill_cgroups);
        return Err(failure);
    }
    Ok(Started { worker, plan, hold, wakes })
}

fn spawn(worker_dir: &Path) -> Result<Child, StepFailed> {
    // This program's own file, even if an upgrade has replaced it meanwhile.
    Command::new("/proc/self/exe")
        .arg("--child")
        .arg(worker_dir)
        .env(KEEPER_PID_VARIABLE, std::process::id().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .during(|| "starting the worker's process")
}

/// Waits until the child has become the worker (silence) or says why it could not.
fn launch_report(child: &mut Child) -> Result<(), StepFailed> {
    let mut complaint = String::new();
    let step = || "starting the worker";
    child.stdout.take().expect("a piped stdout").read_to_string(&mut complaint).during(step)?;
    if complaint.is_empty() { Ok(()) } else { Err(StepFailed::new(step(), io::Error::other(complaint))) }
}

fn record_running(worker_dir: &Path, child: Pid) -> Result<(), StepFailed> {
    let pid = std::process::id().cast_signed();
    let step = || format!("recording the start in {}", worker_dir.display());
    let running = Running {
        pid,
        start_ticks: system::start_ticks(pid).during(step)?,
        child_pid: child.as_raw(),
        child_start_ticks: system::start_ticks(child.as_raw()).during(step)?,
        boot_id: system::boot_id().during(step)?,
        started_at_boottime_ns: system::boottime_ns(),
    };
    replace_file(worker_dir, KEEPER_FILE, running.to_json().as_bytes()).during(step)
}

/// Tells the agent, if it is still there, and then lets go of the pipe when there is nothing more to say.
fn tell_agent(line: &str) {
    let _ = io::stdout().write_all(line.as_bytes()).and_then(|()| io::stdout().flush());
    if let Ok(null) = File::options().write(true).open("/dev/null") {
        let _ = dup2_stdout(null);
    }
}

/// Waits for the worker's first process and holds it by its lease meanwhile.
fn wait_for_end(started: &mut Started) -> ExitStatus {
    let Started { worker, plan, hold, wakes } = started;
    loop {
        if let Some(status) = reap(worker) {
            return status;
        }
        let again_at = hold.as_mut().and_then(|hold| {
            hold.tend(|| {
                groups::kill_members(&plan.kill_cgroups);
                let _ = worker.kill();
            })
        });
        if wakes.wait(again_at).is_err() {
            sleep(WAIT_PAUSE);
        }
    }
}

/// Reaps descendants that lost their own parent, and the worker if it has ended.
///
/// Leaves the worker's status to the standard library: nix has no name for real-time signals and would lose which
/// process died of one.
fn reap(worker: &mut Child) -> Option<ExitStatus> {
    let worker_pid = Pid::from_raw(worker.id().cast_signed());
    let ended = worker.try_wait().expect("the worker is this process's child until waited for");
    if ended.is_none() {
        for orphan in children().into_iter().filter(|&pid| pid != worker_pid) {
            let _ = waitpid(orphan, Some(WaitPidFlag::WNOHANG));
        }
    }
    ended
}

/// Kills the groups' members and all descendants until none is left.
///
/// Unbounded on purpose: `exit.json` promises that the worker is no more.
fn clear(groups: &[PathBuf]) {
    loop {
        groups::kill_members(groups);
        signal_children(Signal::SIGKILL);
        if reap_all() == Descendants::None && groups::are_empty(groups) {
            return;
        }
        sleep(KILL_PAUSE);
    }
}

fn ended(status: ExitStatus, counters: Counters) -> Outcome {
    Outcome {
        exit_code: status.code(),
        signal: status.signal(),
        oom_killed: counters.oom_kills.unwrap_or(0) > 0,
        memory_peak_bytes: counters.memory_peak_bytes,
        cpu_usec: counters.cpu_usec,
        ..Outcome::default()
    }
}

/// Writes `exit.json`, however long the disk refuses it; an outcome without a directory has no reader.
fn record(worker_dir: &Path, outcome: &Outcome) -> Result<(), StepFailed> {
    loop {
        match replace_file(worker_dir, EXIT_FILE, outcome.to_json().as_bytes()) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StepFailed::new(format!("recording the end in {}", worker_dir.display()), error));
            }
            Err(_) => sleep(RECORD_PAUSE),
        }
    }
}
