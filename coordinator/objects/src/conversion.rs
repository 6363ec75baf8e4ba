//! Between the store's words and those of the S3 protocol.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{ETag, ETagCondition, EncodingType, Timestamp};
use s3s::{S3Error, S3Result, s3_error};
use time::OffsetDateTime;

use crate::blobs::Received;
use crate::digests::{Checksum, ChecksumKind};
use crate::error::StoreError;
use crate::model::{Attributes, ObjectInfo, WriteCondition};

/// What `encoding-type=url` leaves as it is.
const URL_SAFE: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Headers whose effect the store does not have. Taking them in silence would be a lie.
const UNAVAILABLE: [&str; 8] = [
    "x-amz-copy-source-server-side-encryption",
    "x-amz-grant",
    "x-amz-object-lock",
    "x-amz-bucket-object-lock",
    "x-amz-server-side-encryption",
    "x-amz-tagging",
    "x-amz-website-redirect-location",
    "x-amz-write-offset-bytes",
];

/// Refuses a write that asks for what the store does not have.
pub(crate) fn refuse_unavailable(headers: &HeaderMap) -> S3Result<()> {
    for (name, value) in headers {
        let name = name.as_str();
        let is_off = value == "false" || (name == "x-amz-tagging-directive" && value == "COPY");
        if UNAVAILABLE.iter().any(|prefix| name.starts_with(prefix)) && !is_off {
            return Err(s3_error!(NotImplemented, "The header {name} is not available in this store"));
        }
        if name == "x-amz-acl" && value != "private" && value != "bucket-owner-full-control" {
            return Err(s3_error!(AccessControlListNotSupported, "The bucket does not allow ACLs"));
        }
        if name == "x-amz-storage-class" && value != "STANDARD" {
            return Err(s3_error!(InvalidStorageClass, "The storage class you specified is not valid"));
        }
    }
    Ok(())
}

/// Refuses a version other than the only one there is.
pub(crate) fn refuse_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(s3_error!(NoSuchVersion, "The specified version does not exist.")),
    }
}

/// The error a client sees for the store's. Causes inside the store are logged here and not shown.
pub(crate) fn store_error(error: StoreError) -> S3Error {
    match error {
        StoreError::NoSuchBucket => {
            s3_error!(NoSuchBucket, "The specified bucket does not exist")
        }
        StoreError::InvalidBucketName => {
            s3_error!(InvalidBucketName, "The specified bucket is not valid.")
        }
        StoreError::BucketNotEmpty => {
            s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty")
        }
        StoreError::NoSuchKey => s3_error!(NoSuchKey, "The specified key does not exist."),
        StoreError::InvalidKey => s3_error!(KeyTooLongError, "Your key is too long"),
        StoreError::NoSuchUpload => s3_error!(
            NoSuchUpload,
            "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have \
             been aborted or completed."
        ),
        StoreError::PreconditionFailed => {
            s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
        }
        StoreError::PartNumberOutOfRange => {
            s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive")
        }
        StoreError::InvalidPart { .. } => s3_error!(
            InvalidPart,
            "One or more of the specified parts could not be found.  The part may not have been uploaded, or the \
             specified entity tag may not match the part's entity tag."
        ),
        StoreError::InvalidPartOrder => s3_error!(
            InvalidPartOrder,
            "The list of parts was not in ascending order. Parts must be ordered by part number."
        ),
        StoreError::PartTooSmall { .. } => {
            s3_error!(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size")
        }
        StoreError::NoParts => s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema"
        ),
        StoreError::RangeNotSatisfiable { size } => invalid_range(size),
        StoreError::Body(source) => body_error(&source.to_string()),
        StoreError::Blob(source) if source.kind() == std::io::ErrorKind::StorageFull => {
            tracing::error!(error = %source, "no room for objects");
            s3_error!(InternalError, "The object store's disk is full. Free some of it, then try again.")
        }
        StoreError::Blob(_) | StoreError::Index(_) => {
            tracing::error!(error = ?error, "object store failed");
            s3_error!(InternalError, "We encountered an internal error. Please try again.")
        }
        // Logged by the writer.
        StoreError::IndexUnavailable => {
            s3_error!(InternalError, "We encountered an internal error. Please try again.")
        }
    }
}

/// The refusal of a range outside an object of `size` bytes.
pub(crate) fn invalid_range(size: u64) -> S3Error {
    let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable");
    let mut headers = HeaderMap::new();
    if let Ok(value) = http::HeaderValue::try_from(format!("bytes */{size}")) {
        headers.insert(http::header::CONTENT_RANGE, value);
    }
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/xml"));
    error.set_headers(headers);
    error
}

/// The protocol crate tells what was wrong with a body only in words: its stream errors are private types.
fn body_error(description: &str) -> S3Error {
    if description.contains("Sha256Mismatch") {
        let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        return custom("XAmzContentSHA256Mismatch", message);
    }
    if description.contains("SignatureMismatch") {
        return s3_error!(
            SignatureDoesNotMatch,
            "The signature of a chunk of the body does not match what was computed."
        );
    }
    if description.contains("ChunkTooLarge") {
        return custom("InvalidChunkSizeError", "A signed chunk may have 16 MiB at most.");
    }
    s3_error!(
        IncompleteBody,
        "You did not provide the number of bytes specified by the Content-Length HTTP header."
    )
}

/// An error whose code the protocol crate does not know; status 400.
fn custom(code: &str, message: &'static str) -> S3Error {
    let Ok(code) = code.parse();
    let mut error = S3Error::with_message(code, message);
    error.set_status_code(http::StatusCode::BAD_REQUEST);
    error
}

/// An ETag as the protocol writes it.
pub(crate) fn etag(value: &str) -> ETag {
    ETag::Strong(value.to_owned())
}

/// A time as the protocol writes it.
pub(crate) fn timestamp(time: OffsetDateTime) -> Timestamp {
    Timestamp::from(time)
}

/// Encodes a key for an answer, if the request asked for it.
pub(crate) fn encoded(text: &str, encoding: Option<&EncodingType>) -> String {
    match encoding {
        Some(_) => url_encoded(text),
        None => text.to_owned(),
    }
}

/// Percent-encodes everything but unreserved characters and slashes.
pub(crate) fn url_encoded(text: &str) -> String {
    utf8_percent_encode(text, URL_SAFE).to_string()
}

/// Refuses an encoding other than `url`.
pub(crate) fn check_encoding(encoding: Option<&EncodingType>) -> S3Result<()> {
    match encoding.map(EncodingType::as_str) {
        None | Some(EncodingType::URL) => Ok(()),
        Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
    }
}

/// The size of a page: as asked, 1,000 at most and by default.
pub(crate) fn page_size(asked: Option<i32>, name: &str) -> S3Result<usize> {
    match asked {
        None => Ok(1000),
        Some(asked) => usize::try_from(asked).map(|size| size.min(1000)).map_err(|_| {
            s3_error!(InvalidArgument, "Argument {name} must be an integer between 0 and 2147483647")
        }),
    }
}

/// `Content-Encoding` without `aws-chunked`, which was of the transfer alone.
pub(crate) fn content_encoding(value: Option<String>) -> Option<String> {
    let value = value?;
    let kept: Vec<&str> =
        value.split(',').map(str::trim).filter(|part| !part.is_empty() && *part != "aws-chunked").collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// The condition of a write.
pub(crate) fn write_condition(
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
) -> S3Result<WriteCondition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(WriteCondition::Always),
        (Some(ETagCondition::Any), None) => Ok(WriteCondition::IfPresent),
        (Some(ETagCondition::ETag(etag)), None) => Ok(WriteCondition::IfEtag(etag.into_value())),
        (None, Some(ETagCondition::Any)) => Ok(WriteCondition::IfAbsent),
        _ => Err(s3_error!(
            NotImplemented,
            "A header you provided implies functionality that is not implemented"
        )),
    }
}

/// The conditions of a read, in the order RFC 9110 evaluates them.
#[derive(Default)]
pub(crate) struct ReadConditions {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
    pub(crate) if_modified_since: Option<Timestamp>,
    pub(crate) if_unmodified_since: Option<Timestamp>,
}

/// What the conditions of a read say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadVerdict {
    Proceed,
    NotModified,
    Failed,
}

impl ReadConditions {
    /// Weighs the conditions against an object; times count in whole seconds, as headers do.
    pub(crate) fn weigh(&self, info: &ObjectInfo) -> ReadVerdict {
        let matches = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(etag) => etag.value() == info.etag,
        };
        let is_newer = |than: &Timestamp| {
            info.modified.unix_timestamp() > OffsetDateTime::from(than.clone()).unix_timestamp()
        };
        let precondition = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => matches(condition),
            (None, Some(since)) => !is_newer(since),
            (None, None) => true,
        };
        if !precondition {
            return ReadVerdict::Failed;
        }
        let is_wanted = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => !matches(condition),
            (None, Some(since)) => is_newer(since),
            (None, None) => true,
        };
        if is_wanted { ReadVerdict::Proceed } else { ReadVerdict::NotModified }
    }

    /// Fails as GET and HEAD do.
    pub(crate) fn check(&self, info: &ObjectInfo) -> S3Result<()> {
        match self.weigh(info) {
            ReadVerdict::Proceed => Ok(()),
            ReadVerdict::Failed => Err(store_error(StoreError::PreconditionFailed)),
            ReadVerdict::NotModified => {
                let mut error = s3_error!(NotModified);
                let mut headers = HeaderMap::new();
                if let Ok(value) = etag(&info.etag).to_http_header() {
                    headers.insert(http::header::ETAG, value);
                }
                error.set_headers(headers);
                Err(error)
            }
        }
    }
}

/// The checksum an upload announces.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct ExpectedDigests {
    /// The algorithm to compute, if any.
    pub(crate) kind: Option<ChecksumKind>,
    /// The value in the request's headers; it may come in a trailer instead.
    value: Option<String>,
    /// Whether the value must come in a trailer.
    is_in_trailer: bool,
    /// The size of an `aws-chunked` body: the chunks alone do not tell a body that was cut off between two of them.
    decoded_length: Option<u64>,
    md5: Option<[u8; 16]>,
}

impl ExpectedDigests {
    /// Reads the headers `x-amz-checksum-*`, `x-amz-trailer`, `x-amz-sdk-checksum-algorithm` and `Content-MD5`.
    pub(crate) fn from_headers(headers: &HeaderMap) -> S3Result<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let mut given = ChecksumKind::ALL
            .into_iter()
            .filter_map(|kind| text(kind.header()).map(|value| (kind, value.to_owned())));
        let first = given.next();
        if given.next().is_some() {
            return Err(s3_error!(InvalidRequest, "Expecting a single x-amz-checksum- header"));
        }
        let trailer = text("x-amz-trailer").map(str::to_ascii_lowercase);
        let in_trailer = ChecksumKind::ALL.into_iter().find(|kind| {
            trailer.as_ref().is_some_and(|names| names.split(',').any(|name| name.trim() == kind.header()))
        });
        let announced = text("x-amz-sdk-checksum-algorithm").and_then(ChecksumKind::parse);
        let md5 =
            match text("content-md5") {
                None => None,
                Some(value) => {
                    let decoded = BASE64_STANDARD.decode(value).ok();
                    let digest = decoded.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
                    Some(digest.ok_or_else(|| {
                        s3_error!(InvalidDigest, "The Content-MD5 you specified was invalid.")
                    })?)
                }
            };
        let kind = first.as_ref().map(|(kind, _)| *kind).or(in_trailer).or(announced);
        let decoded_length = text("x-amz-decoded-content-length").and_then(|value| value.parse().ok());
        let is_in_trailer = kind.is_some() && kind == in_trailer;
        let value = first.map(|(_, value)| value);
        Ok(Self { kind, value, is_in_trailer, decoded_length, md5 })
    }

    /// Checks what was received, once its trailers are known too.
    pub(crate) fn verify(
        &self,
        received: &Received,
        trailers: Option<&s3s::TrailingHeaders>,
    ) -> S3Result<()> {
        if self.decoded_length.is_some_and(|length| length != received.digests.size) {
            return Err(body_error(""));
        }
        if self.md5.is_some_and(|md5| md5 != received.digests.md5) {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match what we received."
            ));
        }
        let Some(Checksum { kind, value }) = &received.digests.checksum else { return Ok(()) };
        let in_trailer = trailers
            .and_then(|trailers| trailers.read(|headers| headers.get(kind.header()).cloned()))
            .flatten();
        let in_trailer = in_trailer.as_ref().map(|value| value.to_str().unwrap_or_default());
        if self.is_in_trailer && in_trailer.is_none() {
            let message = "The request contained trailing data that was not well-formed or did not conform to our \
                           published schema.";
            return Err(custom("MalformedTrailerError", message));
        }
        let is_wrong = |said: &str| said != value;
        if self.value.as_deref().is_some_and(is_wrong) || in_trailer.is_some_and(is_wrong) {
            return Err(s3_error!(
                BadDigest,
                "The {} you specified did not match what we received",
                kind.as_str()
            ));
        }
        Ok(())
    }
}

/// The headers every upload keeps. (A macro because the inputs share fields but no trait.)
macro_rules! attributes {
    ($input:expr) => {
        crate::conversion::attributes_of(
            $input.content_type.take(),
            $input.content_encoding.take(),
            $input.content_language.take(),
            $input.content_disposition.take(),
            $input.cache_control.take(),
            $input.expires.take(),
            $input.metadata.take(),
        )
    };
}
pub(crate) use attributes;

/// See [`attributes!`].
pub(crate) fn attributes_of(
    content_type: Option<String>,
    encoding: Option<String>,
    content_language: Option<String>,
    content_disposition: Option<String>,
    cache_control: Option<String>,
    expires: Option<Timestamp>,
    metadata: Option<s3s::dto::Metadata>,
) -> Attributes {
    Attributes {
        content_type,
        content_encoding: content_encoding(encoding),
        content_language,
        content_disposition,
        cache_control,
        expires: expires.map(|time| OffsetDateTime::from(time).unix_timestamp()),
        metadata: metadata.unwrap_or_default().into_iter().collect(),
        checksum: None,
    }
}

/// Spreads a checksum over the fields of an output. (A macro because the outputs share fields but no trait.)
macro_rules! set_checksum {
    ($output:expr, $checksum:expr) => {
        if let Some(checksum) = $checksum {
            let value = Some(checksum.value.clone());
            match checksum.kind {
                crate::digests::ChecksumKind::Crc32 => $output.checksum_crc32 = value,
                crate::digests::ChecksumKind::Crc32c => $output.checksum_crc32c = value,
                crate::digests::ChecksumKind::Crc64Nvme => $output.checksum_crc64nvme = value,
                crate::digests::ChecksumKind::Sha1 => $output.checksum_sha1 = value,
                crate::digests::ChecksumKind::Sha256 => $output.checksum_sha256 = value,
            }
        }
    };
}
pub(crate) use set_checksum;

/// Whether a checksum is of the whole object or of its parts, as the protocol says it.
pub(crate) fn checksum_type(checksum: &Checksum) -> s3s::dto::ChecksumType {
    let name = if checksum.is_composite() {
        s3s::dto::ChecksumType::COMPOSITE
    } else {
        s3s::dto::ChecksumType::FULL_OBJECT
    };
    s3s::dto::ChecksumType::from_static(name)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn aws_chunked_is_not_kept() {
        let cases = [
            (Some("aws-chunked"), None),
            (Some("gzip,aws-chunked"), Some("gzip")),
            (Some("aws-chunked, gzip"), Some("gzip")),
            (None, None),
        ];
        for (given, kept) in cases {
            assert_eq!(content_encoding(given.map(str::to_owned)).as_deref(), kept);
        }
    }

    #[test]
    fn read_conditions_follow_the_rfc() {
        let info = ObjectInfo {
            key: "k".to_owned(),
            size: 0,
            etag: "abc".to_owned(),
            modified: datetime!(2026-03-01 12:00:00.5 UTC),
            attributes: Attributes::default(),
        };
        let same = || Some(ETagCondition::ETag(etag("abc")));
        let other = || Some(ETagCondition::ETag(etag("xyz")));
        let at = |time| Some(timestamp(time));
        let before = datetime!(2026-03-01 11:59:59 UTC);
        let then = datetime!(2026-03-01 12:00:00 UTC);
        let none = ReadConditions::default;
        let cases = [
            (none(), ReadVerdict::Proceed),
            (ReadConditions { if_match: other(), ..none() }, ReadVerdict::Failed),
            (ReadConditions { if_none_match: same(), ..none() }, ReadVerdict::NotModified),
            (ReadConditions { if_modified_since: at(then), ..none() }, ReadVerdict::NotModified),
            (ReadConditions { if_modified_since: at(before), ..none() }, ReadVerdict::Proceed),
            (ReadConditions { if_unmodified_since: at(before), ..none() }, ReadVerdict::Failed),
            // The ETag decides when both are given.
            (
                ReadConditions { if_match: same(), if_unmodified_since: at(before), ..none() },
                ReadVerdict::Proceed,
            ),
            (
                ReadConditions { if_none_match: other(), if_modified_since: at(then), ..none() },
                ReadVerdict::Proceed,
            ),
        ];
        for (number, (conditions, expected)) in cases.into_iter().enumerate() {
            assert_eq!(conditions.weigh(&info), expected, "case {number}");
        }
    }

    #[test]
    fn what_the_store_lacks_is_refused() {
        let refused = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, http::HeaderValue::from_static(value));
            refuse_unavailable(&headers).is_err()
        };
        assert!(refused("x-amz-server-side-encryption", "AES256"));
        assert!(refused("x-amz-tagging", "a=b"));
        assert!(refused("x-amz-acl", "public-read"));
        assert!(refused("x-amz-storage-class", "GLACIER"));
        assert!(!refused("x-amz-acl", "bucket-owner-full-control"));
        assert!(!refused("x-amz-storage-class", "STANDARD"));
        assert!(!refused("x-amz-tagging-directive", "COPY"));
    }
}
