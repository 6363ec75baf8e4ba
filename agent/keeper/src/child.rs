//! The worker's side of the start: confines itself step by step, then becomes the worker.
//!
//! A process of its own (`hearth-keeper --child`) rather than code between `fork` and `exec`, so that every step is
//! ordinary safe code. The process id stays the same throughout: it is the worker's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use nix::libc;
use nix::sys::prctl::{set_no_new_privs, set_pdeathsig};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, chdir, fchown, getppid, setgroups, setresgid, setresuid, setsid};

use crate::LAUNCH_FILE;
use crate::hold::Grant;
use crate::launch::{Identity, LaunchPlan};
use crate::mounts;
use crate::step::{DuringStep, StepFailed};

/// Names the variable in which the keeper tells the child its process id.
pub const KEEPER_PID_VARIABLE: &str = "HEARTH_KEEPER_PID";

/// Exit status of a child that did not become the worker.
const NOT_STARTED: u8 = 127;

/// Becomes the worker described in `worker_dir`; returns only when that failed, after reporting why on the pipe that
/// is standard output. The pipe closing without a word means that the worker runs.
pub fn run(worker_dir: &Path) -> ExitCode {
    let report = io::stdout().as_fd().try_clone_to_owned();
    let failure = match become_worker(worker_dir) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    if let Ok(pipe) = report {
        // A keeper that is gone has nobody to tell.
        let _ = File::from(pipe).write_all(failure.to_string().as_bytes());
    }
    ExitCode::from(NOT_STARTED)
}

fn become_worker(worker_dir: &Path) -> Result<std::convert::Infallible, StepFailed> {
    die_with_keeper()?;
    SigSet::empty().thread_set_mask().during(|| "unblocking signals")?;
    let plan = read_plan(worker_dir)?;
    let grant = Grant::open(&plan)?;
    setsid().during(|| "starting a session")?;
    for file in &plan.cgroup_procs {
        fs::write(file, std::process::id().to_string()).during(|| format!("joining {}", file.display()))?;
    }
    if let Some(adjustment) = plan.oom_score_adj {
        fs::write("/proc/self/oom_score_adj", adjustment.to_string()).during(|| "setting oom_score_adj")?;
    }
    let stdout = open_log(&plan.stdout, plan.identity)?;
    let stderr = open_log(&plan.stderr, plan.identity)?;
    limit_resources(&plan)?;
    if let Some(view) = &plan.view {
        umask(Mode::from_bits_truncate(0o022));
        mounts::enter(view)?;
    }
    umask(Mode::from_bits_truncate(0o077));
    if let Some(identity) = plan.identity {
        change_identity(identity)?;
        // A change of user clears the death signal.
        die_with_keeper()?;
    }
    set_no_new_privs().during(|| "giving up new privileges")?;
    chdir(&plan.cwd).during(|| format!("changing to directory {}", plan.cwd.display()))?;
    // Last, for any step may have taken long. From here on the keeper holds the worker.
    grant.check()?;
    let failure = command(&plan, stdout, stderr).exec();
    Err(StepFailed::new(format!("executing {}", plan.exec.display()), failure))
}

pub(crate) fn read_plan(worker_dir: &Path) -> Result<LaunchPlan, StepFailed> {
    let path = worker_dir.join(LAUNCH_FILE);
    let step = || format!("reading {}", path.display());
    let text = fs::read_to_string(&path).during(step)?;
    LaunchPlan::parse(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)).during(step)
}

/// Asks to be killed when the keeper dies: a worker without a keeper has neither outcome nor leash.
fn die_with_keeper() -> Result<(), StepFailed> {
    set_pdeathsig(Signal::SIGKILL).during(|| "binding the worker to its keeper")?;
    // It may have died before it was asked for.
    let keeper = std::env::var(KEEPER_PID_VARIABLE).ok();
    if keeper != Some(getppid().to_string()) {
        return Err(StepFailed::new(
            "binding the worker to its keeper",
            io::Error::other("the keeper is gone"),
        ));
    }
    Ok(())
}

/// Opens a log for appending and gives it to the worker's user, who may then reopen `/dev/stderr`.
fn open_log(path: &Path, owner: Option<Identity>) -> Result<OwnedFd, StepFailed> {
    let step = || format!("opening {}", path.display());
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .during(step)?;
    if let Some(Identity { uid, gid }) = owner {
        fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).during(step)?;
    }
    Ok(file.into())
}

fn limit_resources(plan: &LaunchPlan) -> Result<(), StepFailed> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).during(|| "switching core dumps off")?;
    if let Some(wanted) = plan.nofile {
        let step = || "limiting open files";
        let limit = |files| setrlimit(Resource::RLIMIT_NOFILE, files, files);
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).during(step)?;
        // Who may not raise the hard limit gets as much as there is.
        limit(wanted).or_else(|_| limit(wanted.min(hard))).during(step)?;
    }
    Ok(())
}

fn change_identity(Identity { uid, gid }: Identity) -> Result<(), StepFailed> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setgroups(&[]).during(|| "dropping supplementary groups")?;
    setresgid(gid, gid, gid).during(|| format!("becoming group {gid}"))?;
    setresuid(uid, uid, uid).during(|| format!("becoming user {uid}"))
}

fn command(plan: &LaunchPlan, stdout: OwnedFd, stderr: OwnedFd) -> Command {
    let mut command = Command::new(&plan.exec);
    command.args(&plan.args).env_clear().envs(plan.env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    command
}
