//! Releases: what a release label carries, and how its bundle is made.
//!
//! A release label such as `emr-7.6.0` names a manifest (`deploy/releases/*.toml`): engine versions, JDK and Python
//! requirement, and every artifact with its SHA-256. [`build`] fetches the artifacts through the host's own pip and
//! Maven clients, verifies each digest and packs one deterministic `tar.zst`, the *bundle*; its id is its SHA-256.
//! [`verify`] reads such a file back before it is imported or exported.
//!
//! Everything here is synchronous: a daemon runs it on a blocking thread, and stops it through [`Cancel`].
//! See `docs/releases.md` for the manifest format and the bundle's layout.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod build;
mod catalog;
mod command;
mod describe;
mod error;
mod fetch;
mod identity;
mod labels;
mod manifest;
mod pack;
mod pattern;
mod progress;
mod python;
mod shelf;
mod target;
mod unpack;
mod verify;
mod workspace;

pub use build::{BuildRequest, BuiltBundle, build, default_cache_dir};
pub use catalog::Catalog;
pub use command::Cancel;
pub use describe::describe;
pub use error::{Error, Result};
pub use identity::BundleIdentity;
pub use labels::{Label, Source};
pub use manifest::{
    Difference, Engine, Java, Manifest, MavenArtifact, Overlay, Placement, Python, Sdist, Versions, Wheel,
    WheelFile,
};
pub use pattern::Pattern;
pub use progress::{Phase, PhaseText, PlainProgress, Progress, Silent, TerminalProgress};
pub use python::{PythonRequirement, PythonVersion};
pub use shelf::{Shelf, Stored};
pub use target::{Arch, Target};
pub use verify::{BundleInfo, verify};
