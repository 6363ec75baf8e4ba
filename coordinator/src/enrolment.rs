//! `hearth agent join-token`, on the coordinator's host.

use hearth_store::Store;
use std::path::Path;
use std::time::Duration;

/// How long a join token may wait to be used.
pub const JOIN_TOKEN_VALID: Duration = Duration::from_secs(3600);

/// Makes a join token in the coordinator's database; the coordinator may be running.
pub async fn issue_join_token(data_dir: &Path) -> anyhow::Result<String> {
    let store = Store::open(&crate::daemon::database(data_dir)).await?;
    Ok(hearth_agents::new_join_token(&store, JOIN_TOKEN_VALID).await?)
}
