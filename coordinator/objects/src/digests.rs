//! Digests of uploaded bytes: the MD5 behind an ETag and the checksums S3 clients send along.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use serde::{Deserialize, Serialize};

/// The checksum algorithms of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChecksumKind {
    /// CRC-32 (ISO HDLC).
    #[serde(rename = "CRC32")]
    Crc32,
    /// CRC-32C (Castagnoli).
    #[serde(rename = "CRC32C")]
    Crc32c,
    /// CRC-64/NVME.
    #[serde(rename = "CRC64NVME")]
    Crc64Nvme,
    /// SHA-1.
    #[serde(rename = "SHA1")]
    Sha1,
    /// SHA-256.
    #[serde(rename = "SHA256")]
    Sha256,
}

impl ChecksumKind {
    /// Every algorithm.
    pub const ALL: [ChecksumKind; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The name on the wire (`x-amz-checksum-algorithm`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The algorithm of a wire name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(name))
    }

    /// The header or trailer that carries a value, in lower case.
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }
}

/// A checksum as S3 shows it: base64, with `-N` behind it when it is composed from the checksums of N parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// The algorithm.
    pub kind: ChecksumKind,
    /// The value.
    pub value: String,
}

impl Checksum {
    /// Composes the checksum of a multipart object from those of its parts, in part order.
    /// `None` when a part has no checksum of this kind.
    pub(crate) fn compose<'a>(
        kind: ChecksumKind,
        parts: impl IntoIterator<Item = Option<&'a Checksum>>,
    ) -> Option<Self> {
        let mut running = RunningChecksum::new(kind);
        let mut count = 0_usize;
        for part in parts {
            let part = part.filter(|part| part.kind == kind)?;
            running.update(&BASE64_STANDARD.decode(&part.value).ok()?);
            count += 1;
        }
        let whole = running.finish();
        Some(Self { kind, value: format!("{}-{count}", whole.value) })
    }

    /// Whether the value was composed from the checksums of parts.
    pub(crate) fn is_composite(&self) -> bool {
        self.value.contains('-')
    }
}

enum RunningChecksum {
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64Nvme(Crc64Nvme),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl RunningChecksum {
    fn new(kind: ChecksumKind) -> Self {
        match kind {
            ChecksumKind::Crc32 => Self::Crc32(Crc32::new()),
            ChecksumKind::Crc32c => Self::Crc32c(Crc32c::new()),
            ChecksumKind::Crc64Nvme => Self::Crc64Nvme(Crc64Nvme::new()),
            ChecksumKind::Sha1 => Self::Sha1(Sha1::new()),
            ChecksumKind::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, data: &[u8]) {
        match self {
            Self::Crc32(digest) => digest.update(data),
            Self::Crc32c(digest) => digest.update(data),
            Self::Crc64Nvme(digest) => digest.update(data),
            Self::Sha1(digest) => digest.update(data),
            Self::Sha256(digest) => digest.update(data),
        }
    }

    fn finish(self) -> Checksum {
        let (kind, value) = match self {
            Self::Crc32(digest) => (ChecksumKind::Crc32, BASE64_STANDARD.encode(digest.finalize())),
            Self::Crc32c(digest) => (ChecksumKind::Crc32c, BASE64_STANDARD.encode(digest.finalize())),
            Self::Crc64Nvme(digest) => (ChecksumKind::Crc64Nvme, BASE64_STANDARD.encode(digest.finalize())),
            Self::Sha1(digest) => (ChecksumKind::Sha1, BASE64_STANDARD.encode(digest.finalize())),
            Self::Sha256(digest) => (ChecksumKind::Sha256, BASE64_STANDARD.encode(digest.finalize())),
        };
        Checksum { kind, value }
    }
}

/// The digests of a stream of bytes, computed as they pass.
pub(crate) struct RunningDigests {
    md5: Md5,
    checksum: Option<RunningChecksum>,
    size: u64,
}

/// The digests of a finished stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digests {
    /// The number of bytes.
    pub(crate) size: u64,
    /// Their MD5.
    pub(crate) md5: [u8; 16],
    /// The checksum, when one was asked for.
    pub(crate) checksum: Option<Checksum>,
}

impl RunningDigests {
    pub(crate) fn new(kind: Option<ChecksumKind>) -> Self {
        Self { md5: Md5::new(), checksum: kind.map(RunningChecksum::new), size: 0 }
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        self.md5.update(data);
        if let Some(checksum) = &mut self.checksum {
            checksum.update(data);
        }
        self.size += data.len() as u64;
    }

    pub(crate) fn finish(self) -> Digests {
        let mut md5 = [0; 16];
        md5.copy_from_slice(self.md5.finalize().as_ref());
        Digests { size: self.size, md5, checksum: self.checksum.map(RunningChecksum::finish) }
    }
}

/// The ETag of a multipart object: the MD5 of its parts' MD5s, and their number. `None` if an ETag is not an MD5.
pub(crate) fn multipart_etag<'a>(etags: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut md5 = Md5::new();
    let mut count = 0_usize;
    for etag in etags {
        md5.update(&hex::decode(etag).ok()?);
        count += 1;
    }
    Some(format!("{}-{count}", hex::encode(md5.finalize().as_ref())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_published_ones() {
        // Check values of the CRC catalogue for "123456789".
        let cases = [
            (ChecksumKind::Crc32, "y/Q5Jg=="),
            (ChecksumKind::Crc32c, "4waSgw=="),
            (ChecksumKind::Crc64Nvme, "rosUhgp5mIg="),
        ];
        for (kind, expected) in cases {
            let mut running = RunningDigests::new(Some(kind));
            running.update(b"1234");
            running.update(b"56789");
            let digests = running.finish();
            assert_eq!(digests.size, 9);
            assert_eq!(hex::encode(digests.md5), "25f9e794323b453885f5181f1b624d0b");
            assert_eq!(digests.checksum, Some(Checksum { kind, value: expected.to_owned() }));
        }
    }

    #[test]
    fn a_multipart_etag_is_the_md5_of_md5s() {
        let part = "d41d8cd98f00b204e9800998ecf8427e";
        // md5 of the sixteen bytes of the MD5 of nothing.
        assert_eq!(multipart_etag([part]).as_deref(), Some("59adb24ef3cdbe0297f05b395827453f-1"));
        assert_eq!(multipart_etag(["not hex"]), None);
    }

    #[test]
    fn a_composite_checksum_needs_every_part() {
        let part = Checksum { kind: ChecksumKind::Crc32, value: "y/Q5Jg==".to_owned() };
        assert!(Checksum::compose(ChecksumKind::Crc32, [Some(&part), None]).is_none());
        assert!(Checksum::compose(ChecksumKind::Sha1, [Some(&part)]).is_none());
        let whole = Checksum::compose(ChecksumKind::Crc32, [Some(&part), Some(&part)]);
        assert!(whole.is_some_and(|sum| sum.value.ends_with("-2") && sum.is_composite()));
    }
}
