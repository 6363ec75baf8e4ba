//! Pages of our own under a UI's origin: why there is nothing else to see, and what to do.

use super::door::EVENT_LOG;
use axum::http::StatusCode;
use axum::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse, Response};

/// What is said instead of a UI's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    /// The request names a host that is none of ours.
    ForeignHost,
    /// Whoever asks has not logged in, or not here, or more than an hour ago.
    NoLogin,
    /// The request would do more than read.
    ReadOnly,
    /// The log that is asked for is not there.
    NoLog,
    /// The attempt is over; its state, and whether its event log can be had here.
    Over {
        /// As the API names it.
        state: String,
        /// Whether there is one to download, or why not.
        event_log: Result<(), String>,
    },
    /// Its driver has not registered, or is being ended; the job run's state and its details.
    NotNow {
        /// As the API names it.
        state: String,
        /// Why.
        details: String,
    },
    /// The driver runs without a UI.
    TurnedOff,
    /// The driver's host is out of contact.
    OutOfContact {
        /// The host's agent.
        agent: String,
    },
    /// The UI was asked and did not answer; why.
    NoAnswer(String),
    /// Something of ours failed.
    Broken,
}

/// Seconds after which what is missing may be there.
const RETRY_SECONDS: u32 = 5;

impl Page {
    fn status(&self) -> StatusCode {
        match self {
            Self::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
            Self::NoLogin => StatusCode::FORBIDDEN,
            Self::ReadOnly => StatusCode::METHOD_NOT_ALLOWED,
            Self::Over { .. } => StatusCode::GONE,
            Self::TurnedOff | Self::NoLog => StatusCode::NOT_FOUND,
            Self::NotNow { .. } | Self::OutOfContact { .. } | Self::NoAnswer(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Title and text, as HTML.
    fn text(&self) -> (&'static str, String) {
        match self {
            Self::ForeignHost => (
                "No job run is shown here",
                "This name is none of those that <code>ui_url</code> in the coordinator's configuration stands for.".to_owned(),
            ),
            Self::NoLogin => (
                "You are not logged in to this job run",
                "A link is good once and a login for an hour, in the browser that used the link, until the coordinator is \
                 started again. Ask <code>GetDashboardForJobRun</code> for another link."
                    .to_owned(),
            ),
            Self::ReadOnly => {
                ("Nothing can be changed here", "To end a job run, use <code>CancelJobRun</code>.".to_owned())
            }
            Self::NoLog => (
                "This log is not here",
                "Logs are delivered every few seconds while a job runs; those of a job run with a log URI of its own are there \
                 alone. Reload this page later."
                    .to_owned(),
            ),
            Self::Over { state, event_log } => {
                let state = escaped(state);
                let log = match event_log {
                    Ok(()) => format!(
                        "<a href=\"{EVENT_LOG}\">Download its event log</a>, for a Spark history server of your own, or what its \
                         driver wrote if there is none."
                    ),
                    Err(reason) => escaped(reason),
                };
                ("This attempt is over", format!("It ended in state {state}, and its live UI with it. {log}"))
            }
            Self::NotNow { state, details } => (
                "There is no UI at the moment",
                format!("The job run is in state {}. {} Reload this page later.", escaped(state), escaped(details)),
            ),
            Self::TurnedOff => (
                "This job run has no UI",
                "It runs with <code>spark.ui.enabled=false</code>. Its event log can be had once it has ended.".to_owned(),
            ),
            Self::OutOfContact { agent } => (
                "The driver's host is out of contact",
                format!(
                    "Its agent {} is not connected. The job run goes on; reload this page later. \
                     <code>GetJobRun</code> says in <code>stateDetails</code> what follows if the host does not come back.",
                    escaped(agent)
                ),
            ),
            Self::NoAnswer(reason) => {
                ("The driver's UI did not answer", format!("{}. Reload this page later.", escaped(reason)))
            }
            Self::Broken => {
                ("This page could not be made", "The coordinator's log says why. Reload this page later.".to_owned())
            }
        }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let (title, text) = self.text();
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head>\
             <body><h1>{title}</h1><p>{text}</p></body></html>\n"
        );
        let status = self.status();
        let mut response = (status, html).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_SECONDS.into());
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }
}

/// Text within HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_jobs_and_agents_say_is_text() {
        for page in [
            Page::NotNow { state: "RUNNING".to_owned(), details: "<script>".to_owned() },
            Page::NoAnswer("<script>".to_owned()),
            Page::Over { state: "FAILED".to_owned(), event_log: Err("<script>".to_owned()) },
        ] {
            let (_, text) = page.text();
            assert!(text.contains("&lt;script&gt;") && !text.contains("<script>"), "{text}");
        }
    }

    #[test]
    fn what_may_come_back_is_to_be_asked_for_again() {
        let page = Page::OutOfContact { agent: "a".to_owned() }.into_response();
        assert_eq!(
            (page.status(), page.headers()[RETRY_AFTER].as_bytes()),
            (StatusCode::SERVICE_UNAVAILABLE, &b"5"[..])
        );
        let page = Page::Over { state: "SUCCESS".to_owned(), event_log: Ok(()) };
        assert!(page.text().1.contains("href=\"/.hearth/event-log\""));
        assert_eq!(page.into_response().headers().get(RETRY_AFTER), None);
    }
}
