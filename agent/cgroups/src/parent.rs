//! The parent of all workers' groups of one agent: `hearth/<name>` in each tree.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::detect::{Hierarchy, Tree};
use crate::files::{number, read, subdirectories, write};
use crate::group::{WorkerGroup, remove_directory};
use crate::limits::{Limits, set_memory_v1, set_memory_v2};
use crate::{CgroupError, EnforcementReport};

/// The group that all agents of a host share as parent.
const COMMON_PARENT: &str = "hearth";

/// The control groups of one agent's workers.
///
/// Cheap to clone: it holds paths, no open files.
#[derive(Debug, Clone)]
pub struct Cgroups {
    hierarchy: Hierarchy,
    /// The parent group in each tree, without repetition, with the controllers that live there.
    parents: Vec<Parent>,
    report: EnforcementReport,
}

#[derive(Debug, Clone)]
struct Parent {
    directory: PathBuf,
    kind: TreeKind,
    controllers: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TreeKind {
    V1,
    V2,
}

impl Cgroups {
    /// Makes (or finds again) the parent group `hearth/<name>` and limits the memory of all workers together, so that an
    /// overfull host kills in a worker and never a daemon. On a host where control groups are mounted but refuse to be
    /// used, falls back to none, as [`Cgroups::hierarchy`] and [`Cgroups::report`] then say.
    ///
    /// # Errors
    /// [`CgroupError::BadName`] for a name that cannot be a directory's, and any failure to set the memory limit.
    pub fn prepare(name: &str, memory_bytes: Option<u64>) -> Result<Self, CgroupError> {
        Self::prepare_in(Hierarchy::detect(), name, memory_bytes)
    }

    /// As [`Cgroups::prepare`], in a given hierarchy; [`Hierarchy::Unavailable`] makes all limits advice.
    ///
    /// # Errors
    /// As [`Cgroups::prepare`].
    pub fn prepare_in(
        hierarchy: Hierarchy,
        name: &str,
        memory_bytes: Option<u64>,
    ) -> Result<Self, CgroupError> {
        check_name(name)?;
        let (hierarchy, parents) = match make_parents(&hierarchy, name) {
            Ok(parents) => (hierarchy, parents),
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "control groups cannot be used");
                (Hierarchy::Unavailable(crate::Unavailable::NotPermitted), Vec::new())
            }
        };
        let memory = parents.iter().find(|parent| parent.controllers.iter().any(|name| name == "memory"));
        if let (Some(parent), Some(bytes)) = (memory, memory_bytes) {
            match parent.kind {
                TreeKind::V1 => set_memory_v1(&parent.directory, bytes)?,
                TreeKind::V2 => set_memory_v2(&parent.directory, bytes)?,
            }
        }
        let swap_is_limited = memory.is_none_or(|parent| limits_swap(&parent.directory)) || !host_has_swap();
        let report = EnforcementReport::of(&hierarchy, swap_is_limited);
        info!(?report, "control groups prepared");
        Ok(Self { hierarchy, parents, report })
    }

    /// The kind of control groups in use.
    pub fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// Which limits hold on this host.
    pub fn report(&self) -> &EnforcementReport {
        &self.report
    }

    /// Makes a worker's group with its limits in place, before any process is in it. Limits of a group that exists
    /// already are set again.
    ///
    /// # Errors
    /// A directory or limit that the kernel refuses; what was made is removed again.
    pub fn create(&self, worker_id: &str, limits: &Limits) -> Result<WorkerGroup, CgroupError> {
        let group = self.group(worker_id)?;
        let made = self.parents.iter().zip(group.directories()).try_for_each(|(parent, directory)| {
            make_directory(directory)?;
            parent.controllers.iter().try_for_each(|controller| match parent.kind {
                TreeKind::V1 => limits.set_v1(controller, directory),
                TreeKind::V2 => limits.set_v2(controller, directory),
            })
        });
        match made {
            Ok(()) => Ok(group),
            Err(error) => {
                if let Err(left) = group.remove() {
                    warn!(error = &left as &dyn std::error::Error, worker_id, "half-made control group left");
                }
                Err(error)
            }
        }
    }

    /// Finds the group of a worker that was created before, by this process or another; `None` if it has no
    /// directory in any tree.
    ///
    /// # Errors
    /// [`CgroupError::BadName`].
    pub fn open(&self, worker_id: &str) -> Result<Option<WorkerGroup>, CgroupError> {
        let group = self.group(worker_id)?;
        Ok(group.directories().iter().any(|directory| directory.is_dir()).then_some(group))
    }

    /// Lists the workers that have a group in any tree, in order: what a sweep has to look at.
    pub fn list(&self) -> BTreeSet<String> {
        let groups = self.parents.iter().flat_map(|parent| subdirectories(&parent.directory));
        groups.filter_map(|group| group.file_name()?.to_str().map(str::to_owned)).collect()
    }

    /// Whether a process is in no group that this or another agent of the host made for a worker. False on a host without
    /// control groups, where that cannot be told, and for a process that is gone.
    pub fn is_outside(&self, pid: i32) -> bool {
        let Ok(groups) = fs::read_to_string(format!("/proc/{pid}/cgroup")) else { return false };
        let below = format!("/{COMMON_PARENT}/");
        !self.parents.is_empty() && !groups.lines().any(|line| line.contains(&below))
    }

    /// Removes the parent group itself, once no worker has a group any more. Blocks for up to 5 s.
    ///
    /// # Errors
    /// [`CgroupError::Remove`] while workers' groups exist.
    pub fn remove(&self) -> Result<(), CgroupError> {
        for parent in &self.parents {
            remove_directory(&parent.directory)?;
            if let Some(common) = parent.directory.parent() {
                // Stays for as long as another agent of this host uses it.
                let _ = fs::remove_dir(common);
            }
        }
        Ok(())
    }

    fn group(&self, worker_id: &str) -> Result<WorkerGroup, CgroupError> {
        check_name(worker_id)?;
        Ok(WorkerGroup::new(self.parents.iter().map(|parent| parent.directory.join(worker_id)).collect()))
    }
}

fn make_parents(hierarchy: &Hierarchy, name: &str) -> Result<Vec<Parent>, CgroupError> {
    let below = |tree: &Tree| tree.0.join(COMMON_PARENT).join(name);
    let mut parents: Vec<Parent> = Vec::new();
    match hierarchy {
        Hierarchy::Unavailable(_) => {}
        Hierarchy::V2 { tree, controllers } => {
            let parent =
                Parent { directory: below(tree), kind: TreeKind::V2, controllers: controllers.clone() };
            // A group passes a controller on only if its own parent does.
            make_parent(tree, &parent.directory)?;
            for directory in [&tree.0, &tree.0.join(COMMON_PARENT), &parent.directory] {
                pass_on(directory, controllers)?;
            }
            parents.push(parent);
        }
        Hierarchy::V1 { controllers } | Hierarchy::Hybrid { controllers, .. } => {
            for (controller, tree) in controllers {
                let directory = below(tree);
                match parents.iter_mut().find(|parent| parent.directory == directory) {
                    Some(parent) => parent.controllers.push(controller.clone()),
                    None => {
                        make_parent(tree, &directory)?;
                        let controllers = vec![controller.clone()];
                        parents.push(Parent { directory, kind: TreeKind::V1, controllers });
                    }
                }
                if controller == "memory" {
                    count_descendants(&below(tree))?;
                }
            }
        }
    }
    if let Hierarchy::Hybrid { unified, .. } = hierarchy {
        let directory = below(unified);
        make_parent(unified, &directory)?;
        parents.push(Parent { directory, kind: TreeKind::V2, controllers: Vec::new() });
    }
    Ok(parents)
}

/// Makes `directory` and the common parent above it, which another agent may be removing at the same moment.
fn make_parent(tree: &Tree, directory: &Path) -> Result<(), CgroupError> {
    const TRIES: usize = 10;
    let mut made = Ok(());
    for _ in 0..TRIES {
        make_directory(&tree.0.join(COMMON_PARENT))?;
        made = make_directory(directory);
        match &made {
            Err(CgroupError::Create { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            _ => break,
        }
    }
    made
}

/// Switches the controllers on for the groups below `directory`.
fn pass_on(directory: &Path, controllers: &[String]) -> Result<(), CgroupError> {
    let file = directory.join("cgroup.subtree_control");
    let on = read(&file)?;
    for controller in
        controllers.iter().filter(|name| !on.split_ascii_whitespace().any(|have| have == **name))
    {
        write(&file, format!("+{controller}"))?;
    }
    Ok(())
}

/// Makes the memory limit of a v1 group hold for the groups below; newer kernels always do.
fn count_descendants(directory: &Path) -> Result<(), CgroupError> {
    let file = directory.join("memory.use_hierarchy");
    if number(&file) == Some(0) { write(&file, 1) } else { Ok(()) }
}

fn make_directory(path: &Path) -> Result<(), CgroupError> {
    match fs::create_dir(path) {
        Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(CgroupError::Create { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn limits_swap(directory: &Path) -> bool {
    directory.join("memory.memsw.limit_in_bytes").exists() || directory.join("memory.swap.max").exists()
}

fn host_has_swap() -> bool {
    // The first line is a heading.
    fs::read_to_string("/proc/swaps").is_ok_and(|text| text.lines().count() > 1)
}

/// Refuses names that are no single, plain directory name, or that a control file could have.
fn check_name(name: &str) -> Result<(), CgroupError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_good =
        !name.is_empty() && name.len() <= 128 && !name.starts_with('.') && name.bytes().all(is_plain);
    if is_good { Ok(()) } else { Err(CgroupError::BadName { name: name.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Share;

    #[test]
    fn names_cannot_leave_their_directory() {
        for bad in ["", "..", ".hidden", "a/b", "a b", "é"] {
            assert!(matches!(check_name(bad), Err(CgroupError::BadName { .. })), "{bad:?}");
        }
        assert!(check_name("00f1a2b3-exec_1.2").is_ok());
    }

    #[test]
    fn a_host_without_control_groups_still_answers() {
        let none = Hierarchy::Unavailable(crate::Unavailable::NotMounted);
        let cgroups = Cgroups::prepare_in(none, "test", Some(1 << 30)).expect("prepared");
        let limits = Limits { cpu_millis: 1000, memory_bytes: 1 << 28, pids: 10, share: Share::Proportional };
        let group = cgroups.create("w1", &limits).expect("created");
        assert!(group.directories().is_empty() && group.procs_files().is_empty() && group.is_empty());
        group.kill().expect("nothing to kill");
        group.remove().expect("nothing to remove");
        assert!(cgroups.list().is_empty());
        assert!(!cgroups.report().is_complete());
    }
}
