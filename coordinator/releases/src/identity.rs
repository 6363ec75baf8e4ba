//! `bundle.json`: what a bundle says about itself.

use serde::{Deserialize, Serialize};

use crate::manifest::{Engine, Manifest};
use crate::python::PythonVersion;
use crate::target::Target;

/// The file's path inside the bundle; it is the first entry of the archive.
pub(crate) const PATH: &str = "bundle.json";

/// The content of `bundle.json`. Readers ignore fields they do not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleIdentity {
    /// The release label, such as `emr-7.6.0`.
    pub release_label: String,
    /// Spark's version.
    pub spark_version: String,
    /// Scala's binary version.
    pub scala_version: String,
    /// The JDK's feature release.
    pub java: u16,
    /// The Python that the native modules in `python/` are for.
    pub python: PythonVersion,
    /// The engine inside.
    pub engine: Engine,
}

impl BundleIdentity {
    /// The identity of the bundle that `manifest` makes for `target`.
    #[must_use]
    pub fn new(manifest: &Manifest, target: Target) -> Self {
        Self {
            release_label: manifest.label.clone(),
            spark_version: manifest.versions.spark.clone(),
            scala_version: manifest.versions.scala.clone(),
            java: manifest.java.major,
            python: target.python,
            engine: manifest.engine,
        }
    }

    /// The file's bytes: one JSON object and a newline, the same for the same identity.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("a struct of strings and numbers is always JSON");
        bytes.push(b'\n');
        bytes
    }
}
