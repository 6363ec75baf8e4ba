//! PEM on disk: written whole or not at all, keys readable by their owner only.

use crate::MtlsError;
use base64::Engine as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// One PEM block of `der` under `label`.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut block = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        block.extend(line.iter().map(|&byte| char::from(byte)));
        block.push('\n');
    }
    block + &format!("-----END {label}-----\n")
}

/// Replaces `path` by `content` in one step that survives a crash, with permissions `mode`.
pub(crate) fn replace(path: &Path, content: &str, mode: u32) -> Result<(), MtlsError> {
    let failed = |source| MtlsError::File { doing: "writing", path: path.to_owned(), source };
    let temporary = path.with_extension("new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary).map_err(failed)?;
    file.write_all(content.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
}

/// Reads `path` whole.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, MtlsError> {
    fs::read(path).map_err(|source| MtlsError::File { doing: "reading", path: path.to_owned(), source })
}
