//! The in-memory picture of all users, roles and policies.

use crate::{AccessKey, ManagedPolicy, Role, User};
use std::collections::{BTreeMap, HashMap};

/// Something stored with the revision it has.
#[derive(Debug, Clone)]
pub(crate) struct Kept<T> {
    pub(crate) revision: u64,
    pub(crate) value: T,
}

/// Everything known, by name in lower case (names are unique whatever their case); policies by ARN.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    pub(crate) users: BTreeMap<String, Kept<User>>,
    pub(crate) roles: BTreeMap<String, Kept<Role>>,
    pub(crate) policies: BTreeMap<String, Kept<ManagedPolicy>>,
    /// Access key id to the user's key in `users`.
    keys: HashMap<String, String>,
}

impl Directory {
    pub(crate) fn keep_user(&mut self, revision: u64, user: User) {
        let name = user.name.to_ascii_lowercase();
        self.keys.retain(|_, owner| *owner != name);
        self.keys.extend(user.keys.iter().map(|key| (key.id.clone(), name.clone())));
        self.users.insert(name, Kept { revision, value: user });
    }

    pub(crate) fn forget_user(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        self.keys.retain(|_, owner| *owner != name);
        self.users.remove(&name);
    }

    pub(crate) fn keep_role(&mut self, revision: u64, role: Role) {
        self.roles.insert(role.name.to_ascii_lowercase(), Kept { revision, value: role });
    }

    pub(crate) fn keep_policy(&mut self, revision: u64, policy: ManagedPolicy) {
        self.policies.insert(policy.arn.clone(), Kept { revision, value: policy });
    }

    pub(crate) fn user(&self, name: &str) -> Option<&User> {
        self.users.get(&name.to_ascii_lowercase()).map(|kept| &kept.value)
    }

    pub(crate) fn role(&self, name: &str) -> Option<&Role> {
        self.roles.get(&name.to_ascii_lowercase()).map(|kept| &kept.value)
    }

    /// The access key and its user.
    pub(crate) fn key(&self, access_key_id: &str) -> Option<(&User, &AccessKey)> {
        let user = &self.users.get(self.keys.get(access_key_id)?)?.value;
        Some((user, user.keys.iter().find(|key| key.id == access_key_id)?))
    }

    /// How many users and roles hold a managed policy.
    pub(crate) fn attachments(&self, arn: &str) -> usize {
        self.users.values().filter(|kept| kept.value.attached.contains(arn)).count()
            + self.roles.values().filter(|kept| kept.value.attached.contains(arn)).count()
    }
}
