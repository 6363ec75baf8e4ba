//! The `Principal` element of trust policies.

use super::json::texts;
use super::{Caller, MalformedPolicy};
use serde_json::Value;

/// One principal a statement names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// Anybody.
    Everyone,
    /// All of an account, as far as the account's own policies let them.
    Account(String),
    /// A user, a role or a role's session by ARN.
    Arn(String),
    /// A service by name.
    Service(String),
    /// Identities of another provider; no caller of hearth's is one.
    Foreign,
}

/// How a principal element covers a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Coverage {
    /// Not at all.
    None,
    /// Through the caller's account: the caller's own policies must allow the action too.
    Account,
    /// By itself.
    Direct,
}

/// The principals of one element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Principals(Vec<Named>);

impl Principals {
    pub(super) fn parse(value: &Value) -> Result<Self, MalformedPolicy> {
        let named = match value {
            Value::String(text) if text == "*" => vec![Named::Everyone],
            Value::Object(map) => {
                let mut named = Vec::new();
                for (kind, value) in map {
                    for text in texts(value)? {
                        named.push(parse_one(kind, text)?);
                    }
                }
                named
            }
            _ => return Err(MalformedPolicy::Syntax),
        };
        if named.is_empty() { Err(MalformedPolicy::NoPrincipals) } else { Ok(Self(named)) }
    }

    /// The widest coverage that any of the principals gives `caller`.
    pub(super) fn covers(&self, caller: &Caller) -> Coverage {
        self.0.iter().map(|named| named.covers(caller)).max().unwrap_or(Coverage::None)
    }
}

impl Named {
    fn covers(&self, caller: &Caller) -> Coverage {
        let (is_covered, coverage) = match self {
            Self::Everyone => (true, Coverage::Direct),
            Self::Account(account) => (caller.account() == Some(account), Coverage::Account),
            Self::Arn(arn) => (*arn == caller.arn() || *arn == caller.principal_arn(), Coverage::Direct),
            Self::Service(service) => {
                (matches!(caller, Caller::Service { name } if name == service), Coverage::Direct)
            }
            Self::Foreign => (false, Coverage::None),
        };
        if is_covered { coverage } else { Coverage::None }
    }
}

fn parse_one(kind: &str, text: &str) -> Result<Named, MalformedPolicy> {
    let invalid = || MalformedPolicy::Principal(format!("\"{kind}\":\"{text}\""));
    match kind {
        "AWS" if text == "*" => Ok(Named::Everyone),
        "AWS" if is_account(text) => Ok(Named::Account(text.to_owned())),
        "AWS" => {
            let parts: Vec<_> = text.splitn(6, ':').collect();
            match parts[..] {
                ["arn", _, "iam", "", account, "root"] if is_account(account) => {
                    Ok(Named::Account(account.to_owned()))
                }
                ["arn", _, "iam" | "sts", "", account, resource]
                    if is_account(account) && resource.contains('/') && !resource.contains(['*', '?']) =>
                {
                    Ok(Named::Arn(text.to_owned()))
                }
                _ => Err(invalid()),
            }
        }
        "Service" if text.contains('.') && !text.contains(['*', '?']) => Ok(Named::Service(text.to_owned())),
        "Federated" | "CanonicalUser" => Ok(Named::Foreign),
        _ => Err(invalid()),
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    fn role() -> Caller {
        Caller::AssumedRole {
            account: "111122223333".into(),
            role_path: "/team/".into(),
            role_name: "r".into(),
            role_id: "AROA1".into(),
            session_name: "s".into(),
            tags: BTreeMap::new(),
        }
    }

    #[test]
    fn a_caller_is_covered_by_what_names_it() {
        for (value, coverage) in [
            (json!("*"), Coverage::Direct),
            (json!({"AWS": "*"}), Coverage::Direct),
            (json!({"AWS": "111122223333"}), Coverage::Account),
            (json!({"AWS": ["arn:aws:iam::111122223333:root"]}), Coverage::Account),
            (json!({"AWS": "arn:aws:iam::111122223333:role/team/r"}), Coverage::Direct),
            (json!({"AWS": "arn:aws:sts::111122223333:assumed-role/r/s"}), Coverage::Direct),
            (json!({"AWS": "arn:aws:sts::111122223333:assumed-role/r/t"}), Coverage::None),
            (json!({"AWS": "444455556666", "Service": "x.amazonaws.com"}), Coverage::None),
            (json!({"Federated": "cognito-identity.amazonaws.com"}), Coverage::None),
        ] {
            assert_eq!(Principals::parse(&value).expect("valid").covers(&role()), coverage, "{value}");
        }
        let service = Caller::Service { name: "emr-serverless.amazonaws.com".into() };
        let trust = Principals::parse(&json!({"Service": ["emr-serverless.amazonaws.com"]})).expect("valid");
        assert_eq!(trust.covers(&service), Coverage::Direct);
        assert_eq!(trust.covers(&role()), Coverage::None);
    }

    #[test]
    fn a_principal_that_names_nobody_is_refused() {
        for value in [
            json!("arn:aws:iam::111122223333:root"),
            json!({}),
            json!({"AWS": "arn:aws:iam::111122223333:role/*"}),
            json!({"AWS": "12345"}),
            json!({"Service": "*"}),
            json!({"Robot": "x"}),
            json!({"AWS": 1}),
        ] {
            assert!(Principals::parse(&value).is_err(), "{value}");
        }
    }
}
