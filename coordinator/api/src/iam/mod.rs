//! The `iam` subset: users, access keys, roles and policies.

mod policies;
mod render;
mod roles;
mod users;

use crate::query::{Call, Failure, Form, Xml};
use hearth_identity::IdentityPolicy;

/// Carries out an action. Each is authorised as `iam:` and its name, on the ARN of what it touches.
pub(crate) async fn answer(call: &Call<'_>, action: &str, form: &Form) -> Result<Option<Xml>, Failure> {
    match action {
        "CreateRole" => roles::create(call, form).await.map(Some),
        "GetRole" => roles::get(call, form).map(Some),
        "ListRoles" => roles::list(call, form).map(Some),
        "DeleteRole" => roles::delete(call, form).await,
        "UpdateAssumeRolePolicy" => roles::update_trust(call, form).await,
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
        "PutUserPolicy" => users::put_policy(call, form).await,
        "GetUserPolicy" => users::get_policy(call, form).map(Some),
        "ListUserPolicies" => users::list_policies(call, form).map(Some),
        "DeleteUserPolicy" => users::delete_policy(call, form).await,
        "AttachUserPolicy" => users::attach(call, form).await,
        "DetachUserPolicy" => users::detach(call, form).await,
        "ListAttachedUserPolicies" => users::list_attached(call, form).map(Some),
        "CreatePolicy" => policies::create(call, form).await.map(Some),
        "GetPolicy" => policies::get(call, form).map(Some),
        "GetPolicyVersion" => policies::get_version(call, form).map(Some),
        "ListPolicyVersions" => policies::list_versions(call, form).map(Some),
        "ListPolicies" => policies::list(call, form).map(Some),
        "DeletePolicy" => policies::delete(call, form).await,
        other => Err(Failure::unknown_action(other)),
    }
}

/// The policy document of a parameter.
fn document(form: &Form) -> Result<IdentityPolicy, Failure> {
    let text = form.required("PolicyDocument")?;
    IdentityPolicy::parse(text).map_err(|error| hearth_identity::IdentityError::from(error).into())
}
