//! The socket of a worker's control channel.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use tokio::net::UnixListener;

/// Listens on `<run>/control.sock`, which belongs to `uid` alone; a former agent's socket is replaced.
///
/// # Errors
/// The system's own.
pub(crate) fn listen(run: &Path, uid: Option<u32>) -> io::Result<UnixListener> {
    let directory = fs::File::open(run)?;
    let path = run.join("control.sock");
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Names of sockets hold 107 bytes, which a state directory deep in a home directory exceeds.
    let listener = UnixListener::bind(format!("/proc/self/fd/{}/control.sock", directory.as_raw_fd()))?;
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    if let Some(uid) = uid {
        chown(&path, Some(uid), Some(uid))?;
    }
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_deep_directory_is_no_obstacle_and_a_former_socket_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("d".repeat(120));
        fs::create_dir(&run).unwrap();
        drop(listen(&run, None).unwrap());
        let _listener = listen(&run, None).unwrap();
        let mode = fs::metadata(run.join("control.sock")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
