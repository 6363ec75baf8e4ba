//! Which operation a request is, by method and path, and its members gathered into one JSON object.

use super::model;
use super::shape::Shape;
use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::{Iso8601, Rfc3339};

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident: $shape:ident,)+) => {
        /// An operation of the service.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Operation { $($(#[$doc])* $name,)+ }

        impl Operation {
            /// Every operation.
            pub(super) const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The model's name.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// What it takes.
            pub(super) fn input(self) -> &'static Shape {
                match self { $(Self::$name => &model::$shape,)+ }
            }
        }
    };
}

operations! {
    CreateApplication: CREATE_APPLICATION_REQUEST,
    GetApplication: GET_APPLICATION_REQUEST,
    ListApplications: LIST_APPLICATIONS_REQUEST,
    UpdateApplication: UPDATE_APPLICATION_REQUEST,
    DeleteApplication: DELETE_APPLICATION_REQUEST,
    StartApplication: START_APPLICATION_REQUEST,
    StopApplication: STOP_APPLICATION_REQUEST,
    StartJobRun: START_JOB_RUN_REQUEST,
    GetJobRun: GET_JOB_RUN_REQUEST,
    ListJobRuns: LIST_JOB_RUNS_REQUEST,
    ListJobRunAttempts: LIST_JOB_RUN_ATTEMPTS_REQUEST,
    CancelJobRun: CANCEL_JOB_RUN_REQUEST,
    TagResource: TAG_RESOURCE_REQUEST,
    UntagResource: UNTAG_RESOURCE_REQUEST,
    ListTagsForResource: LIST_TAGS_FOR_RESOURCE_REQUEST,
    GetDashboardForJobRun: GET_DASHBOARD_FOR_JOB_RUN_REQUEST,
    GetResourceDashboard: GET_RESOURCE_DASHBOARD_REQUEST,
    StartSession: START_SESSION_REQUEST,
    GetSession: GET_SESSION_REQUEST,
    ListSessions: LIST_SESSIONS_REQUEST,
    TerminateSession: TERMINATE_SESSION_REQUEST,
    GetSessionEndpoint: GET_SESSION_ENDPOINT_REQUEST,
}

/// Finds the operation, with the members that the path holds.
pub(super) fn find(method: &Method, path: &str) -> Option<(Operation, Vec<(&'static str, String)>)> {
    use Operation as O;
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let trimmed = path.trim_matches('/');
    if let Some(arn) = trimmed.strip_prefix("tags/") {
        // Clients encode the ARN's slashes; some proxies decode them.
        let label = vec![("resourceArn", decode(arn))];
        return match *method {
            Method::GET => Some((O::ListTagsForResource, label)),
            Method::POST => Some((O::TagResource, label)),
            Method::DELETE => Some((O::UntagResource, label)),
            _ => None,
        };
    }
    let segments: Vec<&str> = trimmed.split('/').collect();
    let application = |id: &str| vec![("applicationId", decode(id))];
    let session =
        |id: &str, session: &str| vec![("applicationId", decode(id)), ("sessionId", decode(session))];
    let job_run = |id: &str, run: &str| vec![("applicationId", decode(id)), ("jobRunId", decode(run))];
    match (method.as_str(), segments.as_slice()) {
        ("POST", ["applications"]) => Some((O::CreateApplication, Vec::new())),
        ("GET", ["applications"]) => Some((O::ListApplications, Vec::new())),
        ("GET", ["applications", id]) => Some((O::GetApplication, application(id))),
        ("PATCH", ["applications", id]) => Some((O::UpdateApplication, application(id))),
        ("DELETE", ["applications", id]) => Some((O::DeleteApplication, application(id))),
        ("POST", ["applications", id, "start"]) => Some((O::StartApplication, application(id))),
        ("POST", ["applications", id, "stop"]) => Some((O::StopApplication, application(id))),
        ("POST", ["applications", id, "jobruns"]) => Some((O::StartJobRun, application(id))),
        ("GET", ["applications", id, "jobruns"]) => Some((O::ListJobRuns, application(id))),
        ("GET", ["applications", id, "jobruns", run]) => Some((O::GetJobRun, job_run(id, run))),
        ("DELETE", ["applications", id, "jobruns", run]) => Some((O::CancelJobRun, job_run(id, run))),
        ("GET", ["applications", id, "jobruns", run, "attempts"]) => {
            Some((O::ListJobRunAttempts, job_run(id, run)))
        }
        ("GET", ["applications", id, "jobruns", run, "dashboard"]) => {
            Some((O::GetDashboardForJobRun, job_run(id, run)))
        }
        ("GET", ["applications", id, "dashboard"]) => Some((O::GetResourceDashboard, application(id))),
        ("POST", ["applications", id, "sessions"]) => Some((O::StartSession, application(id))),
        ("GET", ["applications", id, "sessions"]) => Some((O::ListSessions, application(id))),
        ("GET", ["applications", id, "sessions", of]) => Some((O::GetSession, session(id, of))),
        ("DELETE", ["applications", id, "sessions", of]) => Some((O::TerminateSession, session(id, of))),
        ("GET", ["applications", id, "sessions", of, "endpoint"]) => {
            Some((O::GetSessionEndpoint, session(id, of)))
        }
        _ => None,
    }
}

/// A request cannot be read as its operation's input; the message is for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(String);

/// Gathers the members of path, query and body, each of its shape's type. Values are not judged yet.
pub(super) fn gather(
    operation: Operation,
    labels: Vec<(&'static str, String)>,
    parts: &Parts,
    body: &[u8],
) -> Result<Value, Unreadable> {
    let mut members = match body.iter().all(u8::is_ascii_whitespace) {
        true => Map::new(),
        false => match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => members,
            Ok(_) => return Err(Unreadable("Expected structure or null".to_owned())),
            Err(_) => return Err(Unreadable("The request's body is not valid JSON.".to_owned())),
        },
    };
    for (name, value) in query_members(operation) {
        members.shift_remove(*name);
        if let Some(value) = value.read(parts, name)? {
            members.insert((*name).to_owned(), value);
        }
    }
    for (name, text) in labels {
        members.insert(name.to_owned(), Value::String(text));
    }
    operation.input().fit(Value::Object(members)).map_err(|error| Unreadable(error.to_string()))
}

/// How a member stands in the query.
#[derive(Debug, Clone, Copy)]
enum InQuery {
    Text,
    Texts,
    Integer,
    Boolean,
    Timestamp,
}

const PAGE: [(&str, InQuery); 2] = [("nextToken", InQuery::Text), ("maxResults", InQuery::Integer)];

fn query_members(operation: Operation) -> &'static [(&'static str, InQuery)] {
    use Operation as O;
    match operation {
        O::ListApplications => &[PAGE[0], PAGE[1], ("states", InQuery::Texts)],
        O::ListJobRuns => &[
            PAGE[0],
            PAGE[1],
            ("states", InQuery::Texts),
            ("createdAtAfter", InQuery::Timestamp),
            ("createdAtBefore", InQuery::Timestamp),
            ("mode", InQuery::Text),
        ],
        O::ListSessions => &[
            PAGE[0],
            PAGE[1],
            ("states", InQuery::Texts),
            ("createdAtAfter", InQuery::Timestamp),
            ("createdAtBefore", InQuery::Timestamp),
        ],
        O::ListJobRunAttempts => &PAGE,
        O::GetDashboardForJobRun => {
            &[("attempt", InQuery::Integer), ("accessSystemProfileLogs", InQuery::Boolean)]
        }
        O::GetResourceDashboard => &[
            ("resourceId", InQuery::Text),
            ("resourceType", InQuery::Text),
            ("accessSystemProfileLogs", InQuery::Boolean),
        ],
        O::GetJobRun => &[("attempt", InQuery::Integer)],
        O::CancelJobRun => &[("shutdownGracePeriodInSeconds", InQuery::Integer)],
        O::UntagResource => &[("tagKeys", InQuery::Texts)],
        O::CreateApplication
        | O::GetApplication
        | O::UpdateApplication
        | O::DeleteApplication
        | O::StartApplication
        | O::StopApplication
        | O::StartJobRun
        | O::TagResource
        | O::ListTagsForResource
        | O::StartSession
        | O::GetSession
        | O::TerminateSession
        | O::GetSessionEndpoint => &[],
    }
}

impl InQuery {
    fn read(self, parts: &Parts, name: &str) -> Result<Option<Value>, Unreadable> {
        let mut texts = query_values(parts, name);
        if let Self::Texts = self {
            return Ok((!texts.is_empty()).then(|| texts.into()));
        }
        let Some(text) = texts.pop() else { return Ok(None) };
        let unreadable = |kind: &str| Unreadable(format!("'{text}' can not be converted to {kind}"));
        match self {
            Self::Text | Self::Texts => Ok(Some(Value::String(text))),
            Self::Integer => {
                text.parse::<i64>().map(|n| Some(n.into())).map_err(|_| unreadable("an Integer"))
            }
            Self::Boolean => {
                text.parse::<bool>().map(|is| Some(is.into())).map_err(|_| unreadable("a Boolean"))
            }
            Self::Timestamp => {
                seconds(&text).map(|at| Some(at.into())).ok_or_else(|| unreadable("a Timestamp"))
            }
        }
    }
}

/// Reads a time in a query: ISO 8601, as the protocol has it there, or seconds since the epoch.
fn seconds(text: &str) -> Option<f64> {
    let at =
        OffsetDateTime::parse(text, &Rfc3339).or_else(|_| OffsetDateTime::parse(text, &Iso8601::DEFAULT));
    match at {
        Ok(at) => Some(at.unix_timestamp_nanos() as f64 / 1e9),
        Err(_) => text.parse::<f64>().ok().filter(|seconds| seconds.is_finite()),
    }
}

fn query_values(parts: &Parts, name: &str) -> Vec<String> {
    url::form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes())
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(operation: Operation, target: &str, body: &str) -> Result<Value, Unreadable> {
        let parts = http::Request::builder().uri(target).body(()).expect("request").into_parts().0;
        gather(operation, vec![("applicationId", "00f".to_owned())], &parts, body.as_bytes())
    }

    #[test]
    fn members_come_from_path_query_and_body() {
        assert_eq!(
            gathered(
                Operation::ListJobRuns,
                "/?states=RUNNING&states=FAILED&maxResults=5&createdAtAfter=2026-01-01T00%3A00%3A00Z&mode=BATCH&x=y",
                ""
            ),
            Ok(serde_json::json!({"applicationId": "00f", "states": ["RUNNING", "FAILED"], "maxResults": 5,
                "createdAtAfter": 1_767_225_600.0, "mode": "BATCH"}))
        );
        assert_eq!(
            gathered(Operation::UpdateApplication, "/", r#"{"applicationId": "other", "clientToken": "t"}"#),
            Ok(serde_json::json!({"applicationId": "00f", "clientToken": "t"})),
            "the path names the application"
        );
        for (operation, target, body) in [
            (Operation::ListJobRuns, "/?maxResults=many", ""),
            (Operation::ListJobRuns, "/?createdAtAfter=today", ""),
            (Operation::UpdateApplication, "/", "{"),
            (Operation::UpdateApplication, "/", "[]"),
        ] {
            assert!(gathered(operation, target, body).is_err(), "{target} {body}");
        }
    }

    #[test]
    fn paths_name_operations() {
        let name = |method: Method, path: &str| match find(&method, path) {
            Some((operation, labels)) => format!("{}{labels:?}", operation.name()),
            None => "unknown".to_owned(),
        };
        for (method, path, expected) in [
            (Method::GET, "/applications/", "ListApplications[]"),
            (
                Method::DELETE,
                "/applications/a/jobruns/b",
                r#"CancelJobRun[("applicationId", "a"), ("jobRunId", "b")]"#,
            ),
            (Method::GET, "/tags/arn%3Ax%2Fa", r#"ListTagsForResource[("resourceArn", "arn:x/a")]"#),
            (Method::GET, "/applications/a/sessions", r#"ListSessions[("applicationId", "a")]"#),
            (Method::PUT, "/applications", "unknown"),
            (Method::GET, "/", "unknown"),
        ] {
            assert_eq!(name(method, path), expected, "{path}");
        }
    }
}
