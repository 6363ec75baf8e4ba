//! The record of the `hearth up` that runs on a data directory.

use super::error::CliError;
use crate::process::Process;
use std::io;
use std::path::Path;

/// The process in `data_dir`'s record, if there is one; it may have ended.
pub(super) fn read(data_dir: &Path) -> Result<Option<Process>, CliError> {
    let path = data_dir.join("up.pid");
    match std::fs::read_to_string(&path) {
        // A record that cannot be read is that of a crash in the middle of writing it: none.
        Ok(text) => Ok(serde_json::from_str(&text).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CliError::File { action: "reading", path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_record_and_half_a_record_are_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        std::fs::write(dir.path().join("up.pid"), "{\"pid\":").unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        std::fs::write(dir.path().join("up.pid"), r#"{"pid":7,"start_ticks":9}"#).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Some(Process { pid: 7, start_ticks: 9 }));
    }
}
