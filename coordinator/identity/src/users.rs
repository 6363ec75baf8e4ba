//! Users and their access keys.

use crate::directory::Kept;
use crate::identity::Change;
use crate::names::{check_name, check_path, random_id};
use crate::policies::{Holder, check_held};
use crate::vault::random_secret;
use crate::{AccessKey, Identity, IdentityError, IdentityPolicy, KeyStatus, User};
use hearth_types::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Access keys one user may have.
const MAX_KEYS: usize = 2;

/// An access key with its secret, which is told once.
#[derive(Clone, PartialEq, Eq)]
pub struct NewAccessKey {
    /// The key.
    pub key: AccessKey,
    /// Its secret, 40 characters.
    pub secret_access_key: String,
}

impl fmt::Debug for NewAccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccessKey").field("id", &self.key.id).finish_non_exhaustive()
    }
}

impl Identity {
    /// A user by name.
    pub fn user(&self, name: &str) -> Result<User, IdentityError> {
        self.directory().user(name).cloned().ok_or_else(|| missing_user(name))
    }

    /// All users, by name, whose path starts so.
    pub fn users(&self, path_prefix: &str) -> Vec<User> {
        let directory = self.directory();
        let users = directory.users.values().map(|kept| &kept.value);
        users.filter(|user| user.path.starts_with(path_prefix)).cloned().collect()
    }

    /// Creates a user.
    pub async fn create_user(
        &self,
        name: &str,
        path: &str,
        tags: BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<User, IdentityError> {
        check_name("userName", name, 64)?;
        check_path(path)?;
        crate::tags::check(&tags)?;
        let _changing = self.changing.lock().await;
        if self.directory().user(name).is_some() {
            return Err(IdentityError::AlreadyExists(format!("User with name {name} already exists.")));
        }
        let user = User {
            name: name.to_owned(),
            path: path.to_owned(),
            id: random_id("AIDA", 21),
            created_at: now,
            inline: BTreeMap::new(),
            attached: BTreeSet::new(),
            keys: Vec::new(),
            tags,
        };
        self.keep(0, Change::User(user.clone())).await?;
        Ok(user)
    }

    /// Deletes a user that has no keys and no policies any more.
    pub async fn delete_user(&self, name: &str) -> Result<(), IdentityError> {
        let _changing = self.changing.lock().await;
        let Kept { revision, value: user } = self.kept_user(name)?;
        let left = [
            (user.keys.is_empty(), "delete access keys first"),
            (user.inline.is_empty(), "delete policies first"),
            (user.attached.is_empty(), "detach all policies first"),
        ];
        if let Some((_, advice)) = left.iter().find(|(gone, _)| !gone) {
            return Err(IdentityError::DeleteConflict(format!("Cannot delete entity, must {advice}.")));
        }
        self.keep(revision, Change::NoUser(user.name)).await
    }

    /// Adds tags to a user.
    pub async fn tag_user(&self, user: &str, tags: &BTreeMap<String, String>) -> Result<(), IdentityError> {
        self.change_user(user, |user| crate::tags::add(&mut user.tags, tags)).await
    }

    /// Takes tags from a user.
    pub async fn untag_user(&self, user: &str, keys: &BTreeSet<String>) -> Result<(), IdentityError> {
        self.change_user(user, |user| {
            crate::tags::remove(&mut user.tags, keys);
            Ok(())
        })
        .await
    }

    /// Gives a user an access key; at most two.
    pub async fn create_access_key(&self, user: &str, now: Timestamp) -> Result<NewAccessKey, IdentityError> {
        let secret_access_key = random_secret();
        let id = random_id("AKIA", 20);
        let sealed_secret = self.vault.seal_secret(&id, &secret_access_key);
        let key =
            AccessKey { id, sealed_secret, status: KeyStatus::Active, created_at: now, last_used: None };
        let added = key.clone();
        self.change_user(user, |user| {
            if user.keys.len() >= MAX_KEYS {
                return Err(IdentityError::Limit(format!(
                    "Cannot exceed quota for AccessKeysPerUser: {MAX_KEYS}"
                )));
            }
            user.keys.push(added);
            Ok(())
        })
        .await?;
        Ok(NewAccessKey { key, secret_access_key })
    }

    /// Activates or deactivates an access key.
    pub async fn set_access_key_status(
        &self,
        user: &str,
        access_key_id: &str,
        status: KeyStatus,
    ) -> Result<(), IdentityError> {
        self.change_user(user, |user| {
            let key = user.keys.iter_mut().find(|key| key.id == access_key_id);
            key.ok_or_else(|| missing_key(access_key_id))?.status = status;
            Ok(())
        })
        .await
    }

    /// Deletes an access key.
    pub async fn delete_access_key(&self, user: &str, access_key_id: &str) -> Result<(), IdentityError> {
        self.change_user(user, |user| {
            let before = user.keys.len();
            user.keys.retain(|key| key.id != access_key_id);
            if user.keys.len() == before { Err(missing_key(access_key_id)) } else { Ok(()) }
        })
        .await
    }

    /// Gives a user a policy of its own, replacing one of the same name.
    pub async fn put_user_policy(
        &self,
        user: &str,
        policy_name: &str,
        policy: IdentityPolicy,
    ) -> Result<(), IdentityError> {
        check_name("policyName", policy_name, 128)?;
        self.change_user(user, |user| {
            user.inline.insert(policy_name.to_owned(), policy);
            check_held(Holder::User(&user.name), &user.inline, &user.attached)
        })
        .await
    }

    /// Takes a policy of its own from a user.
    pub async fn delete_user_policy(&self, user: &str, policy_name: &str) -> Result<(), IdentityError> {
        self.change_user(user, |user| match user.inline.remove(policy_name) {
            Some(_) => Ok(()),
            None => Err(crate::policies::missing_inline("user", policy_name)),
        })
        .await
    }

    /// Attaches a managed policy to a user; again is no error.
    pub async fn attach_user_policy(&self, user: &str, policy_arn: &str) -> Result<(), IdentityError> {
        self.managed_policy(policy_arn)?;
        self.change_user(user, |user| {
            user.attached.insert(policy_arn.to_owned());
            check_held(Holder::User(&user.name), &user.inline, &user.attached)
        })
        .await
    }

    /// Detaches a managed policy from a user.
    pub async fn detach_user_policy(&self, user: &str, policy_arn: &str) -> Result<(), IdentityError> {
        self.change_user(user, |user| match user.attached.remove(policy_arn) {
            true => Ok(()),
            false => Err(crate::policies::not_attached(policy_arn)),
        })
        .await
    }

    pub(crate) async fn change_user(
        &self,
        name: &str,
        change: impl FnOnce(&mut User) -> Result<(), IdentityError>,
    ) -> Result<(), IdentityError> {
        let _changing = self.changing.lock().await;
        let Kept { revision, value: before } = self.kept_user(name)?;
        let mut after = before.clone();
        change(&mut after)?;
        if after == before { Ok(()) } else { self.keep(revision, Change::User(after)).await }
    }

    fn kept_user(&self, name: &str) -> Result<Kept<User>, IdentityError> {
        self.directory().users.get(&name.to_ascii_lowercase()).cloned().ok_or_else(|| missing_user(name))
    }
}

fn missing_user(name: &str) -> IdentityError {
    IdentityError::NoSuchEntity(format!("The user with name {name} cannot be found."))
}

pub(crate) fn missing_key(access_key_id: &str) -> IdentityError {
    IdentityError::NoSuchEntity(format!("The Access Key with id {access_key_id} cannot be found."))
}
