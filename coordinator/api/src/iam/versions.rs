//! Actions on the versions of managed policies.

use super::policies::authorized;
use super::{document, render};
use crate::query::{Call, Failure, Form, Xml};
use hearth_identity::{InForce, ManagedPolicy, PolicyVersion};

type Done = Result<Option<Xml>, Failure>;

pub(super) async fn create(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let policy = authorized(call, form, "iam:CreatePolicyVersion")?;
    let in_force = if form.is_true("SetAsDefault") { InForce::Yes } else { InForce::No };
    let made = call.identity.create_policy_version(&policy.arn, document(form)?, in_force, call.now).await?;
    Ok(Xml::members([("PolicyVersion", shown(&made, in_force))]))
}

pub(super) fn get(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let policy = authorized(call, form, "iam:GetPolicyVersion")?;
    let version = policy.version(form.required("VersionId")?)?;
    let document = Some(render::document(version.policy.text()));
    Ok(Xml::members([(
        "PolicyVersion",
        shown(&version, is_in_force(&policy, &version)).with("Document", document),
    )]))
}

pub(super) fn list(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let policy = authorized(call, form, "iam:ListPolicyVersions")?;
    let versions = policy.versions();
    let versions = versions.iter().map(|version| shown(version, is_in_force(&policy, version)));
    Ok(Xml::members([("IsTruncated", Xml::text("false")), ("Versions", Xml::list(versions))]))
}

pub(super) async fn set_default(call: &Call<'_>, form: &Form) -> Done {
    let policy = authorized(call, form, "iam:SetDefaultPolicyVersion")?;
    call.identity.set_default_policy_version(&policy.arn, form.required("VersionId")?).await?;
    Ok(None)
}

pub(super) async fn delete(call: &Call<'_>, form: &Form) -> Done {
    let policy = authorized(call, form, "iam:DeletePolicyVersion")?;
    call.identity.delete_policy_version(&policy.arn, form.required("VersionId")?).await?;
    Ok(None)
}

fn is_in_force(policy: &ManagedPolicy, version: &PolicyVersion) -> InForce {
    if policy.default_version().number == version.number { InForce::Yes } else { InForce::No }
}

fn shown(version: &PolicyVersion, in_force: InForce) -> Xml {
    Xml::members([
        ("VersionId", Xml::text(render::version_id(version))),
        ("IsDefaultVersion", Xml::text((in_force == InForce::Yes).to_string())),
        ("CreateDate", render::date(version.created_at)),
    ])
}
