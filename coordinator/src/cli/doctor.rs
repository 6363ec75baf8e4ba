//! `hearth doctor`: what this host cannot do for jobs, and how to mend it.

use super::error::CliError;
use super::screen;
use super::up_pid;
use comfy_table::{Cell, Color};
use hearth_cgroups::{Cgroups, Enforcement, EnforcementReport, Hierarchy};
use hearth_processes::host::HostInventory;
use hearth_processes::{Reach, java, python};
use hearth_telemetry::error_chain;
use nix::unistd::Uid;
use serde::Serialize;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The JDK that releases ask for.
const JAVA_MAJOR: u32 = 17;
/// A release's download, its bundle and its unpacked tree, side by side.
const DISK_NEEDED_BYTES: u64 = 4 << 30;
/// A driver and an executor of the smallest size, and the daemons.
const MEMORY_NEEDED_BYTES: u64 = 5 << 30;
/// Where `hearth up` listens unless told otherwise.
const DEFAULT_ENDPOINT: &str = "127.0.0.1:8420";

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As it should be.
    Good,
    /// Jobs run, with something less.
    Limited,
    /// Jobs cannot run.
    Missing,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

/// Prints every finding; true if jobs can run.
pub(super) fn doctor(data_dir: &Path, as_json: bool) -> Result<bool, CliError> {
    let findings = examine(data_dir);
    if as_json {
        screen::json(&findings)?;
    } else {
        let mut table = screen::table(["CHECK", "", "FOUND"]);
        for finding in &findings {
            let verdict = match finding.verdict {
                Verdict::Good => Cell::new("good").fg(Color::Green),
                Verdict::Limited => Cell::new("limited").fg(Color::Yellow),
                Verdict::Missing => Cell::new("missing").fg(Color::Red),
            };
            table.add_row([Cell::new(finding.check), verdict, Cell::new(&finding.found)]);
        }
        screen::print_table(&table)?;
        for finding in &findings {
            if let Some(mend) = &finding.mend {
                screen::line(&format!("\n{}: {mend}", finding.check))?;
            }
        }
    }
    Ok(findings.iter().all(|finding| finding.verdict != Verdict::Missing))
}

fn examine(data_dir: &Path) -> Vec<Finding> {
    let is_root = Uid::effective().is_root();
    let reach = if is_root { Reach::Everyone } else { Reach::ThisUser };
    let mut findings = vec![
        user(is_root),
        control_groups(),
        java(reach),
        python(reach),
        pip(),
        program("mvn", "installs the jars of releases", "apt-get install maven"),
    ];
    findings.extend(room(data_dir));
    findings.push(endpoint(data_dir));
    findings
}

impl Finding {
    fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Good, found: found.into(), mend: None }
    }

    fn limited(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Limited, found: found.into(), mend: Some(mend.into()) }
    }

    fn missing(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Missing, found: found.into(), mend: Some(mend.into()) }
    }
}

fn user(is_root: bool) -> Finding {
    if is_root {
        return Finding::good("user", "root: each worker has a user and a file system view of its own");
    }
    Finding::limited(
        "user",
        "an ordinary user: all workers share it, and jobs can read each other's files and credentials",
        "run `hearth up` as root where jobs of different people must not see each other",
    )
}

/// Makes a group as an agent does, and removes it again: what the kernel permits is known only then.
fn control_groups() -> Finding {
    let mend = "run `hearth up` as root, or delegate a cgroup v2 subtree with the controllers cpu, memory and pids to this \
                user (systemd: Delegate=yes)";
    let groups = match Cgroups::prepare(&format!("hearth-doctor-{}", std::process::id()), None) {
        Ok(groups) => groups,
        Err(error) => return Finding::limited("cgroups", error_chain(&error), mend),
    };
    let (kind, report) = (kind_of(groups.hierarchy()), *groups.report());
    if let Err(error) = groups.remove() {
        return Finding::limited("cgroups", error_chain(&error), mend);
    }
    let advisory = advisory_limits(&report);
    if advisory.is_empty() {
        return Finding::good("cgroups", format!("{kind}: every limit is enforced"));
    }
    Finding::limited("cgroups", format!("{kind}; only advice: {}", advisory.join(", ")), mend)
}

const fn kind_of(hierarchy: &Hierarchy) -> &'static str {
    match hierarchy {
        Hierarchy::V2 { .. } => "version 2",
        Hierarchy::V1 { .. } => "version 1",
        Hierarchy::Hybrid { .. } => "version 1, with a version 2 tree",
        Hierarchy::Unavailable(_) => "none that may be used",
    }
}

/// The limits that do not hold, those of one reason together.
fn advisory_limits(report: &EnforcementReport) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
    for (limit, enforcement) in report.entries() {
        let Enforcement::Advisory(why) = enforcement else { continue };
        let why = why.to_string();
        match reasons.iter_mut().find(|(reason, _)| *reason == why) {
            Some((_, limits)) => limits.push(limit),
            None => reasons.push((why, vec![limit])),
        }
    }
    reasons.into_iter().map(|(why, limits)| format!("{} ({why})", limits.join(", "))).collect()
}

fn java(reach: Reach) -> Finding {
    if let Some(found) = java::find_java(JAVA_MAJOR, reach) {
        return Finding::good("JDK", format!("{} in {}", found.version, found.home.display()));
    }
    let others: Vec<String> = java::java_installs(reach).into_iter().map(|found| found.version).collect();
    let found = match others.as_slice() {
        [] => "no Java that workers can run".to_owned(),
        others => format!("no Java {JAVA_MAJOR}, only {}", others.join(", ")),
    };
    Finding::missing(
        "JDK",
        found,
        format!(
            "apt-get install openjdk-{JAVA_MAJOR}-jdk-headless, or set JAVA_HOME to one that every user can read"
        ),
    )
}

fn python(reach: Reach) -> Finding {
    match python::find_python(None, reach) {
        Some(found) => Finding::good("Python", format!("{} at {}", found.version, found.path.display())),
        None => Finding::missing("Python", "no python3 that workers can run", "apt-get install python3"),
    }
}

/// pip is looked for where release builds look for it (docs/releases.md).
fn pip() -> Finding {
    let venv = hearth_releases::default_cache_dir().join("venv/bin/python3");
    let named = std::env::var_os("HEARTH_PYTHON").filter(|value| !value.is_empty()).map(PathBuf::from);
    let candidates = named.into_iter().chain([venv, PathBuf::from("python3")]);
    let has_pip = |python: &PathBuf| {
        let mut question = Command::new(python);
        question
            .args(["-m", "pip", "--version"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        question.status().is_ok_and(|status| status.success())
    };
    match candidates.into_iter().find(has_pip) {
        Some(python) => Finding::good("pip", format!("of {}", python.display())),
        None => Finding::missing(
            "pip",
            "none, which downloads the Python parts of releases",
            "apt-get install python3-pip, or bash deploy/prerequisites.sh tests; or import a bundle: hearth release import FILE",
        ),
    }
}

fn program(name: &'static str, purpose: &str, mend: &str) -> Finding {
    let path = std::env::var_os("PATH").unwrap_or_default();
    match std::env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file()) {
        Some(program) => Finding::good(name, program.display().to_string()),
        None => Finding::missing(
            name,
            format!("none, which {purpose}"),
            format!("{mend}; or import a bundle: hearth release import FILE"),
        ),
    }
}

/// Disk and memory; the data directory may not exist yet.
fn room(data_dir: &Path) -> Vec<Finding> {
    let existing = data_dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("/"));
    let host = match HostInventory::read(existing) {
        Ok(host) => host,
        Err(error) => return vec![Finding::missing("host", error.to_string(), "mount /proc")],
    };
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    let disk = format!("{} free for {}", gib(host.disk_free_bytes), data_dir.display());
    let memory = format!(
        "{} of {} available, {} CPUs",
        gib(host.memory_available_bytes),
        gib(host.memory_total_bytes),
        host.cpus
    );
    vec![
        if host.disk_free_bytes >= DISK_NEEDED_BYTES {
            Finding::good("disk", disk)
        } else {
            Finding::missing(
                "disk",
                disk,
                format!(
                    "a release and its first job need {}; free some, or choose --data-dir elsewhere",
                    gib(DISK_NEEDED_BYTES)
                ),
            )
        },
        if host.memory_available_bytes >= MEMORY_NEEDED_BYTES {
            Finding::good("memory", memory)
        } else {
            Finding::limited(
                "memory",
                memory,
                format!("the smallest job, a driver and an executor, may use {}", gib(MEMORY_NEEDED_BYTES)),
            )
        },
    ]
}

fn endpoint(data_dir: &Path) -> Finding {
    if let Ok(Some(up)) = up_pid::read(data_dir)
        && up.is_alive()
    {
        return Finding::good(
            "endpoint",
            format!("hearth up runs on {} as process {}", data_dir.display(), up.pid),
        );
    }
    match TcpListener::bind(DEFAULT_ENDPOINT) {
        Ok(_) => Finding::good("endpoint", format!("{DEFAULT_ENDPOINT} is free")),
        Err(error) => Finding::limited(
            "endpoint",
            format!("{DEFAULT_ENDPOINT} cannot be used: {error}"),
            "another program listens there: hearth up --listen 127.0.0.1:PORT",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_cgroups::Advice;

    #[test]
    fn whatever_is_not_good_says_how_to_mend_it() {
        let dir = tempfile::tempdir().unwrap();
        for finding in examine(&dir.path().join("not-made-yet")) {
            assert_eq!(finding.mend.is_none(), finding.verdict == Verdict::Good, "{finding:?}");
        }
    }

    #[test]
    fn limits_that_lack_the_same_are_named_together() {
        let (denied, absent) =
            (Enforcement::Advisory(Advice::NotPermitted), Enforcement::Advisory(Advice::NoController));
        let report = EnforcementReport {
            cpu: denied,
            memory: denied,
            swap: absent,
            pids: denied,
            kill: Enforcement::Enforced,
            freeze: denied,
        };
        let expected = [
            "cpu, memory, pids, freeze (this user may not make control groups)",
            "swap (the controller is missing or not delegated)",
        ];
        assert_eq!(advisory_limits(&report), expected);
    }
}
