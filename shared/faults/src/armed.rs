//! What a point does in a program built for tests.

use std::ffi::OsString;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

/// Names the directory of the points that are to be deadly.
pub(crate) const VARIABLE: &str = "HEARTH_FAULTS";

/// Threads pass one point one after the other, so that passings are counted right.
static PASSING: Mutex<()> = Mutex::new(());

pub(crate) fn directory() -> Option<OsString> {
    std::env::var_os(VARIABLE)
}

/// Whether the process is to die at the point of this name; true once only, for whoever comes first.
pub(crate) fn is_fatal(name: &str) -> bool {
    directory().is_some_and(|directory| take(Path::new(&directory), name).unwrap_or(false))
}

fn take(directory: &Path, name: &str) -> io::Result<bool> {
    let _turn = PASSING.lock().unwrap_or_else(PoisonError::into_inner);
    let file = directory.join(name);
    let left: u32 = fs::read_to_string(&file)?.trim().parse().unwrap_or(0);
    match left.checked_sub(1) {
        Some(left) => fs::write(&file, left.to_string()).map(|()| false),
        None => fs::rename(&file, directory.join(format!("{name}.reached"))).map(|()| true),
    }
}

/// Kills this process as `kill -9` does.
pub(crate) fn die() {
    let _sent = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
    loop {
        // No instruction of the caller's runs any more.
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Point;
    use std::collections::BTreeSet;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_point_is_fatal_once_after_the_passings_that_were_let_go() {
        let directory = tempfile::tempdir().expect("a directory");
        let pass = || take(directory.path(), "a.point").unwrap_or(false);
        assert!(!pass(), "nobody wants it to be");
        fs::write(directory.path().join("a.point"), "2").expect("written");
        assert_eq!([pass(), pass(), pass(), pass()], [false, false, true, false]);
        assert!(directory.path().join("a.point.reached").exists());
    }

    #[test]
    fn every_point_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Point::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
    }

    #[test]
    fn dying_is_by_the_signal_that_nothing_can_handle() {
        if std::env::var_os("HEARTH_FAULTS_DIE").is_some() {
            die();
        }
        let program = std::env::current_exe().expect("this program");
        let test = "armed::tests::dying_is_by_the_signal_that_nothing_can_handle";
        let mut dying = std::process::Command::new(program);
        let ended = dying.arg(test).arg("--exact").env("HEARTH_FAULTS_DIE", "1").output().expect("run");
        assert_eq!(ended.status.signal(), Some(9));
    }
}
