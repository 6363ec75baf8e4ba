//! The Python interpreters of this host.

use std::path::PathBuf;
use std::process::Command;

use crate::Reach;

/// Asks an interpreter for its version without reading the user's settings.
const VERSION_QUESTION: &str = "import sys; print('%d.%d.%d' % sys.version_info[:3])";

/// A Python interpreter that workers can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonInstall {
    /// The interpreter, as found (possibly a symbolic link, which matters to virtual environments).
    pub path: PathBuf,
    /// Major and minor number, e.g. `(3, 11)`.
    pub series: (u32, u32),
    /// Full version.
    pub version: String,
}

/// Finds an interpreter, preferring the distribution's own: `/usr/bin`, `/usr/local/bin`, then `PATH`. With `series`,
/// only one of exactly that major and minor number. Blocks while each candidate tells its version.
pub fn find_python(series: Option<(u32, u32)>, reach: Reach) -> Option<PythonInstall> {
    let directories = ["/usr/bin", "/usr/local/bin"].map(PathBuf::from).into_iter();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = names(series);
    directories
        .chain(std::env::split_paths(&path))
        .flat_map(|directory| names.iter().map(move |name| directory.join(name)).collect::<Vec<_>>())
        .filter(|candidate| candidate.is_absolute() && reach.can_run(candidate))
        .filter_map(ask)
        .find(|install| series.is_none_or(|wanted| install.series == wanted))
}

fn names(series: Option<(u32, u32)>) -> Vec<String> {
    let exact = series.map(|(major, minor)| format!("python{major}.{minor}"));
    exact.into_iter().chain(["python3".to_owned()]).collect()
}

fn ask(path: PathBuf) -> Option<PythonInstall> {
    let output = Command::new(&path).args(["-I", "-S", "-c", VERSION_QUESTION]).output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    let series = (numbers.next()??, numbers.next()??);
    Some(PythonInstall { path, series, version })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_interpreter_tells_its_version() {
        let directory = tempfile::tempdir().expect("a directory");
        let interpreter = directory.path().join("python3");
        fs::write(&interpreter, "#!/bin/sh\necho 3.11.2\n").expect("written");
        fs::set_permissions(&interpreter, fs::Permissions::from_mode(0o755)).expect("set");
        let install = ask(interpreter.clone()).expect("an answer");
        assert_eq!(
            (install.path, install.series, install.version.as_str()),
            (interpreter.clone(), (3, 11), "3.11.2")
        );
        fs::write(&interpreter, "#!/bin/sh\necho usage\n").expect("written");
        assert_eq!(ask(interpreter), None);
    }

    #[test]
    fn the_exact_name_comes_first() {
        assert_eq!(names(Some((3, 9))), ["python3.9", "python3"]);
        assert_eq!(names(None), ["python3"]);
    }
}
