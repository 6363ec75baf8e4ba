//! Fetching Python packages with the host's pip, under its own settings: a site's index and proxy apply.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{Cancel, Tool};
use crate::error::{Error, Result};
use crate::manifest::{Sdist, Wheel, WheelFile};
use crate::target::Target;

/// A Python that has pip; it need not be the one that jobs run.
#[derive(Debug)]
pub(crate) struct Pip {
    python: OsString,
}

impl Pip {
    /// Finds one: `HEARTH_PYTHON`, the virtual environment `<cache>/venv`, then `python3`.
    ///
    /// # Errors
    /// [`Error::MissingTool`] that says how to install it.
    pub(crate) fn find(cache_dir: &Path) -> Result<Self> {
        let venv = cache_dir.join("venv/bin/python3").into_os_string();
        let candidates = [
            env::var_os("HEARTH_PYTHON"),
            Some(venv),
            Some("python3".into()),
            Some("/usr/bin/python3".into()),
        ];
        let has_pip = |python: &OsString| {
            let version = Command::new(python)
                .args(["-m", "pip", "--version"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            version.is_ok_and(|status| status.success())
        };
        candidates.into_iter().flatten().find(has_pip).map(|python| Self { python }).ok_or(Error::MissingTool {
            program: "pip",
            install: "install it with: apt-get install python3-pip (or python3-venv, then: python3 -m venv ~/.cache/hearth/venv)",
        })
    }

    /// Downloads the files into `folder`; pip itself refuses a file of another digest.
    pub(super) fn fetch(
        &self,
        sdists: &[&Sdist],
        wheels: &[(&Wheel, &WheelFile)],
        target: Target,
        folder: &Path,
        cancel: &Cancel,
        tick: &dyn Fn(),
    ) -> Result<()> {
        let base = folder.join("pip");
        let temporary = base.join("tmp");
        fs::create_dir_all(&temporary).map_err(Error::io("create", &temporary))?;
        let wheel_lines: String = wheels
            .iter()
            .map(|(wheel, file)| requirement(&wheel.project, &wheel.version, &file.sha256))
            .collect();
        let sdist_lines: String =
            sdists.iter().map(|sdist| requirement(&sdist.project, &sdist.version, &sdist.sha256)).collect();
        let wheel_options = vec![
            "--only-binary=:all:".to_owned(),
            "--implementation=cp".to_owned(),
            format!("--python-version={}", target.python),
            format!("--platform=manylinux_2_17_{}", target.arch.name()),
            format!("--platform=manylinux2014_{}", target.arch.name()),
        ];
        for (name, lines, options) in [
            ("wheels", wheel_lines, wheel_options),
            ("sdists", sdist_lines, vec!["--no-binary=:all:".to_owned()]),
        ] {
            if lines.is_empty() {
                continue;
            }
            let list = base.join(format!("{name}.txt"));
            fs::write(&list, lines).map_err(Error::io("write", &list))?;
            Tool::new("pip", &self.python, base.join(format!("{name}.log")))
                .args([
                    "-m",
                    "pip",
                    "download",
                    "--no-input",
                    "--disable-pip-version-check",
                    "--progress-bar=off",
                    "--no-cache-dir",
                ])
                .args(["--no-deps", "--require-hashes", "--dest"])
                .args([&base])
                .args(options)
                .args(["--requirement".as_ref(), list.as_os_str()])
                .env("TMPDIR", &temporary)
                .current_dir(&base)
                .run(cancel, tick)?;
        }
        Ok(())
    }

    /// Unpacks a wheel into `folder`: a wheel is a zip archive, and Python reads those.
    pub(crate) fn unzip(&self, wheel: &Path, folder: &Path, log: PathBuf, cancel: &Cancel) -> Result<()> {
        Tool::new("python3", &self.python, log)
            .args(["-m", "zipfile", "-e"])
            .args([wheel, folder])
            .run(cancel, &|| ())
    }
}

/// Where [`Pip::fetch`] leaves a file.
pub(super) fn brought(folder: &Path, name: &str) -> PathBuf {
    folder.join("pip").join(name)
}

/// A line of a requirements file that pins a project to one file.
fn requirement(project: &str, version: &str, sha256: &str) -> String {
    format!("{project}=={version} --hash=sha256:{sha256}\n")
}
