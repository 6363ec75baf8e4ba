//! `hearth backup` and `hearth restore`.

use super::arguments::{Backup, Restore};
use super::error::CliError;
use super::{screen, up_pid};
use crate::backup::{self, Objects};
use std::path::Path;

/// Writes a backup and says what is in it.
pub(super) async fn back_up(data_dir: &Path, options: &Backup) -> Result<(), CliError> {
    let objects = if options.without_objects { Objects::LeftOut } else { Objects::Included };
    let manifest = backup::back_up(data_dir, &options.file, objects).await.map_err(CliError::Daemon)?;
    let bytes: u64 = manifest.parts.values().map(|part| part.bytes).sum();
    screen::line(&format!(
        "{} holds cluster {} as of now: {} files, {bytes} bytes before compression",
        options.file.display(),
        manifest.cluster,
        manifest.parts.len()
    ))?;
    screen::note("it holds keys and secrets; hearth restore brings it back");
    Ok(())
}

/// Brings a backup back and says what comes next.
pub(super) async fn restore(data_dir: &Path, options: &Restore) -> Result<(), CliError> {
    if let Some(up) = up_pid::read(data_dir)?.filter(|up| up.is_alive()) {
        return Err(CliError::Daemon(anyhow::anyhow!(
            "hearth up runs on {} as process {}; `hearth down` stops it",
            data_dir.display(),
            up.pid
        )));
    }
    let restored = backup::restore(&options.file, data_dir).await.map_err(CliError::Daemon)?;
    screen::line(&format!(
        "cluster {} is restored to {}, made by hearth {}",
        restored.manifest.cluster,
        restored.dir.display(),
        restored.manifest.hearth
    ))?;
    let unfinished = restored.unfinished;
    if unfinished.waiting + unfinished.placed > 0 {
        screen::note(&format!(
            "of its job runs {} waited and {} had a driver; those that waited start again, even if they ran since",
            unfinished.waiting, unfinished.placed
        ));
    }
    if !restored.manifest.has_objects {
        screen::note("it holds no objects: buckets begin empty, and releases are built again");
    }
    screen::note(
        "  next: start the coordinator on it, `hearth up` or hearth-coordinator; never the lost one again",
    );
    Ok(())
}
