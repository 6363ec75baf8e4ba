//! The `iam` subset: users, access keys, roles and policies.

mod policies;
mod render;
mod roles;
mod tags;
mod users;
mod versions;

use crate::query::{Call, Failure, Form, Xml};
use hearth_identity::{Context, IdentityPolicy, Principal, Subject};
use http::StatusCode;
use std::collections::BTreeMap;
use tags::Tagged;

/// Carries out an action. Each is authorised as `iam:` and its name, on the ARN of what it touches.
///
/// `GetSessionToken`'s credentials open nothing here, as in IAM: what was stolen of them must not become lasting keys.
pub(crate) async fn answer(call: &Call<'_>, action: &str, form: &Form) -> Result<Option<Xml>, Failure> {
    if matches!(call.principal, Principal::Session { claims, .. } if matches!(claims.subject, Subject::User { .. }))
    {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "InvalidClientTokenId",
            "The security token included in the request is invalid: credentials of GetSessionToken cannot call IAM.",
        ));
    }
    let permission = format!("iam:{action}");
    match action {
        "CreateRole" => roles::create(call, form).await.map(Some),
        "GetRole" => roles::get(call, form).map(Some),
        "ListRoles" => roles::list(call, form).map(Some),
        "DeleteRole" => roles::delete(call, form).await,
        "UpdateAssumeRolePolicy" => roles::update_trust(call, form).await,
        "UpdateRole" => roles::update(call, form).await.map(Some),
        "UpdateRoleDescription" => roles::update_description(call, form).await.map(Some),
        "ListInstanceProfilesForRole" => roles::list_instance_profiles(call, form).map(Some),
        "PutRolePolicy" => roles::put_policy(call, form).await,
        "GetRolePolicy" => roles::get_policy(call, form).map(Some),
        "ListRolePolicies" => roles::list_policies(call, form).map(Some),
        "DeleteRolePolicy" => roles::delete_policy(call, form).await,
        "AttachRolePolicy" => roles::attach(call, form).await,
        "DetachRolePolicy" => roles::detach(call, form).await,
        "ListAttachedRolePolicies" => roles::list_attached(call, form).map(Some),
        "CreateUser" => users::create(call, form).await.map(Some),
        "GetUser" => users::get(call, form).map(Some),
        "ListUsers" => users::list(call, form).map(Some),
        "DeleteUser" => users::delete(call, form).await,
        "CreateAccessKey" => users::create_key(call, form).await.map(Some),
        "ListAccessKeys" => users::list_keys(call, form).map(Some),
        "UpdateAccessKey" => users::update_key(call, form).await,
        "DeleteAccessKey" => users::delete_key(call, form).await,
        "GetAccessKeyLastUsed" => users::last_use_of_key(call, form).map(Some),
        "ListGroupsForUser" => users::list_groups(call, form).map(Some),
        "PutUserPolicy" => users::put_policy(call, form).await,
        "GetUserPolicy" => users::get_policy(call, form).map(Some),
        "ListUserPolicies" => users::list_policies(call, form).map(Some),
        "DeleteUserPolicy" => users::delete_policy(call, form).await,
        "AttachUserPolicy" => users::attach(call, form).await,
        "DetachUserPolicy" => users::detach(call, form).await,
        "ListAttachedUserPolicies" => users::list_attached(call, form).map(Some),
        "CreatePolicy" => policies::create(call, form).await.map(Some),
        "GetPolicy" => policies::get(call, form).map(Some),
        "ListEntitiesForPolicy" => policies::list_holders(call, form).map(Some),
        "CreatePolicyVersion" => versions::create(call, form).await.map(Some),
        "GetPolicyVersion" => versions::get(call, form).map(Some),
        "ListPolicyVersions" => versions::list(call, form).map(Some),
        "SetDefaultPolicyVersion" => versions::set_default(call, form).await,
        "DeletePolicyVersion" => versions::delete(call, form).await,
        "ListPolicies" => policies::list(call, form).map(Some),
        "DeletePolicy" => policies::delete(call, form).await,
        "TagUser" => tags::add(call, form, Tagged::User, &permission).await.map(|()| None),
        "TagRole" => tags::add(call, form, Tagged::Role, &permission).await.map(|()| None),
        "TagPolicy" => tags::add(call, form, Tagged::Policy, &permission).await.map(|()| None),
        "UntagUser" => tags::remove(call, form, Tagged::User, &permission).await.map(|()| None),
        "UntagRole" => tags::remove(call, form, Tagged::Role, &permission).await.map(|()| None),
        "UntagPolicy" => tags::remove(call, form, Tagged::Policy, &permission).await.map(|()| None),
        "ListUserTags" => tags::list(call, form, Tagged::User, &permission).map(Some),
        "ListRoleTags" => tags::list(call, form, Tagged::Role, &permission).map(Some),
        "ListPolicyTags" => tags::list(call, form, Tagged::Policy, &permission).map(Some),
        other => Err(Failure::unknown_action(other)),
    }
}

/// What is known of a request on something with these tags.
fn with_resource_tags(context: &Context, tags: &BTreeMap<String, String>) -> Context {
    let mut context = context.clone();
    context.describe_resource("iam", tags);
    context
}

/// What is known of a request that brings tags, or names them by their keys.
fn with_tag_keys<'a>(
    mut context: Context,
    tags: &BTreeMap<String, String>,
    keys: impl Iterator<Item = &'a String>,
) -> Context {
    for (key, value) in tags {
        context.set(&format!("aws:RequestTag/{key}"), value);
    }
    context.set_all("aws:TagKeys", keys.cloned());
    context
}

/// What is known of a request for a new user, role or policy. Bounds that it would not have are refused.
fn of_new(call: &Call<'_>, form: &Form) -> Result<Context, Failure> {
    if form.text("PermissionsBoundary").is_some() {
        return Err(Failure::invalid(
            "PermissionsBoundary is not supported: what it forbids has to be denied by a policy.",
        ));
    }
    let tags = form.tags();
    Ok(with_tag_keys(call.context.clone(), &tags, tags.keys()))
}

/// The policy document of a parameter.
fn document(form: &Form) -> Result<IdentityPolicy, Failure> {
    let text = form.required("PolicyDocument")?;
    IdentityPolicy::parse(text).map_err(|error| hearth_identity::IdentityError::from(error).into())
}
