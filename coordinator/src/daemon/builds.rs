//! Assembles release bundles on demand and keeps them in the object store, where agents fetch them.

use super::bundles::Bundles;
use super::{Parts, retention};
use anyhow::Context;
use futures::StreamExt;
use hearth_coordinator_core::command::Command;
use hearth_coordinator_core::release::{Release, ReleaseState};
use hearth_engine::Engine;
use hearth_faults::{Point, reach};
use hearth_objects::{Attributes, ObjectStore, WriteCondition};
use hearth_releases::{
    BuildRequest, BuiltBundle, BundleIdentity, Cancel, Catalog, Manifest, PhaseText, Shelf, Target, build,
    default_cache_dir,
};
use hearth_types::ReleaseLabel;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

/// The bucket of release bundles.
pub(super) const RELEASES_BUCKET: &str = "hearth-releases";
/// Time between two lines about one phase in `stateDetails`.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Steps that may wait to be told; a newer one makes an older one worthless, so a full queue drops them.
const STEPS: usize = 4;

/// The key of a bundle.
pub(super) fn bundle_key(sha256: &str) -> String {
    format!("bundles/{sha256}.tar.zst")
}

/// What builds need.
pub(super) struct Builder {
    engine: Engine,
    objects: ObjectStore,
    catalog: Arc<Catalog>,
    bundles: Bundles,
}

impl Builder {
    /// Bundles that nobody uses are kept for `keep_unused`.
    pub(super) fn new(parts: &Parts, keep_unused: Duration) -> Self {
        Self {
            engine: parts.engine.clone(),
            objects: parts.objects.clone(),
            catalog: parts.catalog.clone(),
            bundles: Bundles::new(parts, keep_unused),
        }
    }
}

/// Builds the releases asked for, one after another, and removes bundles that nobody uses, until the coordinator stops.
pub(super) async fn build_releases(
    mut wanted: mpsc::UnboundedReceiver<ReleaseLabel>,
    mut builder: Builder,
    stopping: CancellationToken,
) {
    let mut rounds = tokio::time::interval(retention::EVERY);
    loop {
        let label = tokio::select! {
            label = wanted.recv() => match label { Some(label) => label, None => return },
            _ = rounds.tick() => {
                builder.bundles.round().await;
                continue;
            }
            () = stopping.cancelled() => return,
        };
        tracing::info!(release_label = %label, "building a release");
        let state = match builder.make(&label, &stopping).await {
            Ok(state) => state,
            // The next start takes it up again: the release is still recorded as being built.
            Err(_) if stopping.is_cancelled() => return,
            Err(error) => {
                tracing::error!(release_label = %label, error = format!("{error:#}"), "building a release failed");
                ReleaseState::Failed { reason: format!("{error:#}") }
            }
        };
        builder.tell(&label, state).await;
    }
}

impl Builder {
    async fn tell(&self, label: &ReleaseLabel, state: ReleaseState) {
        let release = Release { label: label.clone(), state };
        if let Err(error) = self.engine.ask(Command::ReleaseIs(release)).await {
            tracing::error!(release_label = %label, error = %error, "recording a release");
        }
    }

    async fn make(&self, label: &ReleaseLabel, stopping: &CancellationToken) -> anyhow::Result<ReleaseState> {
        let manifest = self.catalog.get(label.as_str())?.clone();
        if let Some(state) = self.shared(label, &manifest).await? {
            return Ok(state);
        }
        let java = manifest.java.clone();
        let (steps, mut told) = mpsc::channel::<String>(STEPS);
        let cancel = Cancel::default();
        let cancelled = cancel.clone();
        let work = tokio::task::spawn_blocking(move || {
            let target = Target::of_this_host(&manifest)?;
            let cache_dir = default_cache_dir();
            let work_dir = cache_dir.join("bundles");
            let progress = PhaseText::new(TELL_EVERY, move |text| drop(steps.try_send(text)));
            if let Some(imported) = imported(&work_dir, &manifest, target) {
                return Ok((imported, Origin::Imported));
            }
            let request =
                BuildRequest { manifest: &manifest, target, work_dir: &work_dir, cache_dir: &cache_dir };
            build(&request, &progress, &cancel).map(|built| (built, Origin::Built))
        });
        tokio::pin!(work);
        let (built, origin) = loop {
            tokio::select! {
                built = &mut work => break built.context("the build ended abnormally")??,
                Some(step) = told.recv() => self.tell(label, ReleaseState::Building { step }).await,
                () = stopping.cancelled() => cancelled.cancel(),
            }
        };
        reach(Point::ReleaseBuilt);
        self.tell(label, ReleaseState::Building { step: "storing the bundle".to_owned() }).await;
        self.keep(&built).await?;
        reach(Point::ReleaseKept);
        if origin == Origin::Built {
            tokio::fs::remove_file(&built.path).await.context("removing the built bundle's file")?;
        }
        Ok(ReleaseState::Ready {
            sha256: built.sha256.to_string(),
            java_major: java.major.into(),
            java_module_options: java.module_options,
        })
    }

    /// The bundle that another label with the same manifest has already.
    async fn shared(
        &self,
        label: &ReleaseLabel,
        manifest: &Manifest,
    ) -> anyhow::Result<Option<ReleaseState>> {
        let world = self.engine.snapshot();
        for other in world.releases().filter(|other| other.label != *label) {
            let has_it = self
                .catalog
                .get(other.label.as_str())
                .is_ok_and(|its_manifest| its_manifest.label == manifest.label);
            if let ReleaseState::Ready { sha256, .. } = &other.state
                && has_it
                && self.objects.exists(RELEASES_BUCKET, &bundle_key(sha256)).await?
            {
                return Ok(Some(other.state.clone()));
            }
        }
        Ok(None)
    }

    /// Moves a bundle into the object store.
    async fn keep(&self, built: &BuiltBundle) -> anyhow::Result<()> {
        let key = bundle_key(&built.sha256.to_string());
        if !self.objects.exists(RELEASES_BUCKET, &key).await? {
            let file = tokio::fs::File::open(&built.path).await.context("opening the built bundle")?;
            let bytes = ReaderStream::with_capacity(file, 1 << 20).map(|read| read.map_err(Into::into));
            self.objects
                .put(
                    RELEASES_BUCKET,
                    &key,
                    bytes,
                    Attributes::with_content_type("application/zstd"),
                    WriteCondition::Always,
                )
                .await
                .context("storing the bundle")?;
        }
        Ok(())
    }
}

/// Where a bundle's file comes from: what we built is ours to remove, what a person put there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Built,
    Imported,
}

/// A bundle of exactly this content that `hearth release build` or `import` left, for sites without a network.
fn imported(dir: &Path, manifest: &Manifest, target: Target) -> Option<BuiltBundle> {
    let (path, info) =
        Shelf::new(dir.to_owned()).find(&BundleIdentity::new(manifest, target), target.arch)?;
    Some(BuiltBundle { path, sha256: info.sha256, bytes: info.bytes })
}
