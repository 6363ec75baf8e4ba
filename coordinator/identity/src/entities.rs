//! Users, roles and managed policies as they are kept: one document each.

use crate::{IdentityPolicy, KeyUse, PolicyVersion, TrustPolicy};
use hearth_types::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Somebody with access keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Name, unique whatever its case.
    pub name: String,
    /// Path, `/` or between slashes.
    pub path: String,
    /// Unique id, `AIDA…`.
    pub id: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// Policies of its own, by name.
    pub inline: BTreeMap<String, IdentityPolicy>,
    /// ARNs of managed policies.
    pub attached: BTreeSet<String>,
    /// Access keys, at most two, oldest first.
    pub keys: Vec<AccessKey>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// A user's access key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// `AKIA…`, 20 characters.
    pub id: String,
    /// The secret, sealed with the master key (base64).
    pub(crate) sealed_secret: String,
    /// Whether it may be used.
    pub status: KeyStatus,
    /// When it was created.
    pub created_at: Timestamp,
    /// Its latest use that was stored; [`crate::Identity::last_use`] knows later ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_used: Option<KeyUse>,
}

/// Whether an access key may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyStatus {
    /// It may.
    Active,
    /// It may not, until it is made active again.
    Inactive,
}

impl KeyStatus {
    /// IAM's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::Inactive => "Inactive",
        }
    }
}

/// What others may become for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// Name, unique whatever its case.
    pub name: String,
    /// Path, `/` or between slashes.
    pub path: String,
    /// Unique id, `AROA…`.
    pub id: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// Description.
    pub description: Option<String>,
    /// Longest session, in seconds, 3,600 to 43,200.
    pub max_session_seconds: u32,
    /// Who may assume it.
    pub trust: TrustPolicy,
    /// Policies of its own, by name.
    pub inline: BTreeMap<String, IdentityPolicy>,
    /// ARNs of managed policies.
    pub attached: BTreeSet<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// A policy that users and roles share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ManagedPolicy {
    /// ARN.
    pub arn: String,
    /// Name.
    pub name: String,
    /// Path, `/` or between slashes.
    pub path: String,
    /// Unique id, `ANPA…`.
    pub id: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// Description.
    pub description: Option<String>,
    /// What it says: its version in force.
    pub policy: IdentityPolicy,
    /// Number of the version in force.
    #[serde(default = "first_version")]
    pub(crate) default_version: u32,
    /// When the version in force was made; with the policy itself if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default_since: Option<Timestamp>,
    /// Versions that are kept and not in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) other_versions: Vec<PolicyVersion>,
    /// The highest number that a version ever had.
    #[serde(default = "first_version")]
    pub(crate) last_version: u32,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// The number of a policy's first version, and the only one that was kept before there were others.
pub(crate) const fn first_version() -> u32 {
    1
}

impl User {
    /// ARN in this account.
    pub fn arn(&self, account_id: &str) -> String {
        format!("arn:aws:iam::{account_id}:user{}{}", self.path, self.name)
    }
}

impl Role {
    /// ARN in this account.
    pub fn arn(&self, account_id: &str) -> String {
        format!("arn:aws:iam::{account_id}:role{}{}", self.path, self.name)
    }
}
