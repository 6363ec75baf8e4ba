//! The Java installations of this host.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Reach;

/// Directories whose entries are Java homes, as distributions and vendors install them.
const USUAL_PLACES: [&str; 4] = ["/usr/lib/jvm", "/usr/lib64/jvm", "/usr/java", "/opt/java"];

/// A Java installation that workers can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JavaInstall {
    /// `JAVA_HOME`, without symbolic links.
    pub home: PathBuf,
    /// Feature release: 8, 11, 17, …
    pub major: u32,
    /// Full version, as its `release` file says.
    pub version: String,
}

impl JavaInstall {
    /// The `java` program.
    pub fn java(&self) -> PathBuf {
        self.home.join("bin/java")
    }

    /// Looks at one directory; `None` if it is no Java home, or out of reach.
    pub fn at(home: &Path, reach: Reach) -> Option<Self> {
        let home = fs::canonicalize(home).ok()?;
        let release = fs::read_to_string(home.join("release")).ok()?;
        let (major, version) = parse_release(&release)?;
        let install = Self { home, major, version };
        reach.can_run(&install.java()).then_some(install)
    }
}

/// Lists the host's Java installations: `JAVA_HOME`, the usual places, and the `java` on `PATH`, in that order without
/// repetition. Blocks for a few file reads.
pub fn java_installs(reach: Reach) -> Vec<JavaInstall> {
    let mut seen = BTreeSet::new();
    let installs = candidates().into_iter().filter_map(|home| JavaInstall::at(&home, reach));
    installs.filter(|install| seen.insert(install.home.clone())).collect()
}

/// Finds an installation of exactly this feature release, the first of [`java_installs`].
pub fn find_java(major: u32, reach: Reach) -> Option<JavaInstall> {
    java_installs(reach).into_iter().find(|install| install.major == major)
}

fn candidates() -> Vec<PathBuf> {
    let mut homes: Vec<PathBuf> = std::env::var_os("JAVA_HOME").map(PathBuf::from).into_iter().collect();
    for place in USUAL_PLACES {
        let entries = fs::read_dir(place).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        found.sort();
        homes.extend(found);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    homes.extend(
        std::env::split_paths(&path).filter_map(|directory| home_of_program(&directory.join("java"))),
    );
    homes
}

fn home_of_program(java: &Path) -> Option<PathBuf> {
    let real = fs::canonicalize(java).ok()?;
    let bin = real.parent().filter(|directory| directory.file_name() == Some(OsStr::new("bin")))?;
    bin.parent().map(Path::to_owned)
}

fn parse_release(text: &str) -> Option<(u32, String)> {
    let version = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?.trim().trim_matches('"');
    // Up to Java 8 the feature release is the second number.
    let digits = version.strip_prefix("1.").unwrap_or(version);
    let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
    Some((digits[..end].parse().ok()?, version.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn versions_of_all_ages_are_understood() {
        for (text, expected) in [
            ("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"17.0.15\"\n", Some((17, "17.0.15"))),
            ("JAVA_VERSION=\"1.8.0_402\"\n", Some((8, "1.8.0_402"))),
            ("JAVA_VERSION=\"25\"\n", Some((25, "25"))),
            ("JAVA_VERSION=\"\"\n", None),
            ("OS_ARCH=\"x86_64\"\n", None),
        ] {
            let expected = expected.map(|(major, version)| (major, version.to_owned()));
            assert_eq!(parse_release(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_home_needs_a_release_file_and_a_program() {
        let home = tempfile::tempdir().expect("a directory");
        fs::write(home.path().join("release"), "JAVA_VERSION=\"21.0.1\"\n").expect("written");
        assert_eq!(JavaInstall::at(home.path(), Reach::ThisUser), None);
        fs::create_dir(home.path().join("bin")).expect("made");
        let java = home.path().join("bin/java");
        fs::write(&java, "").expect("written");
        fs::set_permissions(&java, fs::Permissions::from_mode(0o755)).expect("set");
        let install = JavaInstall::at(home.path(), Reach::ThisUser).expect("complete");
        assert_eq!((install.major, install.java().is_file()), (21, true));
        assert_eq!(home_of_program(&java), Some(install.home));
    }
}
