//! Actions on roles.

use super::{document, of_new, render, with_resource_tags};
use crate::query::{Call, Failure, Form, Xml};
use hearth_identity::{Context, IdentityError, NewRole, TrustPolicy};
use std::collections::BTreeMap;

type Done = Result<Option<Xml>, Failure>;

/// The role named, once the caller may do this to it.
fn authorized<'f>(call: &Call<'_>, form: &'f Form, action: &str) -> Result<&'f str, Failure> {
    authorized_knowing(call, form, action, call.context)
}

/// [`authorized`], where more is known than of any request.
fn authorized_knowing<'f>(
    call: &Call<'_>,
    form: &'f Form,
    action: &str,
    context: &Context,
) -> Result<&'f str, Failure> {
    let name = form.required("RoleName")?;
    let account = call.identity.account_id();
    let (arn, tags) = match call.identity.role(name) {
        Ok(role) => (role.arn(account), role.tags),
        Err(_) => (format!("arn:aws:iam::{account}:role/{name}"), BTreeMap::new()),
    };
    call.authorize_knowing(action, &arn, &with_resource_tags(context, &tags))?;
    Ok(name)
}

fn trust(text: &str) -> Result<TrustPolicy, Failure> {
    TrustPolicy::parse(text).map_err(|error| IdentityError::from(error).into())
}

pub(super) async fn create(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let name = form.required("RoleName")?;
    let path = form.text("Path").unwrap_or("/");
    let account = call.identity.account_id();
    let arn = format!("arn:aws:iam::{account}:role{path}{name}");
    call.authorize_knowing("iam:CreateRole", &arn, &of_new(call, form)?)?;
    let new = NewRole {
        name: name.to_owned(),
        path: path.to_owned(),
        description: form.text("Description").filter(|text| !text.is_empty()).map(str::to_owned),
        max_session_seconds: form.number("MaxSessionDuration", 3_600, 3_600, 43_200)?,
        trust: trust(form.required("AssumeRolePolicyDocument")?)?,
        tags: form.tags(),
    };
    let role = call.identity.create_role(new, call.now).await?;
    Ok(Xml::members([("Role", render::role(&role, account))]))
}

pub(super) fn get(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let role = call.identity.role(authorized(call, form, "iam:GetRole")?)?;
    Ok(Xml::members([("Role", render::role(&role, call.identity.account_id()))]))
}

pub(super) fn list(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let account = call.identity.account_id();
    let prefix = form.text("PathPrefix").unwrap_or("/");
    call.authorize("iam:ListRoles", &format!("arn:aws:iam::{account}:role{prefix}"))?;
    let roles = call.identity.roles(prefix);
    render::page(
        "Roles",
        roles,
        form,
        |role| role.name.to_ascii_lowercase(),
        |role| render::listed_role(role, account),
    )
}

pub(super) async fn delete(call: &Call<'_>, form: &Form) -> Done {
    call.identity.delete_role(authorized(call, form, "iam:DeleteRole")?).await?;
    Ok(None)
}

pub(super) async fn update_trust(call: &Call<'_>, form: &Form) -> Done {
    let name = authorized(call, form, "iam:UpdateAssumeRolePolicy")?;
    call.identity.update_trust(name, trust(form.required("PolicyDocument")?)?).await?;
    Ok(None)
}

pub(super) async fn update(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let name = authorized(call, form, "iam:UpdateRole")?;
    let longest =
        form.text("MaxSessionDuration").map(|_| form.number("MaxSessionDuration", 3_600, 3_600, 43_200));
    let description = form.text("Description").map(str::to_owned);
    call.identity.update_role(name, description, longest.transpose()?).await?;
    Ok(Xml::members([]))
}

pub(super) async fn update_description(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let name = authorized(call, form, "iam:UpdateRoleDescription")?;
    let description = form.text("Description").unwrap_or_default().to_owned();
    call.identity.update_role(name, Some(description), None).await?;
    let role = call.identity.role(name)?;
    Ok(Xml::members([("Role", render::role(&role, call.identity.account_id()))]))
}

/// There are none; clients ask before they delete a role.
pub(super) fn list_instance_profiles(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    call.identity.role(authorized(call, form, "iam:ListInstanceProfilesForRole")?)?;
    Ok(Xml::members([("IsTruncated", Xml::text("false")), ("InstanceProfiles", Xml::list([]))]))
}

pub(super) async fn put_policy(call: &Call<'_>, form: &Form) -> Done {
    let name = authorized(call, form, "iam:PutRolePolicy")?;
    call.identity.put_role_policy(name, form.required("PolicyName")?, document(form)?).await?;
    Ok(None)
}

pub(super) fn get_policy(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let role = call.identity.role(authorized(call, form, "iam:GetRolePolicy")?)?;
    let policy_name = form.required("PolicyName")?;
    let policy = role.inline.get(policy_name).ok_or_else(|| {
        Failure::no_such_entity(format!("The role policy with name {policy_name} cannot be found."))
    })?;
    Ok(Xml::members([
        ("RoleName", Xml::text(&role.name)),
        ("PolicyName", Xml::text(policy_name)),
        ("PolicyDocument", render::document(policy.text())),
    ]))
}

pub(super) fn list_policies(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let role = call.identity.role(authorized(call, form, "iam:ListRolePolicies")?)?;
    let names = role.inline.keys().collect();
    render::page("PolicyNames", names, form, |name| (*name).clone(), |name| Xml::text(name.as_str()))
}

pub(super) async fn delete_policy(call: &Call<'_>, form: &Form) -> Done {
    let name = authorized(call, form, "iam:DeleteRolePolicy")?;
    call.identity.delete_role_policy(name, form.required("PolicyName")?).await?;
    Ok(None)
}

pub(super) async fn attach(call: &Call<'_>, form: &Form) -> Done {
    let policy_arn = form.required("PolicyArn")?;
    let context = call.context.clone().with("iam:PolicyARN", policy_arn);
    let name = authorized_knowing(call, form, "iam:AttachRolePolicy", &context)?;
    call.identity.attach_role_policy(name, policy_arn).await?;
    Ok(None)
}

pub(super) async fn detach(call: &Call<'_>, form: &Form) -> Done {
    let policy_arn = form.required("PolicyArn")?;
    let context = call.context.clone().with("iam:PolicyARN", policy_arn);
    let name = authorized_knowing(call, form, "iam:DetachRolePolicy", &context)?;
    call.identity.detach_role_policy(name, policy_arn).await?;
    Ok(None)
}

pub(super) fn list_attached(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let role = call.identity.role(authorized(call, form, "iam:ListAttachedRolePolicies")?)?;
    render::attached(&role.attached, form)
}
