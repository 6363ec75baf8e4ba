//! Release bundles that nobody uses any more: those of releases without application and job run, and those that no release
//! names.
//!
//! Only the builder's task removes bundles, between two builds, so that none goes while it is being recorded.

use super::Parts;
use super::builds::{RELEASES_BUCKET, bundle_key};
use super::retention::{Counts, Kind};
use anyhow::Context;
use hearth_coordinator_core::command::Command;
use hearth_coordinator_core::release::ReleaseState;
use hearth_coordinator_core::retention::is_unused;
use hearth_coordinator_core::world::World;
use hearth_engine::Engine;
use hearth_objects::{ListQuery, MAX_PAGE, ObjectInfo, ObjectStore};
use hearth_types::ReleaseLabel;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

/// The stored bundles.
pub(super) struct Bundles {
    engine: Engine,
    objects: ObjectStore,
    keep_unused: Duration,
    counts: Arc<Counts>,
    /// The keys that no release named in the round before. They go in the next one: an agent may still be fetching them.
    nameless: BTreeSet<String>,
}

impl Bundles {
    pub(super) fn new(parts: &Parts, keep_unused: Duration) -> Self {
        Self {
            engine: parts.engine.clone(),
            objects: parts.objects.clone(),
            keep_unused,
            counts: parts.removed.clone(),
            nameless: BTreeSet::new(),
        }
    }

    /// Forgets unused releases, and removes bundles that no release has named since the round before.
    pub(super) async fn round(&mut self) {
        let removed = self.remove(OffsetDateTime::now_utc()).await;
        self.counts.add(Kind::Bundles, removed.map_err(|error| format!("{error:#}")));
    }

    async fn remove(&mut self, at: OffsetDateTime) -> anyhow::Result<u64> {
        let stored = self.stored().await.context("listing bundles")?;
        let old: BTreeSet<&str> = (stored.iter())
            .filter(|bundle| bundle.modified < at - self.keep_unused)
            .map(|bundle| bundle.key.as_str())
            .collect();
        let unused: Vec<ReleaseLabel> = named(&self.engine.snapshot())
            .filter(|(label, key)| old.contains(key.as_str()) && is_unused(&self.engine.snapshot(), label))
            .map(|(label, _)| label)
            .collect();
        for label in unused {
            self.engine.ask(Command::ForgetRelease(label)).await.context("forgetting a release")?;
        }
        let world = self.engine.snapshot();
        let wanted: BTreeSet<String> = named(&world).map(|(_, key)| key).collect();
        let nameless =
            stored.into_iter().map(|bundle| bundle.key).filter(|key| !wanted.contains(key)).collect();
        let before = std::mem::replace(&mut self.nameless, nameless);
        let gone: Vec<String> = self.nameless.intersection(&before).cloned().collect();
        self.objects.delete(RELEASES_BUCKET, &gone).await.context("removing bundles")?;
        Ok(u64::try_from(gone.len()).unwrap_or(u64::MAX))
    }

    async fn stored(&self) -> Result<Vec<ObjectInfo>, hearth_objects::StoreError> {
        let mut stored = Vec::new();
        let mut query = ListQuery { prefix: "bundles/".to_owned(), limit: MAX_PAGE, ..ListQuery::default() };
        loop {
            let page = self.objects.list(RELEASES_BUCKET, &query).await?;
            stored.extend(page.objects);
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(stored),
            }
        }
    }
}

/// The releases that are ready, and the keys of their bundles.
fn named(world: &World) -> impl Iterator<Item = (ReleaseLabel, String)> + '_ {
    world.releases().filter_map(|release| match &release.state {
        ReleaseState::Ready { sha256, .. } => Some((release.label.clone(), bundle_key(sha256))),
        ReleaseState::Building { .. } | ReleaseState::Failed { .. } => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::retention::world_model::{application, application_id, create, ready, release_label};
    use super::*;
    use hearth_coordinator_core::lease::LeaseTerms;
    use hearth_coordinator_core::quotas::Quotas;
    use hearth_objects::{Attributes, BucketAccess};
    use hearth_store::Store;
    use tokio::sync::mpsc;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    struct Lab {
        bundles: Bundles,
        _dir: tempfile::TempDir,
    }

    impl Lab {
        /// An application on a release that is ready, with its bundle and one that no release names.
        async fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let objects = ObjectStore::open(&dir.path().join("objects")).await.unwrap();
            objects.create_bucket(RELEASES_BUCKET, BucketAccess::ReadWrite).await.unwrap();
            for key in [bundle_key("00"), bundle_key("aa")] {
                let body = b"bundle".as_slice();
                objects.put_bytes(RELEASES_BUCKET, &key, body.into(), Attributes::default()).await.unwrap();
            }
            let store = Store::open(&dir.path().join("hearth.db")).await.unwrap();
            let (effects, _) = mpsc::channel(64);
            let engine =
                Engine::start(store, effects, LeaseTerms::default(), Quotas::default()).await.unwrap();
            engine.ask(create(application("app"))).await.unwrap();
            engine.ask(Command::ReleaseIs(ready())).await.unwrap();
            let bundles = Bundles {
                engine,
                objects,
                keep_unused: 30 * DAY,
                counts: Arc::default(),
                nameless: BTreeSet::new(),
            };
            Self { bundles, _dir: dir }
        }

        async fn has(&self, sha256: &str) -> bool {
            self.bundles.objects.exists(RELEASES_BUCKET, &bundle_key(sha256)).await.unwrap()
        }
    }

    #[tokio::test]
    async fn a_bundle_goes_when_no_release_names_it_for_two_rounds() {
        let mut lab = Lab::new().await;
        let later = OffsetDateTime::now_utc() + 31 * DAY;
        assert_eq!(lab.bundles.remove(later).await.unwrap(), 0);
        assert!(lab.has("aa").await);
        assert_eq!(lab.bundles.remove(later).await.unwrap(), 1);
        assert!(!lab.has("aa").await);
        assert!(lab.has("00").await, "an application is on it");
    }

    #[tokio::test]
    async fn an_unused_release_is_forgotten_first_and_a_crash_in_between_only_delays_the_rest() {
        let mut lab = Lab::new().await;
        lab.bundles.engine.ask(Command::DeleteApplication(application_id("app"))).await.unwrap();
        let made = OffsetDateTime::now_utc();
        lab.bundles.remove(made + 29 * DAY).await.unwrap();
        assert!(lab.bundles.engine.snapshot().release(&release_label()).is_some(), "it is young");
        lab.bundles.remove(made + 31 * DAY).await.unwrap();
        assert!(lab.bundles.engine.snapshot().release(&release_label()).is_none());
        assert!(lab.has("00").await);
        // What a crash leaves behind: all but what the task had in mind.
        lab.bundles.nameless.clear();
        assert_eq!(lab.bundles.remove(made + 31 * DAY).await.unwrap(), 0);
        assert_eq!(lab.bundles.remove(made + 31 * DAY).await.unwrap(), 1);
        assert!(!lab.has("00").await);
    }
}
