//! Actions on the tags of users, roles and managed policies.

use super::{render, with_resource_tags, with_tag_keys};
use crate::query::{Call, Failure, Form, Xml};
use std::collections::{BTreeMap, BTreeSet};

/// What has tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tagged {
    User,
    Role,
    Policy,
}

impl Tagged {
    /// The name or ARN given, its ARN and its tags; what does not exist has none.
    fn find(self, call: &Call<'_>, form: &Form) -> Result<Owner, Failure> {
        let account = call.identity.account_id();
        let parameter = match self {
            Self::User => "UserName",
            Self::Role => "RoleName",
            Self::Policy => "PolicyArn",
        };
        let name = form.required(parameter)?.to_owned();
        let found = match self {
            Self::User => call.identity.user(&name).map(|user| (user.arn(account), user.tags)),
            Self::Role => call.identity.role(&name).map(|role| (role.arn(account), role.tags)),
            Self::Policy => call.identity.managed_policy(&name).map(|policy| (policy.arn, policy.tags)),
        };
        let (arn, tags) = found.unwrap_or_else(|_| (self.arn_of_none(&name, account), BTreeMap::new()));
        Ok(Owner { name, arn, tags })
    }

    fn arn_of_none(self, name: &str, account: &str) -> String {
        match self {
            Self::User => format!("arn:aws:iam::{account}:user/{name}"),
            Self::Role => format!("arn:aws:iam::{account}:role/{name}"),
            Self::Policy => name.to_owned(),
        }
    }
}

/// A user, a role or a managed policy.
struct Owner {
    /// How it is named in requests.
    name: String,
    arn: String,
    tags: BTreeMap<String, String>,
}

pub(super) async fn add(call: &Call<'_>, form: &Form, kind: Tagged, action: &str) -> Result<(), Failure> {
    let owner = kind.find(call, form)?;
    let tags = form.tags();
    let context = with_tag_keys(with_resource_tags(call.context, &owner.tags), &tags, tags.keys());
    call.authorize_knowing(action, &owner.arn, &context)?;
    match kind {
        Tagged::User => call.identity.tag_user(&owner.name, &tags).await?,
        Tagged::Role => call.identity.tag_role(&owner.name, &tags).await?,
        Tagged::Policy => call.identity.tag_policy(&owner.name, &tags).await?,
    }
    Ok(())
}

pub(super) async fn remove(call: &Call<'_>, form: &Form, kind: Tagged, action: &str) -> Result<(), Failure> {
    let owner = kind.find(call, form)?;
    let keys: BTreeSet<String> = form.list("TagKeys", "").into_iter().map(str::to_owned).collect();
    let context = with_tag_keys(with_resource_tags(call.context, &owner.tags), &BTreeMap::new(), keys.iter());
    call.authorize_knowing(action, &owner.arn, &context)?;
    match kind {
        Tagged::User => call.identity.untag_user(&owner.name, &keys).await?,
        Tagged::Role => call.identity.untag_role(&owner.name, &keys).await?,
        Tagged::Policy => call.identity.untag_policy(&owner.name, &keys).await?,
    }
    Ok(())
}

pub(super) fn list(call: &Call<'_>, form: &Form, kind: Tagged, action: &str) -> Result<Xml, Failure> {
    let owner = kind.find(call, form)?;
    call.authorize_knowing(action, &owner.arn, &with_resource_tags(call.context, &owner.tags))?;
    // Whether it exists is said only to those who may ask.
    match kind {
        Tagged::User => drop(call.identity.user(&owner.name)?),
        Tagged::Role => drop(call.identity.role(&owner.name)?),
        Tagged::Policy => drop(call.identity.managed_policy(&owner.name)?),
    }
    let tags = owner.tags.iter().collect();
    render::page("Tags", tags, form, |(key, _)| (*key).clone(), |(key, value)| render::tag(key, value))
}
