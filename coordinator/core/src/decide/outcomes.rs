//! What the end of a worker's process means for its job run.

use crate::job_run::{Outcome, RunSpec};
use crate::triage::{self, CRASHES, Failure};
use crate::worker::{Exit, Worker};
use hearth_types::FailureCause;

/// The outcome of an attempt, the sentence for `stateDetails`, and the cause of a failure.
pub(super) fn of_driver(
    exit: &Exit,
    driver: &Worker,
    spec: &RunSpec,
) -> (Outcome, String, Option<FailureCause>) {
    let (outcome, mut details, cause) = if exit.code == Some(0) && exit.host_fault.is_none() {
        (Outcome::Success, String::new(), None)
    } else {
        let Failure { cause, sentence } = triage::of_driver(exit, driver, spec);
        (Outcome::Failed, sentence, Some(cause))
    };
    for failure in &exit.log_failures {
        if !details.is_empty() {
            details.push(' ');
        }
        details.push_str("Logs could not be delivered: ");
        details.push_str(failure);
        details.push('.');
    }
    (outcome, details, cause)
}

/// Whose fault the end of an executor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The job's: its tasks failed with it.
    Job,
    /// It never ran: no task failed with it, but neither may that repeat for ever.
    Launch,
    /// Its host's, or nobody's.
    Nobody,
}

/// Exit code by which an executor's JVM says that it ran out of heap (`SparkExitCode.OOM`).
const OUT_OF_HEAP: i32 = 52;
/// Exit code by which it says that it cannot write to its disk (`DISK_STORE_FAILED_TO_CREATE_DIR`).
const NO_DISK: i32 = 53;

/// Why an executor ended, and whose fault that is.
pub(super) fn of_executor(exit: &Exit, executor: &Worker) -> (Fault, String) {
    if !exit.launch_error.is_empty() {
        return (Fault::Launch, format!("the executor could not be started: {}", exit.launch_error));
    }
    if let Some(fault) = &exit.host_fault {
        return (Fault::Nobody, fault.clone());
    }
    if exit.oom_killed {
        let reason = format!(
            "the executor's worker exceeded its memory limit of {} MiB and was killed; \
             increase spark.executor.memoryOverhead or spark.executor.memory",
            executor.size.memory_mib
        );
        return (Fault::Job, reason);
    }
    match (exit.code, exit.signal) {
        // As on YARN, an executor that ends in good order is nobody's fault.
        (Some(0), _) => (Fault::Nobody, "the executor ended with exit code 0".to_owned()),
        (Some(OUT_OF_HEAP), _) => {
            let reason = "the executor ran out of heap memory (exit code 52); increase spark.executor.memory";
            (Fault::Job, reason.to_owned())
        }
        (Some(NO_DISK), _) => {
            (Fault::Job, "the executor could not write to its disk (exit code 53)".to_owned())
        }
        (Some(code), _) => (Fault::Job, format!("the executor ended with exit code {code}")),
        (None, Some(signal)) if CRASHES.contains(&signal) => {
            (Fault::Job, format!("the executor crashed with signal {signal}"))
        }
        // Not the kernel's limit and not ours: somebody on the host.
        (None, Some(signal)) => (Fault::Nobody, format!("the executor was ended by signal {signal}")),
        (None, None) => (Fault::Nobody, "the executor ended for an unknown reason".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::tests::{driver, spec};

    #[test]
    fn a_driver_succeeds_with_exit_code_zero_alone_and_undelivered_logs_are_told() {
        let exit = Exit::default;
        let undelivered = || vec!["s3://b: 403".to_owned()];
        let told = "Logs could not be delivered: s3://b: 403.";
        let cases = [
            (Exit { code: Some(0), ..exit() }, Outcome::Success, None, String::new()),
            (
                Exit { code: Some(0), log_failures: undelivered(), ..exit() },
                Outcome::Success,
                None,
                told.to_owned(),
            ),
            (
                Exit { code: Some(0), log_failures: undelivered(), ..Exit::lost("power cut") },
                Outcome::Failed,
                Some(FailureCause::HostLost),
                format!("Job failed because its driver was lost: power cut. {told}"),
            ),
        ];
        for (exit, outcome, cause, details) in cases {
            let exit = Exit { code: Some(0), ..exit };
            assert_eq!(of_driver(&exit, &driver(), &spec()), (outcome, details, cause), "{exit:?}");
        }
    }

    #[test]
    fn an_executor_is_blamed_on_the_job_only_when_the_job_did_it() {
        let exit = Exit::default;
        let cases = [
            (Exit { code: Some(0), ..exit() }, Fault::Nobody, "the executor ended with exit code 0"),
            (Exit { code: Some(51), ..exit() }, Fault::Job, "the executor ended with exit code 51"),
            (
                Exit { code: Some(52), ..exit() },
                Fault::Job,
                "the executor ran out of heap memory (exit code 52); increase spark.executor.memory",
            ),
            (Exit { signal: Some(6), ..exit() }, Fault::Job, "the executor crashed with signal 6"),
            (Exit { signal: Some(9), ..exit() }, Fault::Nobody, "the executor was ended by signal 9"),
            (exit(), Fault::Nobody, "the executor ended for an unknown reason"),
            (Exit::lost("power cut"), Fault::Nobody, "power cut"),
            (
                Exit { launch_error: "no java".to_owned(), ..Exit::lost("the host could not start it") },
                Fault::Launch,
                "the executor could not be started: no java",
            ),
        ];
        for (exit, fault, reason) in cases {
            assert_eq!(of_executor(&exit, &driver()), (fault, reason.to_owned()), "{exit:?}");
        }
        let (fault, reason) = of_executor(&Exit { oom_killed: true, ..exit() }, &driver());
        assert_eq!(fault, Fault::Job);
        assert!(reason.contains("2048 MiB"));
    }
}
