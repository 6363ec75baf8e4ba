//! Fault points: named boundaries between what is persisted and what is performed, at which a test can kill a process.
//!
//! A point is passed by [`reach`]. Without the feature `armed` that is nothing, and no name of a point is in the program.
//! With it, and `HEARTH_FAULTS` naming a directory, the process that passes a point dies there by SIGKILL if the
//! directory has a file of the point's name: see [`Point::name`]. The file may hold a number of passings to let go first.
//! Dying renames it to `<name>.reached`, so that whoever is started next lives on, and the test sees that it was reached.
//!
//! `tests/endurance/fault_points.py` goes through all of them.

#[cfg(any(feature = "armed", test))]
mod armed;
mod points;

pub use points::Point;

/// Passes a point: the process dies here, without any clean-up, if a test wants that.
#[cfg(any(feature = "armed", test))]
pub fn reach(point: Point) {
    if armed::is_fatal(point.name()) {
        armed::die();
    }
}

/// Passes a point, of which nothing is left in a program that is not built for tests.
#[cfg(not(any(feature = "armed", test)))]
#[inline(always)]
pub const fn reach(_: Point) {}

/// The variable that a process started with an empty environment must be given so that its points count, too.
#[cfg(any(feature = "armed", test))]
pub fn inherited() -> Option<(&'static str, std::ffi::OsString)> {
    armed::directory().map(|directory| (armed::VARIABLE, directory))
}

/// Nothing: there are no points.
#[cfg(not(any(feature = "armed", test)))]
pub const fn inherited() -> Option<(&'static str, std::ffi::OsString)> {
    None
}
