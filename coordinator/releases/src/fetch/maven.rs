//! Fetching jars with the host's Maven, under its own settings: a site's mirror and proxy apply.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{Cancel, Tool};
use crate::error::{Error, Result};
use crate::manifest::MavenArtifact;

/// Pinned so that the same Maven does the same everywhere.
const RESOLVE: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:resolve";

/// Checks that Maven and a JDK are installed.
///
/// # Errors
/// [`Error::MissingTool`] that says how to install it.
pub(super) fn find() -> Result<()> {
    let answers = Command::new("mvn")
        .arg("-version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match answers {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Error::MissingTool {
            program: "mvn",
            install: "install it with: apt-get install maven openjdk-17-jdk-headless",
        }),
    }
}

/// Resolves `jars` in one run, each without its dependencies, into a repository of its own below `folder`. The host's
/// own local repository stays as it is: the jars are needed once, and the cache keeps them.
pub(super) fn fetch(jars: &[&MavenArtifact], folder: &Path, cancel: &Cancel, tick: &dyn Fn()) -> Result<()> {
    let project = folder.join("maven");
    fs::create_dir_all(&project).map_err(Error::io("create", &project))?;
    let pom = project.join("pom.xml");
    fs::write(&pom, pom_of(jars)).map_err(Error::io("write", &pom))?;
    Tool::new("mvn", OsStr::new("mvn"), project.join("log"))
        .args(["-B", "-ntp", "-Dstyle.color=never"])
        .args([format!("-Dmaven.repo.local={}", repository(folder).display())])
        .args([RESOLVE])
        .current_dir(&project)
        .run(cancel, tick)
}

/// Where [`fetch`] leaves a jar.
pub(super) fn brought(folder: &Path, jar: &MavenArtifact) -> PathBuf {
    repository(folder)
        .join(jar.group.replace('.', "/"))
        .join(&jar.artifact)
        .join(&jar.version)
        .join(jar.file_name())
}

fn repository(folder: &Path) -> PathBuf {
    folder.join("maven").join("repository")
}

/// A project that depends on each jar and on nothing that the jars depend on.
fn pom_of(jars: &[&MavenArtifact]) -> String {
    let mut dependencies = String::new();
    for MavenArtifact { group, artifact, version, .. } in jars {
        write!(
            dependencies,
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>\
             <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>"
        )
        .expect("writing to a string does not fail");
    }
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion><groupId>hearth</groupId>\
         <artifactId>release</artifactId><version>1</version><packaging>pom</packaging>\
         <dependencies>{dependencies}</dependencies></project>\n"
    )
}
