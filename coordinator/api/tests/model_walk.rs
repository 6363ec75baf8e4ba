//! Walks the service model: for each member of each operation's request one value just inside and one just outside of
//! each of its bounds, and every answer held against what the model says the operation answers.

mod double;
mod model;
mod stage;

use model::{Model, Probe, is_required, target};
use serde_json::{Value, json};
use stage::{NOW, Sent, Stage};
use std::sync::atomic::{AtomicUsize, Ordering};

const APPLICATION: &str = "00f0000000000001";
const JOB_RUN: &str = "00j0000000000001";
/// Answers to requests that never reach an operation, whatever the model says of it.
const COMMON: [&str; 2] = ["ValidationException", "SerializationException"];

static TOKENS: AtomicUsize = AtomicUsize::new(0);
/// There are no sessions.
const NEVER_DONE: [&str; 5] =
    ["StartSession", "GetSession", "TerminateSession", "GetSessionEndpoint", "GetResourceDashboard"];

/// One operation of the model.
struct Walk<'a> {
    model: &'a Model,
    stage: &'a Stage,
    name: &'a str,
    operation: &'a Value,
}

/// An answer that was held against the model.
struct Answer {
    status: u16,
    message: String,
}

impl Walk<'_> {
    fn input(&self) -> &Value {
        self.model.shape(target(&self.operation["input"]))
    }

    /// A request that names things that exist, with all that is required.
    fn request(&self) -> Value {
        let mut request = self.model.sample(target(&self.operation["input"]));
        if self.name == "StartJobRun" {
            // Not required by the model, but there is nothing to run without it.
            request["jobDriver"] = self.model.sample("JobDriver");
        }
        for (member, value) in [
            ("applicationId", APPLICATION),
            ("jobRunId", JOB_RUN),
            // A token of its own: another request under a used one is a conflict.
            ("clientToken", &format!("walk-{}", TOKENS.fetch_add(1, Ordering::Relaxed))),
            ("resourceArn", "arn:aws:emr-serverless:us-east-1:000000000000:/applications/00f0000000000001"),
        ] {
            if is_required(self.input(), member) {
                request[member] = json!(value);
            }
        }
        request
    }

    /// Sends a request.
    async fn send(&self, request: &Value) -> Result<Answer, String> {
        let (method, target_of, body) = self.model.placed(self.name, request);
        let sent = Sent {
            service: "emr-serverless",
            method,
            target: &target_of,
            content_type: "application/json",
            body: if body == json!({}) { String::new() } else { body.to_string() },
        };
        let (parts, text) = self.stage.answer(sent, Some((&self.stage.administrator, NOW))).await;
        let kind = parts.headers.get("x-amzn-errortype").map(|kind| kind.to_str().expect("ASCII"));
        self.hold(parts.status.as_u16(), kind, &text)
    }

    /// Holds an answer against the model.
    fn hold(&self, status: u16, kind: Option<&str>, text: &str) -> Result<Answer, String> {
        let body: Value = serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))?;
        let shape = match kind {
            None if status == 200 => target(&self.operation["output"]),
            None => return Err(format!("{status} without an exception: {text}")),
            Some(kind) => {
                let declared = self.operation["errors"].as_array().expect("errors");
                let is_declared = declared.iter().any(|error| target(error) == kind);
                if !is_declared && !COMMON.contains(&kind) {
                    return Err(format!("{kind} is not among the operation's exceptions: {text}"));
                }
                let code = if kind == "SerializationException" { 400 } else { self.code(kind) };
                if u64::from(status) != code {
                    return Err(format!("{kind} with status {status}, not {code}: {text}"));
                }
                "ValidationException"
            }
        };
        let found = self.model.differences(shape, &body, "");
        if !found.is_empty() {
            return Err(format!("another answer than the model's: {}", found.join("; ")));
        }
        Ok(Answer { status, message: body["message"].as_str().unwrap_or_default().to_owned() })
    }

    fn code(&self, kind: &str) -> u64 {
        self.model.shape(kind)["error"]["httpStatusCode"].as_u64().expect("a status")
    }

    async fn walk(&self, said: &mut Vec<String>) -> usize {
        let mut probes: Vec<Probe> = Vec::new();
        for (name, member) in self.model.members(self.input()) {
            let is_label = member["location"] == "uri";
            let of_member = self.model.probes(name, target(member), &mut Vec::new()).into_iter();
            // A label that is empty is another path, and a list in the query that is empty is none.
            let is_empty = |value: &Value| *value == json!("") || *value == json!([]);
            let in_body = member["location"].is_null();
            probes.extend(of_member.filter(|probe| in_body || !is_empty(&probe.value)).map(|mut probe| {
                let mut request = self.request();
                request[name] = probe.value;
                probe.value = request;
                probe
            }));
            if is_required(self.input(), name) && !is_label {
                let mut request = self.request();
                request.as_object_mut().expect("an object").remove(name);
                let why = "a request without it".to_owned();
                probes.push(Probe { member: name.to_owned(), why, value: request, is_inside: false });
            }
        }
        for probe in &probes {
            let fault = match self.send(&probe.value).await {
                Err(fault) => Some(fault),
                Ok(answer) => {
                    let is_refused = answer.status == 400 && answer.message.contains(" validation error");
                    match probe.is_inside {
                        true if is_refused => Some(format!("refused: {}", answer.message)),
                        false if !is_refused => Some(format!("accepted with {}", answer.status)),
                        false if !answer.message.contains(&probe.member) => {
                            Some(format!("does not name the member: {}", answer.message))
                        }
                        _ => None,
                    }
                }
            };
            said.extend(
                fault.map(|fault| format!("{} {} ({}): {fault}", self.name, probe.member, probe.why)),
            );
        }
        probes.len()
    }
}

#[tokio::test]
async fn every_bound_of_the_model_holds_from_both_sides() {
    let model = Model::read();
    let (mut said, mut probes) = (Vec::new(), 0);
    for (name, operation) in model.operations() {
        let stage = Stage::new().await;
        let walk = |name: &'static str| Walk {
            model: &model,
            stage: &stage,
            name,
            operation: &model.operations()[name],
        };
        for prepared in ["CreateApplication", "StartJobRun"] {
            let walk = walk(prepared);
            assert_eq!(walk.send(&walk.request()).await.expect("it is made").status, 200, "{prepared}");
        }
        let walk = Walk { model: &model, stage: &stage, name, operation };
        match walk.send(&walk.request()).await {
            Ok(answer) if (answer.status == 200) != NEVER_DONE.contains(&name.as_str()) => {}
            Ok(answer) => said.push(format!("{name}: {}: {}", answer.status, answer.message)),
            Err(fault) => said.push(format!("{name}: {fault}")),
        }
        probes += walk.walk(&mut said).await;
    }
    assert_eq!(model.operations().len(), 22);
    assert!(probes > 800, "{probes} probes are fewer than the model has bounds");
    assert!(said.is_empty(), "{} of {probes}:\n{}", said.len(), said.join("\n"));
}

#[test]
fn every_operation_has_its_row_in_the_documentation() {
    let text = include_str!("../../../docs/api.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let first_cells: Vec<&str> = rows.filter_map(|row| row.split('|').nth(1)).collect();
    for name in Model::read().operations().keys() {
        let count = first_cells.iter().filter(|cell| cell.contains(&format!("`{name}`"))).count();
        assert_eq!(count, 1, "rows of {name} in docs/api.md");
    }
}
