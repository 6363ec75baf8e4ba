//! Decides requests, in IAM's order: an explicit deny anywhere, then the session's policies as a bound, then the
//! identity's own allow; what nobody allows is denied.

use super::principal::Coverage;
use super::statement::Effect;
use super::{Caller, Context, PolicyDocument};

/// One request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// `service:Operation`, such as `s3:GetObject`.
    pub action: &'a str,
    /// The resource's ARN, or `*` for operations without one.
    pub resource: &'a str,
    /// Further condition keys. Those that describe the caller are added.
    pub context: &'a Context,
}

/// Which policies decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The caller's own.
    Identity,
    /// Those given when the session was made.
    Session,
}

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may be done.
    Allowed,
    /// A statement denies it.
    ExplicitDeny(Source),
    /// No statement allows it.
    ImplicitDeny(Source),
}

impl Decision {
    /// Whether the request may be done.
    pub fn is_allowed(self) -> bool {
        self == Self::Allowed
    }

    /// The second half of the service's `AccessDeniedException` text, after "is not authorized to perform: `action`
    /// on resource: …"; `None` when it is allowed.
    pub fn reason(self, action: &str) -> Option<String> {
        let policies = |source| match source {
            Source::Identity => "identity-based",
            Source::Session => "session",
        };
        match self {
            Self::Allowed => None,
            Self::ExplicitDeny(Source::Identity) => {
                Some("with an explicit deny in an identity-based policy".to_owned())
            }
            Self::ExplicitDeny(Source::Session) => {
                Some("with an explicit deny in a session policy".to_owned())
            }
            Self::ImplicitDeny(source) => {
                Some(format!("because no {} policy allows the {action} action", policies(source)))
            }
        }
    }
}

/// What a role's trust policy says to a request to assume it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustDecision {
    /// The caller is trusted by name.
    Allowed,
    /// The caller's account is trusted: the caller's own policies must allow the action on the role as well.
    AllowedThroughAccount,
    /// A statement denies it.
    ExplicitDeny,
    /// No statement trusts the caller.
    ImplicitDeny,
}

/// Decides `request` under the caller's `identity` policies.
///
/// `session` policies, when there are any, bound what the identity policies allow: both must allow. `None` is a session
/// without policies, while an empty slice bounds it to nothing.
pub fn evaluate(
    request: &Request<'_>,
    identity: &[&PolicyDocument],
    session: Option<&[&PolicyDocument]>,
) -> Decision {
    let context = described(request);
    let effects = |policies: &[&PolicyDocument]| {
        let mut found = Found::default();
        for statement in policies.iter().flat_map(|policy| &policy.statements) {
            if statement.applies(request.action, request.resource, &context) {
                found.note(statement.effect);
            }
        }
        found
    };
    let by_identity = effects(identity);
    let by_session = session.map(effects);
    if by_identity.denies {
        Decision::ExplicitDeny(Source::Identity)
    } else if by_session.is_some_and(|found| found.denies) {
        Decision::ExplicitDeny(Source::Session)
    } else if by_session.is_some_and(|found| !found.allows) {
        Decision::ImplicitDeny(Source::Session)
    } else if by_identity.allows {
        Decision::Allowed
    } else {
        Decision::ImplicitDeny(Source::Identity)
    }
}

/// Decides whether a role's `trust` policy lets the caller assume it. `request.resource` is the role's ARN.
pub fn evaluate_trust(request: &Request<'_>, trust: &PolicyDocument) -> TrustDecision {
    let context = described(request);
    let mut widest = Coverage::None;
    for statement in &trust.statements {
        let coverage = statement.covers(request.caller);
        if coverage == Coverage::None || !statement.applies(request.action, request.resource, &context) {
            continue;
        }
        match statement.effect {
            Effect::Deny => return TrustDecision::ExplicitDeny,
            Effect::Allow => widest = widest.max(coverage),
        }
    }
    match widest {
        Coverage::None => TrustDecision::ImplicitDeny,
        Coverage::Account => TrustDecision::AllowedThroughAccount,
        Coverage::Direct => TrustDecision::Allowed,
    }
}

/// What the statements that apply do.
#[derive(Clone, Copy, Default)]
struct Found {
    allows: bool,
    denies: bool,
}

impl Found {
    fn note(&mut self, effect: Effect) {
        match effect {
            Effect::Allow => self.allows = true,
            Effect::Deny => self.denies = true,
        }
    }
}

fn described(request: &Request<'_>) -> Context {
    let mut context = request.context.clone();
    request.caller.describe(&mut context);
    context
}
