//! Objects in the endpoint's buckets: put a file, get an object, list keys.

use super::endpoint::{Body, Endpoint, Request, key_path, xml_text};
use super::error::CliError;
use http::Method;
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use time::format_description::well_known::Rfc2822;
use time::{Duration, OffsetDateTime};

const SERVICE: &str = "s3";

/// The object service of one endpoint, path style.
#[derive(Debug, Clone)]
pub(super) struct Objects(Endpoint);

/// What reading an object gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fetched {
    /// The object.
    Object {
        /// Content.
        bytes: Vec<u8>,
        /// Entity tag, as it was given.
        tag: Option<String>,
    },
    /// It still has the tag that the caller knows.
    Unchanged,
    /// There is none.
    Absent,
}

impl Objects {
    /// The service behind `endpoint`.
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self(endpoint)
    }

    /// Streams a file into an object; `sha256` is its digest, from [`file_sha256`].
    pub(super) async fn put_file(
        &self,
        bucket: &str,
        key: &str,
        path: &Path,
        sha256: &str,
    ) -> Result<(), CliError> {
        let failed = |source| CliError::File { action: "reading", path: path.to_owned(), source };
        let file = tokio::fs::File::open(path).await.map_err(failed)?;
        let bytes = file.metadata().await.map_err(failed)?.len();
        let mut request = request("PutObject", Method::PUT, bucket, key);
        request.body = Body::File { file, bytes, sha256: sha256.to_owned() };
        self.0.send(request).await?.accepted().await.map(drop)
    }

    /// Whether there is such an object and it was written within a day; an older one may be about to be removed.
    pub(super) async fn was_written_today(&self, bucket: &str, key: &str) -> Result<bool, CliError> {
        let answer = self.0.send(request("HeadObject", Method::HEAD, bucket, key)).await?;
        if answer.status == 404 {
            return Ok(false);
        }
        let modified = answer.headers.get(http::header::LAST_MODIFIED).and_then(|time| time.to_str().ok());
        let is_fresh = modified.is_some_and(|time| is_within_a_day(time, OffsetDateTime::now_utc()));
        answer.accepted().await.map(|_| is_fresh)
    }

    /// Reads an object, unless it still has the tag `known`.
    pub(super) async fn get(
        &self,
        bucket: &str,
        key: &str,
        known: Option<&str>,
    ) -> Result<Fetched, CliError> {
        let mut request = request("GetObject", Method::GET, bucket, key);
        request.unless_tagged = known.map(str::to_owned);
        let answer = self.0.send(request).await?;
        match answer.status {
            304 => Ok(Fetched::Unchanged),
            404 => Ok(Fetched::Absent),
            _ => {
                let tag = answer.headers.get(http::header::ETAG).and_then(|tag| tag.to_str().ok());
                let tag = tag.map(str::to_owned);
                Ok(Fetched::Object { bytes: answer.accepted().await?, tag })
            }
        }
    }

    /// All keys that begin with `prefix`, in the order of their bytes; none if there is no such bucket.
    pub(super) async fn keys(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, CliError> {
        let mut keys = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut page = request("ListObjectsV2", Method::GET, bucket, "")
                .query("list-type", "2")
                .query("encoding-type", "url")
                .query("prefix", prefix);
            if let Some(token) = token {
                page = page.query("continuation-token", token);
            }
            let answer = self.0.send(page).await?;
            if answer.status == 404 {
                return Ok(keys);
            }
            let xml = String::from_utf8_lossy(&answer.accepted().await?).into_owned();
            keys.extend(xml.split("<Contents>").skip(1).filter_map(|entry| {
                let encoded = xml_text(entry, "Key")?.replace('+', " ");
                Some(percent_decode_str(&encoded).decode_utf8_lossy().into_owned())
            }));
            match xml_text(&xml, "NextContinuationToken") {
                Some(next) => token = Some(next),
                None => return Ok(keys),
            }
        }
    }
}

/// Whether a time as HTTP writes it is less than a day before `now`.
fn is_within_a_day(time: &str, now: OffsetDateTime) -> bool {
    OffsetDateTime::parse(time, &Rfc2822).is_ok_and(|time| now - time < Duration::DAY)
}

fn request(operation: &'static str, method: Method, bucket: &str, key: &str) -> Request {
    let slash = if key.is_empty() { "" } else { "/" };
    Request::new(SERVICE, operation, method, format!("/{bucket}{slash}{}", key_path(key)))
}

/// A file's SHA-256 in lower-case hex. Blocks for as long as reading it takes.
pub(super) fn file_sha256(path: &Path) -> Result<String, CliError> {
    let failed = |source: io::Error| CliError::File { action: "reading", path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hex::encode(digest.finalize())),
            read => digest.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_uploaded_more_than_a_day_ago_is_uploaded_again() {
        let now = OffsetDateTime::parse("Fri, 02 Jan 2026 12:00:00 GMT", &Rfc2822).unwrap();
        for (time, fresh) in [
            ("Fri, 02 Jan 2026 11:00:00 GMT", true),
            ("Thu, 01 Jan 2026 12:00:01 GMT", true),
            ("Thu, 01 Jan 2026 12:00:00 GMT", false),
            ("yesterday", false),
        ] {
            assert_eq!(is_within_a_day(time, now), fresh, "{time}");
        }
    }

    #[test]
    fn a_files_digest_is_that_of_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("empty");
        std::fs::write(&path, "").unwrap();
        assert_eq!(
            file_sha256(&path).unwrap(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
