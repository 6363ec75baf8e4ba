//! Policies and callers that several tests of the policy language speak of.

use hearth_coordinator_core::policy::{Caller, PolicyDocument, PolicyKind};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) const ACCOUNT: &str = "000000000000";

/// The session `run` of the role `job`.
pub(crate) fn job_role() -> Caller {
    Caller::AssumedRole {
        account: ACCOUNT.into(),
        role_path: "/".into(),
        role_name: "job".into(),
        role_id: "AROAJOB".into(),
        session_name: "run".into(),
        tags: BTreeMap::new(),
    }
}

/// A user that is tagged as of the team `data`.
pub(crate) fn user(name: &str) -> Caller {
    Caller::User {
        account: ACCOUNT.into(),
        path: "/".into(),
        name: name.into(),
        id: "AIDA1".into(),
        tags: BTreeMap::from([("team".into(), "data".into())]),
    }
}

/// A document of these statements.
pub(crate) fn document(statements: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// A policy of these statements, read.
pub(crate) fn identity(statements: Value) -> PolicyDocument {
    read(statements, PolicyKind::Identity)
}

/// A policy of this kind and these statements, read.
pub(crate) fn read(statements: Value, kind: PolicyKind) -> PolicyDocument {
    let document = document(statements);
    PolicyDocument::parse(&document.to_string(), kind).unwrap_or_else(|error| panic!("{error}: {document}"))
}
