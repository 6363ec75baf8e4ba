//! The manifest of a release: one TOML file that lists all a bundle is made of.

use std::fmt;
use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::pattern::Pattern;
use crate::python::{PythonRequirement, PythonVersion};
use crate::target::{Arch, Target};

/// The manifest format that this code reads.
const FORMAT: u32 = 1;

/// What a release label carries. Paths are relative to the bundle's root, with `/` between segments.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The manifest format's number; other numbers are refused.
    pub format: u32,
    /// The release label, as users give it to `CreateApplication`.
    pub label: String,
    /// The engine that the bundle runs.
    pub engine: Engine,
    /// One line for a person.
    pub summary: String,
    /// The versions that jobs see.
    pub versions: Versions,
    /// The JDK that workers need.
    pub java: Java,
    /// The Python that workers need.
    pub python: Python,
    /// Where the bundle departs from what the label means at its origin; empty if nowhere.
    #[serde(default, rename = "difference")]
    pub differences: Vec<Difference>,
    /// Python source distributions, fetched by pip; their files are placed one folder at a time.
    #[serde(default, rename = "sdist")]
    pub sdists: Vec<Sdist>,
    /// Python wheels, fetched by pip; one file of each fits a target.
    #[serde(default, rename = "wheel")]
    pub wheels: Vec<Wheel>,
    /// Jars, fetched by Maven, each without its dependencies.
    #[serde(default, rename = "maven")]
    pub maven: Vec<MavenArtifact>,
    /// Files that the manifest itself carries; they replace a placed file of the same path.
    #[serde(default, rename = "overlay")]
    pub overlays: Vec<Overlay>,
}

/// The engine of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Engine {
    /// Apache Spark.
    Spark,
}

/// The versions of a release's parts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// Spark's full version.
    pub spark: String,
    /// Scala's binary version, such as `2.12`.
    pub scala: String,
    /// The version of the Hadoop client libraries.
    pub hadoop: String,
}

/// The JDK of a release.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Java {
    /// The feature release, such as 17. A host offers the release only if it has this one.
    pub major: u16,
    /// The options that the engine needs on every JVM's command line, in order.
    pub module_options: Vec<String>,
}

/// The Python of a release.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Python {
    /// The versions that the engine and the packages support.
    pub requires: PythonRequirement,
}

/// One part in which the bundle is not what the label means at its origin.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The part's name.
    pub component: String,
    /// What the label means at its origin.
    pub original: String,
    /// What the bundle carries.
    pub carried: String,
    /// Why.
    pub reason: String,
}

/// A Python source distribution.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sdist {
    /// The PyPI project.
    pub project: String,
    /// Its exact version.
    pub version: String,
    /// The file's name, a `.tar.gz` with one top folder.
    pub file: String,
    /// The file's SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// The file's size.
    pub bytes: u64,
    /// What goes where; a file that no rule names is left out.
    pub place: Vec<Placement>,
    /// Placed paths that are left out all the same.
    #[serde(default)]
    pub drop: Vec<Pattern>,
}

/// A folder of an archive and the bundle's folder that it becomes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// A folder inside the archive's top folder.
    pub from: String,
    /// A folder of the bundle.
    pub to: String,
}

/// A Python package with machine code.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// The PyPI project.
    pub project: String,
    /// Its exact version.
    pub version: String,
    /// The bundle's folder that it is unpacked into.
    pub to: String,
    /// Placed paths that are left out.
    #[serde(default)]
    pub drop: Vec<Pattern>,
    /// The files, one for each Python and architecture.
    #[serde(rename = "file")]
    pub files: Vec<WheelFile>,
}

/// The file of a wheel for one target.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WheelFile {
    /// The Python it is for.
    pub python: PythonVersion,
    /// The architecture it is for.
    pub arch: Arch,
    /// The file's name.
    pub file: String,
    /// The file's SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// The file's size.
    pub bytes: u64,
}

/// A jar in a Maven repository.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MavenArtifact {
    /// The group id.
    pub group: String,
    /// The artifact id.
    pub artifact: String,
    /// The exact version.
    pub version: String,
    /// The jar's SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// The jar's size.
    pub bytes: u64,
    /// The bundle's folder that it goes to.
    pub to: String,
}

/// A file whose text stands in the manifest: a patch of the engine for some Python versions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// The bundle's path.
    pub path: String,
    /// The Python versions it is for; all of them if absent.
    pub python: Option<PythonRequirement>,
    /// Why it is needed.
    pub reason: String,
    /// The file's content.
    pub text: String,
}

impl Manifest {
    /// Reads a manifest's text; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::ManifestSyntax`] and [`Error::ManifestInvalid`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let manifest: Self = toml::from_str(text)
            .map_err(|source| Error::ManifestSyntax { path: path.to_owned(), source: Box::new(source) })?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The file of each wheel that fits `target`, in the manifest's order.
    ///
    /// # Errors
    /// [`Error::NoWheel`] if a wheel has no file for it.
    pub fn wheels_for(&self, target: Target) -> Result<Vec<(&Wheel, &WheelFile)>> {
        let file_for = |wheel: &'_ Wheel| {
            wheel
                .files
                .iter()
                .position(|file| file.python == target.python && file.arch == target.arch)
                .ok_or_else(|| Error::NoWheel {
                    label: self.label.clone(),
                    project: wheel.project.clone(),
                    python: target.python,
                    arch: target.arch.name(),
                })
        };
        self.wheels.iter().map(|wheel| file_for(wheel).map(|index| (wheel, &wheel.files[index]))).collect()
    }

    fn check(&self) -> Result<()> {
        let invalid = |reason: String| Err(Error::ManifestInvalid { label: self.label.clone(), reason });
        if self.format != FORMAT {
            return invalid(format!("format {} is not known, only {FORMAT}", self.format));
        }
        if self.label.is_empty()
            || !self.label.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        {
            return invalid("the label may hold letters, digits, '.', '_' and '-'".to_owned());
        }
        let digests = self.sdists.iter().map(|sdist| &sdist.sha256);
        let digests =
            digests.chain(self.wheels.iter().flat_map(|wheel| wheel.files.iter().map(|file| &file.sha256)));
        for digest in digests.chain(self.maven.iter().map(|jar| &jar.sha256)) {
            if digest.len() != 64 || !digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return invalid(format!("{digest:?} is not a SHA-256 in lower-case hexadecimal"));
            }
        }
        let places = self.sdists.iter().flat_map(|sdist| sdist.place.iter().map(|rule| &rule.to));
        let places = places
            .chain(self.wheels.iter().map(|wheel| &wheel.to))
            .chain(self.maven.iter().map(|jar| &jar.to));
        for path in places.chain(self.overlays.iter().map(|overlay| &overlay.path)) {
            if !is_inside(path) {
                return invalid(format!("{path:?} is not a path inside the bundle"));
            }
        }
        Ok(())
    }
}

/// Tells whether `path` is relative, not empty and without `.` or `..`.
pub(crate) fn is_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

impl MavenArtifact {
    /// The jar's file name.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}-{}.jar", self.artifact, self.version)
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spark => f.write_str("Spark"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A manifest that needs no network: nothing to fetch, one overlay.
    pub(crate) const SMALL: &str = r#"
        format = 1
        label = "spark-0.0.1"
        engine = "SPARK"
        summary = "for tests"
        [versions]
        spark = "0.0.1"
        scala = "2.12"
        hadoop = "3.3.4"
        [java]
        major = 17
        module_options = []
        [python]
        requires = ">=3.6"
        [[overlay]]
        path = "python/shim.py"
        reason = "a test"
        text = "x = 1\n"
    "#;

    #[test]
    fn a_misspelt_key_is_refused() {
        let text = SMALL.replace("summary", "sumary");
        assert!(matches!(Manifest::parse(&text, Path::new("x.toml")), Err(Error::ManifestSyntax { .. })));
    }

    #[test]
    fn what_is_impossible_is_refused_with_its_reason() {
        for (from, to, reason) in [
            ("format = 1", "format = 2", "format 2"),
            ("spark-0.0.1", "spark/0.0.1", "label"),
            ("python/shim.py", "../shim.py", "inside the bundle"),
            ("python/shim.py", "/etc/passwd", "inside the bundle"),
        ] {
            let error = Manifest::parse(&SMALL.replacen(from, to, 1), Path::new("x.toml")).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
