//! Which limits this host enforces, and why not the others.

use std::collections::BTreeMap;
use std::fmt;

use crate::detect::{Hierarchy, Tree, Unavailable};

/// What becomes of each limit on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnforcementReport {
    /// CPU time.
    pub cpu: Enforcement,
    /// Memory.
    pub memory: Enforcement,
    /// Swap counts as memory.
    pub swap: Enforcement,
    /// Processes and threads.
    pub pids: Enforcement,
    /// A worker can be killed as a whole, processes that fork meanwhile included.
    pub kill: Enforcement,
    /// A worker can be stopped without its cooperation.
    pub freeze: Enforcement,
}

/// Whether a limit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforcement {
    /// The kernel enforces it.
    Enforced,
    /// Nobody does.
    Advisory(Advice),
}

/// Why a limit is only advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// No control groups are mounted.
    NotMounted,
    /// This user may not make control groups.
    NotPermitted,
    /// The kernel has no such controller, or it is not passed on to us.
    NoController,
    /// The kernel does not account swap, but the host has some.
    SwapNotAccounted,
}

impl fmt::Display for Advice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotMounted => "control groups are not mounted",
            Self::NotPermitted => "this user may not make control groups",
            Self::NoController => "the controller is missing or not delegated",
            Self::SwapNotAccounted => "the kernel does not account swap",
        })
    }
}

impl EnforcementReport {
    /// Every limit with its name, in a fixed order.
    pub fn entries(&self) -> [(&'static str, Enforcement); 6] {
        [
            ("cpu", self.cpu),
            ("memory", self.memory),
            ("swap", self.swap),
            ("pids", self.pids),
            ("kill", self.kill),
            ("freeze", self.freeze),
        ]
    }

    /// Whether every limit holds.
    pub fn is_complete(&self) -> bool {
        self.entries().iter().all(|(_, enforcement)| *enforcement == Enforcement::Enforced)
    }

    /// Derives the report; `swap_is_limited` says whether the parent group has a control file for swap or the host
    /// has no swap at all.
    pub(crate) fn of(hierarchy: &Hierarchy, swap_is_limited: bool) -> Self {
        match hierarchy {
            Hierarchy::Unavailable(why) => Self::advisory(match why {
                Unavailable::NotMounted => Advice::NotMounted,
                Unavailable::NotPermitted => Advice::NotPermitted,
            }),
            Hierarchy::V2 { controllers, .. } => {
                let has = |name: &str| controllers.iter().any(|controller| controller == name);
                Self::controllers(has, swap_is_limited).with_whole_groups()
            }
            Hierarchy::Hybrid { controllers, .. } => {
                Self::v1(controllers, swap_is_limited).with_whole_groups()
            }
            Hierarchy::V1 { controllers } => Self::v1(controllers, swap_is_limited),
        }
    }

    fn v1(controllers: &BTreeMap<String, Tree>, swap_is_limited: bool) -> Self {
        let report = Self::controllers(|name| controllers.contains_key(name), swap_is_limited);
        // A frozen group cannot fork, so it can be killed as a whole.
        if controllers.contains_key("freezer") { report.with_whole_groups() } else { report }
    }

    fn controllers(has: impl Fn(&str) -> bool, swap_is_limited: bool) -> Self {
        let of = |name| {
            if has(name) { Enforcement::Enforced } else { Enforcement::Advisory(Advice::NoController) }
        };
        let swap =
            if swap_is_limited { of("memory") } else { Enforcement::Advisory(Advice::SwapNotAccounted) };
        let none = Enforcement::Advisory(Advice::NoController);
        Self { cpu: of("cpu"), memory: of("memory"), swap, pids: of("pids"), kill: none, freeze: none }
    }

    fn with_whole_groups(self) -> Self {
        Self { kill: Enforcement::Enforced, freeze: Enforcement::Enforced, ..self }
    }

    fn advisory(why: Advice) -> Self {
        let none = Enforcement::Advisory(why);
        Self { cpu: none, memory: none, swap: none, pids: none, kill: none, freeze: none }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_to_be_advice() {
        let tree = || Tree("/x".into());
        let controllers = [("memory".to_owned(), tree()), ("freezer".to_owned(), tree())].into();
        let report = EnforcementReport::of(&Hierarchy::V1 { controllers }, false);
        assert_eq!(report.cpu, Enforcement::Advisory(Advice::NoController));
        assert_eq!(report.memory, Enforcement::Enforced);
        assert_eq!(report.swap, Enforcement::Advisory(Advice::SwapNotAccounted));
        assert_eq!(report.kill, Enforcement::Enforced);
        assert!(!report.is_complete());

        let report = EnforcementReport::of(&Hierarchy::Unavailable(Unavailable::NotPermitted), true);
        assert_eq!(report.kill, Enforcement::Advisory(Advice::NotPermitted));
    }
}
