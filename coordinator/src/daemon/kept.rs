//! Small things the coordinator keeps in its data directory: the master key and the ports agents know.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use tokio::net::TcpListener;

/// Makes a directory that only its owner can read, if it is not there.
pub(crate) fn private_dir(dir: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("creating {}", dir.display()))
}

/// Writes a file that only its owner can read so that a crash leaves the old one or the new one.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let fresh = path.with_extension("new");
    let doing = || format!("writing {}", path.display());
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .with_context(doing)?;
    file.write_all(content).and_then(|()| file.sync_all()).with_context(doing)?;
    std::fs::rename(&fresh, path).with_context(doing)?;
    let dir = path.parent().context("a kept file has a directory")?;
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).with_context(doing)
}

/// The key that seals stored secrets and session tokens; made at the first start, never replaced.
pub(super) fn master_key(data_dir: &Path) -> anyhow::Result<[u8; 32]> {
    let path = data_dir.join("master.key");
    if !path.exists() {
        write_private(&path, hex::encode(rand::random::<[u8; 32]>()).as_bytes())?;
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut key = [0; 32];
    hex::decode_to_slice(text.trim(), &mut key).with_context(|| {
        format!("{} does not hold 32 bytes in hex; restore it from a backup", path.display())
    })?;
    Ok(key)
}

/// The ports that were chosen at the first start: agents know them, and people.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Ports {
    pub(super) agents: u16,
    pub(super) enrolment: u16,
    /// People's tunnels lead to it.
    #[serde(default)]
    pub(super) ui: u16,
}

impl Ports {
    pub(super) fn read(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join("ports.json");
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    pub(super) fn write(self, data_dir: &Path) -> anyhow::Result<()> {
        write_private(&data_dir.join("ports.json"), &serde_json::to_vec(&self)?)
    }
}

/// Listens on the configured address; where its port is 0, on the one kept from before if that is free.
pub(super) async fn bind_kept(configured: SocketAddr, kept: u16) -> anyhow::Result<TcpListener> {
    if configured.port() == 0
        && kept != 0
        && let Ok(listener) = TcpListener::bind(SocketAddr::new(configured.ip(), kept)).await
    {
        return Ok(listener);
    }
    TcpListener::bind(configured).await.with_context(|| format!("listening on {configured}"))
}
