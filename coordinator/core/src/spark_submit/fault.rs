//! What can be wrong with a Spark job's parameters. All of it is the caller's to mend, so each text names the token.

use super::classifications::Classification;
use super::sizing::Role;
use crate::rules::NeedsRelease;
use crate::worker_size::UnsupportedSize;
use std::fmt;

/// Why hearth keeps an option or setting for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// The master is hearth's.
    Master,
    /// Drivers run on hearth's workers, always.
    DeployMode,
    /// Spark Connect clients have no driver to start.
    Remote,
    /// Manages drivers of a standalone cluster.
    StandaloneControl,
    /// Prints something and starts nothing.
    PrintsOnly,
    /// Settings must be known before a worker is chosen.
    PropertiesFile,
}

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Master => "the service provides the master: jobs run only on the application's own workers",
            Self::DeployMode => "the service decides where the driver runs: on a worker of the application",
            Self::Remote => "a job run starts its own driver and cannot be a client of another one",
            Self::StandaloneControl => "it manages drivers of a standalone cluster; use CancelJobRun or GetJobRun",
            Self::PrintsOnly => "it prints information and runs no job",
            Self::PropertiesFile => {
                "worker sizes are chosen before any file can be read; use --conf or the spark-defaults classification"
            }
        })
    }
}

/// One thing that is wrong with a Spark job's parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A quote is opened and not closed, or the text ends in a backslash.
    #[error("sparkSubmitParameters has an unclosed quote or ends in a backslash")]
    Unbalanced,
    /// SparkSubmit has no such option.
    #[error("unrecognized option '{0}'")]
    UnknownOption(String),
    /// The text ends where the option's value should be.
    #[error("missing value for option '{0}'")]
    MissingValue(&'static str),
    /// A `--conf` without `=`.
    #[error("--conf '{0}' has no '=': it must be key=value")]
    ConfWithoutEquals(String),
    /// A word that belongs to no option.
    #[error(
        "unexpected argument '{0}': the program is named by entryPoint and its arguments by entryPointArguments"
    )]
    UnexpectedArgument(String),
    /// An option or setting the service keeps for itself.
    #[error("{name} cannot be set: {reason}")]
    Reserved {
        /// The option (`--master`) or setting (`spark.master`).
        name: String,
        /// Why.
        reason: Reserved,
    },
    /// Two options that exclude each other.
    #[error("{0} and {1} cannot be given together")]
    Conflict(&'static str, &'static str),
    /// A setting's value breaks its rule.
    #[error("{key}={value} is not valid: it must be {rule}")]
    Value {
        /// The setting.
        key: String,
        /// Its value.
        value: String,
        /// The rule, as a noun phrase.
        rule: &'static str,
    },
    /// Heap options among Java options, which Spark refuses too.
    #[error("{key} must not contain {token}: set spark.driver.memory instead")]
    HeapOption {
        /// The setting.
        key: &'static str,
        /// The offending Java option.
        token: String,
    },
    /// The entry point cannot be run.
    #[error("entryPoint '{uri}' cannot be run: {rule}")]
    EntryPoint {
        /// The entry point as given.
        uri: String,
        /// What it must be.
        rule: &'static str,
    },
    /// A classification Spark applications do not have.
    #[error("classification '{0}' is not supported for Spark applications; supported: {supported}", supported = Classification::names())]
    Classification(String),
    /// The release is too old for something.
    #[error(transparent)]
    NeedsRelease(#[from] NeedsRelease),
    /// A worker of the wanted size does not exist.
    #[error("the {role} needs an unsupported worker size: {source}")]
    Size {
        /// Driver or executor.
        role: Role,
        /// What is wrong with it.
        source: UnsupportedSize,
    },
}

/// Everything that is wrong with a Spark job's parameters, in the order found; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}
