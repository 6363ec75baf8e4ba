//! Why a job run's attempt failed, as one of few causes: what programs tell apart, beside the sentence for people.

use crate::states::states;

states!(
    /// Why an attempt failed. Stored with it; names are never reused.
    FailureCause {
        /// The kernel killed the driver at its worker's memory limit.
        DriverMemoryLimit = "DRIVER_MEMORY_LIMIT",
        /// The kernel killed executors at their workers' memory limit.
        ExecutorMemoryLimit = "EXECUTOR_MEMORY_LIMIT",
        /// The driver's JVM had no heap left.
        DriverHeap = "DRIVER_HEAP",
        /// An executor's JVM had no heap left.
        ExecutorHeap = "EXECUTOR_HEAP",
        /// A Python program got no memory, of driver or executor.
        PythonMemory = "PYTHON_MEMORY",
        /// An executor's Python process died in the middle of a task.
        PythonWorkerCrashed = "PYTHON_WORKER_CRASHED",
        /// Results were larger than the driver takes (`spark.driver.maxResultSize`).
        ResultTooLarge = "RESULT_TOO_LARGE",
        /// No space was left on a disk.
        DiskFull = "DISK_FULL",
        /// Access to the object store was denied.
        AccessDenied = "ACCESS_DENIED",
        /// The runtime role cannot be assumed any more.
        RoleUnusable = "ROLE_UNUSABLE",
        /// A file does not exist, the entry point's included.
        FileNotFound = "FILE_NOT_FOUND",
        /// A class or data source is on no class path.
        ClassNotFound = "CLASS_NOT_FOUND",
        /// Python found no module of some name.
        ModuleNotFound = "MODULE_NOT_FOUND",
        /// The program, in Python or SQL, cannot be parsed.
        Syntax = "SYNTAX_ERROR",
        /// The program ended by an exception of its own.
        Exception = "EXCEPTION",
        /// The program ended with an exit code and no exception.
        ExitCode = "EXIT_CODE",
        /// The process crashed, as native code does.
        Crash = "CRASH",
        /// Somebody on the host killed the process.
        Killed = "KILLED",
        /// Executors failed again and again.
        ExecutorsFailed = "EXECUTORS_FAILED",
        /// The worker could not be started.
        NotStarted = "NOT_STARTED",
        /// The driver's host was lost.
        HostLost = "HOST_LOST",
        /// The release could not be prepared.
        ReleaseUnavailable = "RELEASE_UNAVAILABLE",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_the_name() {
        for cause in FailureCause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
            assert_eq!(cause.as_str().parse(), Ok(*cause));
        }
    }
}
