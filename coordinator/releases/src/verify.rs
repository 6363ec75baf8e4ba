//! Verifying: reading a bundle file back before it is imported, exported or handed to agents.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::identity::{self, BundleIdentity};
use crate::manifest::is_inside;
use crate::target::Arch;

/// What a bundle file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleInfo {
    /// The bundle's id: the file's SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// The file's size.
    pub bytes: u64,
    /// The size of all files in it.
    pub unpacked_bytes: u64,
    /// How many files are in it, folders not counted.
    pub files: u64,
    /// The architecture of the machine code in it; none if there is none.
    pub arch: Option<Arch>,
    /// What `bundle.json` says.
    pub identity: BundleIdentity,
}

/// Reads no more than what a bundle says about itself.
///
/// # Errors
/// [`Error::BadBundle`] if its first entry is no `bundle.json`; [`Error::Io`].
pub(crate) fn identify(path: &Path) -> Result<BundleIdentity> {
    let bad = |reason: String| Error::BadBundle { path: path.to_owned(), reason };
    let broken = |error: io::Error| bad(format!("it cannot be read ({error})"));
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut archive = tar::Archive::new(zstd::Decoder::new(file).map_err(broken)?);
    let mut found = Contents::default();
    if let Some(entry) = archive.entries().map_err(broken)?.next() {
        found.read(&mut entry.map_err(broken)?, &bad)?;
    }
    found.identity.ok_or_else(|| bad("it has no bundle.json".to_owned()))
}

/// Reads the whole file: it is a `tar.zst` whose first entry is `bundle.json`, with ordinary files and folders at paths
/// inside the bundle and nothing else, and with a Spark home in it.
///
/// # Errors
/// [`Error::BadBundle`] with what is wrong; [`Error::Io`].
pub fn verify(path: &Path) -> Result<BundleInfo> {
    let bad = |reason: String| Error::BadBundle { path: path.to_owned(), reason };
    let broken =
        |error: io::Error| bad(format!("it cannot be read to its end ({error}); copy or build it anew"));
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut decoder =
        zstd::Decoder::with_buffer(BufReader::with_capacity(1 << 20, Hashing::new(file))).map_err(broken)?;
    let mut found = Contents::default();
    {
        let mut archive = tar::Archive::new(&mut decoder);
        for entry in archive.entries().map_err(broken)? {
            found.read(&mut entry.map_err(broken)?, &bad)?;
        }
    }
    // The archive ends before the stream does; the checksum of zstd and our own digest need the rest.
    io::copy(&mut decoder, &mut io::sink()).map_err(broken)?;
    let mut source = decoder.finish();
    io::copy(&mut source, &mut io::sink()).map_err(broken)?;
    let Contents { identity, has_submit, has_core, arch, files, unpacked_bytes } = found;
    let identity = identity.ok_or_else(|| bad("it has no bundle.json".to_owned()))?;
    if !has_submit || !has_core {
        return Err(bad("it has no spark/bin/spark-submit or no spark/jars/spark-core_*.jar".to_owned()));
    }
    let (sha256, bytes) = source.into_inner().finish();
    Ok(BundleInfo { sha256, bytes, unpacked_bytes, files, arch, identity })
}

/// What has been seen of an archive.
#[derive(Debug, Default)]
struct Contents {
    identity: Option<BundleIdentity>,
    has_submit: bool,
    has_core: bool,
    arch: Option<Arch>,
    files: u64,
    unpacked_bytes: u64,
}

impl Contents {
    fn read<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>, bad: &dyn Fn(String) -> Error) -> Result<()> {
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if !is_inside(path.trim_end_matches('/')) {
            return Err(bad(format!("entry {path:?} is outside the bundle")));
        }
        if kind.is_dir() {
            return Ok(());
        }
        if !kind.is_file() {
            return Err(bad(format!("entry {path:?} is neither a file nor a folder")));
        }
        if self.identity.is_none() {
            if path != identity::PATH {
                return Err(bad(format!("its first file is {path:?}, not bundle.json")));
            }
            let mut text = Vec::new();
            entry.take(1 << 16).read_to_end(&mut text).map_err(|error| bad(error.to_string()))?;
            self.identity =
                Some(serde_json::from_slice(&text).map_err(|error| bad(format!("bundle.json: {error}")))?);
        }
        self.has_submit |= path == "spark/bin/spark-submit";
        self.has_core |= path.starts_with("spark/jars/spark-core_") && path.ends_with(".jar");
        let is_for = |arch: &Arch| path.ends_with(&format!("-{}-linux-gnu.so", arch.name()));
        self.arch = self.arch.or_else(|| [Arch::X86_64, Arch::Aarch64].into_iter().find(is_for));
        self.files += 1;
        self.unpacked_bytes += entry.size();
        Ok(())
    }
}

/// A reader that hashes what is read from it.
struct Hashing {
    inner: File,
    hash: Sha256,
    bytes: u64,
}

impl Hashing {
    fn new(inner: File) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }

    fn finish(self) -> (String, u64) {
        (hex::encode(self.hash.finalize()), self.bytes)
    }
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// That of the small manifest's bundle.
    pub(crate) const IDENTITY: &str = r#"{"release_label":"spark-0.0.1","spark_version":"0.0.1","scala_version":"2.12","java":17,"python":"3.11","engine":"SPARK"}"#;

    /// Makes an archive of (path, text); a text of `->` makes a symbolic link.
    pub(crate) fn bundle(dir: &Path, entries: &[(&str, &str)]) -> std::path::PathBuf {
        let path = dir.join("bundle.tar.zst");
        let mut archive = tar::Builder::new(zstd::Encoder::new(File::create(&path).unwrap(), 3).unwrap());
        for (name, text) in entries {
            let mut header = tar::Header::new_gnu();
            // Written as bytes: the library itself refuses to make a path with `..`.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(if *text == "->" {
                tar::EntryType::Symlink
            } else {
                tar::EntryType::Regular
            });
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            archive.append(&header, text.as_bytes()).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();
        path
    }

    /// A bundle as small as one may be, with one more file if it has a name.
    pub(crate) fn pretend(dir: &Path, extra: &str) -> std::path::PathBuf {
        let mut entries = vec![("bundle.json", IDENTITY), SUBMIT, CORE];
        entries.extend((!extra.is_empty()).then_some((extra, "")));
        bundle(dir, &entries)
    }

    pub(crate) const SUBMIT: (&str, &str) = ("spark/bin/spark-submit", "");
    pub(crate) const CORE: (&str, &str) = ("spark/jars/spark-core_2.12-1.jar", "");

    #[test]
    fn a_good_bundle_tells_its_digest_and_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = bundle(dir.path(), &[("bundle.json", IDENTITY), SUBMIT, CORE]);
        let info = verify(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!((info.sha256, info.bytes), (hex::encode(Sha256::digest(&bytes)), bytes.len() as u64));
        assert_eq!((info.files, info.unpacked_bytes), (3, IDENTITY.len() as u64));
    }

    #[test]
    fn what_is_no_bundle_is_refused_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        for (entries, reason) in [
            (vec![SUBMIT, CORE], "first file"),
            (vec![("bundle.json", "{}"), SUBMIT, CORE], "bundle.json"),
            (vec![("bundle.json", IDENTITY), CORE], "spark-submit"),
            (vec![("bundle.json", IDENTITY), SUBMIT, CORE, ("spark/../../x", "")], "outside"),
            (vec![("bundle.json", IDENTITY), SUBMIT, CORE, ("/etc/passwd", "")], "outside"),
            (
                vec![("bundle.json", IDENTITY), SUBMIT, CORE, ("spark/link", "->")],
                "neither a file nor a folder",
            ),
        ] {
            let error = verify(&bundle(dir.path(), &entries)).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_truncated_bundle_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = bundle(dir.path(), &[("bundle.json", IDENTITY), SUBMIT, CORE]);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 10]).unwrap();
        assert!(matches!(verify(&path), Err(Error::BadBundle { .. })));
    }
}
