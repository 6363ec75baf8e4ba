//! Who makes a request.

use super::Context;
use std::collections::BTreeMap;

/// The authenticated maker of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A user with an access key.
    User {
        /// Twelve digits.
        account: String,
        /// Between slashes, `/` for none.
        path: String,
        /// The user's name.
        name: String,
        /// The unique id, `AIDA…`.
        id: String,
        /// The user's tags (`aws:PrincipalTag/…`).
        tags: BTreeMap<String, String>,
    },
    /// A session of a role.
    AssumedRole {
        /// Twelve digits.
        account: String,
        /// The role's path between slashes, `/` for none.
        role_path: String,
        /// The role's name.
        role_name: String,
        /// The role's unique id, `AROA…`.
        role_id: String,
        /// The session's name.
        session_name: String,
        /// The role's tags (`aws:PrincipalTag/…`).
        tags: BTreeMap<String, String>,
    },
    /// A service that acts by itself, such as `emr-serverless.amazonaws.com`.
    Service {
        /// The service's name.
        name: String,
    },
}

impl Caller {
    /// The account; services have none.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::User { account, .. } | Self::AssumedRole { account, .. } => Some(account),
            Self::Service { .. } => None,
        }
    }

    /// The tags; services have none.
    fn tags(&self) -> impl Iterator<Item = (&String, &String)> {
        match self {
            Self::User { tags, .. } | Self::AssumedRole { tags, .. } => Some(tags),
            Self::Service { .. } => None,
        }
        .into_iter()
        .flatten()
    }

    /// The ARN that STS would report: of a session, the session's own. A service's is its name.
    pub fn arn(&self) -> String {
        match self {
            Self::User { account, path, name, .. } => format!("arn:aws:iam::{account}:user{path}{name}"),
            Self::AssumedRole { account, role_name, session_name, .. } => {
                format!("arn:aws:sts::{account}:assumed-role/{role_name}/{session_name}")
            }
            Self::Service { name } => name.clone(),
        }
    }

    /// The ARN of the user or role behind the request (`aws:PrincipalArn`).
    pub fn principal_arn(&self) -> String {
        match self {
            Self::AssumedRole { account, role_path, role_name, .. } => {
                format!("arn:aws:iam::{account}:role{role_path}{role_name}")
            }
            Self::User { .. } | Self::Service { .. } => self.arn(),
        }
    }

    /// Writes the keys that describe the caller, over whatever `context` says about them.
    pub(super) fn describe(&self, context: &mut Context) {
        for key in [
            "aws:username",
            "aws:userid",
            "aws:PrincipalArn",
            "aws:PrincipalAccount",
            "aws:PrincipalServiceName",
        ] {
            context.set_all(key, []);
        }
        context.forget_all("aws:PrincipalTag/");
        for (key, value) in self.tags() {
            context.set(&format!("aws:PrincipalTag/{key}"), value);
        }
        if let Some(account) = self.account() {
            context.set("aws:PrincipalAccount", account);
        }
        context.set("aws:PrincipalIsAWSService", matches!(self, Self::Service { .. }).to_string());
        match self {
            Self::User { name, id, .. } => {
                context.set("aws:username", name);
                context.set("aws:userid", id);
                context.set("aws:PrincipalType", "User");
                context.set("aws:PrincipalArn", self.principal_arn());
            }
            Self::AssumedRole { role_id, session_name, .. } => {
                context.set("aws:userid", format!("{role_id}:{session_name}"));
                context.set("aws:PrincipalType", "AssumedRole");
                context.set("aws:PrincipalArn", self.principal_arn());
            }
            Self::Service { name } => {
                context.set("aws:PrincipalType", "Service");
                context.set("aws:PrincipalServiceName", name);
            }
        }
    }
}
