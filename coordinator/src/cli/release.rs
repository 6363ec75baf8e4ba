//! `hearth release`: what labels carry, and their bundles.
//!
//! Bundles lie in the cache, `$HEARTH_CACHE/bundles/<sha256>.tar.zst`, where the coordinator's own builds look first: one
//! that was built or brought in here is not built again for the first job run.

use super::arguments::Release;
use super::error::CliError;
use super::screen;
use hearth_releases::{
    Arch, BuildRequest, Cancel, Catalog, Label, Manifest, PlainProgress, Progress, Shelf, Source, Stored,
    Target, TerminalProgress, build, default_cache_dir, describe,
};
use serde_json::json;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;

/// Does what was asked. Blocks; a build may take minutes.
pub(super) fn release(verb: &Release) -> Result<(), CliError> {
    let catalog = catalog()?;
    let bundles = default_cache_dir().join("bundles");
    let shelf = Shelf::new(bundles.clone());
    match verb {
        Release::List(options) => list(&catalog, &shelf, options.json),
        Release::Describe { label } => screen::write(describe(&catalog, label)?.as_bytes()),
        Release::Build { label } => build_now(catalog.get(label)?, &bundles),
        Release::Import { file, sha256 } => import(&catalog, &shelf, file, sha256.as_deref()),
        Release::Export { label, file } => export(catalog.get(label)?, &shelf, file),
    }
}

fn catalog() -> Result<Catalog, CliError> {
    let share = crate::config::share_dir().map_err(CliError::Daemon)?;
    Ok(Catalog::load(&share.join("releases"))?)
}

fn list(catalog: &Catalog, shelf: &Shelf, as_json: bool) -> Result<(), CliError> {
    let built = shelf.list()?;
    let rows = catalog.labels().map(|label| {
        let manifest = catalog.get(&label.name).ok();
        let bundle = manifest
            .and_then(|manifest| built.iter().find(|stored| stored.identity.release_label == manifest.label));
        (label, manifest, bundle)
    });
    if as_json {
        let row = |(label, manifest, bundle): (&Label, Option<&Manifest>, Option<&Stored>)| {
            json!({
                "label": label.name,
                "sparkVersion": label.spark,
                "hiveVersion": label.hive,
                "tezVersion": label.tez,
                "manifest": manifest.map(|manifest| &manifest.label),
                "java": manifest.map(|manifest| manifest.java.major),
                "python": manifest.map(|manifest| manifest.python.requires.to_string()),
                "differences": manifest.map(|manifest| manifest.differences.len()),
                "bundle": bundle.map(|stored| &stored.sha256),
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
                (Some(_), Some(stored)) => format!("{} MiB", stored.bytes >> 20),
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

fn import(catalog: &Catalog, shelf: &Shelf, file: &Path, sha256: Option<&str>) -> Result<(), CliError> {
    let arch = Arch::of_this_machine()?;
    let (path, info) = shelf.import(file, sha256, catalog, arch)?;
    let (label, python) = (&info.identity.release_label, info.identity.python);
    let builds_for = Target::of_this_host(catalog.get(label)?).ok().map(|target| target.python);
    if let Some(own) = builds_for.filter(|own| *own != python) {
        screen::note(&format!(
            "it is for Python {python}, and a coordinator here would look for one for Python {own}: HEARTH_PYTHON names another"
        ));
    }
    screen::line(&format!("{label} is here: {} ({} MiB)", path.display(), info.bytes >> 20))
}

fn export(manifest: &Manifest, shelf: &Shelf, file: &Path) -> Result<(), CliError> {
    let info = shelf.export(manifest, file)?;
    screen::line(&format!(
        "{} is in {} ({} MiB), its digest beside it: {}",
        manifest.label,
        file.display(),
        info.bytes >> 20,
        info.sha256
    ))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let path = path.to_owned();
    move |source| CliError::File { action, path, source }
}
