//! Fetching a worker's release bundle, again and again while the coordinator may only be restarting.

use crate::host::Host;
use crate::spec::Spec;
use backon::{BackoffBuilder, ExponentialBuilder};
use hearth_bundles::BundleError;
use hearth_telemetry::error_chain;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Tries to fetch a bundle; with backoff they last about four minutes, longer than a coordinator's restart.
const FETCH_TRIES: usize = 12;

/// Sees to it that the bundle is in the host's cache, or says why it cannot be.
pub(super) async fn fetch_bundle(host: Arc<Host>, spec: Arc<Spec>) -> Result<(), String> {
    let id = spec.bundle_id();
    let mut delays = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(30))
        .with_max_times(FETCH_TRIES)
        .with_jitter()
        .build();
    loop {
        let (uplink, wanted) = (host.uplink.clone(), id.clone());
        let fetched =
            host.bundles.ensure(&id, move || async move { uplink.fetch_bundle(wanted).await }, |_| {});
        let error = match fetched.await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let reason = error_chain(&error);
        let delay = match error {
            BundleError::Fetch { .. } | BundleError::Digest { .. } | BundleError::Interrupted { .. } => {
                delays.next()
            }
            BundleError::Unpack { .. } | BundleError::Disk { .. } => None,
        };
        let Some(delay) = delay else { return Err(reason) };
        tracing::warn!(worker_id = %spec.worker_id, error = reason, "fetching a release bundle failed, trying again");
        sleep(delay).await;
    }
}
