//! What a bundle is built for: the workers' Python and architecture.

use std::env;
use std::ffi::OsString;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::manifest::Manifest;
use crate::python::PythonVersion;

/// A machine architecture that releases list wheels for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

/// The workers that a bundle is for. NumPy's machine code depends on both fields, so the bundle's digest does too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    /// The Python that jobs run.
    pub python: PythonVersion,
    /// The machine architecture.
    pub arch: Arch,
}

impl Arch {
    /// The name that the kernel and Python's platform tags use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The architecture of this machine.
    ///
    /// # Errors
    /// [`Error::UnsupportedArchitecture`] on any other than the two above.
    pub fn of_this_machine() -> Result<Self> {
        match env::consts::ARCH {
            "x86_64" => Ok(Self::X86_64),
            "aarch64" => Ok(Self::Aarch64),
            other => Err(Error::UnsupportedArchitecture(other.to_owned())),
        }
    }
}

impl Target {
    /// This host, with the first Python that `manifest` admits: `HEARTH_PYTHON` (alone, if set), else the
    /// system's own (workers run under users that cannot enter a home directory), else `python3`, else the newest `python3.N`.
    ///
    /// # Errors
    /// [`Error::NoPython`] if none fits; [`Error::UnsupportedArchitecture`].
    pub fn of_this_host(manifest: &Manifest) -> Result<Self> {
        let arch = Arch::of_this_machine()?;
        let candidates: Vec<OsString> = match env::var_os("HEARTH_PYTHON") {
            Some(named) => vec![named],
            None => ["/usr/bin/python3".into(), "python3".into()]
                .into_iter()
                .chain((6..30).rev().map(|minor| format!("python3.{minor}").into()))
                .collect(),
        };
        let mut found = Vec::new();
        for program in candidates {
            let Some(python) = version_of(&program) else { continue };
            if manifest.python.requires.admits(python) {
                return Ok(Self { python, arch });
            }
            found.push(format!("{} ({python})", program.to_string_lossy()));
        }
        Err(Error::NoPython {
            label: manifest.label.clone(),
            requires: manifest.python.requires.clone(),
            found: if found.is_empty() { "none".to_owned() } else { found.join(", ") },
        })
    }
}

/// Asks a Python interpreter for its version; `None` if it does not run.
fn version_of(program: &OsString) -> Option<PythonVersion> {
    let output = Command::new(program)
        .args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
