//! The catalog: the labels that exist, and the manifests of one directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::labels::{self, Label, Source};
use crate::manifest::Manifest;

/// All releases that this installation knows.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// By their own labels.
    manifests: BTreeMap<String, Manifest>,
    labels: Vec<Label>,
}

impl Catalog {
    /// Reads every `*.toml` of `dir`: `labels.toml`, if there is one, and manifests, whose files are named after their labels.
    ///
    /// # Errors
    /// [`Error::Io`], and what [`Manifest::parse`] refuses: a catalog with one wrong file is not used.
    pub fn load(dir: &Path) -> Result<Self> {
        let mut manifests = BTreeMap::new();
        for entry in fs::read_dir(dir).map_err(Error::io("read", dir))? {
            let path = entry.map_err(Error::io("read", dir))?.path();
            let is_manifest = path.extension().is_some_and(|extension| extension == "toml")
                && path.file_name().is_some_and(|name| name != labels::FILE);
            if !is_manifest {
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
        let mut known = labels::read(dir)?;
        for (index, label) in known.iter().enumerate() {
            check(label, &known[..index], &manifests)?;
        }
        for manifest in manifests.values() {
            if known.iter().all(|label| label.name != manifest.label) {
                known.push(Label::of_manifest(manifest));
            }
        }
        Ok(Self { manifests, labels: known })
    }

    /// The manifest that runs a label's jobs; several labels may have the same.
    ///
    /// # Errors
    /// [`Error::UnknownLabel`], which names the known ones; [`Error::NotBuildable`] for one that exists all the same.
    pub fn get(&self, name: &str) -> Result<&Manifest> {
        match &self.label(name)?.source {
            Source::Manifest(of) => Ok(&self.manifests[of]),
            Source::Missing(reason) => {
                Err(Error::NotBuildable { label: name.to_owned(), reason: reason.clone() })
            }
        }
    }

    /// What is known of a label.
    ///
    /// # Errors
    /// [`Error::UnknownLabel`], which names the known ones.
    pub fn label(&self, name: &str) -> Result<&Label> {
        self.labels.iter().find(|label| label.name == name).ok_or_else(|| Error::UnknownLabel {
            label: name.to_owned(),
            known: self.labels.iter().map(|label| label.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// All labels: those of `labels.toml` in its order, then those of other manifests.
    pub fn labels(&self) -> impl Iterator<Item = &Label> {
        self.labels.iter()
    }

    /// The names of the labels that can be built, in the same order.
    pub fn buildable(&self) -> impl Iterator<Item = &str> {
        self.labels
            .iter()
            .filter(|label| matches!(label.source, Source::Manifest(_)))
            .map(|label| label.name.as_str())
    }

    /// All manifests in the order of their labels.
    pub fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.manifests.values()
    }
}

/// Refuses a label that stands there twice, and one whose manifest is missing or carries another engine.
fn check(label: &Label, before: &[Label], manifests: &BTreeMap<String, Manifest>) -> Result<()> {
    let invalid = |reason: String| Err(Error::ManifestInvalid { label: label.name.clone(), reason });
    if before.iter().any(|other| other.name == label.name) {
        return invalid(format!("it stands twice in {}", labels::FILE));
    }
    let Source::Manifest(of) = &label.source else { return Ok(()) };
    match manifests.get(of) {
        None => invalid(format!("{} gives it the bundle of {of}, which has no manifest", labels::FILE)),
        Some(manifest) if manifest.versions.spark != label.spark => invalid(format!(
            "it means Spark {}, and the bundle of {of} carries {}",
            label.spark, manifest.versions.spark
        )),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::manifest::tests::SMALL;

    /// What hearth is installed with.
    pub(crate) fn shipped() -> Catalog {
        Catalog::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/releases")).unwrap()
    }

    /// A directory with the small manifest and these labels.
    fn load(labels: &str) -> Result<Catalog> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("spark-0.0.1.toml"), SMALL).unwrap();
        fs::write(dir.path().join(labels::FILE), labels).unwrap();
        Catalog::load(dir.path())
    }

    #[test]
    fn every_label_of_the_guide_is_known_with_its_versions_and_can_be_built() {
        let catalog = shipped();
        let told: Vec<String> = catalog
            .labels()
            .map(|label| {
                let (hive, tez) = (label.hive.as_deref().unwrap(), label.tez.as_deref().unwrap());
                assert_eq!(catalog.get(&label.name).unwrap().versions.spark, label.spark, "{label:?}");
                format!("{} {} {hive} {tez}", label.name, label.spark)
            })
            .collect();
        // guide:9135-9385
        assert_eq!(
            told,
            [
                "emr-6.6.0 3.2.0 3.1.2 0.9.2",
                "emr-6.7.0 3.2.1 3.1.3 0.9.2",
                "emr-6.8.0 3.3.0 3.1.3 0.9.2",
                "emr-6.9.0 3.3.0 3.1.3 0.10.2",
                "emr-6.10.0 3.3.1 3.1.3 0.10.2",
                "emr-6.11.0 3.3.2 3.1.3 0.10.2",
                "emr-6.12.0 3.4.0 3.1.3 0.10.2",
                "emr-6.13.0 3.4.1 3.1.3 0.10.2",
                "emr-6.14.0 3.4.1 3.1.3 0.10.2",
                "emr-6.15.0 3.4.1 3.1.3 0.10.2",
                "emr-7.0.0 3.5.0 3.1.3 0.10.2",
                "emr-7.1.0 3.5.0 3.1.3 0.10.2",
                "emr-7.2.0 3.5.1 3.1.3 0.10.2",
                "emr-7.3.0 3.5.1 3.1.3 0.10.2",
                "emr-7.4.0 3.5.2 3.1.3 0.10.2",
                "emr-7.5.0 3.5.2 3.1.3 0.10.2",
                "emr-7.6.0 3.5.3 3.1.3 0.10.2",
            ]
        );
        let error = catalog.get("emr-0.0.0").unwrap_err().to_string();
        assert!(error.contains("emr-7.6.0"), "{error}");
    }

    #[test]
    fn labels_share_a_bundle_a_missing_one_says_why_and_a_manifest_is_a_label_by_itself() {
        let catalog = load(
            "[[label]]\nlabel = \"emr-1\"\nspark = \"0.0.1\"\nbundle = \"spark-0.0.1\"\n\
             [[label]]\nlabel = \"emr-2\"\nspark = \"9\"\nmissing = \"nobody published it\"",
        )
        .unwrap();
        assert_eq!(catalog.get("emr-1").unwrap().label, "spark-0.0.1");
        assert!(
            matches!(catalog.get("emr-2"), Err(Error::NotBuildable { reason, .. }) if reason == "nobody published it")
        );
        assert_eq!(catalog.buildable().collect::<Vec<_>>(), ["emr-1", "spark-0.0.1"]);
    }

    #[test]
    fn labels_that_promise_what_is_not_there_are_refused() {
        let label = |rest: &str| format!("[[label]]\nlabel = \"emr-1\"\nspark = \"0.0.1\"\n{rest}\n");
        let good = label("bundle = \"spark-0.0.1\"");
        for (labels, reason) in [
            (label(""), "either"),
            (label("bundle = \"spark-0.0.1\"\nmissing = \"why\""), "either"),
            (label("bundle = \"emr-1\""), "no manifest"),
            (good.replace("\"0.0.1\"", "\"0.0.2\""), "carries 0.0.1"),
            (format!("{good}{good}"), "twice"),
        ] {
            let error = load(&labels).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        load(&good).unwrap();
    }

    #[test]
    fn a_manifest_under_another_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("other.toml"), SMALL).unwrap();
        assert!(Catalog::load(dir.path()).is_err());
        fs::rename(dir.path().join("other.toml"), dir.path().join("spark-0.0.1.toml")).unwrap();
        assert_eq!(Catalog::load(dir.path()).unwrap().buildable().collect::<Vec<_>>(), ["spark-0.0.1"]);
    }
}
