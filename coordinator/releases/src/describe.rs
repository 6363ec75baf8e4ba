//! `hearth release describe`: a manifest in words.

use std::fmt::Write;

use crate::manifest::Manifest;

/// Describes a release for a person, several lines of plain text: what it carries, where that is not what the label
/// means at its origin, what workers need, and every artifact with its digest.
#[must_use]
pub fn describe(manifest: &Manifest) -> String {
    let mut text = String::new();
    write_description(&mut text, manifest).expect("writing to a string does not fail");
    text
}

fn write_description(out: &mut String, manifest: &Manifest) -> std::fmt::Result {
    let versions = &manifest.versions;
    writeln!(out, "{}: {}", manifest.label, manifest.summary)?;
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
    use std::path::Path;

    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn a_label_that_departs_from_its_origin_says_so() {
        let catalog =
            Catalog::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/releases")).unwrap();
        let text = describe(catalog.get("emr-7.6.0").unwrap());
        assert!(text.contains("Hadoop: carries 3.3.4 instead of 3.4.0"), "{text}");
        assert!(text.contains("maven:org.apache.hadoop:hadoop-aws:3.3.4"), "{text}");
    }
}
