//! Actions on users and their access keys. Without a user name they mean the caller's own user.

use super::{document, of_new, render, with_resource_tags};
use crate::query::{Call, Failure, Form, Xml};
use hearth_identity::{AccessKey, Context, KeyStatus};
use std::collections::BTreeMap;

type Done = Result<Option<Xml>, Failure>;

/// The user named, or the caller's, once the caller may do this to it.
fn authorized(call: &Call<'_>, form: &Form, action: &str) -> Result<String, Failure> {
    authorized_knowing(call, form, action, call.context)
}

/// [`authorized`], where more is known than of any request.
fn authorized_knowing(
    call: &Call<'_>,
    form: &Form,
    action: &str,
    context: &Context,
) -> Result<String, Failure> {
    let name = match (form.text("UserName"), call.principal.user_name()) {
        (Some(name), _) => name,
        (None, Some(own)) => own,
        (None, None) => {
            return Err(Failure::invalid("Must specify userName when calling with non-User credentials"));
        }
    };
    let account = call.identity.account_id();
    let (arn, tags) = match call.identity.user(name) {
        Ok(user) => (user.arn(account), user.tags),
        Err(_) => (format!("arn:aws:iam::{account}:user/{name}"), BTreeMap::new()),
    };
    call.authorize_knowing(action, &arn, &with_resource_tags(context, &tags))?;
    Ok(name.to_owned())
}

pub(super) async fn create(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let name = form.required("UserName")?;
    let path = form.text("Path").unwrap_or("/");
    let account = call.identity.account_id();
    let arn = format!("arn:aws:iam::{account}:user{path}{name}");
    call.authorize_knowing("iam:CreateUser", &arn, &of_new(call, form)?)?;
    let user = call.identity.create_user(name, path, form.tags(), call.now).await?;
    Ok(Xml::members([("User", render::user(&user, account))]))
}

pub(super) fn get(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let user = call.identity.user(&authorized(call, form, "iam:GetUser")?)?;
    Ok(Xml::members([("User", render::user(&user, call.identity.account_id()))]))
}

pub(super) fn list(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let account = call.identity.account_id();
    let prefix = form.text("PathPrefix").unwrap_or("/");
    call.authorize("iam:ListUsers", &format!("arn:aws:iam::{account}:user{prefix}"))?;
    let users = call.identity.users(prefix);
    render::page(
        "Users",
        users,
        form,
        |user| user.name.to_ascii_lowercase(),
        |user| render::listed_user(user, account),
    )
}

pub(super) async fn delete(call: &Call<'_>, form: &Form) -> Done {
    call.identity.delete_user(&authorized(call, form, "iam:DeleteUser")?).await?;
    Ok(None)
}

pub(super) async fn create_key(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let name = authorized(call, form, "iam:CreateAccessKey")?;
    let made = call.identity.create_access_key(&name, call.now).await?;
    let shown = key(&name, &made.key).with("SecretAccessKey", Some(Xml::text(&made.secret_access_key)));
    Ok(Xml::members([("AccessKey", shown)]))
}

pub(super) fn list_keys(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let user = call.identity.user(&authorized(call, form, "iam:ListAccessKeys")?)?;
    Ok(Xml::members([
        ("IsTruncated", Xml::text("false")),
        ("AccessKeyMetadata", Xml::list(user.keys.iter().map(|of| key(&user.name, of)))),
    ]))
}

pub(super) async fn update_key(call: &Call<'_>, form: &Form) -> Done {
    let name = authorized(call, form, "iam:UpdateAccessKey")?;
    let status = match form.required("Status")? {
        "Active" => KeyStatus::Active,
        "Inactive" => KeyStatus::Inactive,
        other => {
            return Err(Failure::invalid(format!(
                "1 validation error detected: Value '{other}' at 'status' failed to satisfy constraint: Member must \
                 satisfy enum value set: [Active, Inactive]"
            )));
        }
    };
    call.identity.set_access_key_status(&name, form.required("AccessKeyId")?, status).await?;
    Ok(None)
}

pub(super) async fn delete_key(call: &Call<'_>, form: &Form) -> Done {
    let name = authorized(call, form, "iam:DeleteAccessKey")?;
    call.identity.delete_access_key(&name, form.required("AccessKeyId")?).await?;
    Ok(None)
}

pub(super) fn last_use_of_key(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let found = call.identity.last_use(form.required("AccessKeyId")?);
    let account = call.identity.account_id();
    let (arn, tags) = match &found {
        Ok((user, _)) => (user.arn(account), user.tags.clone()),
        Err(_) => (format!("arn:aws:iam::{account}:user/*"), BTreeMap::new()),
    };
    call.authorize_knowing("iam:GetAccessKeyLastUsed", &arn, &with_resource_tags(call.context, &tags))?;
    let (user, used) = found?;
    // A key that was never used has no date, and these words in place of the others.
    let none = "N/A";
    let shown = Xml::members([
        ("ServiceName", Xml::text(used.as_ref().map_or(none, |used| &used.service))),
        ("Region", Xml::text(used.as_ref().map_or(none, |used| &used.region))),
    ])
    .with("LastUsedDate", used.as_ref().map(|used| render::date(used.at)));
    Ok(Xml::members([("UserName", Xml::text(&user.name)), ("AccessKeyLastUsed", shown)]))
}

/// There are none; clients ask before they delete a user.
pub(super) fn list_groups(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    form.required("UserName")?;
    call.identity.user(&authorized(call, form, "iam:ListGroupsForUser")?)?;
    Ok(Xml::members([("IsTruncated", Xml::text("false")), ("Groups", Xml::list([]))]))
}

pub(super) async fn put_policy(call: &Call<'_>, form: &Form) -> Done {
    form.required("UserName")?;
    let name = authorized(call, form, "iam:PutUserPolicy")?;
    call.identity.put_user_policy(&name, form.required("PolicyName")?, document(form)?).await?;
    Ok(None)
}

pub(super) fn get_policy(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    form.required("UserName")?;
    let user = call.identity.user(&authorized(call, form, "iam:GetUserPolicy")?)?;
    let policy_name = form.required("PolicyName")?;
    let policy = user.inline.get(policy_name).ok_or_else(|| {
        Failure::no_such_entity(format!("The user policy with name {policy_name} cannot be found."))
    })?;
    Ok(Xml::members([
        ("UserName", Xml::text(&user.name)),
        ("PolicyName", Xml::text(policy_name)),
        ("PolicyDocument", render::document(policy.text())),
    ]))
}

pub(super) fn list_policies(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    form.required("UserName")?;
    let user = call.identity.user(&authorized(call, form, "iam:ListUserPolicies")?)?;
    let names = user.inline.keys().collect();
    render::page("PolicyNames", names, form, |name| (*name).clone(), |name| Xml::text(name.as_str()))
}

pub(super) async fn delete_policy(call: &Call<'_>, form: &Form) -> Done {
    form.required("UserName")?;
    let name = authorized(call, form, "iam:DeleteUserPolicy")?;
    call.identity.delete_user_policy(&name, form.required("PolicyName")?).await?;
    Ok(None)
}

pub(super) async fn attach(call: &Call<'_>, form: &Form) -> Done {
    form.required("UserName")?;
    let policy_arn = form.required("PolicyArn")?;
    let context = call.context.clone().with("iam:PolicyARN", policy_arn);
    let name = authorized_knowing(call, form, "iam:AttachUserPolicy", &context)?;
    call.identity.attach_user_policy(&name, policy_arn).await?;
    Ok(None)
}

pub(super) async fn detach(call: &Call<'_>, form: &Form) -> Done {
    form.required("UserName")?;
    let policy_arn = form.required("PolicyArn")?;
    let context = call.context.clone().with("iam:PolicyARN", policy_arn);
    let name = authorized_knowing(call, form, "iam:DetachUserPolicy", &context)?;
    call.identity.detach_user_policy(&name, policy_arn).await?;
    Ok(None)
}

pub(super) fn list_attached(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    form.required("UserName")?;
    let user = call.identity.user(&authorized(call, form, "iam:ListAttachedUserPolicies")?)?;
    render::attached(&user.attached, form)
}

fn key(user_name: &str, key: &AccessKey) -> Xml {
    Xml::members([
        ("UserName", Xml::text(user_name)),
        ("AccessKeyId", Xml::text(&key.id)),
        ("Status", Xml::text(key.status.as_str())),
        ("CreateDate", render::date(key.created_at)),
    ])
}
