//! Who a request's key belongs to, and what they may do.

use crate::directory::Directory;
use crate::session::{SessionClaims, SessionPolicies, Subject};
use crate::{Context, Identity, IdentityError, KeyStatus, Role, SessionRequest, TemporaryCredentials};
use hearth_coordinator_core::policy::{
    Caller, Decision, PolicyDocument, Request, Source, TrustDecision, evaluate, evaluate_trust,
};
use hearth_types::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Who makes a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Principal {
    /// A user, by an access key of its own.
    User {
        /// Name.
        name: String,
        /// Unique id.
        id: String,
        /// ARN.
        arn: String,
        /// The key used.
        access_key_id: String,
    },
    /// A session of a role or a user, by temporary credentials.
    Session {
        /// What its token says.
        claims: SessionClaims,
        /// ARN: of a role, `arn:aws:sts::…:assumed-role/ROLE/SESSION`; of a user, the user's.
        arn: String,
    },
}

impl Principal {
    /// The ARN that STS reports.
    pub fn arn(&self) -> &str {
        match self {
            Self::User { arn, .. } | Self::Session { arn, .. } => arn,
        }
    }

    /// The unique id that STS reports: `AIDA…`, or `AROA…:SESSION`.
    pub fn user_id(&self) -> String {
        match self {
            Self::User { id, .. } => id.clone(),
            Self::Session { claims, .. } => match &claims.subject {
                Subject::Role { id, session_name, .. } => format!("{id}:{session_name}"),
                Subject::User { id, .. } => id.clone(),
            },
        }
    }

    /// The user's name, for users and their sessions.
    pub fn user_name(&self) -> Option<&str> {
        match self {
            Self::User { name, .. } => Some(name),
            Self::Session { claims, .. } => match &claims.subject {
                Subject::User { name, .. } => Some(name),
                Subject::Role { .. } => None,
            },
        }
    }
}

/// A principal and the secret its signature must have been made with.
#[derive(Clone, PartialEq)]
pub struct Authenticated {
    /// Who.
    pub principal: Principal,
    /// Their secret.
    pub secret_access_key: String,
}

impl fmt::Debug for Authenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticated").field("principal", &self.principal).finish_non_exhaustive()
    }
}

/// Why credentials are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// No such key, an inactive one, or one that does not go with its token.
    #[error("the access key is unknown")]
    Unknown,
    /// The session has run out.
    #[error("the session has run out")]
    Expired,
    /// The job run was launched anew, or has ended.
    #[error("the credentials belong to a launch that is not the current one")]
    Superseded,
}

/// A refusal, in AWS's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("User: {arn} is not authorized to perform: {action} on resource: {resource} {reason}")]
pub struct Denied {
    /// Who asked.
    pub arn: String,
    /// For which action.
    pub action: String,
    /// On which resource.
    pub resource: String,
    /// Why not.
    pub reason: String,
}

/// Why a service may not assume a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServiceRefused {
    /// There is no such role.
    #[error("the role does not exist")]
    NoSuchRole,
    /// The role's trust policy does not name the service.
    #[error("the role's trust policy does not trust the service")]
    NotTrusted,
}

impl Identity {
    /// Who an access key belongs to, and its secret. A temporary key needs its session token; a user's own key has none.
    pub fn secret_for(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
        now: Timestamp,
    ) -> Result<Authenticated, CredentialError> {
        if let Some(token) = session_token {
            let claims = self.verify_session(token, access_key_id, now)?;
            let arn = self.subject(&self.directory(), &claims).ok_or(CredentialError::Unknown)?.arn();
            let secret_access_key = self.vault.session_secret(access_key_id);
            return Ok(Authenticated { principal: Principal::Session { claims, arn }, secret_access_key });
        }
        let directory = self.directory();
        let (user, key) = directory.key(access_key_id).ok_or(CredentialError::Unknown)?;
        if key.status != KeyStatus::Active {
            return Err(CredentialError::Unknown);
        }
        let secret_access_key = self
            .vault
            .open_secret(access_key_id, &key.sealed_secret)
            .map_err(|_| CredentialError::Unknown)?;
        let principal = Principal::User {
            name: user.name.clone(),
            id: user.id.clone(),
            arn: user.arn(self.account_id()),
            access_key_id: access_key_id.to_owned(),
        };
        Ok(Authenticated { principal, secret_access_key })
    }

    /// The secret of an access key without its token, for a protocol that first verifies the signature and then
    /// presents both to [`Self::secret_for`]. `None` for unknown and inactive keys.
    pub fn secret_of_key(&self, access_key_id: &str) -> Option<String> {
        if access_key_id.starts_with("ASIA") {
            return Some(self.vault.session_secret(access_key_id));
        }
        let directory = self.directory();
        let (_, key) = directory.key(access_key_id)?;
        (key.status == KeyStatus::Active)
            .then(|| self.vault.open_secret(access_key_id, &key.sealed_secret).ok())
            .flatten()
    }

    /// Whether the principal may do `action` (such as `s3:GetObject`) to `resource` (an ARN, or `*`), under the
    /// policies as they are now and what is known of the request.
    pub fn authorize(
        &self,
        principal: &Principal,
        action: &str,
        resource: &str,
        context: &Context,
    ) -> Result<(), Denied> {
        judged(self.decide(principal, action, resource, context), principal, action, resource)
    }

    /// [`Self::authorize`] of a context without the resource's tags, which cost a look into the store; `None` where the
    /// principal's policies ask for them. They are the same policies that it is decided by, whoever changes them meanwhile.
    pub fn authorize_without_tags(
        &self,
        principal: &Principal,
        action: &str,
        resource: &str,
        context: &Context,
    ) -> Option<Result<(), Denied>> {
        let directory = self.directory();
        let (held, session) = policies_of(&directory, principal);
        let mut all = held.iter().chain(session.iter().flatten());
        if all.any(|policy| policy.asks_for_resource_tags()) {
            return None;
        }
        let decision = self.decide_under(&directory, principal, action, resource, context);
        Some(judged(decision, principal, action, resource))
    }

    fn decide(&self, principal: &Principal, action: &str, resource: &str, context: &Context) -> Decision {
        self.decide_under(&self.directory(), principal, action, resource, context)
    }

    fn decide_under(
        &self,
        directory: &Directory,
        principal: &Principal,
        action: &str,
        resource: &str,
        context: &Context,
    ) -> Decision {
        let nobody = Decision::ImplicitDeny(Source::Identity);
        let Some(caller) = self.caller(directory, principal) else { return nobody };
        let (held, session) = policies_of(directory, principal);
        let context = with_credentials(context.clone(), principal, self.account_id());
        let request = Request { caller: &caller, action, resource, context: &context };
        evaluate(&request, &held, session.as_deref())
    }

    /// Whether a service may assume the role: its trust policy names the service. The context may carry
    /// `aws:SourceAccount` and `aws:SourceArn`.
    pub fn can_assume_as_service(
        &self,
        role_arn: &str,
        service: &str,
        context: &Context,
    ) -> Result<Role, ServiceRefused> {
        let role = self.role_by_arn(role_arn).map_err(|_| ServiceRefused::NoSuchRole)?;
        let caller = Caller::Service { name: service.to_owned() };
        let request = Request { caller: &caller, action: "sts:AssumeRole", resource: role_arn, context };
        match evaluate_trust(&request, role.trust.document()) {
            TrustDecision::Allowed => Ok(role),
            TrustDecision::AllowedThroughAccount
            | TrustDecision::ExplicitDeny
            | TrustDecision::ImplicitDeny => Err(ServiceRefused::NotTrusted),
        }
    }

    /// Who a session of a role would be, to ask what it could do ([`Self::authorize`]). No credentials are made.
    pub fn imagined_session(
        &self,
        role: &Role,
        session_name: &str,
        policies: SessionPolicies,
        now: Timestamp,
    ) -> Option<Principal> {
        let subject = Subject::Role {
            name: role.name.clone(),
            id: role.id.clone(),
            session_name: session_name.to_owned(),
        };
        let access_key_id = String::new();
        let claims =
            SessionClaims { access_key_id, subject, policies, issued_at: now, expires_at: now, job: None };
        let arn = self.subject(&self.directory(), &claims)?.arn();
        Some(Principal::Session { claims, arn })
    }

    /// `sts:AssumeRole`: the role's trust policy and the caller's own policies must let them, and the session lasts no
    /// longer than the role allows. Returns the role with the credentials.
    pub fn assume_role(
        &self,
        principal: &Principal,
        role_arn: &str,
        request: SessionRequest,
        context: &Context,
        now: Timestamp,
    ) -> Result<(Role, TemporaryCredentials), IdentityError> {
        let refused = || {
            IdentityError::Denied(format!(
                "User: {} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
                principal.arn()
            ))
        };
        // Whether a role exists is told only to those it trusts.
        let role = self.role_by_arn(role_arn).map_err(|_| refused())?;
        let caller = self.caller(&self.directory(), principal).ok_or_else(refused)?;
        let mut context = with_credentials(context.clone(), principal, self.account_id());
        context.describe_resource("iam", &role.tags);
        let asked =
            Request { caller: &caller, action: "sts:AssumeRole", resource: role_arn, context: &context };
        let own = self.decide(principal, "sts:AssumeRole", role_arn, &context);
        let may = match evaluate_trust(&asked, role.trust.document()) {
            // Trust stands in for the caller's own policies. It lifts no denial, and no bound of the caller's session.
            TrustDecision::Allowed => {
                matches!(own, Decision::Allowed | Decision::ImplicitDeny(Source::Identity))
            }
            TrustDecision::AllowedThroughAccount => own.is_allowed(),
            TrustDecision::ExplicitDeny | TrustDecision::ImplicitDeny => false,
        };
        if !may {
            return Err(refused());
        }
        let chained = matches!(principal, Principal::Session { claims, .. } if matches!(claims.subject, Subject::Role { .. }));
        let limit = if chained { 3_600 } else { u64::from(role.max_session_seconds) };
        if request.ttl.as_secs() > limit {
            return Err(IdentityError::Invalid(if chained {
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
                    .to_owned()
            } else {
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.".to_owned()
            }));
        }
        let credentials = self.issue_session(SessionRequest { role: role.name.clone(), ..request }, now)?;
        Ok((role, credentials))
    }

    /// The principal for policy evaluation; `None` if the user or role is gone, or was made anew.
    fn caller(&self, directory: &Directory, principal: &Principal) -> Option<Caller> {
        match principal {
            Principal::Session { claims, .. } => self.subject(directory, claims),
            Principal::User { name, id, .. } => self.user_caller(directory, name, id),
        }
    }

    pub(crate) fn subject(&self, directory: &Directory, claims: &SessionClaims) -> Option<Caller> {
        match &claims.subject {
            Subject::User { name, id } => self.user_caller(directory, name, id),
            Subject::Role { name, id, session_name } => {
                let role = directory.role(name).filter(|role| role.id == *id)?;
                Some(Caller::AssumedRole {
                    account: self.account_id().to_owned(),
                    role_path: role.path.clone(),
                    role_name: role.name.clone(),
                    role_id: role.id.clone(),
                    session_name: session_name.clone(),
                    tags: role.tags.clone(),
                })
            }
        }
    }

    fn user_caller(&self, directory: &Directory, name: &str, id: &str) -> Option<Caller> {
        let user = directory.user(name).filter(|user| user.id == id)?;
        Some(Caller::User {
            account: self.account_id().to_owned(),
            path: user.path.clone(),
            name: user.name.clone(),
            id: user.id.clone(),
            tags: user.tags.clone(),
        })
    }
}

/// A decision as an answer, with AWS's words for a refusal.
fn judged(decision: Decision, principal: &Principal, action: &str, resource: &str) -> Result<(), Denied> {
    match decision.reason(action) {
        None => Ok(()),
        Some(reason) => Err(Denied {
            arn: principal.arn().to_owned(),
            action: action.to_owned(),
            resource: resource.to_owned(),
            reason,
        }),
    }
}

/// What conditions may ask of the credentials and of whose resources are asked for.
fn with_credentials(mut context: Context, principal: &Principal, account_id: &str) -> Context {
    context.set("aws:ResourceAccount", account_id);
    if let Principal::Session { claims, .. } = principal {
        context.set_all("aws:TokenIssueTime", crate::iso8601(claims.issued_at));
        // Temporary credentials say that no second factor was asked for; long-lived ones say nothing.
        context.set("aws:MultiFactorAuthPresent", "false");
    }
    context
}

/// The policies that a principal holds, and those of its session.
fn policies_of<'a>(
    directory: &'a Directory,
    principal: &'a Principal,
) -> (Vec<&'a PolicyDocument>, Option<Vec<&'a PolicyDocument>>) {
    match principal {
        Principal::User { name, .. } => (user_policies(directory, name), None),
        Principal::Session { claims, .. } => {
            let held = match &claims.subject {
                Subject::User { name, .. } => user_policies(directory, name),
                Subject::Role { name, .. } => directory
                    .role(name)
                    .map(|role| held(directory, &role.inline, &role.attached))
                    .unwrap_or_default(),
            };
            (held, session_policies(directory, &claims.policies))
        }
    }
}

fn user_policies<'a>(directory: &'a Directory, name: &str) -> Vec<&'a PolicyDocument> {
    directory.user(name).map(|user| held(directory, &user.inline, &user.attached)).unwrap_or_default()
}

fn held<'a>(
    directory: &'a Directory,
    inline: &'a BTreeMap<String, crate::IdentityPolicy>,
    attached: &BTreeSet<String>,
) -> Vec<&'a PolicyDocument> {
    let managed = attached.iter().filter_map(|arn| directory.policies.get(arn));
    inline
        .values()
        .map(crate::IdentityPolicy::document)
        .chain(managed.map(|kept| kept.value.policy.document()))
        .collect()
}

/// The session's own policies; `None` without any. A managed one that is gone allows nothing.
fn session_policies<'a>(
    directory: &'a Directory,
    policies: &'a SessionPolicies,
) -> Option<Vec<&'a PolicyDocument>> {
    if policies.is_empty() {
        return None;
    }
    let managed = policies.arns.iter().filter_map(|arn| directory.policies.get(arn));
    let inline = policies.inline.iter().map(crate::IdentityPolicy::document);
    Some(inline.chain(managed.map(|kept| kept.value.policy.document())).collect())
}
