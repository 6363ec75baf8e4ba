//! What a backup says about itself.

use hearth_types::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Whose data directory it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Of `hearth up`: the coordinator's data are in `DIR/coordinator`.
    Up,
    /// Of `hearth-coordinator`: they are in `DIR` itself.
    Coordinator,
}

impl Layout {
    /// Where the coordinator's data are, given the data directory.
    pub fn coordinator_dir(self, data_dir: &Path) -> PathBuf {
        match self {
            Self::Up => data_dir.join("coordinator"),
            Self::Coordinator => data_dir.to_owned(),
        }
    }

    /// Finds the coordinator whose data are in `data_dir`; it must have run once.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(data_dir: &Path) -> anyhow::Result<(Self, PathBuf)> {
        [Self::Up, Self::Coordinator]
            .map(|layout| (layout, layout.coordinator_dir(data_dir)))
            .into_iter()
            .find(|(_, dir)| crate::daemon::database(dir).exists())
            .ok_or_else(|| {
                anyhow::anyhow!(
                    "{} holds no coordinator; name its data directory with --data-dir",
                    data_dir.display()
                )
            })
    }
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its size.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// What a backup says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the program that made it.
    pub hearth: String,
    /// Name of the cluster.
    pub cluster: String,
    /// When it was begun: the state is as of then.
    pub made_at: Timestamp,
    /// Whose data directory it was.
    pub layout: Layout,
    /// Whether the objects are in it.
    pub has_objects: bool,
    /// Every file by its path in the coordinator's data directory, apart from this manifest.
    pub parts: BTreeMap<String, Part>,
}
