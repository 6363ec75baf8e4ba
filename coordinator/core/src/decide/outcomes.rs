//! What the end of a driver's process means for its job run, as a sentence that says what to change.

use crate::job_run::Outcome;
use crate::worker::{Exit, Worker};

/// The outcome of an attempt and the sentence for `stateDetails`.
pub(super) fn of_driver(exit: &Exit, driver: &Worker) -> (Outcome, String) {
    let (outcome, mut details) = if exit.code == Some(0) && exit.host_fault.is_none() {
        (Outcome::Success, String::new())
    } else {
        (Outcome::Failed, why_failed(exit, driver))
    };
    for failure in &exit.log_failures {
        if !details.is_empty() {
            details.push(' ');
        }
        details.push_str("Logs could not be delivered: ");
        details.push_str(failure);
        details.push('.');
    }
    (outcome, details)
}

fn why_failed(exit: &Exit, driver: &Worker) -> String {
    if let Some(fault) = &exit.host_fault {
        return format!("Job failed because its driver was lost: {fault}.");
    }
    if exit.oom_killed {
        return format!(
            "Job failed, the driver worker exceeded its memory limit of {} MiB and was killed. \
             Increase spark.driver.memory or spark.driver.memoryOverhead.",
            driver.size.memory_mib
        );
    }
    if !exit.launch_error.is_empty() {
        return format!("Job failed, the driver could not be started: {}.", exit.launch_error);
    }
    let how = match (exit.code, exit.signal) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    };
    let class = exit.error_class.rsplit('.').next().unwrap_or_default();
    match (class.is_empty(), exit.error_message.is_empty()) {
        (true, true) => {
            format!(
                "Job failed, please check complete logs in the configured logging destination. The driver ended with {how}."
            )
        }
        (true, false) => format!("Job failed, the driver ended with {how}: {}", exit.error_message),
        (false, true) => format!("Job failed, the driver ended with {how}: {class}"),
        (false, false) => format!("Job failed, the driver ended with {how}: {class}: {}", exit.error_message),
    }
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

/// Signals by which native code of the job's own ends: SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV.
const CRASHES: [i32; 6] = [4, 5, 6, 7, 8, 11];

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
    use crate::worker::{Role, WorkerState};
    use hearth_types::{AgentId, ApplicationId, JobRunId, Launch, Timestamp, WorkerId, WorkerSize};

    fn worker() -> Worker {
        Worker {
            id: WorkerId::new("w").unwrap(),
            agent: AgentId::new("a").unwrap(),
            application: ApplicationId::new("app").unwrap(),
            run: JobRunId::new("r").unwrap(),
            launch: Launch::FIRST,
            role: Role::Driver,
            size: WorkerSize::new(1, 2048, 20),
            lease: None,
            state: WorkerState::Running,
            created_at: Timestamp::from_millis(0),
            started_at: None,
        }
    }

    #[test]
    fn a_driver_succeeds_with_exit_code_zero_alone_and_a_failure_says_why() {
        let exit = Exit::default;
        let cases = [
            (Exit { code: Some(0), ..exit() }, Outcome::Success, ""),
            (
                Exit { code: Some(0), log_failures: vec!["s3://b: 403".to_owned()], ..exit() },
                Outcome::Success,
                "Logs could not be delivered: s3://b: 403.",
            ),
            (
                Exit { code: Some(0), host_fault: Some("power cut".to_owned()), ..exit() },
                Outcome::Failed,
                "Job failed because its driver was lost: power cut.",
            ),
            (
                Exit { signal: Some(9), oom_killed: true, ..exit() },
                Outcome::Failed,
                "Job failed, the driver worker exceeded its memory limit of 2048 MiB and was killed. \
                 Increase spark.driver.memory or spark.driver.memoryOverhead.",
            ),
            (
                Exit { launch_error: "no java".to_owned(), ..exit() },
                Outcome::Failed,
                "Job failed, the driver could not be started: no java.",
            ),
            (
                Exit { signal: Some(11), ..exit() },
                Outcome::Failed,
                "Job failed, please check complete logs in the configured logging destination. \
                 The driver ended with signal 11.",
            ),
            (
                Exit {
                    code: Some(1),
                    error_class: "org.apache.spark.SparkException".to_owned(),
                    error_message: "no such table".to_owned(),
                    ..exit()
                },
                Outcome::Failed,
                "Job failed, the driver ended with exit code 1: SparkException: no such table",
            ),
            (
                exit(),
                Outcome::Failed,
                "Job failed, please check complete logs in the configured logging destination. \
                 The driver ended with no exit code.",
            ),
        ];
        for (exit, outcome, details) in cases {
            assert_eq!(of_driver(&exit, &worker()), (outcome, details.to_owned()), "{exit:?}");
        }
    }

    #[test]
    fn an_executor_is_blamed_on_the_job_only_when_the_job_did_it() {
        let exit = Exit::default;
        let cases = [
            (Exit { code: Some(0), ..exit() }, Fault::Nobody, "the executor ended with exit code 0"),
            (Exit { code: Some(52), ..exit() }, Fault::Job, "the executor ended with exit code 52"),
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
            assert_eq!(of_executor(&exit, &worker()), (fault, reason.to_owned()), "{exit:?}");
        }
        let (fault, reason) = of_executor(&Exit { oom_killed: true, ..exit() }, &worker());
        assert_eq!(fault, Fault::Job);
        assert!(reason.contains("2048 MiB"));
    }
}
