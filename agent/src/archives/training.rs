//! The task that makes archives: a small job of hearth's own, run by a keeper like any worker, on what processors others
//! leave, and the first to go when memory runs out.

use super::store::Wanted;
use crate::host::Host;
use hearth_agent_core::jvm::{base_environment, class_path};
use hearth_agent_core::view::{HostPaths, Isolation, View};
use hearth_cgroups::{Limits, Share, WorkerGroup};
use hearth_processes::{
    Access, Adoption, End, Exit, Identity, KeeperHandle, LaunchPlan, Mount, Spawned, WorkerDir, WorkerSignal,
    adopt,
};
use hearth_telemetry::error_chain;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

/// Name of the directory and the control group of a training; no worker's, since one agent trains once at a time.
pub(crate) const NAME: &str = "class-archives";
const MAIN_CLASS: &str = "org.apache.spark.hearth.ArchiveTraining";
/// Where in its home the training leaves the archives.
const RESULT: &str = "archives";
/// The longest wait for a quiet host, before archives are made beside workers that keep starting.
const QUIET_WITHIN: Duration = Duration::from_secs(120);
/// A training on a busy host gets few processors; one on a stuck host ends.
const TRAIN_WITHIN: Duration = Duration::from_secs(900);
/// How long a killed training may take to be gone.
const END_WITHIN: Duration = Duration::from_secs(10);
/// Pause before archives that could not be made are tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(600);
/// Two JVMs with 1 GiB of heap at the most, and Python.
const LIMITS: Limits = Limits { cpu_millis: 2000, memory_bytes: 3 << 30, pids: 1024, share: Share::Leftover };
/// The first to be killed when the host's memory runs out.
const OOM_SCORE_ADJUSTMENT: i32 = 1000;
const OPEN_FILES: u64 = 65_536;
/// Runs a program politely, where control groups do not see to it.
const NICE: &str = "/usr/bin/nice";

/// Why there are no archives. A worker starts without them all the same.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrainingError {
    #[error("taking a user id")]
    Uid(#[from] hearth_processes::NoFreeUid),
    #[error("preparing a directory")]
    Directory(#[from] hearth_processes::WorkerDirError),
    #[error("making a control group")]
    Cgroup(#[from] hearth_cgroups::CgroupError),
    #[error("starting the training")]
    Spawn(#[from] hearth_processes::SpawnError),
    #[error("waiting for the training")]
    Wait(#[from] hearth_processes::WaitError),
    #[error("the training ended with {end}: {last_words}")]
    Failed { end: String, last_words: String },
    #[error("the training took more than {TRAIN_WITHIN:?}")]
    TooSlow,
    #[error("storing the archives")]
    Store(#[source] std::io::Error),
    #[error("a task was cut off")]
    Cut(#[from] tokio::task::JoinError),
}

/// Makes what is wanted, one after another, for as long as it is polled.
pub(crate) async fn keep_making(host: Arc<Host>, mut orders: mpsc::Receiver<Wanted>) {
    if let Err(error) = clear(&host).await {
        tracing::warn!(error = error_chain(&error), "clearing away a former agent's training failed");
    }
    let owner = host.clone();
    let removed = tokio::task::spawn_blocking(move || owner.archives.remove_outdated(&owner)).await;
    if let Ok(Err(error)) = removed {
        tracing::warn!(%error, "removing outdated class-data archives failed");
    }
    let mut failed_at: BTreeMap<String, Instant> = BTreeMap::new();
    while let Some(wanted) = orders.recv().await {
        let has_just_failed = failed_at.get(&wanted.key).is_some_and(|at| at.elapsed() < AGAIN_AFTER);
        if has_just_failed || host.archives.find(&wanted.key).is_some() {
            continue;
        }
        quiet(&host).await;
        let began = Instant::now();
        let made = make(&host, &wanted).await;
        let cleared = clear(&host).await;
        match made.and(cleared) {
            Ok(()) => {
                let seconds = began.elapsed().as_secs();
                tracing::info!(archives = wanted.key, seconds, "class-data archives made");
            }
            Err(error) => {
                let error = error_chain(&error);
                tracing::warn!(
                    archives = wanted.key,
                    error,
                    "class-data archives could not be made, JVMs start slower"
                );
                failed_at.insert(wanted.key, Instant::now());
            }
        }
    }
}

/// Waits until no worker has been starting for a while.
async fn quiet(host: &Host) {
    let quiet = Duration::from_secs(host.config.archives.quiet_seconds);
    let mut starts = host.archives.starts();
    let latest = Instant::now() + QUIET_WITHIN;
    loop {
        let quiet_at = *starts.borrow_and_update() + quiet;
        tokio::select! {
            () = sleep_until(quiet_at.min(latest)) => return,
            // The sender is the host's own.
            _ = starts.changed() => {}
        }
    }
}

async fn make(host: &Arc<Host>, wanted: &Wanted) -> Result<(), TrainingError> {
    let (prepared_for, bundle) = (host.clone(), wanted.clone());
    let Prepared { dir, group, uid, plan } =
        tokio::task::spawn_blocking(move || prepare(&prepared_for, &bundle)).await??;
    let exit = run(host, &dir, &plan).await;
    let ended = tokio::task::spawn_blocking(move || group.kill()).await?;
    let exit = exit?;
    ended?;
    if let Some(uid) = uid {
        host.uids.release(uid);
    }
    if !matches!(exit.end, End::Exited(0)) {
        return Err(TrainingError::Failed {
            end: format!("{:?}", exit.end),
            last_words: last_words(&dir.stderr()),
        });
    }
    let (host, key, made) = (host.clone(), wanted.key.clone(), dir.work().join(RESULT));
    tokio::task::spawn_blocking(move || host.archives.publish(&key, &made))
        .await?
        .map_err(TrainingError::Store)
}

struct Prepared {
    dir: WorkerDir,
    group: WorkerGroup,
    uid: Option<u32>,
    plan: LaunchPlan,
}

/// Blocks.
fn prepare(host: &Host, wanted: &Wanted) -> Result<Prepared, TrainingError> {
    let uid = match host.isolation {
        Isolation::Private => Some(host.uids.take()?),
        Isolation::Shared => None,
    };
    let dir = host.training_dirs.prepare(NAME, uid.map(|uid| Identity { uid, gid: uid }))?;
    let group = host.cgroups.create(NAME, &LIMITS)?;
    let plan = plan(host, wanted, &dir, &group, uid);
    Ok(Prepared { dir, group, uid, plan })
}

fn plan(host: &Host, wanted: &Wanted, dir: &WorkerDir, group: &WorkerGroup, uid: Option<u32>) -> LaunchPlan {
    let paths = HostPaths {
        worker: dir.path().to_owned(),
        bundle: host.bundles.path(&wanted.bundle),
        jvm: host.jvm_dir.clone(),
        archives: None,
    };
    let view = View::new(host.isolation, &paths);
    let java = wanted.java.join("bin/java");
    let result = view.home.join(RESULT);
    let mut command = vec![
        java.into_os_string(),
        "-Xmx64m".into(),
        "-cp".into(),
        class_path(&view).into(),
        MAIN_CLASS.into(),
        result.into_os_string(),
    ];
    if Path::new(NICE).exists() {
        command.splice(0..0, [NICE.into(), "-n".into(), "19".into()]);
    }
    let exec = command.remove(0);
    let environment = base_environment(&view, &wanted.java, wanted.python.as_deref());
    LaunchPlan {
        exec: exec.into(),
        args: command,
        env: environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        cwd: view.home.clone(),
        stdout: dir.stdout(),
        stderr: dir.stderr(),
        identity: uid.map(|uid| Identity { uid, gid: uid }),
        view: mounts(host, &view, &paths),
        cgroup_procs: group.procs_files(),
        kill_cgroups: group.kill_directories(),
        freeze_cgroup: None,
        lease: None,
        oom_score_adj: Some(OOM_SCORE_ADJUSTMENT),
        nofile: Some(OPEN_FILES),
    }
}

fn mounts(host: &Host, view: &View, paths: &HostPaths) -> Option<hearth_processes::View> {
    if view.isolation == Isolation::Shared {
        return None;
    }
    let binds = view.binds(paths).into_iter().map(|bind| Mount::Bind {
        source: bind.source,
        target: bind.target,
        access: if bind.is_writable { Access::ReadWrite } else { Access::ReadOnly },
    });
    Some(hearth_processes::View { hide: vec![host.config.state_dir.clone()], mounts: binds.collect() })
}

/// Kills the training when it is dropped: an agent that stops takes it along.
struct Leash(KeeperHandle);

impl Drop for Leash {
    fn drop(&mut self) {
        // One that has ended is fine, and nothing else can be done about another.
        let _ = self.0.signal_worker(WorkerSignal::Kill);
    }
}

async fn run(host: &Host, dir: &WorkerDir, plan: &LaunchPlan) -> Result<Exit, TrainingError> {
    match host.keeper.spawn(dir.path(), plan).await? {
        Spawned::Ended(exit) => Ok(exit),
        Spawned::Running(keeper) => {
            let leash = Leash(keeper);
            let waited = timeout(TRAIN_WITHIN, leash.0.wait()).await;
            Ok(waited.map_err(|_| TrainingError::TooSlow)??)
        }
    }
}

/// Ends a training, of this agent or a former one, and removes what it leaves.
pub(crate) async fn clear(host: &Arc<Host>) -> Result<(), TrainingError> {
    let dir = host.training_dirs.get(NAME)?;
    if let Ok(Adoption::Running(keeper)) = adopt(dir.path()).await {
        if let Err(error) = keeper.signal_worker(WorkerSignal::Kill) {
            tracing::warn!(%error, "killing a training failed");
        }
        // The keeper insists on recording the end, so the directory must not go before; what it records does not matter.
        let _ = timeout(END_WITHIN, keeper.wait()).await;
    }
    let host = host.clone();
    tokio::task::spawn_blocking(move || {
        if let Some(group) = host.cgroups.open(NAME)? {
            group.kill()?;
            group.remove()?;
        }
        Ok(host.training_dirs.remove(NAME)?)
    })
    .await?
}

/// The end of a log, for the warning. Blocks briefly.
fn last_words(log: &PathBuf) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.reverse();
    lines.join("; ")
}
