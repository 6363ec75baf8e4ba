//! `labels.toml`: the release labels that exist, with their versions, and the manifest behind each.

use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::manifest::Manifest;

/// The file's name, in the directory of the manifests.
pub(crate) const FILE: &str = "labels.toml";

/// A release label, whether it can be built here or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The label, as users give it to `CreateApplication`.
    pub name: String,
    /// The version of Spark that it means.
    pub spark: String,
    /// The version of Hive that it means; none for a label of the site's own.
    pub hive: Option<String>,
    /// The version of Tez that it means; none for a label of the site's own.
    pub tez: Option<String>,
    /// Where its bundle comes from.
    pub source: Source,
}

/// Where a label's bundle comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// From the manifest of this label, which may be that of another one with the same engine.
    Manifest(String),
    /// From nowhere: why it cannot be built.
    Missing(String),
}

impl Label {
    /// The label that a manifest is for by itself.
    pub(crate) fn of_manifest(manifest: &Manifest) -> Self {
        Self {
            name: manifest.label.clone(),
            spark: manifest.versions.spark.clone(),
            hive: None,
            tez: None,
            source: Source::Manifest(manifest.label.clone()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Labels {
    #[serde(default)]
    label: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    label: String,
    spark: String,
    hive: Option<String>,
    tez: Option<String>,
    bundle: Option<String>,
    missing: Option<String>,
}

/// Reads the file of `dir`, in its order; nothing if it is not there.
pub(crate) fn read(dir: &Path) -> Result<Vec<Label>> {
    let path = dir.join(FILE);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.map_err(Error::io("read", &path))?,
    };
    let labels: Labels = toml::from_str(&text)
        .map_err(|source| Error::ManifestSyntax { path: path.clone(), source: Box::new(source) })?;
    labels.label.into_iter().map(label).collect()
}

fn label(entry: Entry) -> Result<Label> {
    let Entry { label: name, spark, hive, tez, bundle, missing } = entry;
    let source = match (bundle, missing) {
        (Some(manifest), None) => Source::Manifest(manifest),
        (None, Some(reason)) => Source::Missing(reason),
        (Some(_), Some(_)) | (None, None) => {
            let reason = format!("{FILE} must give it either a bundle or the reason why it is missing");
            return Err(Error::ManifestInvalid { label: name, reason });
        }
    };
    Ok(Label { name, spark, hive, tez, source })
}
