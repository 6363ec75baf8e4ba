//! The download cache: files named by their SHA-256, so that a second build needs no network.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process;

use sha2::{Digest, Sha256};

use crate::command::Cancel;
use crate::error::{Error, Result};

/// The folder `<cache>/artifacts`.
#[derive(Debug)]
pub(super) struct Cache(PathBuf);

impl Cache {
    /// Opens the cache under `cache_dir`, making it if absent.
    pub(super) fn open(cache_dir: &Path) -> Result<Self> {
        let folder = cache_dir.join("artifacts");
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        Ok(Self(folder))
    }

    /// Where the file of this digest is or would be.
    pub(super) fn path(&self, sha256: &str) -> PathBuf {
        self.0.join(sha256)
    }

    /// Tells whether a file of this name is there; its content is not looked at.
    pub(super) fn has(&self, sha256: &str) -> bool {
        self.path(sha256).is_file()
    }

    /// Takes over a downloaded file under its digest. Its content is checked by [`Self::verify`], which removes it if wrong.
    pub(super) fn adopt(&self, file: &Path, sha256: &str, name: &str, cancel: &Cancel) -> Result<()> {
        if fs::rename(file, self.path(sha256)).is_ok() {
            return Ok(());
        }
        // Another file system: copy beside the final name, so that a half copy never bears it.
        cancel.check()?;
        let half = self.0.join(format!("{name}.{}.part", process::id()));
        fs::copy(file, &half).map_err(Error::io("copy to", &half))?;
        fs::rename(&half, self.path(sha256)).map_err(Error::io("rename", &half))
    }

    /// Compares the file's digest with its name; a wrong file is removed, so that the next build fetches it anew.
    pub(super) fn verify(&self, sha256: &str, name: &str, cancel: &Cancel) -> Result<()> {
        let path = self.path(sha256);
        let found = digest_of(&path, cancel)?;
        if found == sha256 {
            return Ok(());
        }
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        Err(Error::DigestMismatch { file: name.to_owned(), expected: sha256.to_owned(), found })
    }
}

/// The SHA-256 of a file, in lower-case hexadecimal.
fn digest_of(path: &Path, cancel: &Cancel) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        cancel.check()?;
        match file.read(&mut buffer).map_err(Error::io("read", path))? {
            0 => return Ok(hex::encode(hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_another_content_is_refused_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let digest = hex::encode(Sha256::digest(b"right"));
        for (content, fits) in [("wrong", false), ("right", true)] {
            let file = dir.path().join("download");
            fs::write(&file, content).unwrap();
            cache.adopt(&file, &digest, "x.jar", &Cancel::default()).unwrap();
            assert_eq!(cache.verify(&digest, "x.jar", &Cancel::default()).is_ok(), fits, "{content}");
            assert_eq!(cache.has(&digest), fits, "{content}");
        }
    }
}
