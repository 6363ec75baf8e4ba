//! Where a worker finds things: the paths as its processes see them.

use std::path::{Path, PathBuf};

/// Place of Spark that users know (design §6.3).
pub const SPARK_HOME: &str = "/usr/lib/spark";
/// The examples that hearth brings along, below Spark's home.
const EXAMPLES_JAR: &str = "/usr/lib/spark/examples/jars/spark-examples.jar";
/// Home and working directory that users know.
const HOME: &str = "/home/hadoop";

/// Whether workers have a file system view and a user of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// A mount namespace and a user each: the agent is root.
    Private,
    /// The host's own paths and the agent's own user: nothing else is permitted.
    Shared,
}

/// Host paths that a worker's view is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPaths {
    /// The worker's directory (design §6.5).
    pub worker: PathBuf,
    /// The unpacked release bundle.
    pub bundle: PathBuf,
    /// Hearth's own share directory with the JVM parts (`launcher`, `spark` jars).
    pub jvm: PathBuf,
    /// The directory of the class-data archives that fit it, once they are made.
    pub archives: Option<PathBuf>,
}

/// Paths as the worker sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Whether they are the host's own.
    pub isolation: Isolation,
    /// `SPARK_HOME`.
    pub spark_home: PathBuf,
    /// Hearth's jars.
    pub jvm: PathBuf,
    /// Class-data archives, if there are any.
    pub archives: Option<PathBuf>,
    /// The release's Python packages.
    pub python_packages: PathBuf,
    /// Home and working directory.
    pub home: PathBuf,
    /// Logs.
    pub logs: PathBuf,
    /// Runtime files: the control socket.
    pub run: PathBuf,
    /// Temporary files.
    pub tmp: PathBuf,
    /// The examples jar.
    pub examples_jar: PathBuf,
}

/// A bind mount of a private view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Host path.
    pub source: PathBuf,
    /// Place in the view.
    pub target: PathBuf,
    /// Whether the worker may write through it.
    pub is_writable: bool,
}

impl View {
    /// Lays out the view of a worker.
    pub fn new(isolation: Isolation, host: &HostPaths) -> Self {
        match isolation {
            Isolation::Private => Self {
                isolation,
                spark_home: SPARK_HOME.into(),
                jvm: "/usr/lib/hearth".into(),
                archives: host.archives.as_ref().map(|_| "/usr/lib/hearth-archives".into()),
                python_packages: "/usr/lib/hearth-python".into(),
                home: HOME.into(),
                logs: "/var/log/hearth".into(),
                run: "/run/hearth".into(),
                tmp: "/tmp".into(),
                examples_jar: EXAMPLES_JAR.into(),
            },
            Isolation::Shared => Self {
                isolation,
                spark_home: host.bundle.join("spark"),
                jvm: host.jvm.clone(),
                archives: host.archives.clone(),
                python_packages: host.bundle.join("python"),
                home: host.worker.join("work"),
                logs: host.worker.join("logs"),
                run: host.worker.join("run"),
                tmp: host.worker.join("tmp"),
                examples_jar: host_examples_jar(host),
            },
        }
    }

    /// The bind mounts that make this view, in order; none when it is the host's own.
    pub fn binds(&self, host: &HostPaths) -> Vec<Bind> {
        if self.isolation == Isolation::Shared {
            return Vec::new();
        }
        let read =
            |source: PathBuf, target: &Path| Bind { source, target: target.into(), is_writable: false };
        let write = |source: &str, target: &Path| Bind {
            source: host.worker.join(source),
            target: target.into(),
            is_writable: true,
        };
        let archives = host.archives.clone().zip(self.archives.as_deref());
        let mut binds = vec![
            read(host.bundle.join("spark"), &self.spark_home),
            read(host_examples_jar(host), &self.examples_jar),
            read(host.jvm.clone(), &self.jvm),
            read(host.bundle.join("python"), &self.python_packages),
            read(host.worker.join("etc/passwd"), Path::new("/etc/passwd")),
            read(host.worker.join("etc/group"), Path::new("/etc/group")),
            write("work", &self.home),
            write("logs", &self.logs),
            write("run", &self.run),
            write("tmp", &self.tmp),
        ];
        binds.extend(archives.map(|(source, target)| read(source, target)));
        binds
    }

    /// The control socket.
    pub fn control_socket(&self) -> PathBuf {
        self.run.join("control.sock")
    }

    /// The directory of the files that were ordered for the worker.
    pub fn conf(&self) -> PathBuf {
        self.run.join("conf")
    }

    /// Turns well-known paths (Spark's home, the worker's own) inside `text` (a path, a URI, a list or a setting) into
    /// those of this view.
    ///
    /// Only whole paths count: `s3://bucket/usr/lib/spark/x` names something else.
    pub fn resolve(&self, text: &str) -> String {
        if self.isolation == Isolation::Private {
            return text.to_owned();
        }
        // The jar first: it lies below Spark's home for users alone.
        let places = [(EXAMPLES_JAR, &self.examples_jar), (SPARK_HOME, &self.spark_home), (HOME, &self.home)];
        let mut resolved = String::with_capacity(text.len());
        let mut at = 0;
        while let Some(next) = text[at..].chars().next() {
            let is_here = |known: &str| text[at..].strip_prefix(known).is_some_and(ends_a_name);
            match places.iter().find(|(known, _)| is_here(known)) {
                Some((known, path)) if begins_a_path(&text[..at]) => {
                    resolved.push_str(&path.to_string_lossy());
                    at += known.len();
                }
                _ => {
                    resolved.push(next);
                    at += next.len_utf8();
                }
            }
        }
        resolved
    }
}

fn host_examples_jar(host: &HostPaths) -> PathBuf {
    host.jvm.join("examples/spark-examples.jar")
}

/// Whether a path that follows `before` is whole: at the very start, after a separator of lists and settings, or after a
/// scheme without authority.
fn begins_a_path(before: &str) -> bool {
    match before.chars().next_back() {
        None => true,
        Some('/') => before.ends_with("://"),
        Some(last) => !last.is_alphanumeric() && !"._-~".contains(last),
    }
}

fn ends_a_name(after: &str) -> bool {
    after.chars().next().is_none_or(|first| !first.is_alphanumeric() && !"._-".contains(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> HostPaths {
        HostPaths {
            worker: "/s/workers/w".into(),
            bundle: "/s/bundles/b".into(),
            jvm: "/d/jvm".into(),
            archives: Some("/s/archives/a".into()),
        }
    }

    #[test]
    fn the_known_paths_lead_to_the_bundle_and_the_workers_home() {
        let view = View::new(Isolation::Shared, &host());
        for (text, resolved) in [
            (
                "/usr/lib/spark/examples/src/main/python/pi.py",
                "/s/bundles/b/spark/examples/src/main/python/pi.py",
            ),
            (
                "local:///usr/lib/spark/examples/jars/spark-examples.jar",
                "local:///d/jvm/examples/spark-examples.jar",
            ),
            (
                "file:/usr/lib/spark/jars/a.jar,s3://b/c.jar",
                "file:/s/bundles/b/spark/jars/a.jar,s3://b/c.jar",
            ),
            ("spark.x=/usr/lib/spark:/usr/lib/spark/b", "spark.x=/s/bundles/b/spark:/s/bundles/b/spark/b"),
            ("s3://bucket/usr/lib/spark/x", "s3://bucket/usr/lib/spark/x"),
            ("s3:///usr/lib/sparkles", "s3:///usr/lib/sparkles"),
            ("/opt/usr/lib/spark/x", "/opt/usr/lib/spark/x"),
            (
                "/usr/lib/spark/examples/jars/spark-examples.jar2",
                "/s/bundles/b/spark/examples/jars/spark-examples.jar2",
            ),
            ("/home/hadoop/lib/*:/home/hadoop", "/s/workers/w/work/lib/*:/s/workers/w/work"),
            ("/home/hadoop2/x:é/home/hadoop", "/home/hadoop2/x:é/home/hadoop"),
            ("nothing of ours", "nothing of ours"),
        ] {
            assert_eq!(view.resolve(text), resolved);
        }
    }

    #[test]
    fn a_private_view_has_the_known_paths_themselves() {
        let view = View::new(Isolation::Private, &host());
        assert_eq!(view.resolve("local:///usr/lib/spark/x.py"), "local:///usr/lib/spark/x.py");
        assert_eq!(view.control_socket(), Path::new("/run/hearth/control.sock"));
        let writable: Vec<_> = view.binds(&host()).into_iter().filter(|bind| bind.is_writable).collect();
        assert_eq!(writable.len(), 4);
        let archives = view.binds(&host()).into_iter().find(|bind| bind.source == Path::new("/s/archives/a"));
        assert_eq!(archives.unwrap().target, view.archives.unwrap());
        assert!(writable.iter().all(|bind| bind.source.starts_with("/s/workers/w")));
    }
}
