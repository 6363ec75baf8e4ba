//! Removing what is left of a worker from its host.

use super::task::blocking;
use crate::host::Host;
use hearth_types::WorkerId;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Pause before what resisted is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Why a worker could not be removed.
#[derive(Debug, thiserror::Error)]
enum RemoveError {
    #[error("removing its control group")]
    Cgroup(#[from] hearth_cgroups::CgroupError),
    #[error("removing its directory")]
    Directory(#[from] hearth_processes::WorkerDirError),
}

/// Removes a worker's processes, control group and directory, and insists.
pub(super) async fn remove(host: &Arc<Host>, worker: &WorkerId) {
    loop {
        let (at, id) = (host.clone(), worker.clone());
        let removed = blocking(move || {
            if let Some(group) = at.cgroups.open(id.as_str())? {
                group.kill()?;
                group.remove()?;
            }
            at.dirs.remove(id.as_str())?;
            Ok::<_, RemoveError>(())
        });
        match removed.await {
            Ok(()) => return,
            Err(error) => {
                tracing::error!(worker_id = %worker, error, "removing a worker failed");
                sleep(AGAIN).await;
            }
        }
    }
}
