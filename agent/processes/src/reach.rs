//! Who has to be able to run a program.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{AccessFlags, access};

/// Who has to be able to run a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Any user: workers run under users of their own.
    Everyone,
    /// This process's user, as which workers run too.
    ThisUser,
}

impl Reach {
    /// Whether the program can be read and executed, and every directory on the way to it searched, both as `path` is
    /// written and where its links lead.
    pub(crate) fn can_run(self, path: &Path) -> bool {
        if self == Self::ThisUser {
            return access(path, AccessFlags::R_OK | AccessFlags::X_OK).is_ok();
        }
        let Ok(real) = fs::canonicalize(path) else { return false };
        let allows =
            |path: &Path, bits: u32| fs::metadata(path).is_ok_and(|about| about.mode() & bits == bits);
        let all_searchable = |path: &Path| path.ancestors().skip(1).all(|directory| allows(directory, 0o001));
        real.is_file() && allows(&real, 0o005) && all_searchable(&real) && all_searchable(path)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_program_below_a_private_directory_is_not_for_everyone() {
        let directory = tempfile::tempdir().expect("a directory");
        let program = directory.path().join("program");
        fs::write(&program, "").expect("written");
        let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
        set(&program, 0o755);
        set(directory.path(), 0o700);
        assert!(!Reach::Everyone.can_run(&program));
        assert!(Reach::ThisUser.can_run(&program));
        assert!(!Reach::ThisUser.can_run(&directory.path().join("absent")));
        set(directory.path(), 0o755);
        assert_eq!(
            Reach::Everyone.can_run(&program),
            Reach::Everyone.can_run(Path::new("/bin/sh")) && {
                let above = directory.path().parent().expect("a parent");
                fs::metadata(above).expect("there").mode() & 0o001 == 0o001
            }
        );
        set(&program, 0o700);
        assert!(!Reach::Everyone.can_run(&program));
    }
}
