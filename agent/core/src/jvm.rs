//! The command line and the environment of a worker's JVM.

use crate::view::View;
use std::path::{Path, PathBuf};

/// The launcher's main class.
const MAIN_CLASS: &str = "io.hearth.launcher.Main";

/// What decides how a worker's JVM is started. Nothing of it is secret but the credentials' token.
#[derive(Debug, Clone)]
pub struct JvmStart<'a> {
    /// Paths as the worker sees them.
    pub view: &'a View,
    /// The JDK to use.
    pub java_home: &'a Path,
    /// The Python interpreter to use; `None` when the host has none.
    pub python: Option<&'a Path>,
    /// Heap, in MiB.
    pub heap_mib: u64,
    /// The release's module options (`--add-opens …`).
    pub module_options: &'a [String],
    /// The class-data archive that fits this start, as the worker sees it.
    pub archive: Option<&'a Path>,
    /// The job's own options.
    pub java_options: &'a [String],
    /// The worker.
    pub worker_id: &'a str,
    /// The kind of job that its JVM is to prepare for while it waits; `None` if it need not wait.
    pub warm_up: Option<&'a str>,
    /// Where the worker finds its credentials.
    pub credentials: CredentialsAt<'a>,
    /// URL of the coordinator's services, as this host's workers reach them.
    pub service: &'a str,
    /// Region of those services.
    pub region: &'a str,
}

/// The container-credentials endpoint of one worker.
#[derive(Clone, Copy)]
pub struct CredentialsAt<'a> {
    /// `AWS_CONTAINER_CREDENTIALS_FULL_URI`
    pub full_uri: &'a str,
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN`
    pub token: &'a str,
}

impl std::fmt::Debug for CredentialsAt<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("CredentialsAt").field("full_uri", &self.full_uri).finish_non_exhaustive()
    }
}

impl JvmStart<'_> {
    /// The program to execute.
    pub fn program(&self) -> PathBuf {
        self.java_home.join("bin/java")
    }

    /// Its arguments. The job's own options come last among the options, so they win.
    pub fn arguments(&self) -> Vec<String> {
        let view = self.view;
        let mut arguments = vec![
            format!("-Xmx{}m", self.heap_mib),
            format!("-Djava.io.tmpdir={}", view.tmp.display()),
            format!("-Duser.home={}", view.home.display()),
        ];
        arguments.extend_from_slice(self.module_options);
        if let Some(archive) = self.archive {
            arguments.push(format!("-XX:SharedArchiveFile={}", archive.display()));
        }
        arguments.extend_from_slice(self.java_options);
        arguments.extend(["-cp".to_owned(), class_path(view), MAIN_CLASS.to_owned()]);
        arguments
    }

    /// Its complete environment, in order of names.
    pub fn environment(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut environment = base_environment(self.view, self.java_home, self.python);
        environment.extend([
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN".to_owned(), self.credentials.token.to_owned()),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(), self.credentials.full_uri.to_owned()),
            ("AWS_DEFAULT_REGION".to_owned(), self.region.to_owned()),
            ("AWS_ENDPOINT_URL".to_owned(), self.service.to_owned()),
            ("AWS_REGION".to_owned(), self.region.to_owned()),
            ("HEARTH_CONTROL".to_owned(), text(&self.view.control_socket())),
            ("HEARTH_WORKER_ID".to_owned(), self.worker_id.to_owned()),
        ]);
        if let Some(kind) = self.warm_up {
            environment.push(("HEARTH_WARM_UP".to_owned(), kind.to_owned()));
        }
        environment.sort();
        environment
    }
}

/// The class path of every JVM of a view; a class-data archive fits no other.
pub fn class_path(view: &View) -> String {
    let parts = [
        view.jvm.join("hearth-launcher.jar"),
        view.jvm.join("hearth-spark.jar"),
        view.spark_home.join("jars/*"),
    ];
    parts.map(|path| path.to_string_lossy().into_owned()).join(":")
}

/// The environment of a JVM that is nobody's worker, in order of names.
pub fn base_environment(view: &View, java_home: &Path, python: Option<&Path>) -> Vec<(String, String)> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut environment = vec![
        ("HOME".to_owned(), text(&view.home)),
        ("JAVA_HOME".to_owned(), text(java_home)),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
    ];
    if let Some(python) = python {
        environment.push(("PYSPARK_PYTHON".to_owned(), text(python)));
    }
    environment.extend([
        ("PYTHONPATH".to_owned(), text(&view.python_packages)),
        ("SPARK_HOME".to_owned(), text(&view.spark_home)),
        ("SPARK_LOCAL_DIRS".to_owned(), text(&view.home.join(".spark-local"))),
        ("TMPDIR".to_owned(), text(&view.tmp)),
        ("USER".to_owned(), "hadoop".to_owned()),
    ]);
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{HostPaths, Isolation};

    #[test]
    fn the_jobs_options_come_last_and_the_class_path_is_ours_first() {
        let host = HostPaths { worker: "/w".into(), bundle: "/b".into(), jvm: "/j".into(), archives: None };
        let view = View::new(Isolation::Private, &host);
        let start = JvmStart {
            view: &view,
            java_home: Path::new("/usr/lib/jvm/17"),
            python: Some(Path::new("/usr/bin/python3.11")),
            heap_mib: 512,
            module_options: &["--add-opens=java.base/java.lang=ALL-UNNAMED".to_owned()],
            archive: Some(Path::new("/usr/lib/hearth-archives/driver.jsa")),
            java_options: &["-Xss4m".to_owned()],
            worker_id: "w1",
            warm_up: Some("spark-executor"),
            credentials: CredentialsAt { full_uri: "http://127.0.0.1:1/v1/credentials", token: "hidden" },
            service: "http://127.0.0.1:2",
            region: "us-east-1",
        };
        assert_eq!(start.program(), Path::new("/usr/lib/jvm/17/bin/java"));
        assert_eq!(
            start.arguments().join(" "),
            "-Xmx512m -Djava.io.tmpdir=/tmp -Duser.home=/home/hadoop \
             --add-opens=java.base/java.lang=ALL-UNNAMED \
             -XX:SharedArchiveFile=/usr/lib/hearth-archives/driver.jsa -Xss4m -cp \
             /usr/lib/hearth/hearth-launcher.jar:/usr/lib/hearth/hearth-spark.jar:/usr/lib/spark/jars/* \
             io.hearth.launcher.Main"
        );
        let environment = start.environment();
        assert!(environment.is_sorted_by(|one, other| one.0 < other.0), "{environment:?}");
        assert!(environment.contains(&("PYSPARK_PYTHON".to_owned(), "/usr/bin/python3.11".to_owned())));
        assert!(environment.contains(&("HEARTH_WARM_UP".to_owned(), "spark-executor".to_owned())));
        assert!(!format!("{start:?}").contains("hidden"));
    }
}
