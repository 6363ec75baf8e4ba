//! What can go wrong between asking for a bundle and having it.

use std::io;
use std::path::PathBuf;

use crate::id::BundleId;

/// Why a bundle is not there.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The bytes could not be had from where they are kept; trying again may help.
    #[error("fetching bundle {id}")]
    Fetch {
        /// Which bundle.
        id: BundleId,
        /// What the provider said.
        #[source]
        source: io::Error,
    },
    /// The bytes are not the bundle's; they were removed. Trying again may help if the transfer broke.
    #[error("bundle {expected} has the digest {actual} after {bytes} bytes")]
    Digest {
        /// What was asked for.
        expected: BundleId,
        /// What came.
        actual: BundleId,
        /// How much came.
        bytes: u64,
    },
    /// The archive cannot be unpacked; it will not get better.
    #[error("unpacking bundle {id}")]
    Unpack {
        /// Which bundle.
        id: BundleId,
        /// Where it failed.
        #[source]
        source: UnpackError,
    },
    /// The host's disk refused.
    #[error("{doing} {path}")]
    Disk {
        /// What we were doing.
        doing: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The runtime is stopping.
    #[error("fetching bundle {id} was cut short")]
    Interrupted {
        /// Which bundle.
        id: BundleId,
    },
}

/// Why an archive cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The compressed or archived form is broken.
    #[error("reading the archive")]
    Read(#[source] io::Error),
    /// The host's disk refused.
    #[error("writing {path}")]
    Write {
        /// Path within the bundle.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The entry would be outside the tree, or pass through a link.
    #[error("entry {path:?} leaves the bundle")]
    EntryLeaves {
        /// As the archive names it.
        path: PathBuf,
    },
    /// The link would point outside the tree.
    #[error("link {path:?} to {target:?} leaves the bundle")]
    LinkLeaves {
        /// As the archive names it.
        path: PathBuf,
        /// Where it points.
        target: PathBuf,
    },
    /// Neither a file, a directory nor a link.
    #[error("entry {path:?} is of a kind that bundles do not hold")]
    Kind {
        /// As the archive names it.
        path: PathBuf,
    },
}
