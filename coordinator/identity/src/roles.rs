//! Roles.

use crate::directory::Kept;
use crate::identity::Change;
use crate::names::{check_name, check_path, random_id};
use crate::policies::{Holder, check_held};
use crate::{Identity, IdentityError, IdentityPolicy, Role, TrustPolicy};
use hearth_types::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Characters a trust policy may have, blanks not counted: as many as IAM can be asked for.
const MAX_TRUST_SIZE: usize = 4_096;

/// What a new role is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRole {
    /// Name, 1 to 64 characters.
    pub name: String,
    /// Path, `/` or between slashes.
    pub path: String,
    /// Description.
    pub description: Option<String>,
    /// Longest session, in seconds, 3,600 to 43,200.
    pub max_session_seconds: u32,
    /// Who may assume it.
    pub trust: TrustPolicy,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

impl Identity {
    /// A role by name.
    pub fn role(&self, name: &str) -> Result<Role, IdentityError> {
        self.directory().role(name).cloned().ok_or_else(|| missing_role(name))
    }

    /// A role by ARN; the ARN must be exactly its own.
    pub fn role_by_arn(&self, arn: &str) -> Result<Role, IdentityError> {
        let name = arn.rsplit('/').next().unwrap_or("");
        self.role(name)
            .ok()
            .filter(|role| role.arn(self.account_id()) == arn)
            .ok_or_else(|| IdentityError::NoSuchEntity(format!("The role {arn} cannot be found.")))
    }

    /// All roles, by name, whose path starts so.
    pub fn roles(&self, path_prefix: &str) -> Vec<Role> {
        let directory = self.directory();
        let roles = directory.roles.values().map(|kept| &kept.value);
        roles.filter(|role| role.path.starts_with(path_prefix)).cloned().collect()
    }

    /// Creates a role.
    pub async fn create_role(&self, new: NewRole, now: Timestamp) -> Result<Role, IdentityError> {
        check_name("roleName", &new.name, 64)?;
        check_path(&new.path)?;
        check_session(new.max_session_seconds)?;
        check_trust(&new.trust)?;
        crate::tags::check(&new.tags)?;
        let _changing = self.changing.lock().await;
        if self.directory().role(&new.name).is_some() {
            return Err(IdentityError::AlreadyExists(format!("Role with name {} already exists.", new.name)));
        }
        let role = Role {
            name: new.name,
            path: new.path,
            id: random_id("AROA", 21),
            created_at: now,
            description: new.description,
            max_session_seconds: new.max_session_seconds,
            trust: new.trust,
            inline: BTreeMap::new(),
            attached: BTreeSet::new(),
            tags: new.tags,
        };
        self.keep(0, Change::Role(role.clone())).await?;
        Ok(role)
    }

    /// Deletes a role that has no policies any more.
    pub async fn delete_role(&self, name: &str) -> Result<(), IdentityError> {
        let _changing = self.changing.lock().await;
        let Kept { revision, value: role } = self.kept_role(name)?;
        let advice = if !role.attached.is_empty() {
            "detach all policies first"
        } else if !role.inline.is_empty() {
            "delete policies first"
        } else {
            return self.keep(revision, Change::NoRole(role.name)).await;
        };
        Err(IdentityError::DeleteConflict(format!("Cannot delete entity, must {advice}.")))
    }

    /// Changes description and longest session of a role; what is not given stays.
    pub async fn update_role(
        &self,
        role: &str,
        description: Option<String>,
        max_session_seconds: Option<u32>,
    ) -> Result<(), IdentityError> {
        max_session_seconds.map_or(Ok(()), check_session)?;
        self.change_role(role, |role| {
            role.max_session_seconds = max_session_seconds.unwrap_or(role.max_session_seconds);
            if let Some(description) = description {
                role.description = Some(description).filter(|text| !text.is_empty());
            }
            Ok(())
        })
        .await
    }

    /// Adds tags to a role.
    pub async fn tag_role(&self, role: &str, tags: &BTreeMap<String, String>) -> Result<(), IdentityError> {
        self.change_role(role, |role| crate::tags::add(&mut role.tags, tags)).await
    }

    /// Takes tags from a role.
    pub async fn untag_role(&self, role: &str, keys: &BTreeSet<String>) -> Result<(), IdentityError> {
        self.change_role(role, |role| {
            crate::tags::remove(&mut role.tags, keys);
            Ok(())
        })
        .await
    }

    /// Changes who may assume a role.
    pub async fn update_trust(&self, role: &str, trust: TrustPolicy) -> Result<(), IdentityError> {
        check_trust(&trust)?;
        self.change_role(role, |role| {
            role.trust = trust;
            Ok(())
        })
        .await
    }

    /// Gives a role a policy of its own, replacing one of the same name.
    pub async fn put_role_policy(
        &self,
        role: &str,
        policy_name: &str,
        policy: IdentityPolicy,
    ) -> Result<(), IdentityError> {
        check_name("policyName", policy_name, 128)?;
        self.change_role(role, |role| {
            role.inline.insert(policy_name.to_owned(), policy);
            check_held(Holder::Role(&role.name), &role.inline, &role.attached)
        })
        .await
    }

    /// Takes a policy of its own from a role.
    pub async fn delete_role_policy(&self, role: &str, policy_name: &str) -> Result<(), IdentityError> {
        self.change_role(role, |role| match role.inline.remove(policy_name) {
            Some(_) => Ok(()),
            None => Err(crate::policies::missing_inline("role", policy_name)),
        })
        .await
    }

    /// Attaches a managed policy to a role; again is no error.
    pub async fn attach_role_policy(&self, role: &str, policy_arn: &str) -> Result<(), IdentityError> {
        self.managed_policy(policy_arn)?;
        self.change_role(role, |role| {
            role.attached.insert(policy_arn.to_owned());
            check_held(Holder::Role(&role.name), &role.inline, &role.attached)
        })
        .await
    }

    /// Detaches a managed policy from a role.
    pub async fn detach_role_policy(&self, role: &str, policy_arn: &str) -> Result<(), IdentityError> {
        self.change_role(role, |role| match role.attached.remove(policy_arn) {
            true => Ok(()),
            false => Err(crate::policies::not_attached(policy_arn)),
        })
        .await
    }

    async fn change_role(
        &self,
        name: &str,
        change: impl FnOnce(&mut Role) -> Result<(), IdentityError>,
    ) -> Result<(), IdentityError> {
        let _changing = self.changing.lock().await;
        let Kept { revision, value: before } = self.kept_role(name)?;
        let mut after = before.clone();
        change(&mut after)?;
        if after == before { Ok(()) } else { self.keep(revision, Change::Role(after)).await }
    }

    fn kept_role(&self, name: &str) -> Result<Kept<Role>, IdentityError> {
        self.directory().roles.get(&name.to_ascii_lowercase()).cloned().ok_or_else(|| missing_role(name))
    }
}

fn check_session(seconds: u32) -> Result<(), IdentityError> {
    if (3_600..=43_200).contains(&seconds) {
        Ok(())
    } else {
        Err(IdentityError::Invalid(format!(
            "The value {seconds} of MaxSessionDuration is not between 3600 and 43200 seconds."
        )))
    }
}

fn check_trust(trust: &TrustPolicy) -> Result<(), IdentityError> {
    if trust.size() > MAX_TRUST_SIZE {
        return Err(IdentityError::Limit(format!(
            "Cannot exceed quota for ACLSizePerRole: {MAX_TRUST_SIZE}"
        )));
    }
    Ok(())
}

fn missing_role(name: &str) -> IdentityError {
    IdentityError::NoSuchEntity(format!("The role with name {name} cannot be found."))
}
