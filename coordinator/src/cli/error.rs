//! What goes wrong for a person, with the next step and the exit code.

use std::io;
use std::path::PathBuf;

/// Exit code of a job run that failed, and of anything refused.
pub(super) const FAILED: u8 = 1;
/// Exit code when no endpoint answers.
pub(super) const NO_ENDPOINT: u8 = 3;
/// Exit code when what was named does not exist.
pub(super) const NOT_FOUND: u8 = 4;
/// Exit code of a job run that was cancelled.
pub(super) const CANCELLED: u8 = 5;

/// Why a verb did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// Neither the environment nor a data directory names an endpoint.
    #[error("no endpoint is known: AWS_ENDPOINT_URL is not set and {env_file} cannot be read")]
    NoConnection {
        /// The file that would name it.
        env_file: PathBuf,
        /// Why it cannot be read.
        #[source]
        source: io::Error,
    },
    /// The environment or the data directory names an endpoint without all that belongs to it.
    #[error("{from} does not set {name}")]
    MissingSetting {
        /// Where it should be.
        from: String,
        /// The variable.
        name: &'static str,
    },
    /// Nothing answers, or not as HTTP.
    #[error("{endpoint} does not answer")]
    Unreachable {
        /// The endpoint.
        endpoint: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// A request cannot be formed.
    #[error("making the request for {what}")]
    Request {
        /// What it is for.
        what: String,
        /// Why.
        #[source]
        source: http::Error,
    },
    /// The endpoint said no.
    #[error("{operation} was refused: {message} ({code})")]
    Refused {
        /// The API's operation.
        operation: String,
        /// The API's error code.
        code: String,
        /// The API's message.
        message: String,
        /// HTTP status.
        status: u16,
    },
    /// The endpoint answered with something else than its API says.
    #[error("{operation} was answered with something unexpected")]
    Answer {
        /// The API's operation.
        operation: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// No application holds such a job run.
    #[error("there is no job run {0}")]
    NoSuchJobRun(String),
    /// There are no such logs yet, or at all.
    #[error("there is no {0}")]
    NoLogs(String),
    /// A file cannot be used.
    #[error("{action} {path}")]
    File {
        /// What was tried, such as `reading`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Standard output is closed or full.
    #[error("writing to standard output")]
    Output(#[source] io::Error),
    /// No `hearth up` runs on the data directory.
    #[error("no `hearth up` runs on {0}")]
    NotUp(PathBuf),
    /// A process does not end.
    #[error("process {pid} was asked to stop {seconds} s ago and still runs")]
    StillRunning {
        /// Its id.
        pid: i32,
        /// How long ago.
        seconds: u64,
    },
    /// A process cannot be signalled.
    #[error("stopping process {pid}")]
    Signal {
        /// Its id.
        pid: i32,
        /// Why.
        #[source]
        source: nix::Error,
    },
    /// A release cannot be listed, built, read or written.
    #[error(transparent)]
    Release(#[from] hearth_releases::Error),
    /// Something was typed that cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// The daemon could not start or run.
    #[error(transparent)]
    Daemon(anyhow::Error),
}

impl CliError {
    /// What a person does next, if that is known.
    pub(super) fn next_step(&self) -> Option<String> {
        Some(match self {
            Self::NoConnection { .. } => {
                "start one with `hearth up`, or name its data directory with --data-dir".to_owned()
            }
            Self::MissingSetting { .. } => {
                "load it with `set -a; . DIR/env; set +a`, DIR being the data directory".to_owned()
            }
            Self::Unreachable { source, .. } if is_untrusted(source) => {
                "the endpoint's certificate is not trusted; export AWS_CA_BUNDLE with the file of who signed it: DIR/ca.pem of \
                 `hearth up --tls`, and for the coordinator data_dir/ca/ca.pem"
                    .to_owned()
            }
            Self::Unreachable { .. } => {
                "is `hearth up` running? Start it, or see `hearth doctor` for what may keep it from running"
                    .to_owned()
            }
            Self::Refused { code, .. } => return next_step_of_refusal(code),
            Self::NoSuchJobRun(_) => "`hearth list` shows the job runs there are".to_owned(),
            Self::NoLogs(_) => {
                "logs arrive some seconds after a worker started; `hearth explain JOB` says how far it is"
                    .to_owned()
            }
            Self::StillRunning { .. } => {
                "it may be waiting for jobs to stop; run `hearth down` again".to_owned()
            }
            Self::Release(
                hearth_releases::Error::UnknownLabel { .. } | hearth_releases::Error::NotBuildable { .. },
            ) => {
                "`hearth release list` shows the labels there are".to_owned()
            }
            Self::File { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "run it as the user who owns that file".to_owned()
            }
            Self::Answer { .. } => {
                "is this a hearth endpoint of this version? Compare `hearth --version` on both sides"
                    .to_owned()
            }
            Self::Request { .. }
            | Self::File { .. }
            | Self::Output(_)
            | Self::NotUp(_)
            | Self::Signal { .. }
            | Self::Release(_)
            | Self::Usage(_)
            | Self::Daemon(_) => return None,
        })
    }

    /// The process's exit code.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::NoConnection { .. } | Self::MissingSetting { .. } | Self::Unreachable { .. } => NO_ENDPOINT,
            Self::Refused { status: 404, .. } | Self::NoSuchJobRun(_) | Self::NoLogs(_) => NOT_FOUND,
            Self::Usage(_) => 2,
            Self::Refused { .. }
            | Self::Request { .. }
            | Self::Answer { .. }
            | Self::File { .. }
            | Self::Output(_)
            | Self::NotUp(_)
            | Self::StillRunning { .. }
            | Self::Signal { .. }
            | Self::Release(_)
            | Self::Daemon(_) => FAILED,
        }
    }

    /// Whether the reader of our output has simply gone, as `head` does.
    pub(super) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(source) if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Whether a connection failed for want of trust. The TLS library's own type is not ours to name.
fn is_untrusted(error: &reqwest::Error) -> bool {
    error.is_connect() && hearth_telemetry::error_chain(error).contains("invalid peer certificate")
}

fn next_step_of_refusal(code: &str) -> Option<String> {
    let step = match code {
        "SignatureDoesNotMatch"
        | "InvalidAccessKeyId"
        | "UnrecognizedClientException"
        | "InvalidSignatureException" => {
            "the exported keys are not this endpoint's; load them again with `set -a; . DIR/env; set +a`"
        }
        "RequestTimeTooSkewed" => "compare this machine's clock with the server's",
        "NoSuchBucket" => {
            "make it with `aws s3 mb s3://BUCKET`, or export HEARTH_BUCKET with one that exists"
        }
        "AccessDenied" | "AccessDeniedException" => {
            "ask whoever runs this endpoint for the permission named above"
        }
        _ => return None,
    };
    Some(step.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_endpoint_is_told_from_a_refusal() {
        let missing = CliError::NoConnection { env_file: "x".into(), source: io::ErrorKind::NotFound.into() };
        assert_eq!(missing.exit_code(), NO_ENDPOINT);
        assert!(missing.next_step().is_some_and(|step| step.contains("hearth up")));
        let refused = |status| CliError::Refused {
            operation: "GetJobRun".to_owned(),
            code: "X".to_owned(),
            message: String::new(),
            status,
        };
        assert_eq!((refused(404).exit_code(), refused(400).exit_code()), (NOT_FOUND, FAILED));
    }
}
