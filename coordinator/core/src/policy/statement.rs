//! One statement of a policy.

use super::condition::Condition;
use super::json::texts;
use super::pattern::{ArnPattern, Case, Pattern, Syntax, is_arn};
use super::principal::{Coverage, Principals};
use super::{Caller, Context, MalformedPolicy, PolicyKind};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// What a statement that applies does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

/// A list that names what is meant, or what is not (`Not…`).
#[derive(Debug, Clone, PartialEq)]
struct Selection<T> {
    inverted: bool,
    items: T,
}

/// One statement, read once.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    pub(super) sid: Option<String>,
    pub(super) effect: Effect,
    principals: Option<Selection<Principals>>,
    actions: Selection<Vec<Pattern>>,
    resources: Option<Selection<Vec<ArnPattern>>>,
    conditions: Vec<Condition>,
}

impl Statement {
    /// Reads a statement of a policy of the given kind; `variables` says whether its version has them.
    pub(super) fn parse(value: &Value, kind: PolicyKind, variables: bool) -> Result<Self, MalformedPolicy> {
        let members = value.as_object().ok_or(MalformedPolicy::Syntax)?;
        const ELEMENTS: [&str; 9] = [
            "Sid",
            "Effect",
            "Principal",
            "NotPrincipal",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
        ];
        if members.keys().any(|name| !ELEMENTS.contains(&name.as_str())) {
            return Err(MalformedPolicy::Syntax);
        }
        let effect = match members.get("Effect").and_then(Value::as_str) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => return Err(MalformedPolicy::Syntax),
        };
        Ok(Self {
            sid: sid(members)?,
            effect,
            principals: principals(members, kind)?,
            actions: actions(members, kind, effect)?,
            resources: resources(members, kind, variables)?,
            conditions: match members.get("Condition") {
                Some(element) => Condition::parse_all(element, variables)?,
                None => Vec::new(),
            },
        })
    }

    /// Whether action, resource and conditions of the statement are the request's. `context` describes the caller too.
    pub(super) fn applies(&self, action: &str, resource: &str, context: &Context) -> bool {
        let action_named =
            self.actions.items.iter().any(|pattern| pattern.matches(action, context, Case::Insensitive));
        let resource_named = |wanted: &Selection<Vec<ArnPattern>>| {
            wanted.items.iter().any(|pattern| pattern.matches(resource, context)) != wanted.inverted
        };
        action_named != self.actions.inverted
            && self.resources.as_ref().is_none_or(resource_named)
            && self.conditions.iter().all(|condition| condition.holds(context))
    }

    /// How the statement's principals cover `caller`.
    pub(super) fn covers(&self, caller: &Caller) -> Coverage {
        match &self.principals {
            None => Coverage::None,
            Some(Selection { inverted: false, items }) => items.covers(caller),
            // A caller is excepted by what names it. Its account alone neither excepts it from a denial nor lets it have
            // what all others are allowed.
            Some(Selection { inverted: true, items }) => match (items.covers(caller), self.effect) {
                (Coverage::None, _) | (Coverage::Account, Effect::Deny) => Coverage::Direct,
                (Coverage::Account, Effect::Allow) | (Coverage::Direct, _) => Coverage::None,
            },
        }
    }
}

/// The one of two elements that is given, and whether it is the inverting one; both together are refused.
fn either<'a>(
    members: &'a Map<String, Value>,
    plain: &str,
    inverting: &str,
) -> Result<Option<Selection<&'a Value>>, MalformedPolicy> {
    match (members.get(plain), members.get(inverting)) {
        (None, None) => Ok(None),
        (Some(items), None) => Ok(Some(Selection { inverted: false, items })),
        (None, Some(items)) => Ok(Some(Selection { inverted: true, items })),
        (Some(_), Some(_)) => Err(MalformedPolicy::Syntax),
    }
}

fn sid(members: &Map<String, Value>) -> Result<Option<String>, MalformedPolicy> {
    let Some(value) = members.get("Sid") else { return Ok(None) };
    let text = value.as_str().ok_or(MalformedPolicy::Syntax)?;
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(MalformedPolicy::Sid);
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn principals(
    members: &Map<String, Value>,
    kind: PolicyKind,
) -> Result<Option<Selection<Principals>>, MalformedPolicy> {
    match (either(members, "Principal", "NotPrincipal")?, kind) {
        (None, PolicyKind::Identity) => Ok(None),
        (Some(_), PolicyKind::Identity) => Err(MalformedPolicy::PrincipalGiven),
        (None, PolicyKind::Trust) => Err(MalformedPolicy::NoPrincipals),
        (Some(Selection { inverted, items }), PolicyKind::Trust) => {
            Ok(Some(Selection { inverted, items: Principals::parse(items)? }))
        }
    }
}

fn actions(
    members: &Map<String, Value>,
    kind: PolicyKind,
    effect: Effect,
) -> Result<Selection<Vec<Pattern>>, MalformedPolicy> {
    let given = either(members, "Action", "NotAction")?.ok_or(MalformedPolicy::NoActions)?;
    let names = texts(given.items)?;
    if names.is_empty() {
        return Err(MalformedPolicy::NoActions);
    }
    if kind == PolicyKind::Trust && !names.iter().all(|name| name.to_ascii_lowercase().starts_with("sts:")) {
        return Err(MalformedPolicy::NotSts);
    }
    // In an allowing list an entry without a service grants nothing and is passed over; where passing it over would widen
    // what is allowed, it is refused.
    let is_lenient = effect == Effect::Allow && !given.inverted;
    let mut items = Vec::new();
    for name in names {
        let name = as_meant(name);
        if name == "*" || name.contains(':') {
            // Actions hold no variables.
            items.push(Pattern::parse(&name, Syntax { wildcards: true, variables: false }));
        } else if !is_lenient {
            return Err(MalformedPolicy::NoVendor);
        }
    }
    Ok(Selection { inverted: given.inverted, items })
}

/// An action as it can only be meant. The guide prints `emr-serverless>DeleteApplication` (guide:7826) and
/// `iam: UpdateRoleDescription` (guide:7656) where services and actions are to be joined by a colon, and people paste them.
fn as_meant(name: &str) -> Cow<'_, str> {
    match name.split_once([':', '>']) {
        Some((service, action)) => Cow::Owned(format!("{service}:{}", action.trim_start())),
        None => Cow::Borrowed(name),
    }
}

fn resources(
    members: &Map<String, Value>,
    kind: PolicyKind,
    variables: bool,
) -> Result<Option<Selection<Vec<ArnPattern>>>, MalformedPolicy> {
    let given = match (either(members, "Resource", "NotResource")?, kind) {
        (Some(given), PolicyKind::Identity) => given,
        (None, PolicyKind::Identity) => return Err(MalformedPolicy::NoResources),
        (None, PolicyKind::Trust) => return Ok(None),
        (Some(_), PolicyKind::Trust) => return Err(MalformedPolicy::ResourceGiven),
    };
    let names = texts(given.items)?;
    if names.is_empty() {
        return Err(MalformedPolicy::NoResources);
    }
    if let Some(other) = names.iter().find(|name| !is_arn(name)) {
        return Err(MalformedPolicy::NotAnArn((*other).to_owned()));
    }
    let items = names.into_iter().map(|name| ArnPattern::parse(name, variables)).collect();
    Ok(Some(Selection { inverted: given.inverted, items }))
}
