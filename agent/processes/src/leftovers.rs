//! What a worker may have left on its host beside its control group and directory, looked for afresh.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Lists the processes that run under a user id, be it real, effective, saved or of the file system, and that `is_meant`.
/// Zombies, which hold nothing any more, are left out.
///
/// # Errors
/// When processes cannot be listed.
pub fn processes_of(uid: u32, is_meant: impl Fn(i32) -> bool) -> io::Result<Vec<i32>> {
    let names = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let processes = names.filter_map(|name| name.parse().ok());
    Ok(processes.filter(|&pid| runs_under(pid, uid) && is_meant(pid)).collect())
}

/// Kills the processes that [`processes_of`] lists; answers how many there were. Those forked meanwhile need another call.
///
/// # Errors
/// When processes cannot be listed, or one may not be killed.
pub fn kill_processes_of(uid: u32, is_meant: impl Fn(i32) -> bool) -> io::Result<usize> {
    let found = processes_of(uid, &is_meant)?;
    for &pid in &found {
        let Some(raw) = Pid::from_raw(pid) else { continue };
        match pidfd_open(raw, PidfdFlags::empty()) {
            // Its id may mean another process by now; that of a descriptor does not change.
            Ok(process) if runs_under(pid, uid) && is_meant(pid) => {
                match pidfd_send_signal(&process, Signal::KILL) {
                    Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            Ok(_) | Err(rustix::io::Errno::SRCH) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(found.len())
}

fn runs_under(pid: i32, uid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let is_dead = matches!(field("State:").trim_start().chars().next(), None | Some('Z' | 'X'));
    !is_dead && field("Uid:").split_ascii_whitespace().any(|word| word.parse() == Ok(uid))
}

/// Lists what is mounted at or below a directory, as this process sees it, the latest mount first: in which order it can
/// be unmounted.
///
/// # Errors
/// When mounts cannot be listed.
pub fn mounts_below(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    let points = text.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped);
    let mut below: Vec<PathBuf> = points.filter(|point| point.starts_with(directory)).collect();
    below.reverse();
    Ok(below)
}

/// Unmounts a mount point, also while it is in use.
///
/// # Errors
/// The system's own.
pub fn unmount(point: &Path) -> io::Result<()> {
    Ok(nix::mount::umount2(point, nix::mount::MntFlags::MNT_DETACH)?)
}

/// The kernel writes blanks, newlines and backslashes as three octal digits.
fn unescaped(word: &str) -> PathBuf {
    let (mut bytes, mut rest) = (Vec::with_capacity(word.len()), word.as_bytes());
    while let [first, tail @ ..] = rest {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_processes_and_the_roots_mount_are_seen() {
        let own = nix::unistd::Uid::current().as_raw();
        let pid = std::process::id().cast_signed();
        assert!(processes_of(own, |_| true).expect("listed").contains(&pid));
        assert!(!processes_of(own, |other| other != pid).expect("listed").contains(&pid));
        assert!(!processes_of(4_000_000_000, |_| true).expect("listed").contains(&pid));
        assert!(mounts_below(Path::new("/")).expect("listed").contains(&"/proc".into()));
        assert_eq!(mounts_below(Path::new("/nowhere")).expect("listed"), Vec::<PathBuf>::new());
        assert_eq!(unescaped("/a\\040b\\134"), Path::new("/a b\\"));
    }
}
