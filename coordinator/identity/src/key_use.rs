//! When and for what access keys were used last.

use crate::{Identity, IdentityError, Principal, User};
use hearth_types::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How far what is stored may lag behind: a write per key and request would cost more than it tells. IAM's own
/// `GetAccessKeyLastUsed` is no more exact.
const STORED_EVERY: Duration = Duration::from_secs(15 * 60);

/// The latest use of an access key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUse {
    /// When.
    pub at: Timestamp,
    /// Signing name of the service that was called, such as `s3`.
    pub service: String,
    /// The Region that the signature names.
    pub region: String,
}

/// Uses since this process began, by access key id, each with when it was last handed on to be stored.
#[derive(Debug, Default)]
pub(crate) struct KeyUses(Mutex<HashMap<String, (KeyUse, Timestamp)>>);

impl KeyUses {
    fn guarded(&self) -> MutexGuard<'_, HashMap<String, (KeyUse, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a use; whether it is time to store it.
    fn note(&self, access_key_id: &str, used: &KeyUse) -> bool {
        let mut uses = self.guarded();
        let Some((latest, stored_at)) = uses.get_mut(access_key_id) else {
            uses.insert(access_key_id.to_owned(), (used.clone(), used.at));
            return true;
        };
        *latest = used.clone();
        let is_due = used.at.since(*stored_at) >= STORED_EVERY;
        if is_due {
            *stored_at = used.at;
        }
        is_due
    }
}

impl Identity {
    /// Notes that a request was made with a user's own access key, once its signature was found right. It is stored
    /// within a quarter of an hour, by a task of its own: no request waits for it, and a failure costs the note alone.
    pub fn note_use(self: &Arc<Self>, principal: &Principal, service: &str, region: &str, now: Timestamp) {
        let Principal::User { name, access_key_id, .. } = principal else { return };
        let used = KeyUse { at: now, service: service.to_owned(), region: region.to_owned() };
        if self.key_uses.note(access_key_id, &used) {
            let (identity, user, key) = (self.clone(), name.clone(), access_key_id.clone());
            // Detached on purpose: it ends with the write, and what it writes may be lost.
            drop(tokio::spawn(async move { identity.store_use(&user, &key, used).await }));
        }
    }

    async fn store_use(&self, user: &str, access_key_id: &str, used: KeyUse) -> Result<(), IdentityError> {
        self.change_user(user, |user| {
            if let Some(key) = user.keys.iter_mut().find(|key| key.id == access_key_id) {
                key.last_used = Some(used);
            }
            Ok(())
        })
        .await
    }

    /// The user that an access key belongs to, and the key's latest use.
    pub fn last_use(&self, access_key_id: &str) -> Result<(User, Option<KeyUse>), IdentityError> {
        let directory = self.directory();
        let (user, key) =
            directory.key(access_key_id).ok_or_else(|| crate::users::missing_key(access_key_id))?;
        let noted = self.key_uses.guarded().get(access_key_id).map(|(used, _)| used.clone());
        Ok((user.clone(), noted.or_else(|| key.last_used.clone())))
    }
}
