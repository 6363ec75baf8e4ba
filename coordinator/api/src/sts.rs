//! The `sts` subset: who am I, and temporary credentials.

use crate::query::{Call, Failure, Form, Xml};
use hearth_identity::{
    IdentityPolicy, Principal, SessionPolicies, SessionRequest, TemporaryCredentials, iso8601,
};
use http::StatusCode;
use std::time::Duration;

/// Carries out an action.
pub(crate) fn answer(call: &Call<'_>, action: &str, form: &Form) -> Result<Option<Xml>, Failure> {
    match action {
        "GetCallerIdentity" => Ok(Some(Xml::members([
            ("Arn", Xml::text(call.principal.arn())),
            ("UserId", Xml::text(call.principal.user_id())),
            ("Account", Xml::text(call.identity.account_id())),
        ]))),
        "AssumeRole" => assume_role(call, form).map(Some),
        "GetAccessKeyInfo" => {
            call.identity.last_use(form.required("AccessKeyId")?)?;
            Ok(Some(Xml::members([("Account", Xml::text(call.identity.account_id()))])))
        }
        "GetSessionToken" => get_session_token(call, form).map(Some),
        other => Err(Failure::unknown_action(other)),
    }
}

/// Longest inline session policy, in characters.
const MAX_SESSION_POLICY: usize = 2_048;

/// Refuses parameters that would change what a session is if they counted.
fn refuse(form: &Form, parameters: &[&str]) -> Result<(), Failure> {
    match parameters.iter().find(|name| form.text(name).is_some()) {
        None => Ok(()),
        Some(name) => Err(Failure::invalid(format!(
            "The parameter {} is not supported.",
            name.split('.').next().unwrap_or(name)
        ))),
    }
}

fn assume_role(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    let without =
        ["Tags.member.1.Key", "TransitiveTagKeys.member.1", "SourceIdentity", "SerialNumber", "TokenCode"];
    refuse(form, &without)?;
    let role_arn = form.required("RoleArn")?;
    let session_name = form.required("RoleSessionName")?;
    if session_name.len() < 2 {
        return Err(Failure::invalid("RoleSessionName must have length greater than or equal to 2."));
    }
    let seconds = form.number("DurationSeconds", 3_600, 900, 43_200)?;
    if form.text("Policy").is_some_and(|text| text.chars().count() > MAX_SESSION_POLICY) {
        return Err(Failure::invalid(format!(
            "1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must have length less \
             than or equal to {MAX_SESSION_POLICY}"
        )));
    }
    let inline = form.text("Policy").map(IdentityPolicy::parse).transpose().map_err(|error| {
        Failure::new(StatusCode::BAD_REQUEST, "MalformedPolicyDocument", error.to_string())
    })?;
    let arns = form.list("PolicyArns", "arn").into_iter().map(str::to_owned).collect();
    let request = SessionRequest {
        role: String::new(),
        session_name: session_name.to_owned(),
        policies: SessionPolicies { inline, arns },
        ttl: Duration::from_secs(u64::from(seconds)),
        job: None,
    };
    let mut context = call.context.clone().with("sts:RoleSessionName", session_name);
    if let Some(external) = form.text("ExternalId") {
        context.set("sts:ExternalId", external);
    }
    let (role, made) = call.identity.assume_role(call.principal, role_arn, request, &context, call.now)?;
    let account = call.identity.account_id();
    let arn = format!("arn:aws:sts::{account}:assumed-role/{}/{session_name}", role.name);
    let user = Xml::members([
        ("AssumedRoleId", Xml::text(format!("{}:{session_name}", role.id))),
        ("Arn", Xml::text(arn)),
    ]);
    Ok(Xml::members([("AssumedRoleUser", user), ("Credentials", credentials(&made))]))
}

fn get_session_token(call: &Call<'_>, form: &Form) -> Result<Xml, Failure> {
    refuse(form, &["SerialNumber", "TokenCode"])?;
    let seconds = form.number("DurationSeconds", 43_200, 900, 129_600)?;
    let name = match call.principal {
        Principal::User { name, .. } => name,
        Principal::Session { .. } => {
            let message = "Cannot call GetSessionToken with session credentials";
            return Err(Failure::new(StatusCode::FORBIDDEN, "AccessDenied", message));
        }
    };
    let ttl = Duration::from_secs(u64::from(seconds));
    let made = call.identity.issue_user_session(name, ttl, call.now)?;
    Ok(Xml::members([("Credentials", credentials(&made))]))
}

fn credentials(made: &TemporaryCredentials) -> Xml {
    Xml::members([
        ("AccessKeyId", Xml::text(&made.access_key_id)),
        ("SecretAccessKey", Xml::text(&made.secret_access_key)),
        ("SessionToken", Xml::text(&made.session_token)),
        ("Expiration", Xml::text(iso8601(made.expires_at).unwrap_or_default())),
    ])
}
