//! How much memory a child holds, as the kernel counts it.

use std::fs;
use std::time::Duration;

/// How often it is looked at.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// Resident memory of its own of a process, in bytes: all but what it shares with the hub, which is the pictures.
/// `None` when the process is gone.
pub(super) fn held_by(pid: u32) -> Option<u64> {
    held(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// Reads it from `/proc/PID/status`: see proc_pid_status(5).
fn held(status: &str) -> Option<u64> {
    let kib = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    };
    Some((kib("RssAnon:")? + kib("RssFile:")?) << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_do_not_count() {
        let status = "Name:\tsinkhost\nVmRSS:\t    9000 kB\nRssAnon:\t    1200 kB\nRssFile:\t    1800 kB\nRssShmem:\t    6000 kB\n";
        assert_eq!(held(status), Some(3_000 << 10));
        assert!(held_by(std::process::id()).is_some_and(|held| held > 100 << 10));
        assert_eq!(held_by(u32::MAX), None);
    }
}
