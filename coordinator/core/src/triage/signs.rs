//! What a failure's own words give away: the exception of a driver with those behind it, or the reason that a host gave.

use hearth_types::FailureCause;
use regex::Regex;
use std::sync::LazyLock;

/// Marks by which a cause is known, the surest first. What the group catches, if there is one, is the detail that a sentence names.
const SIGNS: [(FailureCause, &str); 15] = [
    (FailureCause::ResultTooLarge, r"bigger than [\w. ]*spark\.driver\.maxResultSize \(([^)]*)\)"),
    // As `decide/outcomes.rs` words it.
    (FailureCause::ExecutorMemoryLimit, r"executor's worker exceeded its memory limit"),
    (FailureCause::ExecutorHeap, r"the executor ran out of heap memory"),
    (FailureCause::DriverHeap, r"\bOutOfMemoryError(?:: ([^\n]+))?"),
    (FailureCause::DiskFull, r"(?i)no space left on device|\[Errno 28\]|disk quota exceeded"),
    (FailureCause::PythonMemory, r"(?m)^(?:[\w.]*\.)?_?(?:Array)?MemoryError\b"),
    (FailureCause::PythonWorkerCrashed, r"Python worker exited unexpectedly"),
    (FailureCause::ModuleNotFound, r"No module named '?([\w.]+)"),
    (
        FailureCause::Syntax,
        r"(?m)^(?:[\w.]*\.)?(?:SyntaxError|IndentationError|TabError|ParseException):\s*([^\n]*)",
    ),
    (
        FailureCause::ClassNotFound,
        r"(?:ClassNotFoundException|NoClassDefFoundError): (?:Failed to load class )?([\w$./]*[\w$])",
    ),
    (FailureCause::ClassNotFound, r"Failed to find (?:the )?data source: ([\w.]*\w)"),
    (
        FailureCause::AccessDenied,
        r"(?s)s3.*(?:Access ?Denied|Status Code: 403|Forbidden)|(?s)(?:Access ?Denied|Status Code: 403|Forbidden).*(?i:s3)",
    ),
    (FailureCause::RoleUnusable, r"its credentials cannot be made"),
    (
        FailureCause::FileNotFound,
        r"FileNotFound(?:Exception|Error)|NoSuchKey|NoSuchBucket|PATH_NOT_FOUND|Path does not exist|No such file or directory",
    ),
    (FailureCause::ExecutorsFailed, r"executors failed"),
];

/// Words by which Spark says that it was not the driver that failed first.
const ELSEWHERE: [&str; 4] = ["Lost task", "ExecutorLostFailure", "PythonException", "executor's worker"];

static COMPILED: LazyLock<Vec<(FailureCause, Regex)>> = LazyLock::new(|| {
    SIGNS.iter().map(|(cause, sign)| (*cause, Regex::new(sign).expect("a sign is a pattern"))).collect()
});
static LOCATION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"\b(?:s3[an]?|file|hdfs):/[^\s'":,;)\]]+"#).expect("a pattern"));
static PYTHON_PATH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\[Errno 2\][^\n]*: '([^'\n]+)'").expect("a pattern"));
/// The line of a traceback that names its exception.
static PYTHON_EXCEPTION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^([A-Za-z_][\w.]*(?:: [^\n]*)?)$").expect("a pattern"));

/// What was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sign {
    pub(super) cause: FailureCause,
    /// A name, amount or message that belongs to it; may be empty.
    pub(super) detail: String,
    /// Whether it happened in an executor.
    pub(super) is_elsewhere: bool,
}

/// Recognises a cause in `words`, an exception's class and message with what caused it.
pub(super) fn read(words: &str) -> Option<Sign> {
    let is_elsewhere = ELSEWHERE.iter().any(|word| words.contains(word));
    COMPILED.iter().find_map(|(cause, sign)| {
        let caught = sign.captures(words)?;
        let detail = caught.get(1).map_or("", |group| group.as_str()).trim().to_owned();
        let cause = match cause {
            FailureCause::DriverHeap if is_elsewhere => FailureCause::ExecutorHeap,
            cause => *cause,
        };
        let detail = match cause {
            FailureCause::AccessDenied | FailureCause::FileNotFound => location(words),
            _ => detail,
        };
        Some(Sign { cause, detail, is_elsewhere })
    })
}

/// The first file that is named, as users write it.
fn location(words: &str) -> String {
    let named = LOCATION.find(words).map(|found| found.as_str());
    let named = named.or_else(|| Some(PYTHON_PATH.captures(words)?.get(1)?.as_str()));
    let named = named.unwrap_or_default().trim_end_matches('.');
    match named.split_once("://") {
        Some(("s3a" | "s3n", rest)) => format!("s3://{rest}"),
        _ => named.to_owned(),
    }
}

/// The one line of an exception that says most: the innermost of what caused it.
pub(super) fn telling_line(class: &str, message: &str) -> String {
    const TRACEBACK: &str = "Traceback (most recent call last):";
    let class = class.rsplit('.').next().unwrap_or_default();
    let first = message.lines().next().unwrap_or_default();
    if let Some(at) = message.rfind(TRACEBACK)
        && let Some(named) = PYTHON_EXCEPTION.find(&message[at + TRACEBACK.len()..])
    {
        return named.as_str().to_owned();
    }
    if let Some(cause) = message.lines().rev().find_map(|line| line.strip_prefix("Caused by: ")) {
        return cause.to_owned();
    }
    // What Python is told of an exception in the JVM begins with where it was called.
    if class == "Py4JJavaError"
        && let Some(java) = message.lines().find_map(|line| line.strip_prefix(": "))
    {
        return java.to_owned();
    }
    match (class.is_empty(), first.is_empty()) {
        (true, _) => first.to_owned(),
        (false, true) => class.to_owned(),
        (false, false) => format!("{class}: {first}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureCause as Cause;

    #[test]
    fn causes_are_known_by_what_engines_and_libraries_really_say() {
        let lost = "Py4JJavaError: An error occurred while calling o58.collect.\n: org.apache.spark.SparkException: \
                    Job aborted due to stage failure: Task 0 in stage 0.0 failed 4 times, most recent failure: ";
        let cases = [
            ("java.lang.OutOfMemoryError: Java heap space", Cause::DriverHeap, "Java heap space", false),
            (
                &format!(
                    "{lost}Lost task 0.3 in stage 0.0 (TID 3) (h executor 1): java.lang.OutOfMemoryError: Java heap space"
                ),
                Cause::ExecutorHeap,
                "Java heap space",
                true,
            ),
            (
                &format!(
                    "{lost}ExecutorLostFailure (executor 4 exited caused by one of the running tasks) Reason: the \
                          executor's worker exceeded its memory limit of 2048 MiB and was killed"
                ),
                Cause::ExecutorMemoryLimit,
                "",
                true,
            ),
            (
                "SparkException: Job aborted due to stage failure: Total size of serialized results of 4 tasks (5.0 MiB) is \
                 bigger than spark.driver.maxResultSize (1024.0 KiB)",
                Cause::ResultTooLarge,
                "1024.0 KiB",
                false,
            ),
            ("OSError: [Errno 28] No space left on device", Cause::DiskFull, "", false),
            ("MemoryError: ", Cause::PythonMemory, "", false),
            (
                "numpy.core._exceptions._ArrayMemoryError: Unable to allocate 8 EiB",
                Cause::PythonMemory,
                "",
                false,
            ),
            (
                "ModuleNotFoundError: No module named 'pandas.core'",
                Cause::ModuleNotFound,
                "pandas.core",
                false,
            ),
            (
                "SyntaxError: invalid syntax (job.py, line 3)",
                Cause::Syntax,
                "invalid syntax (job.py, line 3)",
                false,
            ),
            (
                "java.lang.ClassNotFoundException: Failed to load class app.Missing.",
                Cause::ClassNotFound,
                "app.Missing",
                false,
            ),
            (
                "AnalysisException: Failed to find the data source: kafka. Please find packages",
                Cause::ClassNotFound,
                "kafka",
                false,
            ),
            (
                "java.nio.file.AccessDeniedException: s3a://b/out/part-0: getFileStatus: Access Denied (Status Code: 403)",
                Cause::AccessDenied,
                "s3://b/out/part-0",
                false,
            ),
            (
                "botocore.exceptions.ClientError: An error occurred (AccessDenied) when calling the PutObject operation on S3",
                Cause::AccessDenied,
                "",
                false,
            ),
            (
                "java.io.FileNotFoundException: No such file or directory: s3a://b/job.py",
                Cause::FileNotFound,
                "s3://b/job.py",
                false,
            ),
            (
                "AnalysisException: [PATH_NOT_FOUND] Path does not exist: file:/tmp/none.",
                Cause::FileNotFound,
                "file:/tmp/none",
                false,
            ),
            (
                "FileNotFoundError: [Errno 2] No such file or directory: 'model.bin'",
                Cause::FileNotFound,
                "model.bin",
                false,
            ),
            (
                "SparkException: Max number of executor failures (3) reached: 3 executors failed, the last one: x",
                Cause::ExecutorsFailed,
                "",
                false,
            ),
        ];
        for (words, cause, detail, is_elsewhere) in cases {
            let expected = Sign { cause, detail: detail.to_owned(), is_elsewhere };
            assert_eq!(read(words), Some(expected), "{words}");
        }
    }

    #[test]
    fn an_exception_of_the_programs_own_is_no_sign() {
        for words in [
            "ValueError: could not convert string to float: 'x'",
            "org.apache.spark.sql.AnalysisException: Table or view not found: sales",
            "PermissionError: [Errno 13] Permission denied: '/etc/shadow'",
            "java.nio.file.AccessDeniedException: /srv/x",
            "",
        ] {
            assert_eq!(read(words), None, "{words}");
        }
    }

    #[test]
    fn the_innermost_exception_is_the_one_that_is_told() {
        let python = "An error occurred while calling o1.collect.\n: org.apache.spark.SparkException: Job aborted: \
                      Traceback (most recent call last):\n  File \"w.py\", line 1\n    f()\nZeroDivisionError: division by zero\n\n\
                      Driver stacktrace:\n";
        for (class, message, expected) in [
            ("py4j.protocol.Py4JJavaError", python, "ZeroDivisionError: division by zero"),
            (
                "py4j.protocol.Py4JJavaError",
                "An error occurred while calling o1.x.\n: java.lang.IllegalStateException: closed",
                "java.lang.IllegalStateException: closed",
            ),
            ("a.b.Outer", "outer\nCaused by: a.Middle: m\nCaused by: a.Inner: i", "a.Inner: i"),
            ("a.b.Plain", "line\nanother", "Plain: line"),
            ("a.b.Silent", "", "Silent"),
            ("", "only words", "only words"),
        ] {
            assert_eq!(telling_line(class, message), expected);
        }
    }
}
