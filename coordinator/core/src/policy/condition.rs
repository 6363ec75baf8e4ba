//! The `Condition` element.

use super::operand::{Operand, Test, operator, refused};
use super::{Context, MalformedPolicy};
use serde_json::Value;

/// How an operator treats a key with several values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    /// `ForAllValues:` — every value of the request satisfies it; so does none at all.
    All,
    /// `ForAnyValue:` — at least one does.
    Any,
}

/// One operator applied to one key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    key: String,
    test: Test,
    negated: bool,
    if_exists: bool,
    quantifier: Option<Quantifier>,
    operands: Vec<Operand>,
}

impl Condition {
    /// Reads a whole `Condition` element: every condition must hold.
    pub(super) fn parse_all(element: &Value, variables: bool) -> Result<Vec<Self>, MalformedPolicy> {
        let mut conditions = Vec::new();
        for (name, keys) in element.as_object().ok_or(MalformedPolicy::Syntax)? {
            for (key, values) in keys.as_object().ok_or(MalformedPolicy::Syntax)? {
                conditions.push(Self::parse(name, key, values, variables)?);
            }
        }
        Ok(conditions)
    }

    fn parse(name: &str, key: &str, values: &Value, variables: bool) -> Result<Self, MalformedPolicy> {
        let unknown = || MalformedPolicy::Operator(name.to_owned());
        let (quantifier, rest) = match name.split_once(':') {
            None => (None, name),
            Some(("ForAllValues", rest)) => (Some(Quantifier::All), rest),
            Some(("ForAnyValue", rest)) => (Some(Quantifier::Any), rest),
            Some(_) => return Err(unknown()),
        };
        let (base, if_exists) = match rest.strip_suffix("IfExists") {
            Some(base) => (base, true),
            None => (rest, false),
        };
        let (test, negated) = operator(base).ok_or_else(unknown)?;
        if test == Test::Null && (if_exists || quantifier.is_some()) {
            return Err(unknown());
        }
        if !key.contains(':') {
            return Err(MalformedPolicy::NoVendor);
        }
        let operands = scalars(values)?
            .into_iter()
            .map(|text| Operand::parse(test, &text, variables).ok_or_else(|| refused(name, &text)))
            .collect::<Result<_, _>>()?;
        Ok(Self { key: key.to_owned(), test, negated, if_exists, quantifier, operands })
    }

    /// Whether the condition holds.
    ///
    /// A key the request lacks satisfies negated operators, `…IfExists` and `ForAllValues:`, and no other.
    pub(super) fn holds(&self, context: &Context) -> bool {
        let values = context.values(&self.key);
        if self.test == Test::Null {
            return self.operands.contains(&Operand::Bool(values.is_empty()));
        }
        if values.is_empty() {
            return match self.quantifier {
                Some(Quantifier::All) => true,
                Some(Quantifier::Any) => self.if_exists,
                None => self.if_exists || self.negated,
            };
        }
        let accepted = |value: &String| self.operands.iter().any(|wanted| wanted.accepts(value, context));
        match self.quantifier {
            Some(Quantifier::All) => values.iter().all(|value| accepted(value) != self.negated),
            Some(Quantifier::Any) => values.iter().any(|value| accepted(value) != self.negated),
            None => values.iter().any(accepted) != self.negated,
        }
    }
}

/// The values of a condition key as texts: one or a list, of texts, numbers and booleans.
fn scalars(values: &Value) -> Result<Vec<String>, MalformedPolicy> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(MalformedPolicy::Syntax),
    };
    match values {
        Value::Array(items) => items.iter().map(one).collect(),
        single => Ok(vec![one(single)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(element: Value, context: &Context) -> bool {
        Condition::parse_all(&element, true).expect("valid").iter().all(|condition| condition.holds(context))
    }

    #[test]
    fn keys_are_joined_by_and_and_values_by_or() {
        let context = Context::new().with("aws:RequestTag/team", "a").with("aws:SecureTransport", "true");
        for (element, expected) in [
            (json!({"StringEquals": {"aws:requesttag/TEAM": ["b", "a"]}}), true),
            (
                json!({"StringEquals": {"aws:RequestTag/team": "a"}, "Bool": {"aws:SecureTransport": true}}),
                true,
            ),
            (json!({"StringEquals": {"aws:RequestTag/team": "a", "aws:RequestTag/x": "a"}}), false),
            (json!({"StringNotEquals": {"aws:RequestTag/team": ["b", "a"]}}), false),
            (json!({"StringNotEquals": {"aws:RequestTag/team": ["b", "c"]}}), true),
            (json!({}), true),
        ] {
            assert_eq!(holds(element.clone(), &context), expected, "{element}");
        }
    }

    #[test]
    fn an_absent_key_satisfies_only_what_says_so() {
        let context = Context::new();
        for (element, expected) in [
            (json!({"StringEquals": {"aws:x": "a"}}), false),
            (json!({"StringNotEquals": {"aws:x": "a"}}), true),
            (json!({"StringEqualsIfExists": {"aws:x": "a"}}), true),
            (json!({"ForAllValues:StringEquals": {"aws:x": "a"}}), true),
            (json!({"ForAnyValue:StringEquals": {"aws:x": "a"}}), false),
            (json!({"ForAnyValue:StringNotEquals": {"aws:x": "a"}}), false),
            (json!({"Null": {"aws:x": "true"}}), true),
            (json!({"Null": {"aws:x": false}}), false),
        ] {
            assert_eq!(holds(element.clone(), &context), expected, "{element}");
        }
    }

    #[test]
    fn several_values_are_quantified() {
        let mut context = Context::new();
        context.set_all("aws:TagKeys", ["a".to_owned(), "b".to_owned()]);
        for (element, expected) in [
            (json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b", "c"]}}), true),
            (json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}), false),
            (json!({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}), true),
            (json!({"ForAnyValue:StringEquals": {"aws:TagKeys": ["c"]}}), false),
            (json!({"ForAllValues:StringNotEquals": {"aws:TagKeys": ["a"]}}), false),
            (json!({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["a"]}}), true),
            (json!({"Null": {"aws:TagKeys": "false"}}), true),
        ] {
            assert_eq!(holds(element.clone(), &context), expected, "{element}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for element in [
            json!([]),
            json!({"StringEquals": "a"}),
            json!({"Equals": {"aws:x": "a"}}),
            json!({"ForSomeValues:StringEquals": {"aws:x": "a"}}),
            json!({"NullIfExists": {"aws:x": "true"}}),
            json!({"StringEquals": {"x": "a"}}),
            json!({"StringEquals": {"aws:x": null}}),
            json!({"NumericEquals": {"aws:x": "one"}}),
        ] {
            assert!(Condition::parse_all(&element, true).is_err(), "{element}");
        }
    }
}
