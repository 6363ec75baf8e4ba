//! The certificates that the coordinator shows: its own, renewed at half its life, and the site's, read again when it changes.

use crate::config::{CoordinatorConfig, EndpointTls};
use anyhow::Context;
use hearth_mtls::{Authority, LiveCredential, PeerName, SiteCertificate, Terms};
use hearth_telemetry::error_chain;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

/// Between two looks at the clock, which goes on while a machine sleeps, and at the site's files.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Between two tries at renewing.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// What is shown to agents, to hosts that enrol and to clients of the endpoint.
pub(super) struct Certificates {
    authority: Arc<Authority>,
    hosts: Vec<String>,
    lifetime: Duration,
    renew_at: SystemTime,
    pub(super) own: Arc<LiveCredential>,
    pub(super) site: Option<Arc<SiteCertificate>>,
}

impl Certificates {
    /// Makes our own certificate and reads the site's, if one is configured.
    pub(super) fn open(config: &CoordinatorConfig, authority: Arc<Authority>) -> anyhow::Result<Self> {
        let host_name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        let hosts = config.certified_hosts(host_name.as_deref())?;
        let lifetime = config.certificate_lifetime();
        let credential = authority.issue(&PeerName::Coordinator, &hosts, Terms::lasting(lifetime))?;
        let site = match config.endpoint_tls()? {
            EndpointTls::Off | EndpointTls::OwnAuthority => None,
            EndpointTls::Site { certificate, key } => Some(
                SiteCertificate::load(&certificate, &key).context("opening the endpoint's certificate")?,
            ),
        };
        Ok(Self {
            renew_at: credential.renew_at()?,
            own: LiveCredential::new(&credential)?,
            authority,
            hosts,
            lifetime,
            site,
        })
    }

    /// Keeps them good until told to stop.
    pub(super) async fn keep_fresh(mut self, stopping: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.next_look()) => {}
                () = stopping.cancelled() => return,
            }
            if self.renew_at <= SystemTime::now() {
                match self.renew() {
                    Ok(()) => tracing::info!("own certificate renewed"),
                    Err(error) => tracing::error!(error = error_chain(&error), "renewing own certificate"),
                }
            }
            if let Some(site) = self.site.clone() {
                // Reading files leaves the runtime.
                match tokio::task::spawn_blocking(move || site.reload()).await {
                    Ok(Ok(true)) => tracing::info!("the endpoint's certificate was replaced"),
                    Ok(Ok(false)) => {}
                    Ok(Err(error)) => {
                        tracing::warn!(error = error_chain(&error), "reading the endpoint's certificate");
                    }
                    Err(error) => tracing::error!(%error, "reading the endpoint's certificate"),
                }
            }
        }
    }

    /// How long to sleep until there may be something to do.
    fn next_look(&self) -> Duration {
        let due = self.renew_at.duration_since(SystemTime::now()).unwrap_or_default();
        due.clamp(LEAST_PAUSE, LOOK_EVERY)
    }

    fn renew(&mut self) -> Result<(), hearth_mtls::MtlsError> {
        let fresh =
            self.authority.issue(&PeerName::Coordinator, &self.hosts, Terms::lasting(self.lifetime))?;
        self.own.replace(&fresh)?;
        self.renew_at = fresh.renew_at()?;
        Ok(())
    }
}
