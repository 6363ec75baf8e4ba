//! Release bundles that nothing on this host needs any more.

use crate::host::Host;
use hearth_bundles::{BundleError, BundleId};
use hearth_telemetry::error_chain;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;

/// What of `bundle.json` concerns this.
#[derive(Debug, Deserialize)]
struct Facts {
    release_label: String,
}

/// Removes every bundle whose release has a newer one here, but for those in use: a release that was built anew would
/// else fill the disk. The newest of each release stays, used or not, since the next job would have to fetch it again.
/// To be called before orders are taken.
pub(crate) async fn remove_superseded(host: &Host, in_use: BTreeSet<BundleId>) {
    match try_remove(host, in_use).await {
        Ok(removed) => {
            for bundle in removed {
                tracing::info!(%bundle, "a release bundle that a newer one replaces is removed");
            }
        }
        Err(error) => tracing::warn!(error = error_chain(&error), "removing old release bundles failed"),
    }
}

async fn try_remove(host: &Host, in_use: BTreeSet<BundleId>) -> Result<Vec<BundleId>, BundleError> {
    let mut facts = Vec::new();
    for bundle in host.bundles.held().await? {
        let path = host.bundles.path(&bundle);
        // Of one that says nothing about itself nobody knows what would replace it.
        let label = crate::durable::read::<Facts>(&path, "bundle.json").ok().flatten();
        let since = tokio::fs::metadata(&path).await.map(|about| (about.ctime(), about.ctime_nsec()));
        facts.push((bundle, label.map(|facts| facts.release_label), since.unwrap_or_default()));
    }
    host.bundles.remove_unused(&kept(facts, in_use)).await
}

/// The bundles to keep, of some with their release and since when they are here.
fn kept(
    held: Vec<(BundleId, Option<String>, (i64, i64))>,
    mut in_use: BTreeSet<BundleId>,
) -> BTreeSet<BundleId> {
    let mut newest: BTreeMap<String, (BundleId, (i64, i64))> = BTreeMap::new();
    for (bundle, label, since) in held {
        match label {
            None => {
                in_use.insert(bundle);
            }
            Some(label) if newest.get(&label).is_none_or(|(_, known)| *known < since) => {
                newest.insert(label, (bundle, since));
            }
            Some(_) => {}
        }
    }
    in_use.extend(newest.into_values().map(|(bundle, _)| bundle));
    in_use
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_each_release_and_what_is_used_stay() {
        let id = |digit: char| -> BundleId { digit.to_string().repeat(64).parse().unwrap() };
        let held = |digit, label: &str, since| (id(digit), Some(label.to_owned()), (since, 0));
        let all = vec![
            held('1', "emr-7.6.0", 1),
            held('2', "emr-7.6.0", 3),
            held('3', "emr-7.6.0", 2),
            held('4', "spark-4.0.1", 1),
            (id('5'), None, (0, 0)),
        ];
        let expected: BTreeSet<BundleId> = ['1', '2', '4', '5'].map(id).into();
        assert_eq!(kept(all, [id('1')].into()), expected);
    }
}
