//! What the keeper asks of the kernel: process starts, boot id and clocks.

use std::fs;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

/// Reads when process `pid` started, in clock ticks since boot; with the boot id it names a process for ever.
///
/// # Errors
/// `NotFound` when there is no such process, `InvalidData` when `/proc` says something unexpected.
pub fn start_ticks(pid: i32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_start_ticks(&stat)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "malformed /proc/PID/stat"))
}

fn parse_start_ticks(stat: &str) -> Option<u64> {
    // The command's name may hold spaces and parentheses; numbers start after the last one. Start time is field 22.
    let (_, numbers) = stat.rsplit_once(')')?;
    numbers.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Reads the id of this boot of the host.
///
/// # Errors
/// The system's own.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Reads `CLOCK_BOOTTIME`: time since boot, suspension included.
pub fn boottime() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every supported kernel has CLOCK_BOOTTIME").into()
}

/// Reads `CLOCK_BOOTTIME` in nanoseconds.
pub fn boottime_ns() -> u64 {
    u64::try_from(boottime().as_nanos()).unwrap_or(u64::MAX)
}

/// Reads the wall clock in milliseconds since 1970.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_mislead() {
        let stat = "77 (a) b (c)) S 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 99 1";
        assert_eq!(parse_start_ticks(stat), Some(4242));
        assert_eq!(parse_start_ticks("77 (a) S 1"), None);
    }

    #[test]
    fn this_process_has_a_start_and_a_boot() {
        assert!(start_ticks(std::process::id().cast_signed()).expect("own stat") > 0);
        assert_eq!(boot_id().expect("a boot id").len(), 36);
        assert!(boottime_ns() > 0);
    }
}
