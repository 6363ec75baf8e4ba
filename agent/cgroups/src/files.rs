//! Reading and writing control files, with errors that name them.

use std::fs;
use std::path::Path;

use crate::CgroupError;

pub(crate) fn write(path: &Path, value: impl ToString) -> Result<(), CgroupError> {
    let value = value.to_string();
    fs::write(path, &value).map_err(|source| CgroupError::Write { path: path.to_owned(), value, source })
}

pub(crate) fn read(path: &Path) -> Result<String, CgroupError> {
    fs::read_to_string(path).map_err(|source| CgroupError::Read { path: path.to_owned(), source })
}

/// Reads a file with one number; `None` when the file is absent or says `max`.
pub(crate) fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Reads the value after `name` in a file of `name value` lines.
pub(crate) fn field(path: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let words = text.lines().filter_map(|line| line.split_once(' '));
    words.filter(|(key, _)| *key == name).find_map(|(_, value)| value.trim().parse().ok())
}

/// Lists the process ids in a group's own `cgroup.procs` and those of its sub-groups; a group that is gone has none.
pub(crate) fn members(directory: &Path) -> Vec<u32> {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    // Processes of another pid namespace appear as 0.
    let own = text.lines().filter_map(|line| line.parse().ok()).filter(|&pid| pid != 0);
    own.chain(subdirectories(directory).iter().flat_map(|below| members(below))).collect()
}

pub(crate) fn subdirectories(directory: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}
