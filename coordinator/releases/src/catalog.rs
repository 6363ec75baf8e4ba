//! The catalog: the manifests of one directory by release label.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::manifest::Manifest;

/// All releases that this installation knows.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    manifests: BTreeMap<String, Manifest>,
}

impl Catalog {
    /// Reads every `*.toml` of `dir`; a file's name must be its label.
    ///
    /// # Errors
    /// [`Error::Io`], and what [`Manifest::parse`] refuses: a catalog with one wrong manifest is not used.
    pub fn load(dir: &Path) -> Result<Self> {
        let mut manifests = BTreeMap::new();
        for entry in fs::read_dir(dir).map_err(Error::io("read", dir))? {
            let path = entry.map_err(Error::io("read", dir))?.path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
            let manifest = Manifest::parse(&text, &path)?;
            if path.file_stem().is_none_or(|stem| stem != manifest.label.as_str()) {
                let reason =
                    format!("its file must be named {}.toml, not {}", manifest.label, path.display());
                return Err(Error::ManifestInvalid { label: manifest.label, reason });
            }
            manifests.insert(manifest.label.clone(), manifest);
        }
        Ok(Self { manifests })
    }

    /// The manifest of a label.
    ///
    /// # Errors
    /// [`Error::UnknownLabel`], which names the known ones.
    pub fn get(&self, label: &str) -> Result<&Manifest> {
        self.manifests.get(label).ok_or_else(|| Error::UnknownLabel {
            label: label.to_owned(),
            known: self.labels().collect::<Vec<_>>().join(", "),
        })
    }

    /// All labels in alphabetical order.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.manifests.keys().map(String::as_str)
    }

    /// All manifests in the order of their labels.
    pub fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.manifests.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::SMALL;

    #[test]
    fn the_shipped_catalog_loads_and_names_its_labels() {
        let catalog =
            Catalog::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/releases")).unwrap();
        assert_eq!(catalog.get("emr-7.6.0").unwrap().versions.spark, "3.5.3");
        let error = catalog.get("emr-0.0.0").unwrap_err().to_string();
        assert!(error.contains("emr-7.6.0"), "{error}");
    }

    #[test]
    fn a_manifest_under_another_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("other.toml"), SMALL).unwrap();
        assert!(Catalog::load(dir.path()).is_err());
        fs::rename(dir.path().join("other.toml"), dir.path().join("spark-0.0.1.toml")).unwrap();
        assert_eq!(Catalog::load(dir.path()).unwrap().labels().collect::<Vec<_>>(), ["spark-0.0.1"]);
    }
}
