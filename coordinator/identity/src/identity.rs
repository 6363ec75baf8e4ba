//! The account: opening it, and the one way in which it changes.

use crate::directory::Directory;
use crate::key_use::KeyUses;
use crate::policies::{self, ADMINISTRATOR_ACCESS};
use crate::vault::Vault;
use crate::{DocumentError, Documents, IdentityError, JobClaim, ManagedPolicy, Role, User};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

const USERS: &str = "identity.user";
const ROLES: &str = "identity.role";
const POLICIES: &str = "identity.policy";

/// What credentials that were made for a worker are still good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Everything that their role may do.
    Current,
    /// A newer launch was persisted or the run has ended, but the worker is not gone: it may deliver its logs (promise P9)
    /// and touch nothing else.
    LogsOnly,
    /// Nothing.
    Over,
}

/// Knows which launch of a job run's driver is the current one; asked with each use of a job's credentials, so it must
/// answer from memory.
pub trait LaunchGuard: Send + Sync + 'static {
    /// What the credentials of this worker are still good for.
    fn standing(&self, job: &JobClaim) -> Standing;
}

/// Users, roles and policies of one account.
pub struct Identity {
    account_id: String,
    pub(crate) vault: Vault,
    records: Arc<Records>,
    launches: OnceLock<Arc<dyn LaunchGuard>>,
    pub(crate) key_uses: KeyUses,
    /// Held while a change is on its way to the store, so that changes come one after another.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

/// The store and its picture in memory.
struct Records {
    documents: Arc<dyn Documents>,
    directory: RwLock<Directory>,
}

/// What a change leaves of one entity.
pub(crate) enum Change {
    /// The user, new or changed.
    User(User),
    /// The role, new or changed.
    Role(Role),
    /// The managed policy, new or changed.
    Policy(ManagedPolicy),
    /// No user of this name.
    NoUser(String),
    /// No role of this name.
    NoRole(String),
    /// No managed policy of this ARN.
    NoPolicy(String),
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
        let directory = RwLock::new(read(&*documents).await?);
        Ok(Self {
            account_id: account_id.to_owned(),
            vault: Vault::new(master_key),
            records: Arc::new(Records { documents, directory }),
            launches: OnceLock::new(),
            key_uses: KeyUses::default(),
            changing: tokio::sync::Mutex::new(()),
        })
    }

    /// Names who knows the current launches; the first call counts. Until then jobs' credentials are refused.
    pub fn guard_launches(&self, guard: Arc<dyn LaunchGuard>) {
        let _first_counts = self.launches.set(guard);
    }

    pub(crate) fn standing(&self, job: &JobClaim) -> Standing {
        self.launches.get().map_or(Standing::Over, |guard| guard.standing(job))
    }

    /// The account's id, twelve digits.
    pub fn account_id(&self) -> &str {
        &self.account_id
    }

    pub(crate) fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.records.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a change and then shows it. `revision` is the one it rests on, 0 for something new.
    ///
    /// A task of its own, because a caller that hangs up drops its future: a change that was stored must show, or a
    /// deleted key would go on working.
    pub(crate) async fn keep(&self, revision: u64, change: Change) -> Result<(), IdentityError> {
        let records = self.records.clone();
        let stored = tokio::spawn(async move { records.store(revision, change).await }).await;
        stored.unwrap_or_else(|panicked| Err(DocumentError::Store { source: panicked.into() }.into()))
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

impl Records {
    async fn store(&self, revision: u64, change: Change) -> Result<(), IdentityError> {
        let (kind, id, body) = change.document();
        let stored = match body {
            Some(body) => self.documents.put(kind, &id, revision, body).await,
            None => self.documents.delete(kind, &id, revision).await.map(|()| 0),
        };
        match stored {
            Ok(revision) => change.show(&mut self.directory_mut(), revision),
            Err(error) => {
                // Whether it was written is unknown, or somebody else wrote: what is stored counts.
                if let Ok(directory) = read(&*self.documents).await {
                    *self.directory_mut() = directory;
                }
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn directory_mut(&self) -> RwLockWriteGuard<'_, Directory> {
        self.directory.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    /// Kind, id and body of the document; no body to delete it.
    fn document(&self) -> (&'static str, String, Option<serde_json::Value>) {
        match self {
            Self::User(user) => (USERS, user.name.to_ascii_lowercase(), Some(body(user))),
            Self::Role(role) => (ROLES, role.name.to_ascii_lowercase(), Some(body(role))),
            Self::Policy(policy) => (POLICIES, policy.arn.clone(), Some(body(policy))),
            Self::NoUser(name) => (USERS, name.to_ascii_lowercase(), None),
            Self::NoRole(name) => (ROLES, name.to_ascii_lowercase(), None),
            Self::NoPolicy(arn) => (POLICIES, arn.clone(), None),
        }
    }

    fn show(self, directory: &mut Directory, revision: u64) {
        match self {
            Self::User(user) => directory.keep_user(revision, user),
            Self::Role(role) => directory.keep_role(revision, role),
            Self::Policy(policy) => directory.keep_policy(revision, policy),
            Self::NoUser(name) => directory.forget_user(&name),
            Self::NoRole(name) => drop(directory.roles.remove(&name.to_ascii_lowercase())),
            Self::NoPolicy(arn) => drop(directory.policies.remove(&arn)),
        }
    }
}

async fn read(documents: &dyn Documents) -> Result<Directory, IdentityError> {
    let mut directory = Directory::default();
    directory.keep_policy(0, policies::administrator_access());
    for (revision, user) in stored::<User>(documents, USERS).await? {
        directory.keep_user(revision, user);
    }
    for (revision, role) in stored::<Role>(documents, ROLES).await? {
        directory.keep_role(revision, role);
    }
    for (revision, policy) in stored::<ManagedPolicy>(documents, POLICIES).await? {
        directory.keep_policy(revision, policy);
    }
    Ok(directory)
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
