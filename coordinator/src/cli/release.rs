//! `hearth release`: what labels carry, and their bundles.
//!
//! Bundles lie in the cache, `$HEARTH_CACHE/bundles/<sha256>.tar.zst`, where the coordinator's own builds look first: one
//! that was built or brought in here is not built again for the first job run.

use super::arguments::Release;
use super::error::CliError;
use super::screen;
use hearth_releases::{
    BuildRequest, BundleInfo, Cancel, Catalog, Label, Manifest, PlainProgress, Progress, Source, Target,
    TerminalProgress, build, default_cache_dir, describe, verify,
};
use serde_json::json;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

/// Does what was asked. Blocks; a build may take minutes.
pub(super) fn release(verb: &Release) -> Result<(), CliError> {
    let catalog = catalog()?;
    let bundles = default_cache_dir().join("bundles");
    match verb {
        Release::List(options) => list(&catalog, &bundles, options.json),
        Release::Describe { label } => screen::write(describe(&catalog, label)?.as_bytes()),
        Release::Build { label } => build_now(catalog.get(label)?, &bundles),
        Release::Import { file } => import(&catalog, file, &bundles),
        Release::Export { label, file } => export(catalog.get(label)?, &bundles, file),
    }
}

fn catalog() -> Result<Catalog, CliError> {
    let share = crate::config::share_dir().map_err(CliError::Daemon)?;
    Ok(Catalog::load(&share.join("releases"))?)
}

fn list(catalog: &Catalog, bundles: &Path, as_json: bool) -> Result<(), CliError> {
    let built = built(bundles)?;
    let rows = catalog.labels().map(|label| {
        let manifest = catalog.get(&label.name).ok();
        let bundle = manifest.and_then(|manifest| {
            built.iter().map(|(_, info)| info).find(|info| info.identity.release_label == manifest.label)
        });
        (label, manifest, bundle)
    });
    if as_json {
        let row = |(label, manifest, bundle): (&Label, Option<&Manifest>, Option<&BundleInfo>)| {
            json!({
                "label": label.name,
                "sparkVersion": label.spark,
                "hiveVersion": label.hive,
                "tezVersion": label.tez,
                "manifest": manifest.map(|manifest| &manifest.label),
                "java": manifest.map(|manifest| manifest.java.major),
                "python": manifest.map(|manifest| manifest.python.requires.to_string()),
                "differences": manifest.map(|manifest| manifest.differences.len()),
                "bundle": bundle.map(|info| &info.sha256),
                "missing": match &label.source {
                    Source::Missing(reason) => Some(reason),
                    Source::Manifest(_) => None,
                },
            })
        };
        return screen::json(&rows.map(row).collect::<Vec<_>>());
    }
    let mut table = screen::table(["LABEL", "SPARK", "HIVE", "TEZ", "JDK", "PYTHON", "BUNDLE OF", "BUILT"]);
    for (label, manifest, bundle) in rows {
        let dash = || "-".to_owned();
        table.add_row([
            label.name.clone(),
            label.spark.clone(),
            label.hive.clone().unwrap_or_else(dash),
            label.tez.clone().unwrap_or_else(dash),
            manifest.map_or_else(dash, |manifest| manifest.java.major.to_string()),
            manifest.map_or_else(dash, |manifest| manifest.python.requires.to_string()),
            manifest.map_or_else(dash, |manifest| manifest.label.clone()),
            match (manifest, bundle) {
                (None, _) => "cannot be".to_owned(),
                (Some(_), None) => "no".to_owned(),
                (Some(_), Some(info)) => format!("{} MiB", info.bytes >> 20),
            },
        ]);
    }
    screen::print_table(&table)
}

fn build_now(manifest: &Manifest, bundles: &Path) -> Result<(), CliError> {
    let target = Target::of_this_host(manifest)?;
    fs::create_dir_all(bundles).map_err(failed("creating", bundles))?;
    let progress: Box<dyn Progress> = if io::stderr().is_terminal() {
        Box::new(TerminalProgress::default())
    } else {
        Box::new(PlainProgress::new(format!("{}: ", manifest.label), io::stderr()))
    };
    let request = BuildRequest { manifest, target, work_dir: bundles, cache_dir: &default_cache_dir() };
    let bundle = build(&request, progress.as_ref(), &Cancel::default())?;
    screen::line(&format!(
        "{} is built: {} ({} MiB)",
        manifest.label,
        bundle.path.display(),
        bundle.bytes >> 20
    ))
}

fn import(catalog: &Catalog, file: &Path, bundles: &Path) -> Result<(), CliError> {
    let info = verify(file)?;
    let label = &info.identity.release_label;
    catalog.get(label)?;
    fs::create_dir_all(bundles).map_err(failed("creating", bundles))?;
    let path = bundle_path(bundles, &info.sha256);
    copy_durably(file, &path)?;
    screen::line(&format!("{label} is here: {} ({} MiB)", path.display(), info.bytes >> 20))
}

fn export(manifest: &Manifest, bundles: &Path, file: &Path) -> Result<(), CliError> {
    let found = built(bundles)?.into_iter().find(|(_, info)| info.identity.release_label == manifest.label);
    let Some((path, info)) = found else {
        let label = &manifest.label;
        return Err(CliError::Usage(format!("{label} is not built yet: hearth release build {label}")));
    };
    copy_durably(&path, file)?;
    screen::line(&format!("{} is in {} ({} MiB)", manifest.label, file.display(), info.bytes >> 20))
}

/// The verified bundles in the directory; none if there is no such directory.
fn built(bundles: &Path) -> Result<Vec<(PathBuf, BundleInfo)>, CliError> {
    let entries = match fs::read_dir(bundles) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed("reading", bundles))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed("reading", bundles))?.path();
        if path.extension().is_some_and(|extension| extension == "zst") {
            let info = verify(&path)?;
            found.push((path, info));
        }
    }
    found.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(found)
}

fn bundle_path(bundles: &Path, sha256: &str) -> PathBuf {
    bundles.join(format!("{sha256}.tar.zst"))
}

/// Copies so that the destination is either whole or not there.
fn copy_durably(from: &Path, to: &Path) -> Result<(), CliError> {
    let mut half = to.as_os_str().to_owned();
    half.push(".half");
    let half = PathBuf::from(half);
    fs::copy(from, &half).map_err(failed("writing", &half))?;
    fs::File::open(&half).and_then(|file| file.sync_all()).map_err(failed("writing", &half))?;
    fs::rename(&half, to).map_err(failed("writing", to))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let path = path.to_owned();
    move |source| CliError::File { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_whole_and_leaves_no_half() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::write(&from, "bundle").unwrap();
        copy_durably(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "bundle");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_data_directory_without_bundles_has_none() {
        let dir = tempfile::tempdir().unwrap();
        assert!(built(&dir.path().join("bundles")).unwrap().is_empty());
    }
}
