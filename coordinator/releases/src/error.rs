//! What can go wrong with a release, in words that name the next step.

use std::io;
use std::path::PathBuf;

use crate::python::{PythonRequirement, PythonVersion};

/// The result of anything a release does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a release could not be read, built or verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory could not be read or written.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was attempted, as a verb: "read", "create", …
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: io::Error,
    },
    /// A manifest is not TOML of the expected shape.
    #[error("release manifest {path} is not valid")]
    ManifestSyntax {
        /// The manifest's file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A manifest has the right shape but says something impossible.
    #[error("release manifest {label}: {reason}")]
    ManifestInvalid {
        /// The release label, or the file's name when the label itself is wrong.
        label: String,
        /// What is wrong.
        reason: String,
    },
    /// Nothing is known of this label.
    #[error("unknown release label {label}; known labels: {known}")]
    UnknownLabel {
        /// The label that was asked for.
        label: String,
        /// The labels of the catalog, comma-separated.
        known: String,
    },
    /// The label exists, but nothing here can be built for it.
    #[error("release label {label} exists, but cannot be built here: {reason}")]
    NotBuildable {
        /// The release label.
        label: String,
        /// Why.
        reason: String,
    },
    /// No Python on this host fits the release.
    #[error(
        "{label} needs Python {requires} on the workers; found {found}. Install one (Debian: apt-get install python3) or \
         name it in HEARTH_PYTHON"
    )]
    NoPython {
        /// The release label.
        label: String,
        /// What the release asks for.
        requires: PythonRequirement,
        /// What is here, for a person.
        found: String,
    },
    /// The release has no artifact for this Python and architecture.
    #[error("{label} lists no {project} wheel for Python {python} on {arch}")]
    NoWheel {
        /// The release label.
        label: String,
        /// The PyPI project.
        project: String,
        /// The Python wanted.
        python: PythonVersion,
        /// The machine architecture wanted.
        arch: &'static str,
    },
    /// This machine architecture has no bundle format.
    #[error("releases are built for x86_64 and aarch64, not for {0}")]
    UnsupportedArchitecture(String),
    /// A program that the build needs is not installed.
    #[error("{program} is needed to build a release and is not here; {install}")]
    MissingTool {
        /// The program.
        program: &'static str,
        /// How to install it.
        install: &'static str,
    },
    /// A program that the build ran did not succeed.
    #[error("{program} failed with {status}; its last words:\n{output}")]
    ToolFailed {
        /// The program.
        program: &'static str,
        /// Its exit status.
        status: String,
        /// The tail of what it printed.
        output: String,
    },
    /// A program succeeded but the file it was asked for is not there.
    #[error("{program} did not bring {file}")]
    NotFetched {
        /// The program.
        program: &'static str,
        /// The file's name.
        file: String,
    },
    /// A file's content is not what the manifest promises.
    #[error("{file} has SHA-256 {found}, and the release manifest says {expected}; it was not used")]
    DigestMismatch {
        /// The file's name.
        file: String,
        /// The digest the manifest lists.
        expected: String,
        /// The digest of the file.
        found: String,
    },
    /// A downloaded archive holds something that has no place in a bundle.
    #[error("{archive}: {reason}")]
    BadArchive {
        /// The archive's name.
        archive: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no bundle of the release to be passed on.
    #[error("{label} is not built yet: hearth release build {label}")]
    NotBuilt {
        /// The release label.
        label: String,
    },
    /// A file is not a release bundle.
    #[error("{path} is not a usable release bundle: {reason}")]
    BadBundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The build was stopped on request.
    #[error("the release build was cancelled")]
    Cancelled,
}

impl Error {
    /// Wraps an I/O error with the path it is about; for use in `map_err`.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
