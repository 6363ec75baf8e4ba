//! Users, roles and managed policies as they are kept: one document each.

use crate::{IdentityPolicy, TrustPolicy};
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
    /// What it says. It has one version, `v1`.
    pub policy: IdentityPolicy,
    /// Tags.
    pub tags: BTreeMap<String, String>,
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
