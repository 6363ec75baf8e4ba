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

/// Why an executor ended, and whether the job is to blame.
pub(super) fn of_executor(exit: &Exit, executor: &Worker) -> (bool, String) {
    if let Some(fault) = &exit.host_fault {
        return (false, fault.clone());
    }
    if exit.oom_killed {
        let reason = format!(
            "the executor's worker exceeded its memory limit of {} MiB and was killed; \
             increase spark.executor.memoryOverhead or spark.executor.memory",
            executor.size.memory_mib
        );
        return (true, reason);
    }
    if !exit.launch_error.is_empty() {
        return (false, format!("the executor could not be started: {}", exit.launch_error));
    }
    match (exit.code, exit.signal) {
        (Some(code), _) => (code != 0, format!("the executor ended with exit code {code}")),
        // Not the kernel's limit and not ours: somebody on the host.
        (None, Some(signal)) => (false, format!("the executor was ended by signal {signal}")),
        (None, None) => (false, "the executor ended for an unknown reason".to_owned()),
    }
}
