//! Actions on roles.

use super::{document, render};
use crate::query::{Call, Failure, Form, Xml};
use hearth_identity::{IdentityError, NewRole, TrustPolicy};

type Done = Result<Option<Xml>, Failure>;

/// The role named, once the caller may do this to it.
fn authorized<'f>(call: &Call<'_>, form: &'f Form, action: &str) -> Result<&'f str, Failure> {
    let name = form.required("RoleName")?;
    let account = call.identity.account_id();
    let arn = match call.identity.role(name) {
        Ok(role) => role.arn(account),
        Err(_) => format!("arn:aws:iam::{account}:role/{name}"),
    };
    call.authorize(action, &arn)?;
    Ok(name)
}

fn trust(text: &str) -> Result<TrustPolicy, Failure> {
    TrustPolicy::parse(text).map_err(|error| IdentityError::from(error).into())
}

pub(super) async fn create(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let name = form.required("RoleName")?;
    let path = form.text("Path").unwrap_or("/");
    let account = call.identity.account_id();
    call.authorize("iam:CreateRole", &format!("arn:aws:iam::{account}:role{path}{name}"))?;
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
        |role| render::role(role, account),
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
    let name = authorized(call, form, "iam:AttachRolePolicy")?;
    call.identity.attach_role_policy(name, form.required("PolicyArn")?).await?;
    Ok(None)
}

pub(super) async fn detach(call: &Call<'_>, form: &Form) -> Done {
    let name = authorized(call, form, "iam:DetachRolePolicy")?;
    call.identity.detach_role_policy(name, form.required("PolicyArn")?).await?;
    Ok(None)
}

pub(super) fn list_attached(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let role = call.identity.role(authorized(call, form, "iam:ListAttachedRolePolicies")?)?;
    render::attached(&role.attached, form)
}
