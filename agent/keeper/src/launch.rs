//! The `launch` file: what a keeper starts and how it is confined.
//!
//! UTF-8 (in fact ASCII) lines of `key SP value`. A value's bytes below 0x21, `%`, and from 0x7f on are written as
//! `%XX`, so any path, argument or environment value survives. Repeatable keys keep their order.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Everything a keeper needs to start one worker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LaunchPlan {
    /// Program to execute, an absolute path as the worker sees it.
    pub exec: PathBuf,
    /// Arguments after the program's name.
    pub args: Vec<OsString>,
    /// The complete environment (nothing is inherited), in order; names hold no `=`.
    pub env: Vec<(OsString, OsString)>,
    /// Working directory, as the worker sees it.
    pub cwd: PathBuf,
    /// Host file that standard output is appended to (created 0600 and given to the worker's user).
    pub stdout: PathBuf,
    /// Host file that standard error is appended to; may be the same as `stdout`.
    pub stderr: PathBuf,
    /// User and group to become; `None` keeps the keeper's own.
    pub identity: Option<Identity>,
    /// A private view of the file system; `None` leaves the host's.
    pub view: Option<View>,
    /// `cgroup.procs` files the worker is written to before anything else happens to it.
    pub cgroup_procs: Vec<PathBuf>,
    /// Cgroup directories whose members are killed when the worker's first process has ended.
    pub kill_cgroups: Vec<PathBuf>,
    /// Cgroup directory through which the worker is frozen at the end of its lease; `None` stops process by process.
    pub freeze_cgroup: Option<PathBuf>,
    /// File with the deadlines of the worker's lease ([`hearth_lease::Deadlines`]), which the agent moves on; `None` for a
    /// worker without a lease.
    pub lease: Option<PathBuf>,
    /// The worker's `oom_score_adj`, −1000 to 1000.
    pub oom_score_adj: Option<i32>,
    /// Limit of open files (soft and hard).
    pub nofile: Option<u64>,
}

/// The user and group a worker runs as, without supplementary groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A private mount namespace: what is hidden, then what is mounted, in order.
///
/// Sources are looked up before anything is hidden or covered, so they may lie below a hidden directory. Targets that
/// do not exist on the host are made in the private view alone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// Host directories that appear empty and unreadable.
    pub hide: Vec<PathBuf>,
    /// Mounts in the order they are made.
    pub mounts: Vec<Mount>,
}

/// One mount of a worker's view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// A host file or directory at another place.
    Bind {
        /// Host path.
        source: PathBuf,
        /// Place in the worker's view.
        target: PathBuf,
        /// Whether the mount can be written through.
        access: Access,
    },
    /// A fresh, empty file system in memory, writable by all (mode 1777).
    Tmpfs {
        /// Place in the worker's view.
        target: PathBuf,
        /// Most bytes it holds.
        size_bytes: u64,
    },
}

/// Whether a bind mount can be written through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing below can be changed.
    ReadOnly,
    /// Permissions of the files decide.
    ReadWrite,
}

/// Why a `launch` file cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaunchFormatError {
    /// A line has no space, or a key nobody knows.
    UnknownLine(String),
    /// A value is not what its key asks for.
    BadValue(String),
    /// A required key is absent.
    Missing(&'static str),
    /// A mount path holds a tab, which the format cannot say.
    TabInPath(PathBuf),
    /// An environment variable's name is empty or holds `=`.
    BadVariableName(OsString),
}

impl fmt::Display for LaunchFormatError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownLine(line) => write!(formatter, "launch file: unknown line {line:?}"),
            Self::BadValue(line) => write!(formatter, "launch file: bad value in {line:?}"),
            Self::Missing(key) => write!(formatter, "launch file: no {key}"),
            Self::TabInPath(path) => write!(formatter, "launch file: tab in path {}", path.display()),
            Self::BadVariableName(name) => {
                write!(formatter, "launch file: bad variable name {}", name.display())
            }
        }
    }
}

impl std::error::Error for LaunchFormatError {}

impl LaunchPlan {
    /// Writes the plan as the text of a `launch` file.
    ///
    /// # Errors
    /// [`LaunchFormatError::TabInPath`] and [`LaunchFormatError::BadVariableName`].
    pub fn encode(&self) -> Result<String, LaunchFormatError> {
        let mut lines = Lines::default();
        lines.add("exec", self.exec.as_os_str());
        for argument in &self.args {
            lines.add("arg", argument);
        }
        for (name, value) in &self.env {
            if name.is_empty() || name.as_bytes().contains(&b'=') {
                return Err(LaunchFormatError::BadVariableName(name.clone()));
            }
            let mut pair = name.clone();
            pair.push("=");
            pair.push(value);
            lines.add("env", &pair);
        }
        lines.add("cwd", self.cwd.as_os_str());
        lines.add("stdout", self.stdout.as_os_str());
        lines.add("stderr", self.stderr.as_os_str());
        if let Some(Identity { uid, gid }) = self.identity {
            lines.add_number("uid", uid);
            lines.add_number("gid", gid);
        }
        for file in &self.cgroup_procs {
            lines.add("cgroup-procs", file.as_os_str());
        }
        if let Some(view) = &self.view {
            lines.add("namespace", OsStr::new("mount"));
            for path in &view.hide {
                lines.add("hide", path.as_os_str());
            }
            for mount in &view.mounts {
                lines.add_mount(mount)?;
            }
        }
        if let Some(adjustment) = self.oom_score_adj {
            lines.add_number("oom-score-adj", adjustment);
        }
        if let Some(files) = self.nofile {
            lines.add_number("nofile", files);
        }
        for directory in &self.kill_cgroups {
            lines.add("kill-cgroup", directory.as_os_str());
        }
        for (key, path) in [("freeze-cgroup", &self.freeze_cgroup), ("lease", &self.lease)] {
            if let Some(path) = path {
                lines.add(key, path.as_os_str());
            }
        }
        Ok(lines.0)
    }

    /// Reads the text of a `launch` file.
    ///
    /// # Errors
    /// Names the first line that is unknown or malformed, or the required key that is absent. An unknown key is an
    /// error, not skipped: it might have been a confinement.
    pub fn parse(text: &str) -> Result<Self, LaunchFormatError> {
        let mut plan = Self::default();
        let (mut uid, mut gid, mut has_namespace, mut view) = (None, None, false, View::default());
        for line in text.lines() {
            let unknown = || LaunchFormatError::UnknownLine(line.to_owned());
            let bad = || LaunchFormatError::BadValue(line.to_owned());
            let (key, encoded) = line.split_once(' ').ok_or_else(unknown)?;
            let value = decode(encoded).ok_or_else(bad)?;
            match key {
                "exec" => plan.exec = value.into(),
                "arg" => plan.args.push(value),
                "env" => plan.env.push(split_pair(&value).ok_or_else(bad)?),
                "cwd" => plan.cwd = value.into(),
                "stdout" => plan.stdout = value.into(),
                "stderr" => plan.stderr = value.into(),
                "uid" => uid = Some(number(&value).ok_or_else(bad)?),
                "gid" => gid = Some(number(&value).ok_or_else(bad)?),
                "cgroup-procs" => plan.cgroup_procs.push(value.into()),
                "namespace" if value == "mount" => has_namespace = true,
                "hide" => view.hide.push(value.into()),
                "bind" => view.mounts.push(parse_bind(&value).ok_or_else(bad)?),
                "tmpfs" => view.mounts.push(parse_tmpfs(&value).ok_or_else(bad)?),
                "oom-score-adj" => plan.oom_score_adj = Some(number(&value).ok_or_else(bad)?),
                "nofile" => plan.nofile = Some(number(&value).ok_or_else(bad)?),
                "kill-cgroup" => plan.kill_cgroups.push(value.into()),
                "freeze-cgroup" => plan.freeze_cgroup = Some(value.into()),
                "lease" => plan.lease = Some(value.into()),
                _ => return Err(unknown()),
            }
        }
        plan.identity = match (uid, gid) {
            (Some(uid), Some(gid)) => Some(Identity { uid, gid }),
            (None, None) => None,
            (Some(_), None) => return Err(LaunchFormatError::Missing("gid")),
            (None, Some(_)) => return Err(LaunchFormatError::Missing("uid")),
        };
        if has_namespace {
            plan.view = Some(view);
        } else if view != View::default() {
            return Err(LaunchFormatError::Missing("namespace"));
        }
        plan.require_paths()
    }

    fn require_paths(self) -> Result<Self, LaunchFormatError> {
        let required =
            [("exec", &self.exec), ("cwd", &self.cwd), ("stdout", &self.stdout), ("stderr", &self.stderr)];
        if let Some((key, _)) = required.into_iter().find(|(_, path)| !path.is_absolute()) {
            return Err(LaunchFormatError::Missing(key));
        }
        Ok(self)
    }
}

/// The text under construction.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, key: &str, value: &OsStr) {
        self.0.push_str(key);
        self.0.push(' ');
        for &byte in value.as_bytes() {
            match byte {
                b'%' | ..0x21 | 0x7f.. => self.0.push_str(&format!("%{byte:02X}")),
                _ => self.0.push(char::from(byte)),
            }
        }
        self.0.push('\n');
    }

    fn add_number(&mut self, key: &str, value: impl fmt::Display) {
        self.add(key, OsStr::new(&value.to_string()));
    }

    fn add_mount(&mut self, mount: &Mount) -> Result<(), LaunchFormatError> {
        let (key, fields) = match mount {
            Mount::Bind { source, target, access } => {
                let word = match access {
                    Access::ReadOnly => "ro",
                    Access::ReadWrite => "rw",
                };
                ("bind", vec![source.as_path(), target, Path::new(word)])
            }
            Mount::Tmpfs { target, size_bytes } => {
                return self.add_fields("tmpfs", &[target, Path::new(&size_bytes.to_string())]);
            }
        };
        self.add_fields(key, &fields)
    }

    fn add_fields(&mut self, key: &str, fields: &[&Path]) -> Result<(), LaunchFormatError> {
        if let Some(path) = fields.iter().find(|path| path.as_os_str().as_bytes().contains(&b'\t')) {
            return Err(LaunchFormatError::TabInPath(path.to_path_buf()));
        }
        let words: Vec<&OsStr> = fields.iter().map(|path| path.as_os_str()).collect();
        self.add(key, &words.join(OsStr::new("\t")));
        Ok(())
    }
}

fn decode(encoded: &str) -> Option<OsString> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    Some(OsString::from_vec(bytes))
}

fn split_pair(value: &OsStr) -> Option<(OsString, OsString)> {
    let bytes = value.as_bytes();
    let at = bytes.iter().position(|&byte| byte == b'=').filter(|&at| at > 0)?;
    Some((OsString::from_vec(bytes[..at].to_vec()), OsString::from_vec(bytes[at + 1..].to_vec())))
}

fn number<N: FromStr>(value: &OsStr) -> Option<N> {
    value.to_str()?.parse().ok()
}

fn fields<const COUNT: usize>(value: &OsStr) -> Option<[&OsStr; COUNT]> {
    let parts: Vec<&OsStr> = value.as_bytes().split(|&byte| byte == b'\t').map(OsStr::from_bytes).collect();
    parts.try_into().ok()
}

fn parse_bind(value: &OsStr) -> Option<Mount> {
    let [source, target, access] = fields(value)?;
    let access = match access.to_str()? {
        "ro" => Access::ReadOnly,
        "rw" => Access::ReadWrite,
        _ => return None,
    };
    Some(Mount::Bind { source: source.into(), target: target.into(), access })
}

fn parse_tmpfs(value: &OsStr) -> Option<Mount> {
    let [target, size] = fields(value)?;
    Some(Mount::Tmpfs { target: target.into(), size_bytes: number(size)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> LaunchPlan {
        LaunchPlan {
            exec: "/usr/bin/env".into(),
            args: vec!["a b".into(), "100%".into(), "".into(), OsString::from_vec(vec![0xff, b'\n', b'x'])],
            env: vec![("NAME".into(), "x=y z".into()), ("EMPTY".into(), "".into())],
            cwd: "/home/hadoop".into(),
            stdout: "/state/logs/ü".into(),
            stderr: "/state/logs/stderr".into(),
            identity: Some(Identity { uid: 70_001, gid: 70_001 }),
            view: Some(View {
                hide: vec!["/state".into()],
                mounts: vec![
                    Mount::Bind { source: "/a b".into(), target: "/c".into(), access: Access::ReadOnly },
                    Mount::Tmpfs { target: "/dev/shm".into(), size_bytes: 64 << 20 },
                    Mount::Bind { source: "/d".into(), target: "/e".into(), access: Access::ReadWrite },
                ],
            }),
            cgroup_procs: vec!["/sys/fs/cgroup/x/cgroup.procs".into()],
            kill_cgroups: vec!["/sys/fs/cgroup/x".into()],
            freeze_cgroup: Some("/sys/fs/cgroup/y".into()),
            lease: Some("/state/run/lease".into()),
            oom_score_adj: Some(500),
            nofile: Some(65_536),
        }
    }

    #[test]
    fn a_plan_survives_the_file() {
        let text = full().encode().expect("encodable");
        assert!(text.is_ascii());
        assert_eq!(LaunchPlan::parse(&text), Ok(full()));
    }

    #[test]
    fn a_plan_without_options_survives_the_file() {
        let plan = LaunchPlan {
            identity: None,
            view: None,
            cgroup_procs: vec![],
            kill_cgroups: vec![],
            freeze_cgroup: None,
            lease: None,
            oom_score_adj: None,
            nofile: None,
            ..full()
        };
        assert_eq!(LaunchPlan::parse(&plan.encode().expect("encodable")), Ok(plan));
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        let tab = Mount::Tmpfs { target: "/a\tb".into(), size_bytes: 1 };
        let plan = LaunchPlan { view: Some(View { hide: vec![], mounts: vec![tab] }), ..full() };
        assert_eq!(plan.encode(), Err(LaunchFormatError::TabInPath("/a\tb".into())));
        let plan = LaunchPlan { env: vec![("A=B".into(), "c".into())], ..full() };
        assert_eq!(plan.encode(), Err(LaunchFormatError::BadVariableName("A=B".into())));
    }

    #[test]
    fn malformed_files_are_refused() {
        let good = "exec /x\ncwd /\nstdout /o\nstderr /e\n";
        assert!(LaunchPlan::parse(good).is_ok());
        for (extra, why) in [
            ("confine yes", "unknown key"),
            ("arg", "no space"),
            ("arg %4", "cut escape"),
            ("uid 12", "uid without gid"),
            ("bind /a%09/b%09rx", "unknown access"),
            ("bind /a%09/b%09ro", "mount without namespace"),
            ("namespace net", "unknown namespace"),
            ("env =x", "empty name"),
            ("nofile many", "not a number"),
        ] {
            assert!(LaunchPlan::parse(&format!("{good}{extra}\n")).is_err(), "{why}");
        }
        assert_eq!(LaunchPlan::parse("exec /x\n"), Err(LaunchFormatError::Missing("cwd")));
    }
}
