//! The account: opening it, and the one way in which it changes.

use crate::directory::Directory;
use crate::policies::{self, ADMINISTRATOR_ACCESS};
use crate::vault::Vault;
use crate::{Documents, IdentityError, ManagedPolicy, Role, User};
use hearth_types::JobRunId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(crate) const USERS: &str = "identity.user";
pub(crate) const ROLES: &str = "identity.role";
pub(crate) const POLICIES: &str = "identity.policy";

/// Knows which launch of a job run's driver is the current one; asked with each use of a job's credentials, so it must
/// answer from memory.
pub trait LaunchGuard: Send + Sync + 'static {
    /// Whether credentials made for this launch are still good: no newer launch was persisted, and the run has not ended.
    fn is_current(&self, job_run: &JobRunId, attempt: u32, launch: u32) -> bool;
}

/// Users, roles and policies of one account.
pub struct Identity {
    account_id: String,
    documents: Arc<dyn Documents>,
    pub(crate) vault: Vault,
    directory: RwLock<Directory>,
    launches: OnceLock<Arc<dyn LaunchGuard>>,
    /// Held while a change is on its way to the store, so that changes come one after another.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("account_id", &self.account_id).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads everything that is stored. The master key opens the secrets it once sealed; `account_id` is twelve digits.
    pub async fn open(
        documents: Arc<dyn Documents>,
        master_key: &[u8; 32],
        account_id: &str,
    ) -> Result<Self, IdentityError> {
        let mut directory = Directory::default();
        directory.keep_policy(0, policies::administrator_access());
        for (revision, user) in stored::<User>(&*documents, USERS).await? {
            directory.keep_user(revision, user);
        }
        for (revision, role) in stored::<Role>(&*documents, ROLES).await? {
            directory.keep_role(revision, role);
        }
        for (revision, policy) in stored::<ManagedPolicy>(&*documents, POLICIES).await? {
            directory.keep_policy(revision, policy);
        }
        Ok(Self {
            account_id: account_id.to_owned(),
            documents,
            vault: Vault::new(master_key),
            directory: RwLock::new(directory),
            launches: OnceLock::new(),
            changing: tokio::sync::Mutex::new(()),
        })
    }

    /// Names who knows the current launches; the first call counts. Until then jobs' credentials are refused.
    pub fn guard_launches(&self, guard: Arc<dyn LaunchGuard>) {
        let _first_counts = self.launches.set(guard);
    }

    pub(crate) fn is_current(&self, job_run: &JobRunId, attempt: u32, launch: u32) -> bool {
        self.launches.get().is_some_and(|guard| guard.is_current(job_run, attempt, launch))
    }

    /// The account's id, twelve digits.
    pub fn account_id(&self) -> &str {
        &self.account_id
    }

    pub(crate) fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn directory_mut(&self) -> RwLockWriteGuard<'_, Directory> {
        self.directory.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a user and then shows it. `revision` is the one the change rests on, 0 for a new user.
    pub(crate) async fn put_user(&self, revision: u64, user: User) -> Result<(), IdentityError> {
        let id = user.name.to_ascii_lowercase();
        let revision = self.documents.put(USERS, &id, revision, body(&user)).await?;
        self.directory_mut().keep_user(revision, user);
        Ok(())
    }

    pub(crate) async fn drop_user(&self, revision: u64, name: &str) -> Result<(), IdentityError> {
        self.documents.delete(USERS, &name.to_ascii_lowercase(), revision).await?;
        self.directory_mut().forget_user(name);
        Ok(())
    }

    /// Stores a role and then shows it.
    pub(crate) async fn put_role(&self, revision: u64, role: Role) -> Result<(), IdentityError> {
        let id = role.name.to_ascii_lowercase();
        let revision = self.documents.put(ROLES, &id, revision, body(&role)).await?;
        self.directory_mut().keep_role(revision, role);
        Ok(())
    }

    pub(crate) async fn drop_role(&self, revision: u64, name: &str) -> Result<(), IdentityError> {
        let id = name.to_ascii_lowercase();
        self.documents.delete(ROLES, &id, revision).await?;
        self.directory_mut().roles.remove(&id);
        Ok(())
    }

    /// Stores a managed policy and then shows it.
    pub(crate) async fn put_policy(&self, revision: u64, policy: ManagedPolicy) -> Result<(), IdentityError> {
        let revision = self.documents.put(POLICIES, &policy.arn, revision, body(&policy)).await?;
        self.directory_mut().keep_policy(revision, policy);
        Ok(())
    }

    pub(crate) async fn drop_policy(&self, revision: u64, arn: &str) -> Result<(), IdentityError> {
        self.documents.delete(POLICIES, arn, revision).await?;
        self.directory_mut().policies.remove(arn);
        Ok(())
    }

    /// Makes sure there is an administrator of this name with an active access key, and returns the key with its
    /// secret: the same one each time.
    pub async fn ensure_administrator(
        &self,
        name: &str,
        now: hearth_types::Timestamp,
    ) -> Result<crate::NewAccessKey, IdentityError> {
        if self.user(name).is_err() {
            self.create_user(name, "/", Default::default(), now).await?;
        }
        self.attach_user_policy(name, ADMINISTRATOR_ACCESS).await?;
        let user = self.user(name)?;
        for key in user.keys.iter().filter(|key| key.status == crate::KeyStatus::Active) {
            if let Ok(secret) = self.vault.open_secret(&key.id, &key.sealed_secret) {
                return Ok(crate::NewAccessKey { key: key.clone(), secret_access_key: secret });
            }
        }
        self.create_access_key(name, now).await
    }
}

fn body(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).expect("entities are JSON")
}

async fn stored<T: DeserializeOwned>(
    documents: &dyn Documents,
    kind: &'static str,
) -> Result<Vec<(u64, T)>, IdentityError> {
    let mut read = Vec::new();
    for document in documents.list(kind).await? {
        let value = serde_json::from_value(document.body).map_err(|source| IdentityError::Unreadable {
            kind,
            id: document.id,
            source,
        })?;
        read.push((document.revision, value));
    }
    Ok(read)
}
