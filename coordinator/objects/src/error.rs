//! What can go wrong in the object store, one variant for each thing a caller can do differently.

use std::path::PathBuf;

/// An error from the body of an upload: the sender's stream broke or did not verify.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Why an object store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A directory or file of the store could not be prepared.
    #[error("preparing {path}")]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// Another process holds the store; two would delete each other's unfinished uploads.
    #[error("the object store {path} is in use by another process")]
    InUse {
        /// The store's lock file.
        path: PathBuf,
    },
    /// The index could not be opened or migrated.
    #[error("opening the object index {path}")]
    Index {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: sqlx::Error,
    },
    /// The index cannot be used as it is.
    #[error(transparent)]
    Refused(#[from] hearth_sqlite::Refused),
}

/// Why an operation on the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No bucket has that name.
    #[error("no such bucket")]
    NoSuchBucket,
    /// The bucket's name breaks S3's rules.
    #[error("invalid bucket name")]
    InvalidBucketName,
    /// The bucket still holds objects.
    #[error("bucket not empty")]
    BucketNotEmpty,
    /// The bucket has no such key.
    #[error("no such key")]
    NoSuchKey,
    /// The key is longer than 1,024 bytes or empty.
    #[error("invalid key")]
    InvalidKey,
    /// No upload in progress has that id for that key.
    #[error("no such upload")]
    NoSuchUpload,
    /// A condition of the request (`If-Match`, `If-None-Match`) does not hold.
    #[error("precondition failed")]
    PreconditionFailed,
    /// The part number is outside 1..=10000.
    #[error("part number out of range")]
    PartNumberOutOfRange,
    /// A part named in a completion was not uploaded, or its ETag or checksum differs.
    #[error("part {number} is missing or differs")]
    InvalidPart {
        /// Its number.
        number: u16,
    },
    /// The parts of a completion are not in ascending order.
    #[error("parts not in ascending order")]
    InvalidPartOrder,
    /// A part other than the last is smaller than 5 MiB.
    #[error("part {number} is too small")]
    PartTooSmall {
        /// Its number.
        number: u16,
    },
    /// A completion names no part at all.
    #[error("no parts given")]
    NoParts,
    /// The requested byte range lies outside the object.
    #[error("range not satisfiable for an object of {size} bytes")]
    RangeNotSatisfiable {
        /// The object's size in bytes.
        size: u64,
    },
    /// The sender's body broke off or did not verify.
    #[error("receiving the body")]
    Body(#[source] BodyError),
    /// A blob file could not be written or read.
    #[error("blob storage failed")]
    Blob(#[source] std::io::Error),
    /// The index refused a statement.
    #[error("object index failed")]
    Index(#[source] sqlx::Error),
    /// The change could not be committed; the cause is in the log.
    #[error("object index unavailable")]
    IndexUnavailable,
}
