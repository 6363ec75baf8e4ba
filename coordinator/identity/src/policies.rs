//! Managed policies: the account's own, and the administrator's, which belongs to the service.

use crate::entities::first_version;
use crate::identity::Change;
use crate::names::{check_name, check_path, random_id};
use crate::{Identity, IdentityError, IdentityPolicy, ManagedPolicy, Role, User};
use hearth_types::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// ARN of the policy that allows everything.
pub const ADMINISTRATOR_ACCESS: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

/// Managed policies that one user or role may hold.
const MAX_ATTACHED: usize = 10;

/// Who holds policies.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Holder<'a> {
    /// The user of this name.
    User(&'a str),
    /// The role of this name.
    Role(&'a str),
}

/// Characters a managed policy may have, blanks not counted.
const MAX_POLICY_SIZE: usize = 6_144;

pub(crate) fn administrator_access() -> ManagedPolicy {
    let text = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    ManagedPolicy {
        arn: ADMINISTRATOR_ACCESS.to_owned(),
        name: "AdministratorAccess".to_owned(),
        path: "/".to_owned(),
        id: "ANPAIWMBCKSKIEE64ZLYK".to_owned(),
        created_at: Timestamp::from_millis(0),
        description: Some("Allows everything.".to_owned()),
        policy: IdentityPolicy::parse(text).expect("a constant policy is well-formed"),
        default_version: first_version(),
        default_since: None,
        other_versions: Vec::new(),
        last_version: first_version(),
        tags: BTreeMap::new(),
    }
}

impl Identity {
    /// A managed policy by ARN.
    pub fn managed_policy(&self, arn: &str) -> Result<ManagedPolicy, IdentityError> {
        let directory = self.directory();
        directory.policies.get(arn).map(|kept| kept.value.clone()).ok_or_else(|| {
            IdentityError::NoSuchEntity(format!("Policy {arn} does not exist or is not attachable."))
        })
    }

    /// All managed policies, by ARN, whose path starts so.
    pub fn managed_policies(&self, path_prefix: &str) -> Vec<ManagedPolicy> {
        let directory = self.directory();
        let policies = directory.policies.values().map(|kept| &kept.value);
        policies.filter(|policy| policy.path.starts_with(path_prefix)).cloned().collect()
    }

    /// How many users and roles a managed policy is attached to.
    pub fn attachment_count(&self, arn: &str) -> usize {
        self.directory().attachments(arn)
    }

    /// Creates a managed policy.
    pub async fn create_policy(
        &self,
        name: &str,
        path: &str,
        description: Option<String>,
        policy: IdentityPolicy,
        tags: BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<ManagedPolicy, IdentityError> {
        check_name("policyName", name, 128)?;
        check_path(path)?;
        check_size(&policy)?;
        crate::tags::check(&tags)?;
        let arn = format!("arn:aws:iam::{}:policy{path}{name}", self.account_id());
        let _changing = self.changing.lock().await;
        let taken = self
            .directory()
            .policies
            .values()
            .any(|kept| kept.value.name.eq_ignore_ascii_case(name) && !is_services_own(&kept.value.arn));
        if taken {
            return Err(IdentityError::AlreadyExists(format!(
                "A policy called {name} already exists. Duplicate names are not allowed."
            )));
        }
        let (name, path) = (name.to_owned(), path.to_owned());
        let id = random_id("ANPA", 21);
        let made = ManagedPolicy {
            arn,
            name,
            path,
            id,
            created_at: now,
            description,
            policy,
            default_version: first_version(),
            default_since: None,
            other_versions: Vec::new(),
            last_version: first_version(),
            tags,
        };
        self.keep(0, Change::Policy(made.clone())).await?;
        Ok(made)
    }

    /// Adds tags to a managed policy.
    pub async fn tag_policy(&self, arn: &str, tags: &BTreeMap<String, String>) -> Result<(), IdentityError> {
        self.change_policy(arn, |policy| crate::tags::add(&mut policy.tags, tags)).await
    }

    /// Takes tags from a managed policy.
    pub async fn untag_policy(&self, arn: &str, keys: &BTreeSet<String>) -> Result<(), IdentityError> {
        self.change_policy(arn, |policy| {
            crate::tags::remove(&mut policy.tags, keys);
            Ok(())
        })
        .await
    }

    /// Names of the users and of the roles that a managed policy is attached to, in order.
    pub fn holders(&self, arn: &str) -> (Vec<User>, Vec<Role>) {
        let directory = self.directory();
        let users = directory.users.values().map(|kept| &kept.value);
        let roles = directory.roles.values().map(|kept| &kept.value);
        (
            users.filter(|user| user.attached.contains(arn)).cloned().collect(),
            roles.filter(|role| role.attached.contains(arn)).cloned().collect(),
        )
    }

    /// Deletes a managed policy that is attached to nothing any more and has one version.
    pub async fn delete_policy(&self, arn: &str) -> Result<(), IdentityError> {
        let _changing = self.changing.lock().await;
        if is_services_own(arn) {
            return Err(IdentityError::Denied(format!("{arn} is the service's own and cannot be deleted.")));
        }
        self.managed_policy(arn)?;
        let revision = self.directory().policies.get(arn).map_or(0, |kept| kept.revision);
        let advice = if self.attachment_count(arn) > 0 {
            "Cannot delete a policy attached to entities."
        } else if !self.managed_policy(arn)?.other_versions.is_empty() {
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. \
             The default version is deleted with the policy."
        } else {
            ""
        };
        if !advice.is_empty() {
            return Err(IdentityError::DeleteConflict(advice.to_owned()));
        }
        self.keep(revision, Change::NoPolicy(arn.to_owned())).await
    }
}

/// Checks that a managed policy is not too long.
pub(crate) fn check_size(policy: &IdentityPolicy) -> Result<(), IdentityError> {
    if policy.size() > MAX_POLICY_SIZE {
        return Err(IdentityError::Limit(format!("Cannot exceed quota for PolicySize: {MAX_POLICY_SIZE}")));
    }
    Ok(())
}

pub(crate) fn is_services_own(arn: &str) -> bool {
    arn.starts_with("arn:aws:iam::aws:")
}

pub(crate) fn missing_inline(holder: &str, policy_name: &str) -> IdentityError {
    IdentityError::NoSuchEntity(format!("The {holder} policy with name {policy_name} cannot be found."))
}

/// Checks what a user or role holds after a change: at most ten managed policies, and of policies of its own so many
/// characters in all.
pub(crate) fn check_held(
    holder: Holder<'_>,
    inline: &BTreeMap<String, IdentityPolicy>,
    attached: &BTreeSet<String>,
) -> Result<(), IdentityError> {
    let (kind, name, most, quota) = match holder {
        Holder::User(name) => ("user", name, 2_048, "PoliciesPerUser"),
        Holder::Role(name) => ("role", name, 10_240, "PoliciesPerRole"),
    };
    if attached.len() > MAX_ATTACHED {
        return Err(IdentityError::Limit(format!("Cannot exceed quota for {quota}: {MAX_ATTACHED}")));
    }
    if inline.values().map(IdentityPolicy::size).sum::<usize>() > most {
        return Err(IdentityError::Limit(format!(
            "Maximum policy size of {most} bytes exceeded for {kind} {name}"
        )));
    }
    Ok(())
}

pub(crate) fn not_attached(policy_arn: &str) -> IdentityError {
    IdentityError::NoSuchEntity(format!("Policy {policy_arn} was not found."))
}
