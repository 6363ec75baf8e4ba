//! Versions of managed policies: one of them is in force, and up to five are kept.

use crate::policies::{check_size, is_services_own};
use crate::{Identity, IdentityError, IdentityPolicy, ManagedPolicy};
use hearth_types::Timestamp;
use serde::{Deserialize, Serialize};

/// Versions that are kept of one managed policy.
const MAX_VERSIONS: usize = 5;

/// One version of a managed policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// Counted from 1; `v1` to clients.
    pub number: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// What it says.
    pub policy: IdentityPolicy,
}

/// Whether a version of a managed policy is the one in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InForce {
    /// It is.
    Yes,
    /// Another one is.
    No,
}

impl ManagedPolicy {
    /// The version in force.
    pub fn default_version(&self) -> PolicyVersion {
        PolicyVersion {
            number: self.default_version,
            created_at: self.default_since.unwrap_or(self.created_at),
            policy: self.policy.clone(),
        }
    }

    /// All versions that are kept, newest first.
    pub fn versions(&self) -> Vec<PolicyVersion> {
        let mut versions = self.other_versions.clone();
        versions.push(self.default_version());
        versions.sort_by_key(|version| std::cmp::Reverse(version.number));
        versions
    }

    /// A version by the name that clients know it by, `v1`.
    pub fn version(&self, name: &str) -> Result<PolicyVersion, IdentityError> {
        let named = name.strip_prefix('v').and_then(|number| number.parse().ok());
        self.versions().into_iter().find(|version| Some(version.number) == named).ok_or_else(|| {
            IdentityError::NoSuchEntity(format!(
                "Policy {} version {name} does not exist or is not attachable.",
                self.arn
            ))
        })
    }

    fn put_in_force(&mut self, version: PolicyVersion) {
        self.other_versions.retain(|other| other.number != version.number);
        if version.number != self.default_version {
            let before = self.default_version();
            self.other_versions.push(before);
        }
        self.default_version = version.number;
        self.default_since = Some(version.created_at);
        self.policy = version.policy;
    }
}

impl Identity {
    /// Adds a version to a managed policy, and puts it in force if wanted.
    pub async fn create_policy_version(
        &self,
        arn: &str,
        policy: IdentityPolicy,
        in_force: InForce,
        now: Timestamp,
    ) -> Result<PolicyVersion, IdentityError> {
        check_size(&policy)?;
        self.change_policy(arn, |kept| {
            if kept.other_versions.len() + 1 >= MAX_VERSIONS {
                return Err(IdentityError::Limit(format!(
                    "A managed policy can have up to {MAX_VERSIONS} versions. Before you create a new version, you must \
                     delete an existing version."
                )));
            }
            kept.last_version += 1;
            let made = PolicyVersion { number: kept.last_version, created_at: now, policy };
            match in_force {
                InForce::Yes => kept.put_in_force(made.clone()),
                InForce::No => kept.other_versions.push(made.clone()),
            }
            Ok(made)
        })
        .await
    }

    /// Puts a version of a managed policy in force.
    pub async fn set_default_policy_version(&self, arn: &str, name: &str) -> Result<(), IdentityError> {
        self.change_policy(arn, |kept| {
            let version = kept.version(name)?;
            kept.put_in_force(version);
            Ok(())
        })
        .await
    }

    /// Deletes a version of a managed policy that is not in force.
    pub async fn delete_policy_version(&self, arn: &str, name: &str) -> Result<(), IdentityError> {
        self.change_policy(arn, |kept| {
            let version = kept.version(name)?;
            if version.number == kept.default_version {
                return Err(IdentityError::DeleteConflict(
                    "Cannot delete the default version of a policy.".to_owned(),
                ));
            }
            kept.other_versions.retain(|other| other.number != version.number);
            Ok(())
        })
        .await
    }

    /// Changes a managed policy of the account.
    pub(crate) async fn change_policy<T>(
        &self,
        arn: &str,
        change: impl FnOnce(&mut ManagedPolicy) -> Result<T, IdentityError>,
    ) -> Result<T, IdentityError> {
        let _changing = self.changing.lock().await;
        let before = self.managed_policy(arn)?;
        if is_services_own(arn) {
            return Err(IdentityError::Denied(format!("{arn} is the service's own and cannot be changed.")));
        }
        let mut after = before.clone();
        let changed = change(&mut after)?;
        if after != before {
            let revision = self.directory().policies.get(arn).map_or(0, |kept| kept.revision);
            self.keep(revision, crate::identity::Change::Policy(after)).await?;
        }
        Ok(changed)
    }
}
