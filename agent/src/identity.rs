//! Who this agent is: its certificate, kept in one file and renewed at half its life.

use crate::uplink::Uplink;
use hearth_faults::{Point, reach};
use hearth_mtls::{
    ClientIdentity, Credential, EndpointDialer, LiveCredential, MtlsError, NameError, PeerName, PendingKey,
};
use hearth_telemetry::error_chain;
use hearth_types::AgentId;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::sleep;

/// Name of the file in the state directory.
const FILE: &str = "identity.pem";
/// The longest sleep between two looks at the clock, which may be set meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// Pause before renewal is tried again.
const RETRY: Duration = Duration::from_secs(60);

/// Where the identity is kept.
pub(crate) fn path(state: &Path) -> PathBuf {
    state.join(FILE)
}

/// This agent's identity.
pub(crate) struct Identity {
    path: PathBuf,
    credential: Credential,
    live: Arc<LiveCredential>,
    pub(crate) agent: AgentId,
    pub(crate) client: ClientIdentity,
    /// Reaches the coordinator's services where they are served over TLS.
    pub(crate) services: EndpointDialer,
}

/// Why there is no identity to work with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("this host has not joined a cluster yet: run `hearth-agent join`")]
    NotJoined,
    #[error("reading this agent's identity")]
    Unusable(#[from] MtlsError),
    #[error("reading this agent's name")]
    Name(#[from] NameError),
    #[error("the certificate names {0} instead of an agent")]
    NotAnAgent(PeerName),
}

impl Identity {
    /// Reads the identity kept in `state`. Blocks.
    pub(crate) fn load(state: &Path) -> Result<Self, IdentityError> {
        let path = path(state);
        if !path.exists() {
            return Err(IdentityError::NotJoined);
        }
        let credential = Credential::load(&path)?;
        let cluster = credential.cluster()?;
        let agent = match PeerName::of_certificate(credential.certificate(), &cluster)? {
            PeerName::Agent(id) => id,
            other => return Err(IdentityError::NotAnAgent(other)),
        };
        let live = LiveCredential::new(&credential)?;
        let client = ClientIdentity::new(credential.authority(), &cluster, live.clone())?;
        let services = EndpointDialer::new(credential.authority(), &cluster)?;
        Ok(Self { path, credential, live, agent, client, services })
    }

    /// Renews the certificate whenever half its life is over, for as long as the agent runs.
    pub(crate) async fn keep_fresh(mut self, uplink: Uplink) {
        loop {
            match self.credential.renew_at() {
                Ok(due) => match due.duration_since(SystemTime::now()) {
                    Ok(left) if !left.is_zero() => {
                        sleep(left.min(LOOK_EVERY)).await;
                        continue;
                    }
                    _ => {}
                },
                Err(error) => tracing::error!(error = error_chain(&error), "own certificate is not readable"),
            }
            match self.renew(&uplink).await {
                Ok(()) => tracing::info!(agent_id = %self.agent, "certificate renewed"),
                Err(error) => {
                    let expires = self.credential.expires_at().ok();
                    let error = format!("{error:#}");
                    tracing::warn!(agent_id = %self.agent, error, ?expires, "renewing the certificate failed");
                    sleep(RETRY).await;
                }
            }
        }
    }

    async fn renew(&mut self, uplink: &Uplink) -> anyhow::Result<()> {
        let key = PendingKey::generate()?;
        let certificate = uplink.renew_certificate(key.request()?).await?;
        let credential = key.certified(certificate, self.credential.authority().to_vec())?;
        // On disk first: a certificate that only runs would be lost with the process.
        credential.save(&self.path)?;
        reach(Point::AgentCertificateSaved);
        self.live.replace(&credential)?;
        self.credential = credential;
        Ok(())
    }
}
