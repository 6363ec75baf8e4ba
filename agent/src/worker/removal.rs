//! Removing what is left of a worker from its host, and proving that nothing is.

use super::task::blocking;
use crate::host::Host;
use hearth_cgroups::CgroupError;
use hearth_faults::{Point, reach};
use hearth_processes::{
    Adoption, WorkerDirError, WorkerSignal, adopt, kill_processes_of, mounts_below, processes_of, unmount,
};
use hearth_types::WorkerId;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Pause before what resisted is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// How long a stray worker's keeper may take to see its worker dead.
const END_WITHIN: Duration = Duration::from_secs(10);

/// Why a worker could not be removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoveError {
    #[error("removing its control group")]
    Cgroup(#[from] CgroupError),
    #[error("killing processes of its user")]
    Processes(#[source] io::Error),
    #[error("unmounting {path}")]
    Mount {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("looking for what it left")]
    Look(#[source] io::Error),
    #[error("removing its directory")]
    Directory(#[from] WorkerDirError),
    #[error("left in spite of everything: {0:?}")]
    Left(Vec<Leftover>),
}

/// Something of a worker that is still on its host (promise P6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Leftover {
    Process(i32),
    Cgroup(PathBuf),
    Mount(PathBuf),
    Directory(PathBuf),
}

/// Removes everything of a worker but its credentials, and insists until nothing can be found of it.
pub(super) async fn remove(host: &Arc<Host>, worker: &WorkerId, uid: Option<u32>) {
    loop {
        let (at, id) = (host.clone(), worker.clone());
        match blocking(move || clear_away(&at, id.as_str(), uid)).await {
            Ok(()) => return,
            Err(error) => {
                tracing::error!(worker_id = %worker, error, "removing a worker failed");
                sleep(AGAIN).await;
            }
        }
    }
}

/// Ends and removes a worker that nobody knows any more. What resists is left for the next start.
pub(crate) async fn remove_stray(host: &Arc<Host>, name: &str) {
    // Where there are no control groups, its keeper is the one to kill it.
    if let Ok(dir) = host.dirs.get(name)
        && let Ok(Adoption::Running(keeper)) = adopt(dir.path()).await
        && keeper.signal_worker(WorkerSignal::Kill).is_ok()
    {
        // The group is killed below in any case.
        let _ = timeout(END_WITHIN, keeper.wait()).await;
    }
    let (at, id) = (host.clone(), name.to_owned());
    match blocking(move || clear_away(&at, &id, None)).await {
        Ok(()) => tracing::info!(worker_id = name, "a stray worker is removed"),
        Err(error) => tracing::error!(worker_id = name, error, "removing a stray worker failed"),
    }
}

/// Removes what there is, once. Blocks.
fn clear_away(host: &Host, worker: &str, uid: Option<u32>) -> Result<(), RemoveError> {
    let dir = host.dirs.get(worker)?;
    if let Some(group) = host.cgroups.open(worker)? {
        group.kill()?;
        group.remove()?;
        reach(Point::AgentCgroupRemoved);
    }
    if let Some(uid) = uid {
        // Another agent with the same users may have workers, too.
        let killed =
            kill_processes_of(uid, |pid| host.cgroups.is_outside(pid)).map_err(RemoveError::Processes)?;
        if killed > 0 {
            tracing::warn!(
                worker_id = worker,
                uid,
                killed,
                "processes outside of their control group were killed"
            );
        }
    }
    for path in mounts_below(dir.path()).map_err(RemoveError::Look)? {
        tracing::warn!(worker_id = worker, path = %path.display(), "a mount below a worker's directory is removed");
        unmount(&path).map_err(|source| RemoveError::Mount { path, source })?;
    }
    host.dirs.remove(worker)?;
    let left = leftovers(host, worker, uid)?;
    if left.is_empty() { Ok(()) } else { Err(RemoveError::Left(left)) }
}

/// Looks for what is left, trusting nothing that was done. Blocks.
fn leftovers(host: &Host, worker: &str, uid: Option<u32>) -> Result<Vec<Leftover>, RemoveError> {
    let dir = host.dirs.get(worker)?;
    let is_outside = |pid| host.cgroups.is_outside(pid);
    let processes =
        uid.map_or(Ok(Vec::new()), |uid| processes_of(uid, is_outside)).map_err(RemoveError::Look)?;
    let groups = host.cgroups.open(worker)?.map(|group| group.directories().to_vec()).unwrap_or_default();
    let mounts = mounts_below(dir.path()).map_err(RemoveError::Look)?;
    let directory = dir.path().symlink_metadata().is_ok().then(|| Leftover::Directory(dir.path().to_owned()));
    Ok(processes
        .into_iter()
        .map(Leftover::Process)
        .chain(groups.into_iter().filter(|group| group.exists()).map(Leftover::Cgroup))
        .chain(mounts.into_iter().map(Leftover::Mount))
        .chain(directory)
        .collect())
}
