//! Bringing a backup back.

use super::manifest::{Manifest, Part};
use super::pack::Hashing;
use super::{FORMAT, FORMAT_ENTRY, MANIFEST_ENTRY, OBJECTS, STATE};
use anyhow::Context;
use hearth_store::{ObjectsRestored, Unfinished};
use hearth_types::Epoch;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// What came back.
#[derive(Debug)]
pub struct Restored {
    /// The backup's own words.
    pub manifest: Manifest,
    /// Where the coordinator's data are now.
    pub dir: PathBuf,
    /// Job runs that had not ended.
    pub unfinished: Unfinished,
    /// The epoch that the next start goes beyond.
    pub epoch: Epoch,
}

/// Brings the backup in `file` back into `data_dir`: into `data_dir/coordinator` if it is one of `hearth up`. All of it is
/// verified beside that directory and then moved there in one step.
///
/// # Errors
/// When the directory is in use or not empty, or the backup is not whole; nothing is then changed.
pub async fn restore(file: &Path, data_dir: &Path) -> anyhow::Result<Restored> {
    let data_dir = std::path::absolute(data_dir).context("finding the data directory")?;
    refuse_occupied(&data_dir)?;
    let beside = data_dir.parent().context("the root directory cannot be a data directory")?.to_owned();
    crate::daemon::private_dir(&beside)?;
    let scratch = tempfile::Builder::new()
        .prefix(".hearth-restore-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in(&beside)
        .with_context(|| format!("making a directory in {}", beside.display()))?;
    let (source, to) = (file.to_owned(), scratch.path().to_owned());
    let manifest = tokio::task::spawn_blocking(move || unpack(&source, &to))
        .await
        .context("unpacking ended abnormally")?
        .with_context(|| format!("{} was not restored", file.display()))?;
    let objects = if manifest.has_objects { ObjectsRestored::Yes } else { ObjectsRestored::No };
    let now = hearth_engine::now();
    let (epoch, unfinished) =
        hearth_store::prepare_restored(&scratch.path().join(STATE), now, objects).await?;
    if manifest.has_objects {
        hearth_objects::examine_index(&scratch.path().join(OBJECTS)).await?;
    }
    let dir = manifest.layout.coordinator_dir(&data_dir);
    put_in_place(scratch, &data_dir, &dir)?;
    Ok(Restored { manifest, dir, unfinished, epoch })
}

/// Refuses a directory that a coordinator uses or has used.
fn refuse_occupied(data_dir: &Path) -> anyhow::Result<()> {
    for dir in [data_dir.to_owned(), data_dir.join("coordinator")] {
        if let Ok(lock) = File::open(dir.join(OBJECTS).join("lock"))
            && matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
        {
            anyhow::bail!(
                "a coordinator runs on {}; stop it (`hearth down`, or hearth-coordinator's service), then move the \
                 directory away",
                dir.display()
            );
        }
        let holds = [STATE, OBJECTS, "ca", "master.key"].into_iter().find(|name| dir.join(name).exists());
        if let Some(name) = holds {
            anyhow::bail!(
                "{} is not empty: it holds {name}; nothing was changed. Move it away (`mv {} {}.before`) and restore again",
                dir.display(),
                dir.display(),
                dir.display()
            );
        }
    }
    Ok(())
}

/// Moves the verified directory to its place; fails if that is not empty.
fn put_in_place(scratch: tempfile::TempDir, data_dir: &Path, dir: &Path) -> anyhow::Result<()> {
    if dir != data_dir {
        crate::daemon::private_dir(data_dir)?;
    }
    let placing = || {
        format!(
            "moving what was restored to {}, which must not be there, or be empty and no mount point",
            dir.display()
        )
    };
    // Once for all files: there may be many.
    nix::unistd::syncfs(&File::open(scratch.path()).with_context(placing)?).with_context(placing)?;
    std::fs::rename(scratch.path(), dir).with_context(placing)?;
    // It is not ours to remove any more.
    let _moved = scratch.keep();
    let beside = dir.parent().context("a directory is in one")?;
    File::open(beside).and_then(|beside| beside.sync_all()).with_context(placing)
}

/// Unpacks a backup into the directory `to` and verifies every file of it.
fn unpack(file: &Path, to: &Path) -> anyhow::Result<Manifest> {
    let opened = File::open(file).context("opening it")?;
    let decoder = zstd::Decoder::new(BufReader::with_capacity(1 << 20, opened)).context("reading it")?;
    let mut archive = tar::Archive::new(decoder);
    let mut found = BTreeMap::new();
    let mut manifest: Option<Manifest> = None;
    let mut is_first = true;
    let broken = "it is damaged or was cut short";
    for entry in archive.entries().context(broken)? {
        let mut entry = entry.context("it is no backup, damaged, or was cut short")?;
        let name = String::from_utf8(entry.path_bytes().into_owned()).context(broken)?;
        anyhow::ensure!(manifest.is_none(), "it goes on after its manifest");
        anyhow::ensure!(is_first == (name == FORMAT_ENTRY), "it is no backup made by `hearth backup`");
        if is_first {
            check_format(&mut entry)?;
            is_first = false;
        } else if name == MANIFEST_ENTRY {
            manifest = Some(serde_json::from_reader(&mut entry).context("reading its manifest")?);
        } else {
            anyhow::ensure!(
                is_inside(&name) && entry.header().entry_type().is_file(),
                "{name:?} is no file of a backup"
            );
            let part = write_part(&mut entry, &to.join(&name))
                .with_context(|| format!("unpacking {name}: {broken}, or there is no room"))?;
            found.insert(name, part);
        }
    }
    // The end of the stream has the compressor's own checksum.
    io::copy(&mut archive.into_inner(), &mut io::sink()).context(broken)?;
    let manifest = manifest.context("it was cut short: it has no manifest")?;
    if let Some(name) = manifest.parts.iter().find(|(name, part)| found.get(*name) != Some(part)) {
        anyhow::bail!("its {} is missing or damaged", name.0);
    }
    anyhow::ensure!(found.len() == manifest.parts.len(), "it holds files that its manifest does not name");
    anyhow::ensure!(found.contains_key(STATE), "it holds no state database");
    Ok(manifest)
}

fn check_format(entry: &mut impl Read) -> anyhow::Result<()> {
    let mut text = String::new();
    entry.take(64).read_to_string(&mut text).context("reading its format")?;
    let format: u32 = text.trim().parse().context("reading its format")?;
    anyhow::ensure!(
        format == FORMAT,
        "it has format {format}, this program knows {FORMAT}; restore it with the hearth that made it"
    );
    Ok(())
}

/// Whether a path leads to below the directory that it is joined to.
pub(super) fn is_inside(name: &str) -> bool {
    !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

fn write_part(entry: &mut impl Read, path: &Path) -> io::Result<Part> {
    let dir = path.parent().unwrap_or(path);
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut source = Hashing { inner: entry, hash: Sha256::new(), bytes: 0 };
    io::copy(&mut source, &mut file)?;
    Ok(Part { bytes: source.bytes, sha256: hex::encode(source.hash.finalize()) })
}
