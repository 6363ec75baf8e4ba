//! Actions on managed policies.

use super::render::VERSION;
use super::{document, render};
use crate::query::{Call, Failure, Form, Xml};
use hearth_identity::ManagedPolicy;

/// The policy named, once the caller may do this to it.
fn authorized(call: &Call<'_>, form: &Form, action: &str) -> Result<ManagedPolicy, Failure> {
    let arn = form.required("PolicyArn")?;
    call.authorize(action, arn)?;
    Ok(call.identity.managed_policy(arn)?)
}

pub(super) async fn create(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let name = form.required("PolicyName")?;
    let path = form.text("Path").unwrap_or("/");
    let account = call.identity.account_id();
    call.authorize("iam:CreatePolicy", &format!("arn:aws:iam::{account}:policy{path}{name}"))?;
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

pub(super) fn get_version(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let policy = authorized(call, form, "iam:GetPolicyVersion")?;
    let version = form.required("VersionId")?;
    if version != VERSION {
        let message = format!("Policy {} version {version} does not exist or is not attachable.", policy.arn);
        return Err(Failure::no_such_entity(message));
    }
    let shown = version_of(&policy).with("Document", Some(render::document(policy.policy.text())));
    Ok(Xml::members([("PolicyVersion", shown)]))
}

pub(super) fn list_versions(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let policy = authorized(call, form, "iam:ListPolicyVersions")?;
    Ok(Xml::members([("IsTruncated", Xml::text("false")), ("Versions", Xml::list([version_of(&policy)]))]))
}

pub(super) fn list(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let account = call.identity.account_id();
    let prefix = form.text("PathPrefix").unwrap_or("/");
    call.authorize("iam:ListPolicies", &format!("arn:aws:iam::{account}:policy{prefix}"))?;
    let own = format!("arn:aws:iam::{account}:");
    let only_attached = form.text("OnlyAttached") == Some("true");
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
    let render = |policy: &ManagedPolicy| render::policy(policy, call.identity.attachment_count(&policy.arn));
    render::page("Policies", policies, form, |policy| policy.arn.clone(), render)
}

pub(super) async fn delete(call: &Call<'_>, form: &Form) -> Result<Option<Xml>, Failure> {
    let policy = authorized(call, form, "iam:DeletePolicy")?;
    call.identity.delete_policy(&policy.arn).await?;
    Ok(None)
}

fn version_of(policy: &ManagedPolicy) -> Xml {
    Xml::members([
        ("VersionId", Xml::text(VERSION)),
        ("IsDefaultVersion", Xml::text("true")),
        ("CreateDate", render::date(policy.created_at)),
    ])
}
