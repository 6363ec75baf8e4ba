//! What kind of control groups this host has and lets us use.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, Uid, access};

/// Controllers of cgroup v1 that limits and counters come from.
pub(crate) const V1_CONTROLLERS: [&str; 5] = ["cpu", "cpuacct", "memory", "pids", "freezer"];
/// Controllers of cgroup v2 that limits come from.
pub(crate) const V2_CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// The control groups of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hierarchy {
    /// One tree with all controllers.
    V2 {
        /// The tree.
        tree: Tree,
        /// Those of cpu, memory and pids that can be handed to workers.
        controllers: Vec<String>,
    },
    /// Controllers in trees of their own, keyed by controller; co-mounted controllers share a directory.
    V1 {
        /// The trees.
        controllers: BTreeMap<String, Tree>,
    },
    /// As [`Hierarchy::V1`], and a cgroup v2 tree beside it that can kill and freeze a whole group.
    Hybrid {
        /// The trees of the controllers.
        controllers: BTreeMap<String, Tree>,
        /// The v2 tree.
        unified: Tree,
    },
    /// None that may be used.
    Unavailable(Unavailable),
}

/// A directory below which groups can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree(pub PathBuf);

/// Why no control groups can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// None are mounted.
    NotMounted,
    /// They are mounted, but this user may not make any.
    NotPermitted,
}

impl Hierarchy {
    /// Looks at the host's mounts and at what this process may do. Root uses the roots of the mounted trees; an
    /// ordinary user the cgroup that was delegated to it, if one was (cgroup v2 only). Changes nothing.
    pub fn detect() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::from_mounts(&mounts, &own, Uid::effective().is_root())
    }

    fn from_mounts(mountinfo: &str, own_groups: &str, is_root: bool) -> Self {
        let mounts: Vec<CgroupMount<'_>> = mountinfo.lines().filter_map(CgroupMount::parse).collect();
        let unified = mounts.iter().find(|mount| mount.kind == "cgroup2");
        if mounts.is_empty() {
            return Self::Unavailable(Unavailable::NotMounted);
        }
        let v1: BTreeMap<String, Tree> = V1_CONTROLLERS
            .into_iter()
            .filter_map(|name| {
                Some((name.to_owned(), mounts.iter().find(|mount| mount.has_v1(name))?.tree()))
            })
            .filter(|(_, tree)| tree.is_usable())
            .collect();
        if !v1.is_empty() {
            return match unified.map(CgroupMount::tree).filter(Tree::is_usable) {
                Some(unified) => Self::Hybrid { controllers: v1, unified },
                None => Self::V1 { controllers: v1 },
            };
        }
        let Some(unified) = unified else { return Self::Unavailable(Unavailable::NotPermitted) };
        let tree = if is_root { unified.tree() } else { unified.own_group(own_groups) };
        let offered = fs::read_to_string(tree.0.join("cgroup.controllers")).unwrap_or_default();
        let controllers: Vec<String> = V2_CONTROLLERS
            .into_iter()
            .filter(|name| offered.split_ascii_whitespace().any(|offer| offer == *name))
            .map(str::to_owned)
            .collect();
        if tree.is_usable() && tree.can_pass_on() {
            Self::V2 { tree, controllers }
        } else {
            Self::Unavailable(Unavailable::NotPermitted)
        }
    }
}

impl Tree {
    fn is_usable(&self) -> bool {
        access(&self.0, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
    }

    /// Whether controllers can be switched on for groups below.
    fn can_pass_on(&self) -> bool {
        access(&self.0.join("cgroup.subtree_control"), AccessFlags::W_OK).is_ok()
    }
}

/// A line of `/proc/self/mountinfo` that is about control groups.
struct CgroupMount<'line> {
    root: &'line str,
    point: &'line str,
    kind: &'line str,
    options: &'line str,
}

impl<'line> CgroupMount<'line> {
    fn parse(line: &'line str) -> Option<Self> {
        let (place, system) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let mut system = system.split(' ');
        let (root, point) = (place.next()?, place.next()?);
        let (kind, _device, options) = (system.next()?, system.next()?, system.next()?);
        matches!(kind, "cgroup" | "cgroup2").then_some(Self { root, point, kind, options })
    }

    fn has_v1(&self, controller: &str) -> bool {
        self.kind == "cgroup" && self.options.split(',').any(|option| option == controller)
    }

    fn tree(&self) -> Tree {
        Tree(PathBuf::from(self.point))
    }

    /// This process's own group in the v2 tree (the `0::` line).
    fn own_group(&self, own_groups: &str) -> Tree {
        let path = own_groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
        let below = Path::new(path).strip_prefix(self.root).unwrap_or(Path::new(""));
        Tree(Path::new(self.point).join(below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_control_groups_has_none() {
        let mounts = "22 27 0:21 / /proc rw,relatime - proc proc rw\n";
        assert_eq!(Hierarchy::from_mounts(mounts, "", true), Hierarchy::Unavailable(Unavailable::NotMounted));
    }

    #[test]
    fn co_mounted_v1_controllers_share_a_tree() {
        let root = tempfile::tempdir().expect("a directory");
        let at = |name: &str| {
            let directory = root.path().join(name);
            fs::create_dir_all(&directory).expect("made");
            directory
        };
        let mounts = format!(
            "31 23 0:28 / {} rw - tmpfs tmpfs rw\n\
             32 31 0:29 / {} rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
             35 31 0:32 / {} rw,relatime shared:9 - cgroup cgroup rw,memory\n",
            root.path().display(),
            at("cpu,cpuacct").display(),
            at("memory").display()
        );
        let Hierarchy::V1 { controllers } = Hierarchy::from_mounts(&mounts, "", true) else {
            panic!("not v1")
        };
        assert_eq!(controllers["cpu"], controllers["cpuacct"]);
        assert_eq!(controllers["memory"], Tree(at("memory")));
        assert!(!controllers.contains_key("pids"));

        let mounts = format!("{mounts}41 31 0:38 / {} rw - cgroup2 cgroup2 rw\n", at("unified").display());
        assert!(matches!(Hierarchy::from_mounts(&mounts, "", true), Hierarchy::Hybrid { .. }));
    }

    #[test]
    fn an_ordinary_user_gets_its_delegated_group() {
        let root = tempfile::tempdir().expect("a directory");
        let group = root.path().join("user.slice/hearth.scope");
        fs::create_dir_all(&group).expect("made");
        fs::write(group.join("cgroup.controllers"), "cpuset cpu memory\n").expect("written");
        let mounts = format!("41 31 0:38 / {} rw - cgroup2 cgroup2 rw\n", root.path().display());
        let own = "0::/user.slice/hearth.scope\n";
        let refused = Hierarchy::Unavailable(Unavailable::NotPermitted);
        assert_eq!(Hierarchy::from_mounts(&mounts, own, false), refused, "no subtree_control");
        fs::write(group.join("cgroup.subtree_control"), "").expect("written");
        let expected =
            Hierarchy::V2 { tree: Tree(group), controllers: vec!["cpu".to_owned(), "memory".to_owned()] };
        assert_eq!(Hierarchy::from_mounts(&mounts, own, false), expected);
    }
}
