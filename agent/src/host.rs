//! This host: what it is, what it offers, and the adapters that workers are made with.

use crate::archives::Archives;
use crate::config::Config;
use crate::leases::Contacts;
use crate::outbox::Outbox;
use crate::uplink::Uplink;
use hearth_agent_core::view::Isolation;
use hearth_bundles::BundleCache;
use hearth_cgroups::{Cgroups, Enforcement};
use hearth_credentials::Registry;
use hearth_processes::host::{HostInventory, can_change_user, can_mount};
use hearth_processes::java::{JavaInstall, java_installs};
use hearth_processes::python::{PythonInstall, find_python};
use hearth_processes::{KeeperProgram, NoFreeUid, Reach, UidRange, WorkerDirs};
use hearth_proto::v1;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, watch};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// Python series that releases ask for.
const PYTHON_MINORS: std::ops::RangeInclusive<u32> = 7..=14;

/// Everything a worker's task works with. Shared by all of them.
pub(crate) struct Host {
    pub(crate) config: Config,
    pub(crate) isolation: Isolation,
    pub(crate) dirs: WorkerDirs,
    pub(crate) cgroups: Cgroups,
    pub(crate) keeper: KeeperProgram,
    pub(crate) bundles: BundleCache,
    pub(crate) archives: Archives,
    /// Where archives are made.
    pub(crate) training_dirs: WorkerDirs,
    pub(crate) credentials: Registry,
    pub(crate) credentials_uri: String,
    /// URL of the coordinator's services for workers, and their Region.
    pub(crate) service: watch::Receiver<Service>,
    pub(crate) java: Vec<JavaInstall>,
    pub(crate) python: Vec<PythonInstall>,
    /// Hearth's own JVM parts.
    pub(crate) jvm_dir: PathBuf,
    pub(crate) uids: Uids,
    pub(crate) outbox: Outbox,
    pub(crate) uplink: Uplink,
    /// What workers' leases rest on.
    pub(crate) contacts: Contacts,
    pub(crate) uploads: Arc<Semaphore>,
}

/// Where workers find the coordinator's services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) url: String,
    pub(crate) region: String,
}

/// Whether workers can be isolated from each other here.
pub(crate) fn isolation() -> Isolation {
    if can_mount() && can_change_user() { Isolation::Private } else { Isolation::Shared }
}

/// Finds Java and Python installations that workers can run. Blocks while interpreters tell their version.
pub(crate) fn installations(config: &Config, isolation: Isolation) -> (Vec<JavaInstall>, Vec<PythonInstall>) {
    let reach = match isolation {
        Isolation::Private => Reach::Everyone,
        Isolation::Shared => Reach::ThisUser,
    };
    let java = match &config.host.java_homes {
        Some(homes) => homes
            .iter()
            .filter_map(|home| {
                let found = JavaInstall::at(home, reach);
                if found.is_none() {
                    tracing::warn!(home = %home.display(), "no Java that workers can run in a configured home");
                }
                found
            })
            .collect(),
        None => java_installs(reach),
    };
    let series = PYTHON_MINORS.map(|minor| Some((3, minor)));
    let mut python: Vec<PythonInstall> =
        std::iter::once(None).chain(series).filter_map(|series| find_python(series, reach)).collect();
    let mut seen = BTreeSet::new();
    python.retain(|install| seen.insert(install.series));
    (java, python)
}

impl Host {
    /// The Java home of exactly this feature release.
    pub(crate) fn java(&self, major: u32) -> Option<&JavaInstall> {
        self.java.iter().find(|install| install.major == major)
    }

    /// The interpreter of exactly this series, else the host's usual one.
    pub(crate) fn python(&self, series: Option<(u32, u32)>) -> Option<&PythonInstall> {
        let exact = self.python.iter().find(|install| Some(install.series) == series);
        exact.or(self.python.first())
    }

    /// What the coordinator is told of this host.
    pub(crate) fn inventory(&self, host: &HostInventory) -> v1::Inventory {
        v1::Inventory {
            host_name: host.hostname.clone(),
            boot_id: host.boot_id.clone(),
            architecture: match host.architecture.as_str() {
                "aarch64" => "ARM64".to_owned(),
                "x86_64" => "X86_64".to_owned(),
                other => other.to_owned(),
            },
            real: Some(real(host)),
            offered: Some(offered(&self.config, host)),
            java: self
                .java
                .iter()
                .map(|install| v1::JavaHome {
                    major: install.major,
                    path: install.home.display().to_string(),
                    version: install.version.clone(),
                })
                .collect(),
            python: self
                .python
                .iter()
                .map(|install| v1::PythonHome {
                    version: install.version.clone(),
                    path: install.path.display().to_string(),
                })
                .collect(),
            cgroups: format!("{:?}", self.cgroups.hierarchy())
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
            advisory: self.advisory(),
            worker_address: self.config.worker_address.clone(),
            kernel: host.kernel.clone(),
        }
    }

    /// The limits that nobody enforces here, each with the reason.
    pub(crate) fn advisory(&self) -> Vec<String> {
        let limits =
            self.cgroups.report().entries().into_iter().filter_map(
                |(limit, enforcement)| match enforcement {
                    Enforcement::Enforced => None,
                    Enforcement::Advisory(why) => Some(format!("{limit}: {why}")),
                },
            );
        let mut advisory: Vec<String> = limits.collect();
        advisory.push("disk: sizes of workers' disks are not enforced yet".to_owned());
        match self.isolation {
            Isolation::Private => {}
            Isolation::Shared => advisory.push(
                "isolation: the agent is not root, so jobs share its user and can read each other's files and \
                 credentials"
                    .to_owned(),
            ),
        }
        advisory
    }
}

fn real(host: &HostInventory) -> v1::WorkerSize {
    v1::WorkerSize {
        cpu_millis: u64::from(host.cpus) * 1000,
        memory_mib: host.memory_total_bytes / MIB,
        disk_gib: host.disk_total_bytes / GIB,
    }
}

/// What workers get in all: what is configured, else what there is minus the reserve.
fn offered(config: &Config, host: &HostInventory) -> v1::WorkerSize {
    let (real, capacity, reserve) = (real(host), &config.capacity, &config.reserve);
    let rest = |has: u64, kept: u64| has.saturating_sub(kept);
    v1::WorkerSize {
        cpu_millis: capacity.vcpu.map_or(rest(real.cpu_millis, reserve.vcpu * 1000), |vcpu| vcpu * 1000),
        memory_mib: capacity
            .memory_gib
            .map_or(rest(real.memory_mib, reserve.memory_gib * 1024), |memory| memory * 1024),
        disk_gib: capacity.disk_gib.unwrap_or(rest(real.disk_gib, reserve.disk_gib)),
    }
}

/// The limit over all workers together, in bytes: what the host really has minus the reserve, whatever is offered, so
/// that an overfull host ends a worker and never a daemon.
pub(crate) fn memory_of_all_workers(config: &Config, host: &HostInventory) -> u64 {
    let kept = config.reserve.memory_gib * GIB;
    // A host too small for its reserve keeps half.
    host.memory_total_bytes.saturating_sub(kept).max(host.memory_total_bytes / 2)
}

/// The user ids in use by workers of this agent.
#[derive(Debug)]
pub(crate) struct Uids {
    range: UidRange,
    taken: Mutex<BTreeSet<u32>>,
}

impl Uids {
    /// A range of which nothing is taken.
    pub(crate) fn new(range: UidRange) -> Self {
        Self { range, taken: Mutex::default() }
    }

    /// Takes a free id. Blocks while it looks at all processes.
    pub(crate) fn take(&self) -> Result<u32, NoFreeUid> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let uid = self.range.pick(&taken)?;
        taken.insert(uid);
        Ok(uid)
    }

    /// Marks the id of an adopted worker as taken.
    pub(crate) fn adopt(&self, uid: u32) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(uid);
    }

    /// Gives an id back, once no file of it is left.
    pub(crate) fn release(&self, uid: u32) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> HostInventory {
        HostInventory {
            hostname: "h".into(),
            architecture: "x86_64".into(),
            kernel: "6".into(),
            boot_id: "b".into(),
            cpus: 4,
            memory_total_bytes: 16 * GIB,
            memory_available_bytes: 8 * GIB,
            disk_total_bytes: 100 * GIB,
            disk_free_bytes: 50 * GIB,
        }
    }

    fn config(text: &str) -> Config {
        toml::from_str(&format!("state_dir = \"/s\"\n{text}")).unwrap()
    }

    #[test]
    fn a_host_offers_what_it_has_minus_the_reserve_or_what_it_is_told() {
        let size = offered(&config("reserve = { vcpu = 1, memory_gib = 2, disk_gib = 10 }"), &host());
        assert_eq!((size.cpu_millis, size.memory_mib, size.disk_gib), (3000, 14 * 1024, 90));
        let size = offered(&config("capacity = { vcpu = 64, memory_gib = 256 }"), &host());
        assert_eq!((size.cpu_millis, size.memory_mib, size.disk_gib), (64_000, 256 * 1024, 95));
    }

    #[test]
    fn all_workers_together_never_get_more_than_there_is() {
        let config = config("capacity = { memory_gib = 256 }\nreserve = { memory_gib = 2 }");
        assert_eq!(memory_of_all_workers(&config, &host()), 14 * GIB);
    }

    #[test]
    fn a_user_id_is_given_out_once() {
        let uids = Uids::new(UidRange { first: 3_000_000_000, count: 2 });
        uids.adopt(3_000_000_000);
        assert_eq!(uids.take().unwrap(), 3_000_000_001);
        assert!(uids.take().is_err());
        uids.release(3_000_000_001);
        assert_eq!(uids.take().unwrap(), 3_000_000_001);
    }
}
