//! Class-data archives: with one, a worker's JVM starts in half the time. Made once for each bundle, JDK and version of
//! hearth's jars, on the host that uses them; a worker never waits for one.

mod store;
mod training;

pub(crate) use store::{Archives, Wanted, archive_file};
pub(crate) use training::{NAME as TRAINING, clear as clear_training, keep_making};
