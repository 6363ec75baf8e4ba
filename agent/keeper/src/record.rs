//! The two records a keeper leaves: `keeper.json` while the worker runs, `exit.json` when it has ended.

/// Content of `keeper.json`: which processes hold this worker, beyond the reuse of process ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The keeper's process id.
    pub pid: i32,
    /// The keeper's start, in clock ticks since boot (`/proc/PID/stat`, field 22).
    pub start_ticks: u64,
    /// The worker's first process.
    pub child_pid: i32,
    /// That process's start, in clock ticks since boot.
    pub child_start_ticks: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// `CLOCK_BOOTTIME` at the start, in nanoseconds.
    pub started_at_boottime_ns: u64,
}

impl Running {
    /// Writes the record as one JSON object.
    pub fn to_json(&self) -> String {
        format!(
            "{{\"pid\":{},\"start_ticks\":{},\"child_pid\":{},\"child_start_ticks\":{},\"boot_id\":{},\
             \"started_at_boottime_ns\":{}}}\n",
            self.pid,
            self.start_ticks,
            self.child_pid,
            self.child_start_ticks,
            json_string(&self.boot_id),
            self.started_at_boottime_ns,
        )
    }
}

/// Content of `exit.json`: how a worker ended. Exactly one of the first three fields is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Exit status of the worker's first process.
    pub exit_code: Option<i32>,
    /// Number of the signal that killed it.
    pub signal: Option<i32>,
    /// Why the program was never executed.
    pub launch_error: Option<String>,
    /// Whether the kernel killed a process of the worker for want of memory.
    pub oom_killed: bool,
    /// Whether the keeper killed it because its lease was ending.
    pub lease_ended: bool,
    /// Most memory its cgroup ever held, in bytes.
    pub memory_peak_bytes: Option<u64>,
    /// CPU time its cgroup used, in microseconds.
    pub cpu_usec: Option<u64>,
    /// `CLOCK_BOOTTIME` at the end, in nanoseconds.
    pub ended_at_boottime_ns: u64,
    /// Wall clock at the end, in milliseconds since 1970.
    pub ended_at_unix_ms: u64,
}

impl Outcome {
    /// Writes the record as one JSON object.
    pub fn to_json(&self) -> String {
        format!(
            "{{\"exit_code\":{},\"signal\":{},\"launch_error\":{},\"oom_killed\":{},\"lease_ended\":{},\
             \"memory_peak_bytes\":{},\"cpu_usec\":{},\"ended_at_boottime_ns\":{},\"ended_at_unix_ms\":{}}}\n",
            or_null(self.exit_code),
            or_null(self.signal),
            or_null(self.launch_error.as_deref().map(json_string)),
            self.oom_killed,
            self.lease_ended,
            or_null(self.memory_peak_bytes),
            or_null(self.cpu_usec),
            self.ended_at_boottime_ns,
            self.ended_at_unix_ms,
        )
    }
}

fn or_null(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

fn json_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            control if control < ' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_as_json_asks() {
        assert_eq!(json_string("a\"b\\c\n\u{1}é"), "\"a\\\"b\\\\c\\u000a\\u0001é\"");
    }

    #[test]
    fn an_outcome_says_null_for_what_is_unknown() {
        let outcome =
            Outcome { exit_code: Some(3), cpu_usec: Some(7), ended_at_unix_ms: 9, ..Outcome::default() };
        assert_eq!(
            outcome.to_json(),
            "{\"exit_code\":3,\"signal\":null,\"launch_error\":null,\"oom_killed\":false,\
             \"lease_ended\":false,\"memory_peak_bytes\":null,\"cpu_usec\":7,\"ended_at_boottime_ns\":0,\"ended_at_unix_ms\":9}\n"
        );
    }
}
