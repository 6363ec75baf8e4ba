//! `hearth release describe`: a manifest in words.

use std::fmt::Write;

use crate::catalog::Catalog;
use crate::error::Result;
use crate::labels::{Label, Source};
use crate::manifest::Manifest;

/// Describes a label for a person, several lines of plain text: what it means at its origin; then what its bundle carries,
/// where that is something else, what workers need, and every artifact with its digest; or why there is no bundle.
///
/// # Errors
/// [`crate::Error::UnknownLabel`].
pub fn describe(catalog: &Catalog, name: &str) -> Result<String> {
    let label = catalog.label(name)?;
    let mut text = String::new();
    let written = match &label.source {
        Source::Manifest(_) => write_description(&mut text, label, catalog.get(name)?),
        Source::Missing(reason) => write_origin(&mut text, label)
            .and_then(|()| writeln!(text, "  It cannot be built here: {reason}")),
    };
    written.expect("writing to a string does not fail");
    Ok(text)
}

fn write_origin(out: &mut String, label: &Label) -> std::fmt::Result {
    writeln!(out, "{} means Spark {}", label.name, label.spark)?;
    if let (Some(hive), Some(tez)) = (&label.hive, &label.tez) {
        writeln!(out, "  also     Hive {hive}, Tez {tez}: this version runs no Hive jobs")?;
    }
    Ok(())
}

fn write_description(out: &mut String, label: &Label, manifest: &Manifest) -> std::fmt::Result {
    let versions = &manifest.versions;
    write_origin(out, label)?;
    if manifest.label == label.name {
        writeln!(out, "  carries  {}", manifest.summary)?;
    } else {
        writeln!(out, "  carries  {}, the bundle of {}", manifest.summary, manifest.label)?;
    }
    writeln!(
        out,
        "  engine   {} {} (Scala {}), Hadoop client {}",
        manifest.engine, versions.spark, versions.scala, versions.hadoop
    )?;
    writeln!(out, "  workers  JDK {}, Python {}", manifest.java.major, manifest.python.requires)?;
    if manifest.differences.is_empty() {
        writeln!(out, "  Carries exactly what the label names.")?;
    } else {
        writeln!(out, "\nNot what the label means at its origin:")?;
    }
    for difference in &manifest.differences {
        writeln!(
            out,
            "  {}: carries {} instead of {}.",
            difference.component, difference.carried, difference.original
        )?;
        writeln!(out, "    {}", difference.reason)?;
    }
    for overlay in &manifest.overlays {
        let whom =
            overlay.python.as_ref().map_or("every Python".to_owned(), |range| format!("Python {range}"));
        writeln!(out, "  {} is added for {whom}.", overlay.path)?;
        writeln!(out, "    {}", overlay.reason)?;
    }
    writeln!(out, "\nArtifacts (SHA-256):")?;
    for sdist in &manifest.sdists {
        writeln!(out, "  {} pypi:{}=={}", sdist.sha256, sdist.project, sdist.version)?;
    }
    for wheel in &manifest.wheels {
        for file in &wheel.files {
            writeln!(
                out,
                "  {} pypi:{}=={} (Python {}, {})",
                file.sha256,
                wheel.project,
                wheel.version,
                file.python,
                file.arch.name()
            )?;
        }
    }
    for jar in &manifest.maven {
        writeln!(out, "  {} maven:{}:{}:{}", jar.sha256, jar.group, jar.artifact, jar.version)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::shipped;

    #[test]
    fn a_label_that_departs_from_its_origin_says_so() {
        let text = describe(&shipped(), "emr-7.6.0").unwrap();
        assert!(text.contains("Hadoop: carries 3.3.4 instead of 3.4.0"), "{text}");
        assert!(text.contains("maven:org.apache.hadoop:hadoop-aws:3.3.4"), "{text}");
    }

    #[test]
    fn a_label_that_shares_a_bundle_says_whose() {
        let text = describe(&shipped(), "emr-7.4.0").unwrap();
        assert!(text.starts_with("emr-7.4.0 means Spark 3.5.2\n"), "{text}");
        assert!(text.contains("the bundle of emr-7.5.0"), "{text}");
        assert!(text.contains("Hive 3.1.3, Tez 0.10.2"), "{text}");
    }
}
