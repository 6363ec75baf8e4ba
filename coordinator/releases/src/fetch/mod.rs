//! Fetching: what the cache lacks, through pip and Maven, then every digest against the manifest.

mod cache;
mod maven;
mod pip;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::command::Cancel;
use crate::error::{Error, Result};
use crate::manifest::{Manifest, MavenArtifact, Sdist, Wheel, WheelFile};
use crate::progress::{Phase, Progress};
use crate::target::Target;
use crate::workspace::Workspace;

pub(crate) use pip::Pip;

use cache::Cache;

/// One file that the manifest lists for a target.
#[derive(Debug, Clone, Copy)]
enum Artifact<'m> {
    Sdist(&'m Sdist),
    Wheel(&'m Wheel, &'m WheelFile),
    Jar(&'m MavenArtifact),
}

impl Artifact<'_> {
    fn sha256(&self) -> &str {
        match self {
            Self::Sdist(sdist) => &sdist.sha256,
            Self::Wheel(_, file) => &file.sha256,
            Self::Jar(jar) => &jar.sha256,
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Sdist(sdist) => sdist.bytes,
            Self::Wheel(_, file) => file.bytes,
            Self::Jar(jar) => jar.bytes,
        }
    }

    fn file_name(&self) -> String {
        match self {
            Self::Sdist(sdist) => sdist.file.clone(),
            Self::Wheel(_, file) => file.file.clone(),
            Self::Jar(jar) => jar.file_name(),
        }
    }
}

/// Brings every artifact of `manifest` for `target` into the cache; the answer maps each digest to its verified file.
///
/// # Errors
/// [`Error::MissingTool`], [`Error::ToolFailed`], [`Error::NotFetched`], [`Error::DigestMismatch`] (the wrong file is
/// removed from the cache), [`Error::NoWheel`], [`Error::Io`], [`Error::Cancelled`].
pub(crate) fn fetch(
    manifest: &Manifest,
    target: Target,
    cache_dir: &Path,
    workspace: &Workspace,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<BTreeMap<String, PathBuf>> {
    let cache = Cache::open(cache_dir)?;
    let sdists = manifest.sdists.iter().map(Artifact::Sdist);
    let wheels = manifest.wheels_for(target)?.into_iter().map(|(wheel, file)| Artifact::Wheel(wheel, file));
    let artifacts: Vec<Artifact<'_>> =
        sdists.chain(wheels).chain(manifest.maven.iter().map(Artifact::Jar)).collect();
    let missing: Vec<Artifact<'_>> =
        artifacts.iter().filter(|artifact| !cache.has(artifact.sha256())).copied().collect();
    if !missing.is_empty() {
        progress.begin(Phase::Fetching, Some(missing.iter().map(Artifact::bytes).sum()));
        download(&missing, target, cache_dir, &cache, workspace, progress, cancel)?;
    }
    let total = artifacts.iter().map(Artifact::bytes).sum();
    progress.begin(Phase::Verifying, Some(total));
    verify(&artifacts, &cache, progress, cancel)?;
    Ok(artifacts
        .iter()
        .map(|artifact| (artifact.sha256().to_owned(), cache.path(artifact.sha256())))
        .collect())
}

/// Runs pip and Maven side by side (one mostly waits for the network while the other computes) and moves what they
/// bring into the cache.
fn download(
    missing: &[Artifact<'_>],
    target: Target,
    cache_dir: &Path,
    cache: &Cache,
    workspace: &Workspace,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<()> {
    let jars: Vec<&MavenArtifact> = missing
        .iter()
        .filter_map(|item| if let Artifact::Jar(jar) = item { Some(*jar) } else { None })
        .collect();
    let sdists: Vec<&Sdist> = missing
        .iter()
        .filter_map(|item| if let Artifact::Sdist(sdist) = item { Some(*sdist) } else { None })
        .collect();
    let wheels: Vec<(&Wheel, &WheelFile)> = missing
        .iter()
        .filter_map(|item| if let Artifact::Wheel(wheel, file) = item { Some((*wheel, *file)) } else { None })
        .collect();
    // Both are looked for first: better no download than half of one.
    let pip = if sdists.is_empty() && wheels.is_empty() { None } else { Some(Pip::find(cache_dir)?) };
    if !jars.is_empty() {
        maven::find()?;
    }
    let folder = workspace.folder("fetch")?;
    let names: Vec<String> = missing.iter().map(Artifact::file_name).collect();
    let highest = AtomicU64::new(0);
    let tick = || {
        let now = bytes_arrived(&folder, &names);
        progress.advanced(highest.fetch_max(now, Ordering::Relaxed).max(now));
    };
    // A failure of one side stops the other.
    let both = Cancel::default();
    let stop = || {
        if cancel.check().is_err() {
            both.cancel()
        }
    };
    let (maven_result, pip_result) = thread::scope(|scope| {
        let maven_side = scope.spawn(|| {
            let result = if jars.is_empty() { Ok(()) } else { maven::fetch(&jars, &folder, &both, &stop) };
            result.inspect_err(|_| both.cancel())
        });
        let pip_side = scope.spawn(|| {
            let result =
                pip.as_ref().map_or(Ok(()), |pip| pip.fetch(&sdists, &wheels, target, &folder, &both, &stop));
            result.inspect_err(|_| both.cancel())
        });
        while !(maven_side.is_finished() && pip_side.is_finished()) {
            thread::sleep(std::time::Duration::from_millis(250));
            tick();
        }
        (
            maven_side.join().expect("fetching does not panic"),
            pip_side.join().expect("fetching does not panic"),
        )
    });
    cancel.check()?;
    match (maven_result, pip_result) {
        (Err(Error::Cancelled), Err(reason)) | (Err(reason), _) | (_, Err(reason)) => return Err(reason),
        (Ok(()), Ok(())) => {}
    }
    for artifact in missing {
        let name = artifact.file_name();
        let (program, path) = match artifact {
            Artifact::Jar(jar) => ("mvn", maven::brought(&folder, jar)),
            Artifact::Sdist(_) | Artifact::Wheel(..) => ("pip", pip::brought(&folder, &name)),
        };
        if !path.is_file() {
            return Err(Error::NotFetched { program, file: name });
        }
        cache.adopt(&path, artifact.sha256(), &name, cancel)?;
    }
    Ok(())
}

/// How much of the wanted files is on disk, finished or not: both clients write them under their own names, with
/// suffixes, somewhere below `folder`.
fn bytes_arrived(folder: &Path, names: &[String]) -> u64 {
    let mut largest = vec![0; names.len()];
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // Files come and go under the clients' hands; what is gone counts nothing.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(entry.path());
            } else if let Some(index) =
                names.iter().position(|name| entry.file_name().to_string_lossy().starts_with(name.as_str()))
            {
                largest[index] = entry.metadata().map_or(0, |meta| meta.len()).max(largest[index]);
            }
        }
    }
    largest.iter().sum()
}

/// Hashes every cached file on two threads.
fn verify(artifacts: &[Artifact<'_>], cache: &Cache, progress: &dyn Progress, cancel: &Cancel) -> Result<()> {
    let mut largest_first: Vec<Artifact<'_>> = artifacts.to_vec();
    largest_first.sort_by_key(|artifact| std::cmp::Reverse(artifact.bytes()));
    let next = AtomicU64::new(0);
    let done = AtomicU64::new(0);
    let work = || {
        while let Some(artifact) = largest_first.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
            cache.verify(artifact.sha256(), &artifact.file_name(), cancel)?;
            done.fetch_add(artifact.bytes(), Ordering::Relaxed);
        }
        Ok(())
    };
    let result = thread::scope(|scope| {
        let other = scope.spawn(work);
        let mine = work();
        mine.and(other.join().expect("hashing does not panic"))
    });
    progress.advanced(done.into_inner());
    result
}
