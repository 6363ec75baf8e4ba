//! Join tokens: stored hashed, used once, and consumed in the transaction that records who used them (design §6.1).

use crate::StoreError;
use hearth_types::{AgentId, Timestamp};
use sqlx::{Row, SqliteConnection};
use std::time::Duration;

/// How long a repeated use by the same public key is answered again: the first answer may have been lost.
const REPEATABLE: Duration = Duration::from_secs(300);

/// A join token as it is kept.
#[derive(Debug, Clone)]
pub struct JoinToken {
    /// SHA-256 of the token, hex.
    pub hash: String,
    /// When it stops being accepted.
    pub expires_at: Timestamp,
}

/// A use of a join token.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// SHA-256 of the token, hex.
    pub hash: String,
    /// The enrolling host's public key, hex.
    pub public_key: String,
    /// The identifier it gets if the token was not used yet.
    pub agent: AgentId,
    /// Now.
    pub at: Timestamp,
}

/// Why a join token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// There is no such token.
    #[error("the join token is unknown")]
    Unknown,
    /// It is too late for it.
    #[error("the join token has expired; make a new one with `hearth agent join-token`")]
    Expired,
    /// Another host, or the same long ago, used it.
    #[error("the join token was already used; make a new one with `hearth agent join-token`")]
    Used,
}

pub(crate) async fn issue(connection: &mut SqliteConnection, token: &JoinToken) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO join_tokens (hash, expires_at) VALUES (?1, ?2)")
        .bind(&token.hash)
        .bind(token.expires_at.as_millis())
        .execute(connection)
        .await
        .map_err(StoreError::sql("recording a join token"))?;
    Ok(())
}

pub(crate) async fn consume(
    connection: &mut SqliteConnection,
    enrolled: Enrolled,
) -> Result<Result<AgentId, TokenRefused>, StoreError> {
    let doing = "consuming a join token";
    let row = sqlx::query("SELECT expires_at, used_at, public_key, agent FROM join_tokens WHERE hash = ?1")
        .bind(&enrolled.hash)
        .fetch_optional(&mut *connection)
        .await
        .map_err(StoreError::sql(doing))?;
    let Some(row) = row else { return Ok(Err(TokenRefused::Unknown)) };
    let expires_at: i64 = row.try_get(0).map_err(StoreError::sql(doing))?;
    let used_at: Option<i64> = row.try_get(1).map_err(StoreError::sql(doing))?;
    if let Some(used_at) = used_at {
        let key: Option<String> = row.try_get(2).map_err(StoreError::sql(doing))?;
        let agent: String = row.try_get(3).map_err(StoreError::sql(doing))?;
        let until = Timestamp::from_millis(used_at).plus(REPEATABLE);
        let repeats = key.as_deref() == Some(&enrolled.public_key) && enrolled.at <= until;
        return Ok(match (repeats, AgentId::new(agent)) {
            (true, Ok(agent)) => Ok(agent),
            (true, Err(_)) | (false, _) => Err(TokenRefused::Used),
        });
    }
    if enrolled.at > Timestamp::from_millis(expires_at) {
        return Ok(Err(TokenRefused::Expired));
    }
    sqlx::query("UPDATE join_tokens SET used_at = ?2, public_key = ?3, agent = ?4 WHERE hash = ?1")
        .bind(&enrolled.hash)
        .bind(enrolled.at.as_millis())
        .bind(&enrolled.public_key)
        .bind(enrolled.agent.as_str())
        .execute(connection)
        .await
        .map_err(StoreError::sql(doing))?;
    Ok(Ok(enrolled.agent))
}
