//! Files that are there whole or not at all, also after a power loss.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Replaces `directory/name` by `content`: temporary file (mode 0600), fsync, rename, fsync of the directory.
///
/// # Errors
/// The system's own; the former file is then still in place.
pub fn replace_file(directory: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let temporary = directory.join(format!("{name}.tmp"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&temporary, directory.join(name))?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_remains() {
        let directory = tempfile::tempdir().expect("a directory");
        replace_file(directory.path(), "exit.json", b"one").expect("written");
        replace_file(directory.path(), "exit.json", b"two").expect("written again");
        let names: Vec<_> = std::fs::read_dir(directory.path())
            .expect("listed")
            .map(|e| e.expect("entry").file_name())
            .collect();
        assert_eq!(names, ["exit.json"]);
        assert_eq!(std::fs::read(directory.path().join("exit.json")).expect("read"), b"two");
    }
}
