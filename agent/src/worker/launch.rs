//! From what was ordered and what this host is to the keeper's plan and the JVM's first order.

use crate::archives::{Wanted, archive_file};
use crate::control::RunOrder;
use crate::host::Host;
use crate::spec::Spec;
use hearth_agent_core::jvm::{CredentialsAt, JvmStart};
use hearth_agent_core::placeholders::Placeholders;
use hearth_agent_core::view::{HostPaths, Isolation, View};
use hearth_cgroups::WorkerGroup;
use hearth_processes::{Access, Identity, LaunchPlan, Mount, View as MountView, WorkerDir};
use hearth_types::WorkerKind;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Spark opens a file for each shuffle block it serves, and a connection to each peer.
const OPEN_FILES: u64 = 65_536;
/// A worker dies before any daemon when the host runs out of memory (design §6.1).
const OOM_SCORE_ADJUSTMENT: i32 = 500;
const MIB: u64 = 1 << 20;

/// Why a worker cannot be started on this host.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    #[error("this host has no Java {0}")]
    NoJava(u32),
}

/// How a worker is laid out on this host.
pub(crate) struct Layout {
    host_paths: HostPaths,
    view: View,
    python: Option<PathBuf>,
}

/// What of a bundle's `bundle.json` concerns the host.
#[derive(Debug, Default, Deserialize)]
struct BundleFacts {
    /// Series of Python its packages are made for, such as "3.11".
    #[serde(default)]
    python: Option<String>,
}

impl Layout {
    /// Lays out a worker whose bundle is here. Blocks for one small file.
    pub(crate) fn new(host: &Host, spec: &Spec, dir: &WorkerDir) -> Self {
        let bundle = host.bundles.path(&spec.bundle_id());
        let facts: BundleFacts =
            crate::durable::read(&bundle, "bundle.json").ok().flatten().unwrap_or_default();
        let wanted = facts.python.as_deref().and_then(series);
        let python = host.python(wanted);
        if let (Some(wanted), Some(python)) = (wanted, python)
            && python.series != wanted
        {
            tracing::warn!(
                worker_id = %spec.worker_id,
                release_label = spec.release_label,
                wanted = facts.python,
                found = python.version,
                "this host lacks the release's Python, packages with native code may not load"
            );
        }
        let python = python.map(|install| install.path.clone());
        let mut host_paths =
            HostPaths { worker: dir.path().to_owned(), bundle, jvm: host.jvm_dir.clone(), archives: None };
        if let Some(java) = host.java(spec.java_major) {
            let view = View::new(host.isolation, &host_paths);
            let wanted = Wanted::new(host, spec.bundle_id(), java, python.clone(), &view);
            host_paths.archives = host.archives.find(&wanted.key);
            if host_paths.archives.is_none() {
                host.archives.want(wanted);
            }
        }
        let view = View::new(host.isolation, &host_paths);
        Self { host_paths, view, python }
    }

    /// The plan for the worker's keeper.
    ///
    /// # Errors
    /// When this host lacks something.
    pub(crate) fn plan(
        &self,
        host: &Host,
        spec: &Spec,
        dir: &WorkerDir,
        group: Option<&WorkerGroup>,
        uid: Option<u32>,
    ) -> Result<LaunchPlan, LaunchError> {
        let java = host.java(spec.java_major).ok_or(LaunchError::NoJava(spec.java_major))?;
        let service = host.service.borrow().clone();
        let placeholders = self.placeholders(host);
        let fill = |text: &String| self.filled(&placeholders, spec, text);
        let java_options: Vec<String> = spec.java_options.iter().map(fill).collect();
        let class_path: Vec<String> = spec.class_path.iter().map(fill).collect();
        let variables = filled_values(&spec.environment, fill);
        let archive = self.view.archives.as_ref().map(|archives| archives.join(archive_file(spec.kind)));
        let start = JvmStart {
            view: &self.view,
            java_home: &java.home,
            python: self.python.as_deref(),
            heap_mib: spec.heap_mib,
            module_options: &spec.java_module_options,
            archive: archive.as_deref(),
            class_path: &class_path,
            java_options: &java_options,
            variables: &variables,
            worker_id: spec.worker_id.as_str(),
            warm_up: spec.is_deferred.then(|| job_kind(spec.kind)),
            credentials: CredentialsAt { full_uri: &host.credentials_uri, token: &spec.credentials_token },
            host: &host.config.worker_address,
            service: &service.url,
            region: &service.region,
        };
        Ok(LaunchPlan {
            exec: start.program(),
            args: start.arguments().into_iter().map(Into::into).collect(),
            env: start.environment().into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            cwd: self.view.home.clone(),
            stdout: dir.stdout(),
            stderr: dir.stderr(),
            identity: uid.map(|uid| Identity { uid, gid: uid }),
            view: self.mounts(&host.config.state_dir, spec),
            cgroup_procs: group.map(WorkerGroup::procs_files).unwrap_or_default(),
            kill_cgroups: group.map(WorkerGroup::kill_directories).unwrap_or_default(),
            freeze_cgroup: group.and_then(WorkerGroup::freeze_directory),
            lease: spec.lease().map(|_| dir.lease().path().to_owned()),
            oom_score_adj: Some(OOM_SCORE_ADJUSTMENT),
            nofile: Some(OPEN_FILES),
        })
    }

    /// What the worker's JVM is to run; `None` while that is not known.
    pub(crate) fn run_order(&self, host: &Host, spec: &Spec) -> Option<RunOrder> {
        if spec.is_deferred {
            return None;
        }
        let placeholders = self.placeholders(host);
        let fill = |text: &String| self.filled(&placeholders, spec, text);
        Some(RunOrder {
            kind: job_kind(spec.kind),
            args: spec
                .args
                .iter()
                .map(|text| if is_for_executors(text) { text.clone() } else { fill(text) })
                .collect(),
            properties: filled_values(&spec.properties, fill),
            env: filled_values(&spec.environment, fill),
            secret: spec.secret.clone(),
            unpack: Vec::new(),
        })
    }

    fn placeholders(&self, host: &Host) -> Placeholders {
        let python = self.python.as_deref().unwrap_or(Path::new("python3"));
        Placeholders::new(&self.view, &host.config.worker_address, &python.to_string_lossy())
    }

    /// Fills in the known paths, then the host's values, then the one name that Spark leaves open for executors.
    fn filled(&self, placeholders: &Placeholders, spec: &Spec, text: &str) -> String {
        placeholders.fill(&self.view.resolve(text)).replace("{{EXECUTOR_ID}}", &spec.executor_id)
    }

    fn mounts(&self, state_dir: &Path, spec: &Spec) -> Option<MountView> {
        match self.view.isolation {
            Isolation::Shared => None,
            Isolation::Private => {
                let binds = self.view.binds(&self.host_paths).into_iter().map(|bind| Mount::Bind {
                    source: bind.source,
                    target: bind.target,
                    access: if bind.is_writable { Access::ReadWrite } else { Access::ReadOnly },
                });
                let memory = Mount::Tmpfs {
                    target: "/dev/shm".into(),
                    size_bytes: (spec.size.memory_mib * MIB / 2).max(64 * MIB),
                };
                Some(MountView { hide: vec![state_dir.to_owned()], mounts: binds.chain([memory]).collect() })
            }
        }
    }
}

fn filled_values(
    map: &BTreeMap<String, String>,
    fill: impl Fn(&String) -> String,
) -> BTreeMap<String, String> {
    map.iter().map(|(name, value)| (name.clone(), fill(value))).collect()
}

/// Whether an argument is a setting of executors: the paths in it are those of the host where an executor runs.
fn is_for_executors(argument: &str) -> bool {
    argument.starts_with("spark.executor.") || argument.starts_with("spark.executorEnv.")
}

/// The launcher's name for what a worker runs.
fn job_kind(kind: WorkerKind) -> &'static str {
    match kind {
        WorkerKind::SparkDriver => "spark-driver",
        WorkerKind::SparkExecutor => "spark-executor",
    }
}

fn series(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_read_from_either_form() {
        assert_eq!(series("3.11"), Some((3, 11)));
        assert_eq!(series("3.9.18"), Some((3, 9)));
        assert_eq!(series("three"), None);
    }
}
