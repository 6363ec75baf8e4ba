//! Users, roles and policies as IAM's XML shows them, and the pages of listings.

use crate::query::{Failure, Form, Xml};
use hearth_identity::{ManagedPolicy, PolicyVersion, Role, User, iso8601};
use hearth_types::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::{BTreeMap, BTreeSet};

const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The name that clients know a version by.
pub(super) fn version_id(version: &PolicyVersion) -> String {
    format!("v{}", version.number)
}

pub(super) fn role(role: &Role, account_id: &str) -> Xml {
    listed_role(role, account_id).with("Tags", tags(&role.tags))
}

/// As in a listing, where IAM shows no tags.
pub(super) fn listed_role(role: &Role, account_id: &str) -> Xml {
    Xml::members([
        ("Path", Xml::text(&role.path)),
        ("RoleName", Xml::text(&role.name)),
        ("RoleId", Xml::text(&role.id)),
        ("Arn", Xml::text(role.arn(account_id))),
        ("CreateDate", date(role.created_at)),
        ("AssumeRolePolicyDocument", document(role.trust.text())),
        ("MaxSessionDuration", Xml::text(role.max_session_seconds.to_string())),
    ])
    .with("Description", role.description.as_ref().map(Xml::text))
}

pub(super) fn user(user: &User, account_id: &str) -> Xml {
    listed_user(user, account_id).with("Tags", tags(&user.tags))
}

/// As in a listing, where IAM shows no tags.
pub(super) fn listed_user(user: &User, account_id: &str) -> Xml {
    Xml::members([
        ("Path", Xml::text(&user.path)),
        ("UserName", Xml::text(&user.name)),
        ("UserId", Xml::text(&user.id)),
        ("Arn", Xml::text(user.arn(account_id))),
        ("CreateDate", date(user.created_at)),
    ])
}

pub(super) fn policy(policy: &ManagedPolicy, attachments: usize) -> Xml {
    listed_policy(policy, attachments)
        .with("Description", policy.description.as_ref().map(Xml::text))
        .with("Tags", tags(&policy.tags))
}

/// As in a listing, where IAM shows neither description nor tags.
pub(super) fn listed_policy(policy: &ManagedPolicy, attachments: usize) -> Xml {
    let newest = policy.versions().first().map_or(policy.created_at, |version| version.created_at);
    Xml::members([
        ("PolicyName", Xml::text(&policy.name)),
        ("PolicyId", Xml::text(&policy.id)),
        ("Arn", Xml::text(&policy.arn)),
        ("Path", Xml::text(&policy.path)),
        ("DefaultVersionId", Xml::text(version_id(&policy.default_version()))),
        ("AttachmentCount", Xml::text(attachments.to_string())),
        ("PermissionsBoundaryUsageCount", Xml::text("0")),
        ("IsAttachable", Xml::text("true")),
        ("CreateDate", date(policy.created_at)),
        ("UpdateDate", date(newest)),
    ])
}

/// Managed policies by ARN, as those attached to something.
pub(super) fn attached(arns: &BTreeSet<String>, form: &Form) -> Result<Xml, Failure> {
    page(
        "AttachedPolicies",
        arns.iter().collect(),
        form,
        |arn| (*arn).clone(),
        |arn| {
            let name = arn.rsplit('/').next().unwrap_or(arn);
            Xml::members([("PolicyName", Xml::text(name)), ("PolicyArn", Xml::text(arn.as_str()))])
        },
    )
}

pub(super) fn date(at: Timestamp) -> Xml {
    Xml::text(iso8601(at).unwrap_or_default())
}

/// A policy document; IAM percent-encodes them.
pub(super) fn document(text: &str) -> Xml {
    Xml::text(utf8_percent_encode(text, &UNRESERVED).to_string())
}

pub(super) fn tag(key: &str, value: &str) -> Xml {
    Xml::members([("Key", Xml::text(key)), ("Value", Xml::text(value))])
}

fn tags(tags: &BTreeMap<String, String>) -> Option<Xml> {
    let items = tags.iter().map(|(key, value)| tag(key, value));
    (!tags.is_empty()).then(|| Xml::list(items))
}

/// One page of items that are sorted by `key`; `Marker` is the last key of the page before.
pub(super) fn page<T>(
    name: &str,
    items: Vec<T>,
    form: &Form,
    key: impl Fn(&T) -> String,
    render: impl Fn(&T) -> Xml,
) -> Result<Xml, Failure> {
    let limit = form.number("MaxItems", 100, 1, 1000)? as usize;
    let after = form.text("Marker").unwrap_or("");
    let mut rest = items.into_iter().filter(|item| key(item).as_str() > after);
    let shown: Vec<T> = rest.by_ref().take(limit).collect();
    let is_truncated = rest.next().is_some();
    let marker = is_truncated.then(|| shown.last().map(&key)).flatten();
    Ok(Xml::members([
        ("IsTruncated", Xml::text(is_truncated.to_string())),
        (name, Xml::list(shown.iter().map(render))),
    ])
    .with("Marker", marker.map(Xml::text)))
}
