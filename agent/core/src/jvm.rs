//! The command line and the environment of a worker's JVM.

use crate::view::View;
use std::collections::BTreeMap;
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
    /// The class-data archive of this kind of worker, as the worker sees it.
    pub archive: Option<&'a Path>,
    /// The job's own entries of the class path.
    pub class_path: &'a [String],
    /// The job's own options.
    pub java_options: &'a [String],
    /// The job's own variables, as far as they are known. What the dynamic linker and the JVM read of them is read
    /// before the launcher could set it.
    pub variables: &'a BTreeMap<String, String>,
    /// The worker.
    pub worker_id: &'a str,
    /// The kind of job that its JVM is to prepare for while it waits; `None` if it need not wait.
    pub warm_up: Option<&'a str>,
    /// Where the worker finds its credentials.
    pub credentials: CredentialsAt<'a>,
    /// Address at which other workers reach this one.
    pub host: &'a str,
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
        // It fits the engine's own class path alone.
        if let Some(archive) = self.archive.filter(|_| self.class_path.is_empty()) {
            arguments.push(format!("-XX:SharedArchiveFile={}", archive.display()));
        }
        arguments.extend_from_slice(self.java_options);
        arguments.extend(["-cp".to_owned(), class_path_with(view, self.class_path), MAIN_CLASS.to_owned()]);
        arguments
    }

    /// Its complete environment, in order of names. Where the job names a variable of the worker's own, the worker's
    /// counts until the launcher has what it needs.
    pub fn environment(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut environment = self.variables.clone();
        environment.extend(base_environment(self.view, self.java_home, self.python));
        environment.extend([
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN".to_owned(), self.credentials.token.to_owned()),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(), self.credentials.full_uri.to_owned()),
            ("AWS_DEFAULT_REGION".to_owned(), self.region.to_owned()),
            ("AWS_ENDPOINT_URL".to_owned(), self.service.to_owned()),
            ("AWS_REGION".to_owned(), self.region.to_owned()),
            ("HEARTH_CONTROL".to_owned(), text(&self.view.control_socket())),
            // Named in settings that travel between hosts; no job has a reason to set it.
            ("HEARTH_SERVICE".to_owned(), self.service.to_owned()),
            ("HEARTH_WORKER_ID".to_owned(), self.worker_id.to_owned()),
            // Otherwise Spark guesses, and complains of hosts whose own name means loopback.
            ("SPARK_LOCAL_HOSTNAME".to_owned(), self.host.to_owned()),
        ]);
        if let Some(kind) = self.warm_up {
            environment.insert("HEARTH_WARM_UP".to_owned(), kind.to_owned());
        }
        environment.into_iter().collect()
    }
}

/// The class path of every JVM of a view whose job adds nothing to it; a class-data archive fits no other.
pub fn class_path(view: &View) -> String {
    class_path_with(view, &[])
}

/// The class path with a job's own entries, which come before all of Spark's as they do everywhere. What starts the
/// JVM and hands the job over stays in front: no library of a job's is meant to replace it.
fn class_path_with(view: &View, entries: &[String]) -> String {
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    let mut parts = vec![text(view.jvm.join("hearth-launcher.jar")), text(view.jvm.join("hearth-spark.jar"))];
    parts.extend_from_slice(entries);
    parts.push(text(view.spark_home.join("jars/*")));
    parts.join(":")
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

    fn view() -> View {
        let host = HostPaths { worker: "/w".into(), bundle: "/b".into(), jvm: "/j".into(), archives: None };
        View::new(Isolation::Private, &host)
    }

    fn start<'a>(
        view: &'a View,
        module_options: &'a [String],
        java_options: &'a [String],
        variables: &'a BTreeMap<String, String>,
    ) -> JvmStart<'a> {
        JvmStart {
            view,
            java_home: Path::new("/usr/lib/jvm/17"),
            python: Some(Path::new("/usr/bin/python3.11")),
            heap_mib: 512,
            module_options,
            archive: Some(Path::new("/usr/lib/hearth-archives/driver.jsa")),
            class_path: &[],
            java_options,
            variables,
            worker_id: "w1",
            warm_up: Some("spark-executor"),
            credentials: CredentialsAt { full_uri: "http://127.0.0.1:1/v1/credentials", token: "hidden" },
            host: "10.0.0.11",
            service: "http://127.0.0.1:2",
            region: "us-east-1",
        }
    }

    #[test]
    fn the_jobs_options_come_last_and_the_class_path_is_ours_first() {
        let (view, variables) = (view(), BTreeMap::new());
        let modules = ["--add-opens=java.base/java.lang=ALL-UNNAMED".to_owned()];
        let options = ["-Xss4m".to_owned()];
        let start = start(&view, &modules, &options, &variables);
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
        assert!(environment.contains(&("HEARTH_SERVICE".to_owned(), "http://127.0.0.1:2".to_owned())));
        assert!(environment.contains(&("SPARK_LOCAL_HOSTNAME".to_owned(), "10.0.0.11".to_owned())));
        assert!(environment.contains(&("HEARTH_WARM_UP".to_owned(), "spark-executor".to_owned())));
        assert!(!format!("{start:?}").contains("hidden"));
    }

    #[test]
    fn a_jobs_class_path_comes_before_sparks_and_leaves_no_archive_that_would_not_fit() {
        let (view, variables) = (view(), BTreeMap::new());
        let entries = ["/usr/lib/spark/examples/jars/*".to_owned(), "mine.jar".to_owned()];
        let start = JvmStart { class_path: &entries, ..start(&view, &[], &[], &variables) };
        assert_eq!(
            start.arguments()[3..].join(" "),
            "-cp /usr/lib/hearth/hearth-launcher.jar:/usr/lib/hearth/hearth-spark.jar:\
             /usr/lib/spark/examples/jars/*:mine.jar:/usr/lib/spark/jars/* io.hearth.launcher.Main"
        );
    }

    #[test]
    fn a_jobs_variables_are_there_from_the_start_but_replace_none_of_the_workers() {
        let variables = [("LD_LIBRARY_PATH", "/opt/native"), ("HEARTH_CONTROL", "/elsewhere")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let view = view();
        let environment = start(&view, &[], &[], &variables).environment();
        assert!(environment.contains(&("LD_LIBRARY_PATH".to_owned(), "/opt/native".to_owned())));
        assert!(environment.contains(&("HEARTH_CONTROL".to_owned(), "/run/hearth/control.sock".to_owned())));
        assert_eq!(environment.iter().filter(|(name, _)| name == "HEARTH_CONTROL").count(), 1);
    }
}
