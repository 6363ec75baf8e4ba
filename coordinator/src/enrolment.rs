//! `hearth agent join-token`, on the coordinator's host.

use crate::backup::Layout;
use hearth_store::Store;
use std::path::Path;
use std::time::Duration;

/// How long a join token may wait to be used.
pub const JOIN_TOKEN_VALID: Duration = Duration::from_secs(3600);

/// All that a host needs to join.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The token; it is kept nowhere else.
    pub token: String,
    /// Fingerprint of the cluster's certificate authority.
    pub ca_fingerprint: String,
    /// Port of the enrolment service.
    pub enrolment_port: u16,
}

/// Makes a join token in the database of the coordinator whose data is in `data_dir`, or in `data_dir/coordinator` as with
/// `hearth up`. The coordinator may be running; it must have run once.
pub async fn invite(data_dir: &Path) -> anyhow::Result<Invitation> {
    let (_, dir) = Layout::find(data_dir)?;
    let store = Store::open(&crate::daemon::database(&dir)).await?;
    let authority = hearth_mtls::Authority::open(&dir.join("ca"))?;
    Ok(Invitation {
        token: hearth_agents::new_join_token(&store, JOIN_TOKEN_VALID).await?,
        ca_fingerprint: authority.fingerprint().to_string(),
        enrolment_port: crate::daemon::enrolment_port(&dir)?,
    })
}
