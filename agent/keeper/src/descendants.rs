//! The processes below a keeper. Orphans among them become its own children, as it is their reaper.

use std::fs;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Whether a keeper still has children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Descendants {
    None,
    Some,
}

/// One line of the host's process table.
struct Process {
    pid: i32,
    parent: i32,
    state: char,
}

/// Lists this process's children.
pub(crate) fn children() -> Vec<Pid> {
    let own = std::process::id().cast_signed();
    match fs::read_to_string(format!("/proc/{own}/task/{own}/children")) {
        Ok(text) => {
            text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).map(Pid::from_raw).collect()
        }
        // A kernel without that file.
        Err(_) => {
            table().into_iter().filter(|one| one.parent == own).map(|one| Pid::from_raw(one.pid)).collect()
        }
    }
}

/// Sends a signal to each child.
pub(crate) fn signal_children(signal: Signal) {
    for pid in children() {
        let _ = kill(pid, signal);
    }
}

/// Reaps every child that has ended.
pub(crate) fn reap_all() -> Descendants {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return Descendants::None,
            Ok(WaitStatus::StillAlive) => return Descendants::Some,
            _ => {}
        }
    }
}

/// Sends a signal to every process below this one. Those that are forked meanwhile need another call.
pub(crate) fn signal_all(signal: Signal) {
    for process in below() {
        let _ = kill(Pid::from_raw(process.pid), signal);
    }
}

/// Whether every process below this one is stopped, or dead, or will stop before it runs again: who waits within a
/// `vfork` for a child that is stopped itself stays there.
pub(crate) fn are_stopped() -> bool {
    below().iter().all(|process| match process.state {
        'T' | 't' | 'Z' | 'X' => true,
        'D' => fs::read_to_string(format!("/proc/{}/status", process.pid))
            .is_ok_and(|status| is_pending(Signal::SIGSTOP, &status)),
        _ => false,
    })
}

/// Whether a signal waits for a process, by its `status`.
fn is_pending(signal: Signal, status: &str) -> bool {
    let bit = 1_u64 << (signal as u32 - 1);
    let waiting =
        status.lines().filter_map(|line| line.strip_prefix("ShdPnd:").or(line.strip_prefix("SigPnd:")));
    waiting.filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok()).any(|mask| mask & bit != 0)
}

fn below() -> Vec<Process> {
    let mut rest = table();
    let mut found: Vec<Process> = Vec::new();
    let mut parents = vec![std::process::id().cast_signed()];
    while !parents.is_empty() {
        let (next, others): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|one: &Process| parents.contains(&one.parent));
        (rest, parents) = (others, next.iter().map(|one| one.pid).collect());
        found.extend(next);
    }
    found
}

fn table() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    // A process that ends meanwhile is none.
    names
        .filter_map(|name| parse(name.parse().ok()?, &fs::read_to_string(format!("/proc/{name}/stat")).ok()?))
        .collect()
}

fn parse(pid: i32, stat: &str) -> Option<Process> {
    // The command's name may hold spaces and parentheses.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    Some(Process { pid, state: words.next()?.chars().next()?, parent: words.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_process_with_a_nasty_name_is_read() {
        let found = parse(77, "77 (a) T 9 (c)) T 12 77 77 0").expect("readable");
        assert_eq!((found.pid, found.parent, found.state), (77, 12, 'T'));
        assert!(parse(1, "1 (x").is_none());
    }

    #[test]
    fn a_stop_that_waits_for_a_process_is_seen() {
        let status =
            |own: &str, shared: &str| format!("State:\tD\nSigPnd:\t{own}\nShdPnd:\t{shared}\nSigBlk:\t0\n");
        let (none, stop, term) = ("0000000000000000", "0000000000040000", "0000000000004000");
        assert!(is_pending(Signal::SIGSTOP, &status(none, stop)));
        assert!(is_pending(Signal::SIGSTOP, &status(stop, none)));
        assert!(!is_pending(Signal::SIGSTOP, &status(term, none)));
        assert!(!is_pending(Signal::SIGSTOP, "State:\tD\n"));
    }
}
