//! `hearth backup` and `hearth restore`: all that a coordinator needs to come back on another host, in one file.
//!
//! A backup is made beside a running coordinator, and is consistent by the order of its steps:
//!
//! 1. The state database is copied as of one moment.
//! 2. Removals of blob files are held off ([`HeldObjects`]); only then is the object index copied, as of a later moment. So
//!    an object that a state row names is in the index: it was stored before the row was written, and nothing but its
//!    owner deletes it.
//! 3. The blobs that the copied index names are read. They never change, and none goes before the hold ends.
//! 4. The certificate authority, the master key and the ports are as they were made at the first start.
//!
//! The file is a `tar.zst`: its format first, the parts, and last a manifest with the digest of each. A file that was cut
//! short has no manifest, and nothing is put in place before all of it was read and verified.
//!
//! [`HeldObjects`]: hearth_objects::HeldObjects

mod manifest;
mod pack;
mod unpack;

pub use manifest::{Layout, Manifest};
pub use pack::{Objects, back_up};
pub use unpack::{Restored, restore};

/// The first entry of a backup; its content is the format's version.
const FORMAT_ENTRY: &str = "hearth-backup";
/// The format that this program writes and reads.
const FORMAT: u32 = 1;
/// The last entry of a backup.
const MANIFEST_ENTRY: &str = "manifest.json";
/// Directory of the object store, in a backup as in the data directory.
const OBJECTS: &str = "objects";
/// Name of the state database, in a backup as in the data directory.
const STATE: &str = "hearth.db";
/// Small files that never change once they are made: the certificate authority, the key that seals secrets, the ports that
/// agents know.
const KEPT: [&str; 3] = ["ca", "master.key", "ports.json"];

#[cfg(test)]
mod tests;
