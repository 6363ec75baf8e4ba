//! Managed policies: the account's own, and the administrator's, which belongs to the service.

use crate::identity::Change;
use crate::names::{check_name, check_path, random_id};
use crate::{Identity, IdentityError, IdentityPolicy, ManagedPolicy};
use hearth_types::Timestamp;
use std::collections::BTreeMap;

/// ARN of the policy that allows everything.
pub const ADMINISTRATOR_ACCESS: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

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
        if policy.text().chars().filter(|c| !c.is_whitespace()).count() > MAX_POLICY_SIZE {
            return Err(IdentityError::Limit(format!(
                "Cannot exceed quota for PolicySize: {MAX_POLICY_SIZE}"
            )));
        }
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
        let made = ManagedPolicy { arn, name, path, id, created_at: now, description, policy, tags };
        self.keep(0, Change::Policy(made.clone())).await?;
        Ok(made)
    }

    /// Deletes a managed policy that is attached to nothing any more.
    pub async fn delete_policy(&self, arn: &str) -> Result<(), IdentityError> {
        let _changing = self.changing.lock().await;
        if is_services_own(arn) {
            return Err(IdentityError::Denied(format!("{arn} is the service's own and cannot be deleted.")));
        }
        self.managed_policy(arn)?;
        let revision = self.directory().policies.get(arn).map_or(0, |kept| kept.revision);
        if self.attachment_count(arn) > 0 {
            return Err(IdentityError::DeleteConflict(
                "Cannot delete a policy attached to entities.".to_owned(),
            ));
        }
        self.keep(revision, Change::NoPolicy(arn.to_owned())).await
    }
}

fn is_services_own(arn: &str) -> bool {
    arn.starts_with("arn:aws:iam::aws:")
}

pub(crate) fn missing_inline(holder: &str, policy_name: &str) -> IdentityError {
    IdentityError::NoSuchEntity(format!("The {holder} policy with name {policy_name} cannot be found."))
}

pub(crate) fn not_attached(policy_arn: &str) -> IdentityError {
    IdentityError::NoSuchEntity(format!("Policy {policy_arn} was not found."))
}
