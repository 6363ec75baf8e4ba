//! Which logs of which workers can be asked for (guide:4815-4824).

use super::Broken;

/// Workers of a Spark application that write logs.
const WORKERS: [&str; 2] = ["SPARK_DRIVER", "SPARK_EXECUTOR"];
/// What each of them writes.
const LOGS: [&str; 2] = ["STDERR", "STDOUT"];

/// Checks what is asked for of one kind of worker: its name, and its logs in any case. Everything that is wrong is told.
pub fn check_log_types(member: &str, worker: &str, logs: &[String]) -> Vec<Broken> {
    let mut faults = Vec::new();
    if !WORKERS.contains(&worker) {
        faults.push(Broken::text(member, "must name SPARK_DRIVER or SPARK_EXECUTOR", worker));
    }
    let unknown = logs.iter().filter(|log| !LOGS.iter().any(|known| known.eq_ignore_ascii_case(log)));
    let member = format!("{member}.{worker}");
    faults.extend(unknown.map(|log| Broken::text(&member, "must be STDERR or STDOUT", log)));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_and_executors_have_two_logs_each() {
        let logs = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(check_log_types("logTypes", "SPARK_DRIVER", &logs(&["stdout", "STDERR"])), []);
        assert_eq!(check_log_types("logTypes", "SPARK_EXECUTOR", &[]), []);
        let faults = check_log_types("logTypes", "TEZ_TASK", &logs(&["SYSTEM_LOGS", "STDOUT", "x"]));
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "logTypes must name SPARK_DRIVER or SPARK_EXECUTOR, got \"TEZ_TASK\"",
                "logTypes.TEZ_TASK must be STDERR or STDOUT, got \"SYSTEM_LOGS\"",
                "logTypes.TEZ_TASK must be STDERR or STDOUT, got \"x\"",
            ]
        );
    }
}
