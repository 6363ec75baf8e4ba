//! Recorded exchanges: `golden/*.json` hold stories of requests with the answers they must get.
//!
//! Requests are signed and answered in this process, over the control plane's double and a clock that stands still.
//! Random ids and secrets are normalised, nothing else. `HEARTH_GOLDEN=record` writes the answers that came; read the
//! difference before keeping it.

mod double;

use axum::body::Body;
use double::Double;
use hearth_api::sigv4::{Signer, sha256_hex};
use hearth_api::{Api, Connection};
use hearth_identity::{Identity, IdentityPolicy, MemoryDocuments};
use hearth_types::Timestamp;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// 2026-01-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

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

struct Stage {
    api: Api,
    administrator: (String, String),
    member: (String, String),
}

async fn stage() -> Stage {
    let identity = Identity::open(Arc::new(MemoryDocuments::default()), &[7; 32], "000000000000").await;
    let identity = Arc::new(identity.expect("opens"));
    let administrator = identity.ensure_administrator("admin", NOW).await.expect("made");
    identity.create_user("member", "/", Default::default(), NOW).await.expect("made");
    let policy = IdentityPolicy::parse(
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"emr-serverless:*","Resource":"*",
            "Condition":{"StringEquals":{"aws:ResourceTag/team":"a"}}}]}"#,
    );
    identity.put_user_policy("member", "team", policy.expect("valid")).await.expect("put");
    let member = identity.create_access_key("member", NOW).await.expect("made");
    Stage {
        api: Api::new(identity, Arc::new(Double::new(NOW)), "us-east-1", || NOW),
        administrator: (administrator.key.id, administrator.secret_access_key),
        member: (member.key.id, member.secret_access_key),
    }
}

impl Stage {
    async fn answer(&self, asked: &Asked) -> Answered {
        let body = match &asked.body {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            value => value.to_string(),
        } + &" ".repeat(usize::try_from(asked.padding).expect("positive"));
        let kind = if asked.service == "emr-serverless" {
            "application/json"
        } else {
            "application/x-www-form-urlencoded"
        };
        let (mut parts, ()) = http::Request::builder()
            .method(asked.method.as_str())
            .uri(&asked.target)
            .header("host", "hearth.example")
            .header("content-type", kind)
            .body(())
            .expect("request")
            .into_parts();
        let (key, secret) = match asked.by {
            By::Administrator => (self.administrator.0.as_str(), self.administrator.1.as_str()),
            By::TeamMember => (self.member.0.as_str(), self.member.1.as_str()),
            By::Forger => (self.administrator.0.as_str(), "another"),
            By::Stranger | By::Nobody => ("AKIAAAAAAAAAAAAAAAAA", "another"),
        };
        if asked.by != By::Nobody {
            let signer = Signer {
                access_key_id: key,
                secret_access_key: secret,
                session_token: None,
                region: "us-east-1",
                service: &asked.service,
            };
            let at = Timestamp::from_millis(NOW.as_millis() + asked.clock_minutes * 60_000);
            signer.sign(&mut parts, &sha256_hex(body.as_bytes()), at).expect("signable");
        }
        let request = http::Request::from_parts(parts, Body::from(body));
        let (parts, body) = self.api.handle(request, Connection::default()).await.into_parts();
        let header =
            |name: &str| parts.headers.get(name).map(|value| value.to_str().expect("ASCII").to_owned());
        let request_id = header("x-amzn-requestid").expect("every answer has a request id");
        let text = body.collect().await.expect("read").to_bytes();
        let text = String::from_utf8(text.to_vec()).expect("UTF-8").replace(&request_id, "REQUEST-ID");
        let content_type = header("content-type").expect("every answer has a type");
        let body = match content_type.as_str() {
            "application/json" => serde_json::from_str(&text).expect("JSON"),
            _ => Value::String(normalised(&text)),
        };
        Answered { status: parts.status.as_u16(), content_type, error_type: header("x-amzn-errortype"), body }
    }
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
    let stage = stage().await;
    for exchange in &mut story {
        let answered = stage.answer(&exchange.request).await;
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

golden!(applications, job_runs, refusals, authorisation, roles_and_sessions);

#[test]
fn every_golden_file_is_played() {
    let played = ["applications", "authorisation", "job_runs", "refusals", "roles_and_sessions"];
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut found: Vec<String> = std::fs::read_dir(directory)
        .expect("readable")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8").replace(".json", ""))
        .collect();
    found.sort();
    assert_eq!(found, played);
}
