//! Recorded exchanges: `golden/*.json` hold stories of requests with the answers they must get.
//!
//! Requests are signed and answered in this process, over the control plane's double and a clock that stands still.
//! Random ids and secrets are normalised, nothing else. `HEARTH_GOLDEN=record` writes the answers that came; read the
//! difference before keeping it.

mod double;
mod stage;

use hearth_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stage::{NOW, Sent, Stage};
use std::path::Path;

#[derive(Serialize, Deserialize)]
struct Exchange {
    request: Asked,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response: Option<Answered>,
}

#[derive(Serialize, Deserialize)]
struct Asked {
    /// What the exchange shows.
    why: String,
    /// Whose key signs it.
    #[serde(default)]
    by: By,
    /// Minutes by which the client's clock is off.
    #[serde(default, skip_serializing_if = "is_zero")]
    clock_minutes: i64,
    /// Signing name.
    service: String,
    method: String,
    target: String,
    /// JSON, or for the query protocol the form as text.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    body: Value,
    /// Blanks added to the body, in bytes.
    #[serde(default, skip_serializing_if = "is_zero")]
    padding: i64,
}

#[derive(Serialize, Deserialize, Default, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
enum By {
    /// May do everything.
    #[default]
    Administrator,
    /// May do all but pass roles, to what is tagged `team=a`.
    TeamMember,
    /// An access key nobody has.
    Stranger,
    /// The administrator's key with another secret.
    Forger,
    /// No signature.
    Nobody,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Answered {
    status: u16,
    content_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error_type: Option<String>,
    body: Value,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

async fn answer(stage: &Stage, asked: &Asked) -> Answered {
    let body = match &asked.body {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    } + &" ".repeat(usize::try_from(asked.padding).expect("positive"));
    let content_type = if asked.service == "emr-serverless" {
        "application/json"
    } else {
        "application/x-www-form-urlencoded"
    };
    let another = "another".to_owned();
    let key = match asked.by {
        By::Administrator => Some(stage.administrator.clone()),
        By::TeamMember => Some(stage.member.clone()),
        By::Forger => Some((stage.administrator.0.clone(), another)),
        By::Stranger => Some(("AKIAAAAAAAAAAAAAAAAA".to_owned(), another)),
        By::Nobody => None,
    };
    let at = Timestamp::from_millis(NOW.as_millis() + asked.clock_minutes * 60_000);
    let sent =
        Sent { service: &asked.service, method: &asked.method, target: &asked.target, content_type, body };
    let (parts, text) = stage.answer(sent, key.as_ref().map(|key| (key, at))).await;
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().expect("ASCII").to_owned());
    let request_id = header("x-amzn-requestid").expect("every answer has a request id");
    let text = text.replace(&request_id, "REQUEST-ID");
    let content_type = header("content-type").expect("every answer has a type");
    let body = match content_type.as_str() {
        "application/json" => serde_json::from_str(&text).expect("JSON"),
        _ => Value::String(normalised(&text)),
    };
    Answered { status: parts.status.as_u16(), content_type, error_type: header("x-amzn-errortype"), body }
}

/// Replaces random ids and secrets by their kind.
fn normalised(text: &str) -> String {
    let rules = [
        (r"(AIDA|AROA|ANPA)[A-Z2-7]{17}", "$1-ID"),
        (r"(AKIA|ASIA)[A-Z2-7]{16}", "$1-ID"),
        (r"<SecretAccessKey>[^<]{40}<", "<SecretAccessKey>SECRET<"),
        (r"<SessionToken>[^<]+<", "<SessionToken>TOKEN<"),
    ];
    rules.iter().fold(text.to_owned(), |text, (pattern, with)| {
        regex::Regex::new(pattern).expect("valid").replace_all(&text, *with).into_owned()
    })
}

async fn play(file: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let text = std::fs::read_to_string(&path).expect("readable");
    let mut story: Vec<Exchange> = serde_json::from_str(&text).expect("a list of exchanges");
    let is_recording = std::env::var_os("HEARTH_GOLDEN").is_some_and(|value| value == "record");
    let stage = Stage::new().await;
    for exchange in &mut story {
        let answered = answer(&stage, &exchange.request).await;
        if is_recording {
            exchange.response = Some(answered);
        } else {
            let expected = exchange.response.as_ref().expect("recorded");
            assert_eq!(json!(answered), json!(expected), "{file}: {}", exchange.request.why);
        }
    }
    if is_recording {
        let text = serde_json::to_string_pretty(&story).expect("json") + "\n";
        std::fs::write(&path, text).expect("written");
    }
}

macro_rules! golden {
    ($($name:ident),+) => {$(
        #[tokio::test]
        async fn $name() {
            play(concat!(stringify!($name), ".json")).await;
        }
    )+};
}

golden!(
    administration,
    applications,
    job_runs,
    dashboards_and_sessions,
    refusals,
    authorisation,
    roles_and_sessions
);

#[test]
fn every_golden_file_is_played() {
    let played = [
        "administration",
        "applications",
        "authorisation",
        "dashboards_and_sessions",
        "job_runs",
        "refusals",
        "roles_and_sessions",
    ];
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut found: Vec<String> = std::fs::read_dir(directory)
        .expect("readable")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8").replace(".json", ""))
        .collect();
    found.sort();
    assert_eq!(found, played);
}
