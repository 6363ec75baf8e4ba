//! A slow and obvious evaluator of policies, written from IAM's public rules and not from ours: it reads the JSON anew at
//! each question, tries every possibility, and shares no code with what it is compared with.
//!
//! It knows the forms that `policy_agreement.rs` makes: times as `YYYY-MM-DDTHH:MM:SSZ`, IPv4, whole numbers.

use serde_json::Value;
use std::collections::BTreeMap;

/// A request: action, resource, and every key that is known, those of the caller too, in lower case.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) action: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) keys: &'a BTreeMap<String, Vec<String>>,
}

/// Deny wins wherever it stands. Otherwise every kind of policy that applies must allow: the caller's own, and those of the
/// session if it has any.
pub(crate) fn decide(asked: &Asked<'_>, own: &[Value], session: Option<&[Value]>) -> &'static str {
    if says(asked, own, "Deny") {
        "denied by the caller's policies"
    } else if session.is_some_and(|session| says(asked, session, "Deny")) {
        "denied by the session's policies"
    } else if session.is_some_and(|session| !says(asked, session, "Allow")) {
        "not allowed by the session's policies"
    } else if says(asked, own, "Allow") {
        "allowed"
    } else {
        "not allowed by the caller's policies"
    }
}

/// Whether a statement with this effect applies.
fn says(asked: &Asked<'_>, policies: &[Value], effect: &str) -> bool {
    let statements = policies.iter().flat_map(|policy| list(&policy["Statement"]));
    statements.into_iter().any(|statement| statement["Effect"] == effect && applies(asked, &statement))
}

fn applies(asked: &Asked<'_>, statement: &Value) -> bool {
    let action = |pattern: &Value| {
        let pattern = text(pattern).to_lowercase();
        like(&signs(&pattern), &letters(&asked.action.to_lowercase()))
    };
    let resource = |pattern: &Value| arn_like(&text(pattern), asked.resource, asked.keys);
    one_of(statement, "Action", action)
        && one_of(statement, "Resource", resource)
        && statement["Condition"].as_object().into_iter().flatten().all(|(operator, tests)| {
            tests
                .as_object()
                .expect("keys")
                .iter()
                .all(|(key, wanted)| holds(operator, key, wanted, asked.keys))
        })
}

/// Whether one of `name`'s patterns matches, or none of `Notname`'s.
fn one_of(statement: &Value, name: &str, matches: impl Fn(&Value) -> bool) -> bool {
    match statement.get(name) {
        Some(patterns) => list(patterns).iter().any(matches),
        None => !list(&statement[format!("Not{name}")]).iter().any(matches),
    }
}

fn holds(operator: &str, key: &str, wanted: &Value, keys: &BTreeMap<String, Vec<String>>) -> bool {
    let given = keys.get(&key.to_lowercase()).cloned().unwrap_or_default();
    let (quantifier, operator) = operator.split_once(':').unwrap_or(("", operator));
    let (operator, if_exists) = match operator.strip_suffix("IfExists") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    if operator == "Null" {
        return list(wanted).iter().any(|wanted| text(wanted) == given.is_empty().to_string());
    }
    if given.is_empty() {
        return match quantifier {
            "ForAllValues" => true,
            "ForAnyValue" => if_exists,
            _ => if_exists || operator.contains("Not"),
        };
    }
    // A negated operator is true of a value when its positive is true of it with none of the policy's values.
    let positive = operator.replace("NotEquals", "Equals").replace("NotLike", "Like").replace("NotIp", "Ip");
    let negated = positive != operator;
    let one = |given: &String| {
        list(wanted).iter().any(|wanted| compares(&positive, given, &text(wanted), keys)) != negated
    };
    match quantifier {
        "ForAllValues" => given.iter().all(one),
        "ForAnyValue" => given.iter().any(one),
        _ if negated => given.iter().all(one),
        _ => given.iter().any(one),
    }
}

fn compares(operator: &str, given: &str, wanted: &str, keys: &BTreeMap<String, Vec<String>>) -> bool {
    let number = |text: &str| text.parse::<i64>().ok();
    let ordered = |given: Option<i64>, wanted: Option<i64>, how: &str| match (given, wanted) {
        (Some(given), Some(wanted)) => match how {
            "Equals" => given == wanted,
            "LessThan" => given < wanted,
            "LessThanEquals" => given <= wanted,
            "GreaterThan" => given > wanted,
            "GreaterThanEquals" => given >= wanted,
            how => panic!("no order {how}"),
        },
        _ => false,
    };
    match operator {
        "StringEquals" => replaced(wanted, keys).is_some_and(|wanted| plain(&wanted) == given),
        "StringEqualsIgnoreCase" => {
            replaced(wanted, keys).is_some_and(|wanted| plain(&wanted).to_lowercase() == given.to_lowercase())
        }
        "StringLike" => replaced(wanted, keys).is_some_and(|wanted| like(&wanted, &letters(given))),
        "ArnEquals" | "ArnLike" => arn_like(wanted, given, keys),
        "Bool" => given.to_lowercase() == wanted.to_lowercase(),
        "IpAddress" => within(given, wanted),
        // Times of one form stand in the order of their digits.
        operator => match (operator.strip_prefix("Date"), operator.strip_prefix("Numeric")) {
            (Some(how), _) => ordered(instant(given), instant(wanted), how),
            (_, Some(how)) => ordered(number(given), number(wanted), how),
            _ => panic!("no operator {operator}"),
        },
    }
}

/// A time as a number that grows with it.
fn instant(text: &str) -> Option<i64> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    (text.ends_with('Z') && digits.len() == 14).then(|| digits.parse().ok()).flatten()
}

fn within(given: &str, wanted: &str) -> bool {
    let bits = |text: &str| -> Option<String> {
        let bytes = text.split('.').map(|part| part.parse::<u8>().ok()).collect::<Option<Vec<_>>>()?;
        (bytes.len() == 4).then(|| bytes.iter().map(|byte| format!("{byte:08b}")).collect())
    };
    let (network, length) = wanted.split_once('/').unwrap_or((wanted, "32"));
    let length: usize = length.parse().expect("a length");
    match (bits(given), bits(network)) {
        (Some(given), Some(network)) => given[..length] == network[..length],
        _ => false,
    }
}

/// A sign of a pattern.
#[derive(Clone, Copy, PartialEq)]
enum Sign {
    Letter(char),
    Any,
    Many,
}

fn letters(text: &str) -> Vec<char> {
    text.chars().collect()
}

fn signs(text: &str) -> Vec<Sign> {
    text.chars()
        .map(|c| match c {
            '*' => Sign::Many,
            '?' => Sign::Any,
            c => Sign::Letter(c),
        })
        .collect()
}

/// The text that a pattern is where nothing stands for anything else.
fn plain(pattern: &[Sign]) -> String {
    pattern
        .iter()
        .map(|sign| match sign {
            Sign::Letter(c) => *c,
            Sign::Any => '?',
            Sign::Many => '*',
        })
        .collect()
}

/// A pattern with its variables replaced by what they are, letter by letter; nothing if one is not known.
fn replaced(pattern: &str, keys: &BTreeMap<String, Vec<String>>) -> Option<Vec<Sign>> {
    let Some((before, rest)) = pattern.split_once("${") else { return Some(signs(pattern)) };
    let (variable, after) = rest.split_once('}').expect("closed");
    let value = match variable {
        "*" | "?" | "$" => variable.to_owned(),
        _ => {
            let (key, default) = match variable.split_once(',') {
                Some((key, default)) => (key, Some(default.trim().trim_matches('\'').to_owned())),
                None => (variable, None),
            };
            match keys.get(&key.to_lowercase()).map(Vec::as_slice) {
                Some([one]) => one.clone(),
                _ => default?,
            }
        }
    };
    let mut whole = signs(before);
    whole.extend(value.chars().map(Sign::Letter));
    whole.extend(replaced(after, keys)?);
    Some(whole)
}

fn like(pattern: &[Sign], text: &[char]) -> bool {
    match (pattern.first(), text.first()) {
        (None, None) => true,
        (None, Some(_)) => false,
        (Some(Sign::Many), _) => (0..=text.len()).any(|taken| like(&pattern[1..], &text[taken..])),
        (Some(_), None) => false,
        (Some(Sign::Any), Some(_)) => like(&pattern[1..], &text[1..]),
        (Some(Sign::Letter(a)), Some(b)) => a == b && like(&pattern[1..], &text[1..]),
    }
}

/// The six parts of an ARN are compared one by one; what is after the fifth colon is one part, and a part that the pattern
/// lacks may be anything.
fn arn_like(pattern: &str, arn: &str, keys: &BTreeMap<String, Vec<String>>) -> bool {
    if pattern == "*" {
        return true;
    }
    let mut parts = vec![String::new()];
    let mut in_variable = false;
    for c in pattern.chars() {
        in_variable = (in_variable || c == '{') && c != '}';
        if c == ':' && !in_variable && parts.len() < 6 {
            parts.push(String::new());
        } else {
            parts.last_mut().expect("one at least").push(c);
        }
    }
    parts.resize(6, "*".to_owned());
    let given: Vec<&str> = arn.splitn(6, ':').collect();
    parts.len() == given.len()
        && parts.iter().zip(given).all(|(pattern, given)| {
            replaced(pattern, keys).is_some_and(|pattern| like(&pattern, &letters(given)))
        })
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_else(|| vec![value.clone()])
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
