//! A whole policy document.

use super::MalformedPolicy;
use super::json::Unambiguous;
use super::statement::Statement;
use serde_json::Value;
use std::collections::BTreeSet;

/// What a policy is attached to, which decides what it may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyKind {
    /// To a user, a role or a session: says what its holder may do, to which resources.
    Identity,
    /// To a role: says who may assume it.
    Trust,
}

/// A policy document that was read and found well-formed.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyDocument {
    kind: PolicyKind,
    pub(super) statements: Vec<Statement>,
    asks_for_resource_tags: bool,
}

impl PolicyDocument {
    /// Reads `text` as IAM would.
    ///
    /// Some texts that IAM refuses are accepted because the reference guide prints them: S3 ARNs that lack a colon, actions
    /// with another sign or a blank at their colon, and actions that lack their service where they would grant something.
    pub fn parse(text: &str, kind: PolicyKind) -> Result<Self, MalformedPolicy> {
        let Unambiguous(value) = serde_json::from_str(text).map_err(|_| MalformedPolicy::Syntax)?;
        let members = value.as_object().ok_or(MalformedPolicy::Syntax)?;
        if members.keys().any(|name| !["Version", "Id", "Statement"].contains(&name.as_str())) {
            return Err(MalformedPolicy::Syntax);
        }
        // Without a version a document is of the older one, which has no variables.
        let variables = match members.get("Version").map(Value::as_str) {
            None | Some(Some("2008-10-17")) => false,
            Some(Some("2012-10-17")) => true,
            Some(_) => return Err(MalformedPolicy::Version),
        };
        let statements = match members.get("Statement") {
            Some(Value::Array(list)) if !list.is_empty() => list.as_slice(),
            Some(single @ Value::Object(_)) => std::slice::from_ref(single),
            _ => return Err(MalformedPolicy::Syntax),
        };
        let statements = statements
            .iter()
            .map(|statement| Statement::parse(statement, kind, variables))
            .collect::<Result<Vec<_>, _>>()?;
        let mut sids = BTreeSet::new();
        if !statements.iter().filter_map(|statement| statement.sid.as_deref()).all(|sid| sids.insert(sid)) {
            return Err(MalformedPolicy::DuplicateSid);
        }
        Ok(Self { kind, statements, asks_for_resource_tags: asks_for_resource_tags(&value) })
    }

    /// Whether what it decides may depend on tags of the resource: no other document needs to be told them.
    pub const fn asks_for_resource_tags(&self) -> bool {
        self.asks_for_resource_tags
    }

    /// What the document was read as.
    pub fn kind(&self) -> PolicyKind {
        self.kind
    }
}

/// Whether a condition's key or a variable names them (`aws:ResourceTag/…`, a service's own), in any case.
fn asks_for_resource_tags(value: &Value) -> bool {
    let names = |text: &str| text.to_ascii_lowercase().contains("resourcetag");
    match value {
        Value::String(text) => names(text),
        Value::Array(items) => items.iter().any(asks_for_resource_tags),
        Value::Object(members) => {
            members.iter().any(|(name, value)| names(name) || asks_for_resource_tags(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
