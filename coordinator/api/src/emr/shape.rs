//! Checking a request against the service model's constraints, with the service's own words.
//!
//! A request's path, query and body members are gathered into one JSON object and checked here, all faults at once,
//! before it becomes a typed structure. First every type must fit ([`NotOfType`]); then values are judged ([`faults`]).

use regex::Regex;
use serde_json::{Map, Value};
use std::sync::OnceLock;

/// A shape of the model.
pub(super) enum Shape {
    /// A text.
    Text(Text),
    /// One of these texts.
    Enum(&'static [&'static str]),
    /// A whole number from, to.
    Integer(i64, i64),
    /// True or false.
    Boolean,
    /// Seconds since the epoch, with a fraction.
    Timestamp,
    /// Members of a shape; fewest and most.
    List(&'static Shape, usize, usize),
    /// Keys and values; fewest and most.
    Map(&'static Shape, &'static Shape, usize, usize),
    /// Named members.
    Structure(&'static [Member]),
    /// Named members of which exactly one is set.
    Union(&'static [Member]),
}

/// A member of a structure.
pub(super) struct Member {
    name: &'static str,
    shape: &'static Shape,
    is_required: bool,
}

/// A member that must be set.
pub(super) const fn required(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, shape, is_required: true }
}

/// A member that may be absent.
pub(super) const fn optional(name: &'static str, shape: &'static Shape) -> Member {
    Member { name, shape, is_required: false }
}

/// Constraints on a text.
pub(super) struct Text {
    min: usize,
    max: usize,
    pattern: Option<&'static str>,
    compiled: OnceLock<Regex>,
    is_sensitive: bool,
}

impl Text {
    /// A text of so many UTF-16 units, as the service counts.
    pub(super) const fn new(min: usize, max: usize) -> Self {
        Self { min, max, pattern: None, compiled: OnceLock::new(), is_sensitive: false }
    }

    /// It must match as a whole.
    pub(super) const fn matching(mut self, pattern: &'static str) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// Messages must not show it.
    pub(super) const fn sensitive(mut self) -> Self {
        self.is_sensitive = true;
        self
    }

    fn mismatch(&self, value: &str) -> Option<&'static str> {
        self.pattern.filter(|pattern| !self.compiled.get_or_init(|| compile(pattern)).is_match(value))
    }
}

/// The model's patterns are Java's, where these classes are ASCII. Blank lines inside a value are allowed (`(?s)`): the
/// reference guide's own multi-line parameters and queries need it.
fn compile(pattern: &str) -> Regex {
    let ascii =
        pattern.replace(r"\d", "[0-9]").replace(r"\w", "[0-9A-Za-z_]").replace(r"\s", r"[ \t\n\x0B\f\r]");
    Regex::new(&format!("(?s)^(?:{ascii})$")).expect("the model's patterns compile")
}

/// A value has another JSON type than its shape. The message is the service's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotOfType(String);

impl Shape {
    /// Makes sure that every value has its shape's type. Members that are null count as absent and go; unknown ones go.
    pub(super) fn fit(&self, value: Value) -> Result<Value, NotOfType> {
        match (self, value) {
            (Self::Text(_) | Self::Enum(_), value @ Value::String(_)) => Ok(value),
            (Self::Boolean, value @ Value::Bool(_)) => Ok(value),
            (Self::Integer(..), value) if value.is_i64() || value.is_u64() => Ok(value),
            (Self::Timestamp, value @ Value::Number(_)) => Ok(value),
            (Self::List(member, ..), Value::Array(items)) => {
                items.into_iter().map(|item| member.fit(item)).collect::<Result<_, _>>().map(Value::Array)
            }
            (Self::Map(_, of, ..), Value::Object(entries)) => entries
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| Ok((key, of.fit(value)?)))
                .collect::<Result<Map<_, _>, _>>()
                .map(Value::Object),
            (Self::Structure(members) | Self::Union(members), Value::Object(mut given)) => {
                let mut kept = Map::new();
                for member in *members {
                    if let Some(value) = given.remove(member.name).filter(|value| !value.is_null()) {
                        kept.insert(member.name.to_owned(), member.shape.fit(value)?);
                    }
                }
                Ok(Value::Object(kept))
            }
            (shape, value) => Err(shape.not_of_type(&value)),
        }
    }

    fn not_of_type(&self, value: &Value) -> NotOfType {
        let wanted = match self {
            Self::Text(_) | Self::Enum(_) => "a String",
            Self::Integer(..) => "an Integer",
            Self::Boolean => "a Boolean",
            Self::Timestamp => "a Timestamp",
            Self::List(..) => return NotOfType("Expected list or null".to_owned()),
            Self::Map(..) | Self::Structure(_) | Self::Union(_) => {
                return NotOfType("Expected structure or null".to_owned());
            }
        };
        let token = match value {
            Value::String(_) => "STRING_VALUE",
            Value::Number(number) if number.is_f64() => "DECIMAL_VALUE",
            Value::Number(_) => "NUMBER_VALUE",
            Value::Bool(true) => "TRUE_VALUE",
            Value::Bool(false) => "FALSE_VALUE",
            Value::Null => "NULL_VALUE",
            Value::Array(_) => return NotOfType("Start of list found where not expected".to_owned()),
            Value::Object(_) => {
                return NotOfType("Start of structure or map found where not expected.".to_owned());
            }
        };
        NotOfType(format!("{token} can not be converted to {wanted}"))
    }

    /// What a single value must satisfy, in the order in which the service tells it.
    fn constraints(&self) -> Vec<String> {
        match self {
            Self::Text(text) => {
                let mut told = Vec::new();
                if text.max != usize::MAX {
                    told.push(format!("Member must have length less than or equal to {}", text.max));
                }
                if text.max != usize::MAX || text.min > 0 {
                    told.push(format!("Member must have length greater than or equal to {}", text.min));
                }
                if let Some(pattern) = text.pattern {
                    told.push(format!("Member must satisfy regular expression pattern: {pattern}"));
                }
                told
            }
            Self::Enum(values) => {
                vec![format!("Member must satisfy enum value set: [{}]", values.join(", "))]
            }
            Self::Integer(..)
            | Self::Boolean
            | Self::Timestamp
            | Self::List(..)
            | Self::Map(..)
            | Self::Structure(_)
            | Self::Union(_) => Vec::new(),
        }
    }

    /// Which of [`Self::constraints`] a single value breaks.
    fn broken(&self, value: &Value) -> Vec<String> {
        match (self, value) {
            (Self::Text(text), Value::String(value)) => {
                let length = value.encode_utf16().count();
                let mut broken = Vec::new();
                if length > text.max {
                    broken.push(format!("Member must have length less than or equal to {}", text.max));
                }
                if length < text.min {
                    broken.push(format!("Member must have length greater than or equal to {}", text.min));
                }
                if let Some(pattern) = text.mismatch(value) {
                    broken.push(format!("Member must satisfy regular expression pattern: {pattern}"));
                }
                broken
            }
            (Self::Enum(values), Value::String(value)) if !values.contains(&value.as_str()) => {
                self.constraints()
            }
            (Self::Integer(min, max), value) => match value.as_i64() {
                Some(number) if number < *min => {
                    vec![format!("Member must have value greater than or equal to {min}")]
                }
                Some(number) if number <= *max => Vec::new(),
                _ => vec![format!("Member must have value less than or equal to {max}")],
            },
            _ => Vec::new(),
        }
    }

    fn is_sensitive(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_sensitive)
    }

    fn is_scalar(&self) -> bool {
        !matches!(self, Self::List(..) | Self::Map(..) | Self::Structure(_) | Self::Union(_))
    }
}

/// Every constraint that a value of fitting type breaks, each a sentence of the service's.
pub(super) fn faults(shape: &Shape, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    judge(shape, value, "", &mut faults);
    faults
}

fn judge(shape: &Shape, value: &Value, path: &str, faults: &mut Vec<String>) {
    let said = |constraint: &str| fault(shape, value, path, constraint);
    match (shape, value) {
        (Shape::List(member, min, max), Value::Array(items)) => {
            judge_count(items.len(), *min, *max, |constraint| faults.push(said(constraint)));
            if member.is_scalar() {
                if items.iter().any(|item| !member.broken(item).is_empty()) {
                    let all = member.constraints().join(", ");
                    let what = format!("Member must satisfy constraint: [{all}]");
                    faults.push(if member.is_sensitive() { hidden(path, &what) } else { said(&what) });
                }
            } else {
                for (index, item) in items.iter().enumerate() {
                    judge(member, item, &format!("{path}.{}.member", index + 1), faults);
                }
            }
        }
        (Shape::Map(key, of, min, max), Value::Object(entries)) => {
            judge_count(entries.len(), *min, *max, |constraint| faults.push(said(constraint)));
            if entries.keys().any(|name| !key.broken(&Value::String(name.clone())).is_empty()) {
                let all = key.constraints().join(", ");
                faults.push(said(&format!("Map keys must satisfy constraint: [{all}]")));
            }
            if of.is_scalar() {
                if entries.values().any(|value| !of.broken(value).is_empty()) {
                    let all = of.constraints().join(", ");
                    faults.push(said(&format!("Map value must satisfy constraint: [{all}]")));
                }
            } else {
                for (name, entry) in entries {
                    judge(of, entry, &format!("{path}.{name}.member"), faults);
                }
            }
        }
        (Shape::Structure(members), Value::Object(given)) => judge_members(members, given, path, faults),
        (Shape::Union(members), Value::Object(given)) => {
            if given.len() != 1 {
                let names: Vec<_> = members.iter().map(|member| member.name).collect();
                faults.push(hidden(
                    path,
                    &format!("Exactly one member must be set of: [{}]", names.join(", ")),
                ));
            }
            judge_members(members, given, path, faults);
        }
        (scalar, value) => faults.extend(scalar.broken(value).iter().map(|constraint| said(constraint))),
    }
}

fn judge_members(members: &[Member], given: &Map<String, Value>, path: &str, faults: &mut Vec<String>) {
    for member in members {
        let path = if path.is_empty() { member.name.to_owned() } else { format!("{path}.{}", member.name) };
        match given.get(member.name) {
            Some(value) => judge(member.shape, value, &path, faults),
            None if member.is_required => faults.push(format!(
                "Value null at '{path}' failed to satisfy constraint: Member must not be null"
            )),
            None => {}
        }
    }
}

fn judge_count(count: usize, min: usize, max: usize, mut fault: impl FnMut(&str)) {
    if count > max {
        fault(&format!("Member must have length less than or equal to {max}"));
    }
    if count < min {
        fault(&format!("Member must have length greater than or equal to {min}"));
    }
}

fn fault(shape: &Shape, value: &Value, path: &str, constraint: &str) -> String {
    let holds_secrets = matches!(shape, Shape::Map(_, of, ..) | Shape::List(of, ..)
        if of.is_sensitive() || !of.is_scalar())
        || path.ends_with("properties");
    if shape.is_sensitive() || holds_secrets {
        hidden(path, constraint)
    } else {
        format!("Value '{}' at '{path}' failed to satisfy constraint: {constraint}", shown(value))
    }
}

fn hidden(path: &str, constraint: &str) -> String {
    format!("Value at '{path}' failed to satisfy constraint: {constraint}")
}

/// Characters of a value that a message shows, so that there is room for what is wrong with it.
const MOST_SHOWN: usize = 300;

/// A value as the service prints it, cut where it is long.
fn shown(value: &Value) -> String {
    let text = printed(value);
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn printed(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(printed).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entries: Vec<_> =
                entries.iter().map(|(key, value)| format!("{key}={}", printed(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::model;
    use super::*;
    use serde_json::json;

    fn start(extra: Value) -> Vec<String> {
        let mut request = json!({"applicationId": "00f", "clientToken": "t",
            "executionRoleArn": "arn:aws:iam::000000000000:role/path/hearth-job"});
        for (name, value) in extra.as_object().expect("object") {
            request[name] = value.clone();
        }
        let shape = &model::START_JOB_RUN_REQUEST;
        faults(shape, &shape.fit(request).expect("fits"))
    }

    #[test]
    fn good_values_have_no_faults() {
        let none: [Value; 7] = [
            json!({}),
            json!({"jobDriver": {"sparkSubmit": {"entryPoint": "s3://b/a.py", "sparkSubmitParameters": "--conf a=b\n--conf c=d"}}}),
            json!({"executionTimeoutMinutes": 0, "mode": "STREAMING", "retryPolicy": {"maxAttempts": 1}}),
            json!({"tags": {"a b": "", "k": "v"}, "name": "ä n"}),
            json!({"configurationOverrides": {"monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": "s3://b/logs/"}}}}),
            json!({"executionIamPolicy": {"policy": "{\n\t\"Version\": \"2012-10-17\"}", "policyArns": ["arn:aws:iam::aws:policy/A"]}}),
            json!({"name": null, "unknownMember": 1}),
        ];
        for extra in none {
            assert_eq!(start(extra.clone()), Vec::<String>::new(), "{extra}");
        }
    }

    #[test]
    fn each_kind_of_fault_is_told_as_the_service_tells_it() {
        let long = "x".repeat(257);
        let cases = [
            (
                json!({"executionRoleArn": "arn:aws:iam::1:role/x"}),
                "Value 'arn:aws:iam::1:role/x' at 'executionRoleArn' failed to satisfy constraint: Member must satisfy regular \
                 expression pattern: arn:(aws[a-zA-Z0-9-]*):iam::([0-9]{12}):(role((\\u002F)|(\\u002F[\\u0021-\\u007F]+\\u002F))[\\w+=,.@-]+)".to_owned(),
            ),
            (
                json!({"name": long}),
                format!("Value '{long}' at 'name' failed to satisfy constraint: Member must have length less than or equal to 256"),
            ),
            (
                json!({"mode": "batch"}),
                "Value 'batch' at 'mode' failed to satisfy constraint: Member must satisfy enum value set: [BATCH, STREAMING]".to_owned(),
            ),
            (
                json!({"executionTimeoutMinutes": 1_000_001}),
                "Value '1000001' at 'executionTimeoutMinutes' failed to satisfy constraint: Member must have value less than or equal to 1000000".to_owned(),
            ),
            (
                json!({"jobDriver": {"sparkSubmit": {}}}),
                "Value null at 'jobDriver.sparkSubmit.entryPoint' failed to satisfy constraint: Member must not be null".to_owned(),
            ),
            (
                json!({"jobDriver": {"sparkSubmit": {"entryPoint": " "}}}),
                r"Value at 'jobDriver.sparkSubmit.entryPoint' failed to satisfy constraint: Member must satisfy regular expression pattern: .*\S.*".to_owned(),
            ),
            (
                json!({"jobDriver": {}}),
                "Value at 'jobDriver' failed to satisfy constraint: Exactly one member must be set of: [sparkSubmit, hive]".to_owned(),
            ),
            (
                json!({"tags": {"a": "ä"}}),
                "Value '{a=ä}' at 'tags' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or \
                 equal to 256, Member must have length greater than or equal to 0, Member must satisfy regular expression pattern: [A-Za-z0-9 /_.:=+@-]*]".to_owned(),
            ),
            (
                json!({"configurationOverrides": {"applicationConfiguration": [{"classification": "c"}, {}]}}),
                "Value null at 'configurationOverrides.applicationConfiguration.2.member.classification' failed to satisfy constraint: Member must not be null".to_owned(),
            ),
        ];
        for (extra, expected) in cases {
            assert_eq!(start(extra), [expected]);
        }
    }

    #[test]
    fn sensitive_values_are_never_shown() {
        let secret = "hunter2";
        let told = start(json!({
            "jobDriver": {"sparkSubmit": {"entryPoint": "e", "entryPointArguments": vec![secret; 1025]}},
            "configurationOverrides": {"applicationConfiguration": [{"classification": "c", "properties": {"p": secret, "q": ""}}]},
        }));
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(!told.concat().contains(secret), "{told:?}");
    }

    #[test]
    fn all_faults_are_found_at_once() {
        assert_eq!(start(json!({"applicationId": "A", "clientToken": "", "name": ""})).len(), 5);
    }

    #[test]
    fn types_are_checked_before_values() {
        let fit = |value| model::CREATE_APPLICATION_REQUEST.fit(value).unwrap_err().to_string();
        assert_eq!(fit(json!({"name": 1})), "NUMBER_VALUE can not be converted to a String");
        assert_eq!(
            fit(json!({"autoStartConfiguration": {"enabled": "yes"}})),
            "STRING_VALUE can not be converted to a Boolean"
        );
        assert_eq!(fit(json!({"tags": []})), "Expected structure or null");
        assert_eq!(fit(json!({"runtimeConfiguration": {}})), "Expected list or null");
        assert_eq!(fit(json!([])), "Expected structure or null");
    }

    #[test]
    fn every_pattern_of_the_model_compiles() {
        fn visit(shape: &Shape, depth: usize) {
            match shape {
                Shape::Text(text) => {
                    text.mismatch("");
                }
                Shape::List(member, ..) if depth > 0 => visit(member, depth - 1),
                Shape::Map(key, of, ..) if depth > 0 => {
                    visit(key, depth - 1);
                    visit(of, depth - 1);
                }
                Shape::Structure(members) | Shape::Union(members) if depth > 0 => {
                    members.iter().for_each(|member| visit(member.shape, depth - 1));
                }
                _ => {}
            }
        }
        for shape in [
            &model::CREATE_APPLICATION_REQUEST,
            &model::START_JOB_RUN_REQUEST,
            &model::LIST_JOB_RUNS_REQUEST,
            &model::TAG_RESOURCE_REQUEST,
            &model::UNTAG_RESOURCE_REQUEST,
        ] {
            visit(shape, 8);
        }
    }
}
