//! What answers there were, and which should not have been.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Faults that are kept whole.
const KEPT: usize = 20;
/// The service cuts its messages (docs/api.md).
const LONGEST_MESSAGE: usize = 1024;

/// What was answered.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    statuses: BTreeMap<String, u64>,
    faults: u64,
    kept: Vec<String>,
}

/// What a request was: its service and its text, as far as it is of use to whoever looks into it.
pub(crate) struct Said {
    pub(crate) service: &'static str,
    pub(crate) text: String,
    /// Whether its signature was spoilt.
    pub(crate) is_spoilt: bool,
}

impl Tally {
    pub(crate) fn answer(&mut self, said: &Said, answer: &Response<Bytes>) {
        let status = answer.status();
        self.count(format!("{} {}", said.service, status.as_u16()));
        if let Some(fault) = fault(said, answer) {
            self.fault(format!("{fault}: {} answered to {}", text(answer.body()), said.text));
        }
    }

    /// The server hung up, which it may on what is too large to be read.
    pub(crate) fn no_answer(&mut self, said: &Said, may_be_cut: bool) {
        self.count(format!("{} cut", said.service));
        if !may_be_cut {
            self.fault(format!("no answer to {}", said.text));
        }
    }

    /// Something that need not have been HTTP; nothing was heard where the server never hung up.
    pub(crate) fn bytes(&mut self, said: &[u8], heard: Option<&[u8]>) {
        let Some(heard) = heard else {
            self.count("bytes open".to_owned());
            return self.fault(format!("never hung up on {}", text(said)));
        };
        let status = heard.get(9..12).map_or("cut".to_owned(), text);
        if status.starts_with('5') && status != "505" {
            self.fault(format!("{status} answered to {}", text(said)));
        }
        self.count(format!("bytes {status}"));
    }

    fn count(&mut self, what: String) {
        *self.statuses.entry(what).or_default() += 1;
    }

    fn fault(&mut self, what: String) {
        self.faults += 1;
        if self.kept.len() < KEPT {
            self.kept.push(what);
        }
    }

    pub(crate) fn report(&self) -> Value {
        json!({
            "requests": self.statuses.values().sum::<u64>(), "answers": self.statuses,
            "faults": self.faults, "first_faults": self.kept,
        })
    }
}

/// What is wrong with an answer.
fn fault(said: &Said, answer: &Response<Bytes>) -> Option<&'static str> {
    let status = answer.status();
    if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
        return Some("a failure of ours");
    }
    // What is refused before it is read gets HTTP's own words, and so does a HEAD. Without a signature nobody knows which
    // service was meant, and a wrong one is answered with all that should have been signed.
    let is_unread =
        status == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE || status == StatusCode::URI_TOO_LONG;
    if said.service != "emr-serverless" || said.is_spoilt || said.text.starts_with("HEAD ") || is_unread {
        return None;
    }
    let Ok(body) = serde_json::from_slice::<Value>(answer.body()) else { return Some("no JSON") };
    if status.is_success() {
        return None;
    }
    if !answer.headers().contains_key("x-amzn-errortype") {
        return Some("an error without its type");
    }
    match body["message"].as_str() {
        None => Some("an error without a message"),
        Some(message) if message.chars().count() > LONGEST_MESSAGE => Some("too long a message"),
        Some(_) => None,
    }
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    String::from_utf8_lossy(bytes.as_ref()).chars().take(2000).collect()
}
