//! The steps of preparation that are done at once. Each may be repeated after a crash.

use super::task::blocking;
use crate::host::Host;
use crate::spec::Spec;
use hearth_cgroups::{Limits, Share};
use hearth_faults::{Point, reach};
use hearth_processes::Identity;
use std::sync::Arc;

const MIB: u64 = 1 << 20;

/// Takes a user id of its own for a worker.
pub(super) async fn take_uid(host: &Arc<Host>) -> Result<u32, String> {
    let host = host.clone();
    let uid = blocking(move || host.uids.take()).await?;
    reach(Point::AgentUidTaken);
    Ok(uid)
}

/// Makes a worker's directories, with the files that were ordered for it.
pub(super) async fn make_directories(
    host: &Arc<Host>,
    spec: &Arc<Spec>,
    uid: Option<u32>,
) -> Result<(), String> {
    let (host, spec) = (host.clone(), spec.clone());
    let identity = uid.map(|uid| Identity { uid, gid: uid });
    blocking(move || {
        let dir = host.dirs.prepare(spec.worker_id.as_str(), identity)?;
        spec.files.iter().try_for_each(|(name, text)| dir.place(name, text, identity))
    })
    .await?;
    reach(Point::AgentDirectoriesMade);
    Ok(())
}

/// Makes a worker's control group with its limits.
pub(super) async fn make_cgroup(host: &Arc<Host>, spec: &Arc<Spec>) -> Result<(), String> {
    let (host, spec) = (host.clone(), spec.clone());
    let limits = Limits {
        cpu_millis: spec.size.cpu_millis,
        memory_bytes: spec.size.memory_mib * MIB,
        pids: host.config.host.pids,
        share: Share::Proportional,
    };
    blocking(move || host.cgroups.create(spec.worker_id.as_str(), &limits)).await?;
    reach(Point::AgentCgroupMade);
    Ok(())
}
