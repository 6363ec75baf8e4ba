//! Log lines on standard error.

use std::error::Error;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::str::FromStr;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people: one line with a coloured level on a terminal.
    #[default]
    Human,
    /// For programs: one JSON object a line, its fields beside `timestamp`, `level`, `target` and `message`.
    Json,
}

impl FromStr for LogFormat {
    type Err = LoggingError;

    fn from_str(text: &str) -> Result<Self, LoggingError> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            other => Err(LoggingError::Format(other.to_owned())),
        }
    }
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// No such format.
    #[error("log format must be \"human\" or \"json\", got {0:?}")]
    Format(String),
    /// `HEARTH_LOG` or `RUST_LOG` is malformed.
    #[error("{variable} is not a log filter such as \"info,hearth_agent=debug\"")]
    Filter {
        /// The environment variable.
        variable: &'static str,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else has set up logging in this process.
    #[error("logging has been started already")]
    Started,
}

/// What is logged when nobody says otherwise: ours, and others' warnings. The object gateway logs what `s3s` does.
const DEFAULT_FILTER: &str = "info,h2=warn,hyper=warn,rustls=warn,s3s=off,sqlx=warn,tonic=warn,tower=warn";

/// Sends log lines to standard error. What is logged follows `HEARTH_LOG`, else `RUST_LOG`, else information and worse.
///
/// # Errors
/// A malformed filter, or a second call.
pub fn start_logging(format: LogFormat) -> Result<(), LoggingError> {
    start(format, BoxMakeWriter::new(std::io::stderr), std::io::stderr().is_terminal())
}

/// Sends log lines for people to a file, opened for appending, for a program whose terminal is for its user.
///
/// # Errors
/// As [`start_logging`].
pub fn start_logging_to(file: std::fs::File) -> Result<(), LoggingError> {
    start(LogFormat::Human, BoxMakeWriter::new(file), false)
}

fn start(format: LogFormat, writer: BoxMakeWriter, is_coloured: bool) -> Result<(), LoggingError> {
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter()?).with_writer(writer).with_ansi(is_coloured);
    let started = match format {
        LogFormat::Human => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|_| LoggingError::Started)
}

fn filter() -> Result<EnvFilter, LoggingError> {
    for variable in ["HEARTH_LOG", "RUST_LOG"] {
        if let Ok(text) = std::env::var(variable)
            && !text.is_empty()
        {
            return EnvFilter::try_new(text).map_err(|source| LoggingError::Filter { variable, source });
        }
    }
    Ok(EnvFilter::new(DEFAULT_FILTER))
}

/// An error with its causes, as `what failed: why: why that`: the form in which field `error` is logged.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        // Writing to a string cannot fail.
        let _ = write!(text, ": {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_names_every_cause_once() {
        let inner = std::io::Error::other("disk full");
        #[derive(Debug, thiserror::Error)]
        #[error("writing the state")]
        struct Outer(#[source] std::io::Error);
        assert_eq!(error_chain(&Outer(inner)), "writing the state: disk full");
    }

    #[test]
    fn an_unknown_format_is_refused() {
        assert_eq!("json".parse::<LogFormat>().ok(), Some(LogFormat::Json));
        assert!("xml".parse::<LogFormat>().is_err());
    }

    #[test]
    fn the_default_filter_is_well_formed() {
        assert!(EnvFilter::try_new(DEFAULT_FILTER).is_ok());
    }
}
