//! What this host is and has.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use hearth_keeper::system;
use nix::sys::statvfs::statvfs;
use nix::sys::utsname::uname;

/// What this host is and has, at the moment it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostInventory {
    /// Its name.
    pub hostname: String,
    /// Machine architecture as the kernel names it: `x86_64`, `aarch64`.
    pub architecture: String,
    /// Kernel release.
    pub kernel: String,
    /// Id of this boot.
    pub boot_id: String,
    /// CPUs this process may use.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_total_bytes: u64,
    /// Memory that could be given to new processes now, in bytes.
    pub memory_available_bytes: u64,
    /// Size of the file system of the state directory, in bytes.
    pub disk_total_bytes: u64,
    /// Room left on it for ordinary users, in bytes.
    pub disk_free_bytes: u64,
}

/// A part of the inventory that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("reading {what}")]
pub struct InventoryError {
    what: &'static str,
    #[source]
    source: io::Error,
}

impl HostInventory {
    /// Reads the inventory; `state` is a directory on the disk that workers use.
    ///
    /// # Errors
    /// Names the part that could not be read.
    pub fn read(state: &Path) -> Result<Self, InventoryError> {
        let failed = |what| move |source: io::Error| InventoryError { what, source };
        let names = uname().map_err(io::Error::from).map_err(failed("the kernel's names"))?;
        let text = |value: &std::ffi::OsStr| value.to_string_lossy().into_owned();
        let disk = statvfs(state).map_err(io::Error::from).map_err(failed("the state directory's disk"))?;
        let cpus = std::thread::available_parallelism().map_err(failed("the number of CPUs"))?;
        let meminfo = fs::read_to_string("/proc/meminfo").map_err(failed("/proc/meminfo"))?;
        let memory = |name| {
            let missing = || io::Error::new(io::ErrorKind::InvalidData, name);
            meminfo_bytes(&meminfo, name).ok_or_else(missing).map_err(failed("/proc/meminfo"))
        };
        Ok(Self {
            hostname: text(names.nodename()),
            architecture: text(names.machine()),
            kernel: text(names.release()),
            boot_id: system::boot_id().map_err(failed("the boot id"))?,
            cpus: u32::try_from(cpus.get()).unwrap_or(u32::MAX),
            memory_total_bytes: memory("MemTotal")?,
            memory_available_bytes: memory("MemAvailable")?,
            disk_total_bytes: disk.blocks() * disk.fragment_size(),
            disk_free_bytes: disk.blocks_available() * disk.fragment_size(),
        })
    }
}

/// Reads `CLOCK_BOOTTIME`: time since boot, suspension included. Leases and deadlines count in it.
pub fn boottime() -> Duration {
    system::boottime()
}

/// Whether this process may give workers a private view of the file system (capability `CAP_SYS_ADMIN`, bit 21).
pub fn can_mount() -> bool {
    has_capability(21)
}

/// Whether this process may start workers under users of their own (capabilities `CAP_SETGID` and `CAP_SETUID`, bits 6
/// and 7, and `CAP_CHOWN`, bit 0, for their files).
pub fn can_change_user() -> bool {
    [0, 6, 7].into_iter().all(has_capability)
}

fn has_capability(bit: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = effective.and_then(|value| u64::from_str_radix(value.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << bit) != 0)
}

fn meminfo_bytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_in_bytes() {
        let text = "MemTotal:       24684112 kB\nMemTotalX: 1 kB\nMemAvailable:  7 kB\n";
        assert_eq!(meminfo_bytes(text, "MemTotal"), Some(24_684_112 * 1024));
        assert_eq!(meminfo_bytes(text, "MemAvailable"), Some(7168));
        assert_eq!(meminfo_bytes(text, "Absent"), None);
    }

    #[test]
    fn this_host_has_something() {
        let inventory = HostInventory::read(Path::new("/")).expect("readable");
        assert!(inventory.cpus > 0 && inventory.memory_total_bytes > inventory.memory_available_bytes);
        assert!(inventory.disk_total_bytes >= inventory.disk_free_bytes && !inventory.kernel.is_empty());
        assert!(boottime() > Duration::ZERO);
    }
}
