//! Actions on managed policies.

use super::{document, of_new, render, with_resource_tags};
use crate::query::{Call, Failure, Form, Xml};
use hearth_identity::ManagedPolicy;

/// The policy named, once the caller may do this to it.
pub(super) fn authorized(call: &Call<'_>, form: &Form, action: &str) -> Result<ManagedPolicy, Failure> {
    let arn = form.required("PolicyArn")?;
    let policy = call.identity.managed_policy(arn);
    let tags = policy.as_ref().map(|policy| policy.tags.clone()).unwrap_or_default();
    call.authorize_knowing(action, arn, &with_resource_tags(call.context, &tags))?;
    Ok(policy?)
}

pub(super) async fn create(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let name = form.required("PolicyName")?;
    let path = form.text("Path").unwrap_or("/");
    let account = call.identity.account_id();
    let arn = format!("arn:aws:iam::{account}:policy{path}{name}");
    call.authorize_knowing("iam:CreatePolicy", &arn, &of_new(call, form)?)?;
    let description = form.text("Description").filter(|text| !text.is_empty()).map(str::to_owned);
    let policy =
        call.identity.create_policy(name, path, description, document(form)?, form.tags(), call.now).await?;
    Ok(Xml::members([("Policy", render::policy(&policy, 0))]))
}

pub(super) fn get(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let policy = authorized(call, form, "iam:GetPolicy")?;
    let attachments = call.identity.attachment_count(&policy.arn);
    Ok(Xml::members([("Policy", render::policy(&policy, attachments))]))
}

pub(super) fn list_holders(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let policy = authorized(call, form, "iam:ListEntitiesForPolicy")?;
    let (users, roles) = call.identity.holders(&policy.arn);
    let wants = |kind| form.text("EntityFilter").is_none_or(|filter| filter == kind);
    let users = users
        .iter()
        .filter(|_| wants("User"))
        .map(|user| Xml::members([("UserName", Xml::text(&user.name)), ("UserId", Xml::text(&user.id))]));
    let roles = roles
        .iter()
        .filter(|_| wants("Role"))
        .map(|role| Xml::members([("RoleName", Xml::text(&role.name)), ("RoleId", Xml::text(&role.id))]));
    Ok(Xml::members([
        ("PolicyGroups", Xml::list([])),
        ("PolicyUsers", Xml::list(users)),
        ("PolicyRoles", Xml::list(roles)),
        ("IsTruncated", Xml::text("false")),
    ]))
}

pub(super) fn list(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let account = call.identity.account_id();
    let prefix = form.text("PathPrefix").unwrap_or("/");
    call.authorize("iam:ListPolicies", &format!("arn:aws:iam::{account}:policy{prefix}"))?;
    let own = format!("arn:aws:iam::{account}:");
    let only_attached = form.is_true("OnlyAttached");
    let policies = call
        .identity
        .managed_policies(prefix)
        .into_iter()
        .filter(|policy| match form.text("Scope") {
            Some("Local") => policy.arn.starts_with(&own),
            Some("AWS") => !policy.arn.starts_with(&own),
            _ => true,
        })
        .filter(|policy| !only_attached || call.identity.attachment_count(&policy.arn) > 0)
        .collect();
    let render =
        |policy: &ManagedPolicy| render::listed_policy(policy, call.identity.attachment_count(&policy.arn));
    render::page("Policies", policies, form, |policy| policy.arn.clone(), render)
}

pub(super) async fn delete(call: &Call<'_>, form: &Form) -> Result<Option<Xml>, Failure> {
    let policy = authorized(call, form, "iam:DeletePolicy")?;
    call.identity.delete_policy(&policy.arn).await?;
    Ok(None)
}
