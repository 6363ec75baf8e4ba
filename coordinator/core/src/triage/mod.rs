//! Why an attempt failed: from how its driver ended to a cause that programs can tell apart, and a sentence that names the limit
//! and what to change. `stateDetails` holds 256 characters, so sentences say first what helps most.
//!
//! Words follow the service's own advice (guide:4113-4148) where it has any.

mod signs;

use crate::job_run::RunSpec;
use crate::worker::{Exit, Worker};
use hearth_types::FailureCause as Cause;
use signs::Sign;

/// Signals by which native code of the job's own ends: SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV.
pub(crate) const CRASHES: [i32; 6] = [4, 5, 6, 7, 8, 11];
/// The longest name or path that a sentence repeats.
const NAME: usize = 90;
/// Where to look when nothing better is known.
const SEE_LOGS: &str = "Please check complete logs in the configured logging destination.";
/// Above this, a program's exit code tells of a signal, as in a shell.
const SIGNALLED: i32 = 128;

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// For programs.
    pub(crate) cause: Cause,
    /// For people.
    pub(crate) sentence: String,
}

impl Failure {
    /// One whose sentence is already made; the cause is read from it, or is `otherwise`.
    pub(crate) fn told(sentence: String, otherwise: Cause) -> Self {
        let cause = signs::read(&sentence).map_or(otherwise, |sign| sign.cause);
        Self { cause, sentence }
    }
}

/// Why a driver that did not succeed failed.
pub(crate) fn of_driver(exit: &Exit, driver: &Worker, spec: &RunSpec) -> Failure {
    let of = |cause, sentence| Failure { cause, sentence };
    if let Some(fault) = &exit.host_fault {
        let otherwise = if exit.launch_error.is_empty() { Cause::HostLost } else { Cause::NotStarted };
        return Failure::told(format!("Job failed because its driver was lost: {fault}."), otherwise);
    }
    if exit.oom_killed {
        let sentence = format!(
            "Job failed, the driver worker exceeded its memory limit of {} MiB and was killed. \
             Increase spark.driver.memory or spark.driver.memoryOverhead.",
            driver.size.memory_mib
        );
        return of(Cause::DriverMemoryLimit, sentence);
    }
    if !exit.launch_error.is_empty() {
        return not_started(&exit.launch_error);
    }
    let words = format!("{}: {}", exit.error_class, exit.error_message);
    if let Some(sign) = signs::read(&words) {
        return of(sign.cause, sentence(&sign, exit, driver, spec));
    }
    unrecognised(exit)
}

fn not_started(why: &str) -> Failure {
    let cause = signs::read(why).map_or(Cause::NotStarted, |sign| sign.cause);
    let why = why.trim_end_matches('.');
    let sentence = match cause {
        Cause::RoleUnusable => format!(
            "Job failed, {why}. See that its runtime role exists and that the trust policy of it allows emr-serverless.amazonaws.com."
        ),
        _ => format!("Job failed, the driver could not be started: {why}."),
    };
    Failure { cause, sentence }
}

fn sentence(sign: &Sign, exit: &Exit, driver: &Worker, spec: &RunSpec) -> String {
    let who = if sign.is_elsewhere { "an executor" } else { "the driver" };
    let kind = if sign.is_elsewhere { "executor" } else { "driver" };
    let (memory, disk) = match sign.is_elsewhere {
        true => (spec.executor.size.memory_mib, spec.executor_disk_gib),
        false => (driver.size.memory_mib, driver.size.disk_gib),
    };
    let detail = shortened(&sign.detail);
    match sign.cause {
        Cause::DriverHeap | Cause::ExecutorHeap => {
            let heap = if sign.is_elsewhere { spec.executor.heap_mib } else { spec.driver.heap_mib };
            let error = if detail.is_empty() { "OutOfMemoryError" } else { &detail };
            format!(
                "Job failed, {who} ran out of memory within its JVM, whose heap is {heap} MiB: {error}. \
                 Increase spark.{kind}.memory, or let it hold less at once."
            )
        }
        Cause::ExecutorMemoryLimit => format!(
            "Job failed, executors exceeded their workers' memory limit of {} MiB and were killed. \
             Increase spark.executor.memoryOverhead or spark.executor.memory.",
            spec.executor.size.memory_mib
        ),
        Cause::PythonMemory => format!(
            "Job failed, a Python program of {who} got no more memory: its worker has {memory} MiB. \
             Increase spark.{kind}.memoryOverhead, or let it hold less at once."
        ),
        Cause::PythonWorkerCrashed => format!(
            "Job failed, an executor's Python process died in the middle of a task, as one does that exceeds its worker's \
             memory limit of {} MiB. Increase spark.executor.memoryOverhead, or look for a crash in its logs.",
            spec.executor.size.memory_mib
        ),
        Cause::ResultTooLarge => format!(
            "Job failed, what tasks sent to the driver exceeded spark.driver.maxResultSize of {detail}. \
             Increase it together with spark.driver.memory, or collect less."
        ),
        Cause::DiskFull => format!(
            "Job failed, {who} found no space left on a disk: its worker is given {disk} GB. \
             Increase spark.emr-serverless.{kind}.disk, write less, or free space on its host."
        ),
        Cause::AccessDenied => format!(
            "Job failed, access to {} was denied. Allow what the job does there to its runtime role {}.",
            if detail.is_empty() { "objects in S3" } else { &detail },
            spec.role_arn
        ),
        Cause::FileNotFound => format!(
            "Job failed, {} does not exist. Check the entry point, its arguments and the paths that the program reads.",
            if detail.is_empty() { "a file that it needs" } else { &detail }
        ),
        Cause::ClassNotFound => format!(
            "Job failed, {detail} was not found on the class path. \
             Check --class and the release, and give its jar along with --jars."
        ),
        Cause::ModuleNotFound => format!(
            "Job failed, Python found no module named {detail} in {who}. \
             Give it along with --py-files, or in a packed environment with --archives."
        ),
        Cause::Syntax => format!("Job failed, its program cannot be parsed: {detail}."),
        Cause::ExecutorsFailed
        | Cause::RoleUnusable
        | Cause::DriverMemoryLimit
        | Cause::Exception
        | Cause::ExitCode
        | Cause::Crash
        | Cause::Killed
        | Cause::NotStarted
        | Cause::HostLost
        | Cause::ReleaseUnavailable => unrecognised(exit).sentence,
    }
}

/// The end of a driver whose words give nothing away.
fn unrecognised(exit: &Exit) -> Failure {
    let of = |cause, sentence| Failure { cause, sentence };
    let by_signal = |who: &str, signal: i32| match CRASHES.contains(&signal) {
        true => of(
            Cause::Crash,
            format!("Job failed, {who} crashed with signal {signal}, as native code does. {SEE_LOGS}"),
        ),
        false => of(
            Cause::Killed,
            format!(
                "Job failed, {who} was killed by signal {signal}, neither for its memory limit nor by hearth. \
                 See whether its host was out of memory."
            ),
        ),
    };
    let is_exit = exit.error_class.is_empty() || exit.error_class.ends_with("SparkUserAppException");
    match (exit.code, exit.signal) {
        (None, Some(signal)) => by_signal("the driver", signal),
        (Some(code), _) if is_exit && code > SIGNALLED && code < SIGNALLED + 65 => {
            by_signal("the driver's program", code - SIGNALLED)
        }
        (Some(code), _) if is_exit => of(
            Cause::ExitCode,
            format!("Job failed, the driver ended with exit code {code} and no exception. {SEE_LOGS}"),
        ),
        (Some(code), _) => {
            let told = signs::telling_line(&exit.error_class, &exit.error_message);
            of(Cause::Exception, format!("Job failed, the driver ended with exit code {code}: {told}"))
        }
        (None, None) => {
            of(Cause::ExitCode, format!("Job failed, the driver ended with no exit code. {SEE_LOGS}"))
        }
    }
}

/// A name short enough to leave room for the advice.
fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    name.chars().take(NAME - 1).chain(['…']).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::job_run::ProcessSpec;
    use crate::worker::{Role, WorkerState};
    use hearth_types::{AgentId, ApplicationId, JobRunId, Launch, Timestamp, WorkerId, WorkerSize};

    /// A job run with a driver of 2 GiB (heap 1 GiB) and executors of 4 GiB (heap 3 GiB).
    pub(crate) fn spec() -> RunSpec {
        let process = |memory_mib, heap_mib| ProcessSpec {
            size: WorkerSize::new(1, memory_mib, 20),
            heap_mib,
            ..ProcessSpec::default()
        };
        serde_json::from_value(serde_json::json!({
            "role_arn": "arn:aws:iam::000000000000:role/r", "session_policies": [], "release": "emr-7.6.0",
            "architecture": "X86_64", "driver": process(2048, 1024), "executor": process(4096, 3072),
            "executor_disk_gib": 40, "initial_executors": 1, "executor_cores": 1, "log_uri": null,
            "managed_logs": true, "timeout": null, "max_attempts": 1,
        }))
        .unwrap()
    }

    /// The driver of that.
    pub(crate) fn driver() -> Worker {
        Worker {
            id: WorkerId::new("w").unwrap(),
            agent: AgentId::new("a").unwrap(),
            application: ApplicationId::new("app").unwrap(),
            run: JobRunId::new("r").unwrap(),
            launch: Launch::FIRST,
            role: Role::Driver,
            size: spec().driver.size,
            lease: None,
            state: WorkerState::Running,
            created_at: Timestamp::from_millis(0),
            started_at: None,
        }
    }

    fn thrown(class: &str, message: &str) -> Exit {
        Exit {
            code: Some(1),
            error_class: class.to_owned(),
            error_message: message.to_owned(),
            ..Exit::default()
        }
    }

    #[test]
    fn each_end_of_a_driver_has_its_cause_and_says_limit_and_advice() {
        let exit = Exit::default;
        let cases = [
            (Exit::lost("power cut"), Cause::HostLost, "lost: power cut."),
            (
                Exit { launch_error: "x".to_owned(), ..Exit::lost("the host could not start it: no java") },
                Cause::NotStarted,
                "no java",
            ),
            (
                Exit {
                    launch_error: "x".to_owned(),
                    ..Exit::lost("the host could not start it: No space left on device")
                },
                Cause::DiskFull,
                "No space left",
            ),
            (
                Exit { signal: Some(9), oom_killed: true, ..exit() },
                Cause::DriverMemoryLimit,
                "memory limit of 2048 MiB and was killed. Increase spark.driver.memory",
            ),
            (
                Exit { launch_error: "its credentials cannot be made: role r is gone.".to_owned(), ..exit() },
                Cause::RoleUnusable,
                "cannot be made: role r is gone. See that its runtime role exists",
            ),
            (Exit { launch_error: "no java".to_owned(), ..exit() }, Cause::NotStarted, "started: no java."),
            (Exit { signal: Some(11), ..exit() }, Cause::Crash, "crashed with signal 11"),
            (Exit { signal: Some(9), ..exit() }, Cause::Killed, "killed by signal 9"),
            (Exit { code: Some(3), ..exit() }, Cause::ExitCode, "exit code 3 and no exception"),
            (exit(), Cause::ExitCode, "no exit code"),
            (
                Exit { code: Some(137), ..thrown("org.apache.spark.SparkUserAppException", "exited") },
                Cause::Killed,
                "the driver's program was killed by signal 9",
            ),
            (
                thrown("java.lang.OutOfMemoryError", "Java heap space"),
                Cause::DriverHeap,
                "heap is 1024 MiB: Java heap space. Increase spark.driver.memory,",
            ),
            (
                thrown(
                    "org.apache.spark.SparkException",
                    "Lost task 0.3 (executor 1): java.lang.OutOfMemoryError: Java heap space",
                ),
                Cause::ExecutorHeap,
                "heap is 3072 MiB: Java heap space. Increase spark.executor.memory,",
            ),
            (
                thrown("MemoryError", ""),
                Cause::PythonMemory,
                "2048 MiB. Increase spark.driver.memoryOverhead",
            ),
            (
                thrown("OSError", "[Errno 28] No space left on device"),
                Cause::DiskFull,
                "given 20 GB. Increase spark.emr-serverless.driver.disk",
            ),
            (
                thrown("java.nio.file.AccessDeniedException", "s3a://b/k: Access Denied"),
                Cause::AccessDenied,
                "access to s3://b/k was denied. Allow what the job does there to its runtime role arn:aws:iam::000000000000:role/r",
            ),
            (thrown("ModuleNotFoundError", "No module named 'x'"), Cause::ModuleNotFound, "--py-files"),
            (
                thrown("SyntaxError", "'(' was never closed (job.py, line 3)"),
                Cause::Syntax,
                "parsed: '(' was never closed (job.py, line 3).",
            ),
            (
                thrown("java.lang.ClassNotFoundException", "Failed to load class app.Main."),
                Cause::ClassNotFound,
                "app.Main was not found",
            ),
            (
                thrown("java.io.FileNotFoundException", "No such file or directory: s3a://b/job.py"),
                Cause::FileNotFound,
                "s3://b/job.py does not exist",
            ),
            (
                thrown("org.apache.spark.sql.AnalysisException", "Table or view not found: sales"),
                Cause::Exception,
                "the driver ended with exit code 1: AnalysisException: Table or view not found: sales",
            ),
        ];
        for (exit, cause, part) in cases {
            let failure = of_driver(&exit, &driver(), &spec());
            assert_eq!(failure.cause, cause, "{exit:?}");
            assert!(failure.sentence.contains(part), "{}", failure.sentence);
            assert!(failure.sentence.starts_with("Job failed"), "{}", failure.sentence);
            // What `stateDetails` holds.
            assert!(failure.sentence.chars().count() <= 256, "{}", failure.sentence);
        }
    }

    #[test]
    fn long_names_leave_room_for_the_advice() {
        let uri = format!("s3a://bucket/{}", "deep/".repeat(100));
        let failure = of_driver(&thrown("java.io.FileNotFoundException", &uri), &driver(), &spec());
        assert!(failure.sentence.ends_with("the program reads."), "{}", failure.sentence);
        assert!(failure.sentence.chars().count() <= 256, "{}", failure.sentence);
    }

    #[test]
    fn a_sentence_that_is_made_already_tells_its_cause() {
        let last = "Job failed, 3 executors failed, which is the limit for 1 wanted. The last one: the executor's worker \
                    exceeded its memory limit of 2048 MiB and was killed.";
        assert_eq!(Failure::told(last.to_owned(), Cause::ExitCode).cause, Cause::ExecutorMemoryLimit);
        assert_eq!(Failure::told("Job failed, x.".to_owned(), Cause::HostLost).cause, Cause::HostLost);
        let early = "Job failed, 3 executors failed, which is the limit for 1 wanted. The last one: x.";
        assert_eq!(Failure::told(early.to_owned(), Cause::NotStarted).cause, Cause::ExecutorsFailed);
    }
}
