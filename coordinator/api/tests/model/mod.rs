//! The service model: its shapes, values just inside and just outside of their bounds, and answers held against it.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use regex::Regex;
use serde_json::{Map, Value, json};

/// Patterns that lost characters in the published model, or match everything.
const BROKEN_PATTERNS: [&str; 3] = ["Arn", "PolicyDocument", "UriString"];
/// What has no characters in answers, whatever the model says: `stateDetails` where there is nothing to tell, which the
/// service answers as an empty text, for it requires it of job runs.
const EMPTY_IN_ANSWERS: &str = "String256";
/// Values that satisfy the patterns which simple fillers do not: what comes first, what fills, what comes last.
const FILLERS: [(&str, &str, &str); 13] = [
    ("", "a", ""),
    ("", "1", ""),
    ("", "1", "GB"),
    ("", "STANDARD", ""),
    ("arn:aws:iam::000000000000:role/", "a", ""),
    ("arn:aws:kms:us-east-1:000000000000:key/", "a", ""),
    ("arn:aws:sso:::instance/ssoins-", "a", ""),
    ("arn:aws:emr-serverless:us-east-1:000000000000:/applications/00f0000000000001", "", ""),
    ("arn:aws:emr-serverless:us-east-1:000000000000:/applications/", "a", ""),
    ("000000000000.dkr.ecr.us-east-1.amazonaws.com/", "a", ""),
    ("https://aps-workspaces.us-east-1.amazonaws.com/workspaces/", "a", "/api/v1/remote_write"),
    ("https://aps-workspaces.us-east-1.amazonaws.", "com", "/workspaces/w/api/v1/remote_write"),
    ("{\"Version\": \"2012-10-17\", \"Statement\": [", " ", "]}"),
];
/// Texts that break one pattern or another.
const STRANGE: [&str; 5] = ["!", "é", " ", "\u{1}", ":"];

/// The model.
pub(crate) struct Model(Value);

/// A member of a request with a value that is just inside or just outside of one of its bounds.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    /// The member that is named when the value is refused.
    pub(crate) member: String,
    /// What it probes.
    pub(crate) why: String,
    /// The value of the whole, from the request's own member on.
    pub(crate) value: Value,
    /// Whether it is to be accepted.
    pub(crate) is_inside: bool,
}

impl Model {
    pub(crate) fn read() -> Self {
        let text = include_str!("emr-serverless-2021-07-13.json");
        Self(serde_json::from_str(text).expect("the model is JSON"))
    }

    pub(crate) fn operations(&self) -> &Map<String, Value> {
        self.0["operations"].as_object().expect("operations")
    }

    pub(crate) fn shape(&self, name: &str) -> &Value {
        let shape = &self.0["shapes"][name];
        assert!(shape.is_object(), "the model has a shape {name}");
        shape
    }

    /// Name and shape of a structure's members.
    pub(crate) fn members<'m>(&'m self, shape: &'m Value) -> impl Iterator<Item = (&'m str, &'m Value)> {
        let members = shape["members"].as_object().into_iter().flatten();
        members.map(|(name, member)| (name.as_str(), member))
    }

    /// Method, path with query, and body of a request: its members where the model puts them.
    pub(crate) fn placed(&self, operation: &str, request: &Value) -> (&str, String, Value) {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let operation = &self.operations()[operation];
        let mut path = operation["http"]["requestUri"].as_str().expect("a path").to_owned();
        let (mut query, mut body) = (Vec::new(), json!({}));
        for (name, member) in self.members(self.shape(target(&operation["input"]))) {
            let Some(value) = request.get(name) else { continue };
            match member["location"].as_str() {
                Some("uri") => path = path.replace(&format!("{{{name}}}"), &encode(&text(value))),
                Some("querystring") => match value {
                    Value::Array(items) => {
                        query.extend(items.iter().map(|item| format!("{name}={}", encode(&text(item)))));
                    }
                    value => query.push(format!("{name}={}", encode(&text(value)))),
                },
                _ => body[name] = value.clone(),
            }
        }
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        (operation["http"]["method"].as_str().expect("a method"), path, body)
    }

    /// A value that fits a shape, with all its members; of a union with the first. Shapes that are `known` have a value of
    /// their own, and none where they are to be left out.
    #[allow(dead_code, reason = "the walk gives what is required and one more at a time")]
    pub(crate) fn full(&self, name: &str, known: &dyn Fn(&str) -> Option<Option<Value>>) -> Option<Value> {
        if let Some(value) = known(name) {
            return value;
        }
        let shape = self.shape(name);
        Some(match shape["type"].as_str().expect("a type") {
            "structure" => {
                let most = if shape["union"] == true { 1 } else { usize::MAX };
                let members = self.members(shape).take(most);
                members
                    .filter_map(|(member, of)| Some((member.to_owned(), self.full(target(of), known)?)))
                    .collect::<Map<_, _>>()
                    .into()
            }
            "list" => json!([self.full(target(&shape["member"]), known)?]),
            "map" => {
                let key = self.full(target(&shape["key"]), known)?;
                let key = key.as_str().expect("keys are texts").to_owned();
                json!({ key: self.full(target(&shape["value"]), known)? })
            }
            _ => self.sample(name),
        })
    }

    /// A value that fits a shape: with what is required, and no more.
    pub(crate) fn sample(&self, name: &str) -> Value {
        let shape = self.shape(name);
        match shape["type"].as_str().expect("a type") {
            "structure" => {
                let mut value = json!({});
                let is_union = shape["union"] == true;
                for (index, (member, of)) in self.members(shape).enumerate() {
                    if is_required(shape, member) || (is_union && index == 0) {
                        value[member] = self.sample(target(of));
                    }
                }
                value
            }
            "list" => {
                json!(vec![self.sample(target(&shape["member"])); bound(shape, "min").unwrap_or(0).max(1)])
            }
            "map" => self.map(shape, bound(shape, "min").unwrap_or(0).max(1)),
            "string" => match shape["enum"].as_array() {
                Some(values) => values[0].clone(),
                None => {
                    let least = bound(shape, "min").unwrap_or(0).max(1);
                    let fitting = (least..least + 200).find_map(|length| text(name, shape, length));
                    json!(fitting.unwrap_or_else(|| panic!("no sample of {name}")))
                }
            },
            "boolean" => json!(true),
            "timestamp" => json!(1_767_225_600),
            _ => json!(number(shape, "min").unwrap_or(1).max(1)),
        }
    }

    fn map(&self, shape: &Value, count: usize) -> Value {
        let value = self.sample(target(&shape["value"]));
        let key = |index: usize| {
            let letters = (0..3).map(|place| char::from(b'a' + (index / 26_usize.pow(place) % 26) as u8));
            letters.collect::<String>()
        };
        (0..count).map(|index| (key(index), value.clone())).collect::<Map<_, _>>().into()
    }

    /// Every bound of a member and of what it holds, from both sides. Shapes within themselves are entered once.
    pub(crate) fn probes(&self, member: &str, name: &str, within: &mut Vec<String>) -> Vec<Probe> {
        if within.iter().any(|outer| outer == name) {
            return Vec::new();
        }
        within.push(name.to_owned());
        let shape = self.shape(name);
        let mut probes = Vec::new();
        let mut probe = |why: String, value: Value, is_inside: bool| {
            probes.push(Probe { member: member.to_owned(), why: format!("{name}: {why}"), value, is_inside });
        };
        match shape["type"].as_str().expect("a type") {
            "string" => text_probes(name, shape, &mut probe),
            "integer" | "long" => {
                if let Some(least) = number(shape, "min") {
                    probe(format!("{least}"), json!(least), true);
                    probe(format!("{}", least - 1), json!(least - 1), false);
                }
                let most = number(shape, "max").unwrap_or(i64::from(i32::MAX));
                probe(format!("{most}"), json!(most), true);
                probe(format!("{}", most + 1), json!(most + 1), false);
            }
            "list" | "map" => {
                let of_count = |count: usize| match shape["type"] == "map" {
                    true => self.map(shape, count),
                    false => json!(vec![self.sample(target(&shape["member"])); count]),
                };
                if let Some(most) = bound(shape, "max") {
                    probe(format!("{most} items"), of_count(most), true);
                    probe(format!("{} items", most + 1), of_count(most + 1), false);
                }
                if let Some(least) = bound(shape, "min") {
                    probe(format!("{least} items"), of_count(least), true);
                    if least > 0 {
                        probe(format!("{} items", least - 1), of_count(least - 1), false);
                    }
                }
                if shape["type"] == "map" {
                    let value = self.sample(target(&shape["value"]));
                    for mut inner in self.probes(member, target(&shape["key"]), within) {
                        let Some(key) = inner.value.as_str().map(str::to_owned) else { continue };
                        inner.value = json!({ key: value });
                        probes.push(inner);
                    }
                    for mut inner in self.probes(member, target(&shape["value"]), within) {
                        inner.value = json!({ "abc": inner.value });
                        probes.push(inner);
                    }
                } else {
                    for mut inner in self.probes(member, target(&shape["member"]), within) {
                        inner.value = json!([inner.value]);
                        probes.push(inner);
                    }
                }
            }
            "structure" => {
                let whole = self.sample(name);
                let is_union = shape["union"] == true;
                for (inner_name, of) in self.members(shape) {
                    if is_required(shape, inner_name) {
                        let mut without = whole.clone();
                        without.as_object_mut().expect("an object").remove(inner_name);
                        probes.push(Probe {
                            member: inner_name.to_owned(),
                            why: format!("{name} without it"),
                            value: without,
                            is_inside: false,
                        });
                    }
                    for mut inner in self.probes(inner_name, target(of), within) {
                        let mut value = if is_union { json!({}) } else { whole.clone() };
                        value[inner_name] = inner.value;
                        inner.value = value;
                        probes.push(inner);
                    }
                }
                if is_union {
                    let all: Map<_, _> = self
                        .members(shape)
                        .map(|(inner, of)| (inner.to_owned(), self.sample(target(of))))
                        .collect();
                    for (why, value) in [("none of a union", json!({})), ("all of a union", json!(all))] {
                        let (member, why) = (member.to_owned(), why.to_owned());
                        probes.push(Probe { member, why, value, is_inside: false });
                    }
                }
            }
            _ => {}
        }
        within.pop();
        probes
    }

    /// Everything in which a value differs from its shape.
    pub(crate) fn differences(&self, name: &str, value: &Value, path: &str) -> Vec<String> {
        let shape = self.shape(name);
        let wrong = |what: &str| vec![format!("{path} ({name}): {what}: {value}")];
        match (shape["type"].as_str().expect("a type"), value) {
            ("structure", Value::Object(given)) => {
                let mut found = Vec::new();
                for member in given.keys().filter(|member| shape["members"].get(*member).is_none()) {
                    found.push(format!("{path} ({name}): has no member {member}"));
                }
                for (member, of) in self.members(shape) {
                    match given.get(member) {
                        Some(value) => {
                            found.extend(self.differences(target(of), value, &format!("{path}.{member}")));
                        }
                        None if is_required(shape, member) => {
                            found.push(format!("{path} ({name}): lacks {member}"));
                        }
                        None => {}
                    }
                }
                found
            }
            ("list", Value::Array(items)) => {
                items.iter().flat_map(|item| self.differences(target(&shape["member"]), item, path)).collect()
            }
            ("map", Value::Object(entries)) => entries
                .iter()
                .flat_map(|(key, entry)| {
                    let mut found = self.differences(target(&shape["key"]), &json!(key), path);
                    found.extend(self.differences(target(&shape["value"]), entry, path));
                    found
                })
                .collect(),
            ("string", Value::String(text)) => {
                let length = text.encode_utf16().count();
                let fits = bound(shape, "min").is_none_or(|least| length >= least)
                    && bound(shape, "max").is_none_or(|most| length <= most)
                    && shape["enum"].as_array().is_none_or(|values| values.contains(value))
                    && pattern(name, shape).is_none_or(|pattern| pattern.is_match(text));
                let is_left_empty = text.is_empty() && name == EMPTY_IN_ANSWERS;
                if fits || is_left_empty { Vec::new() } else { wrong("breaks its bounds") }
            }
            ("integer" | "long", value) if value.is_i64() || value.is_u64() => Vec::new(),
            ("timestamp" | "double", Value::Number(_)) | ("boolean", Value::Bool(_)) => Vec::new(),
            _ => wrong("is of another type"),
        }
    }
}

/// The name of the shape that a member refers to.
pub(crate) fn target(member: &Value) -> &str {
    member["shape"].as_str().expect("a shape's name")
}

pub(crate) fn is_required(shape: &Value, member: &str) -> bool {
    shape["required"].as_array().is_some_and(|required| required.iter().any(|name| name == member))
}

fn number(shape: &Value, name: &str) -> Option<i64> {
    shape[name].as_i64()
}

fn bound(shape: &Value, name: &str) -> Option<usize> {
    shape[name].as_u64().and_then(|bound| usize::try_from(bound).ok())
}

/// Patterns are Java's, where these classes are ASCII.
fn pattern(name: &str, shape: &Value) -> Option<Regex> {
    let pattern = shape["pattern"].as_str().filter(|_| !BROKEN_PATTERNS.contains(&name))?;
    let ascii =
        pattern.replace(r"\d", "[0-9]").replace(r"\w", "[0-9A-Za-z_]").replace(r"\s", r"[ \t\n\x0B\f\r]");
    Some(Regex::new(&format!("(?s)^(?:{ascii})$")).expect("the model's patterns compile"))
}

/// A text of this length that satisfies a shape's pattern, if one is known.
fn text(name: &str, shape: &Value, length: usize) -> Option<String> {
    let pattern = pattern(name, shape);
    FILLERS.iter().find_map(|(before, filler, after)| {
        let room = length.checked_sub(before.len() + after.len())?;
        let count = if filler.is_empty() { 0 } else { room / filler.len() };
        let text = format!("{before}{}{after}", filler.repeat(count));
        (text.len() == length && pattern.as_ref().is_none_or(|pattern| pattern.is_match(&text)))
            .then_some(text)
    })
}

fn text_probes(name: &str, shape: &Value, probe: &mut impl FnMut(String, Value, bool)) {
    if let Some(values) = shape["enum"].as_array() {
        values.iter().for_each(|value| probe(format!("{value}"), value.clone(), true));
        return probe("no value of the set".to_owned(), json!("NO-SUCH-VALUE"), false);
    }
    let any = |length: usize| text(name, shape, length).unwrap_or_else(|| "a".repeat(length));
    if let Some(least) = bound(shape, "min") {
        if let Some(shortest) = text(name, shape, least) {
            probe(format!("{least} characters"), json!(shortest), true);
        }
        if least > 0 {
            probe(format!("{} characters", least - 1), json!(any(least - 1)), false);
        }
    }
    if let Some(most) = bound(shape, "max") {
        if let Some(longest) = text(name, shape, most) {
            probe(format!("{most} characters"), json!(longest), true);
        }
        probe(format!("{} characters", most + 1), json!(any(most + 1)), false);
    }
    if let Some(pattern) = pattern(name, shape) {
        let least = bound(shape, "min").unwrap_or(0).max(1);
        let strange =
            STRANGE.iter().map(|strange| strange.repeat(least)).find(|text| !pattern.is_match(text));
        probe("a text of another pattern".to_owned(), json!(strange.expect("one breaks it")), false);
    }
}
