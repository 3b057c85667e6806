//! How much memory a child holds, as the kernel counts it.

use std::fs;
use std::time::Duration;

/// How often it is looked at.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// Resident memory of its own of a process and of those it has started, in bytes. `None` when the process is gone.
///
/// Shared memory counts where programs may be started, for only then can there be any besides the pictures, which the hub
/// has made; some of these may be among it. What several share counts for each. The programs' own files do not count.
pub(super) fn held_by(pid: u32, shares: bool, started: &[u32]) -> Option<u64> {
    let status = |pid: u32| fs::read_to_string(format!("/proc/{}/status", who_shows(pid))).ok();
    let main = status(pid)?;
    let shared = if shares { bytes(&main, "RssShmem:")? } else { 0 };
    let own = bytes(&main, "RssAnon:")? + bytes(&main, "RssFile:")?;
    // One of these may have ended meanwhile.
    let started = started.iter().filter_map(|pid| status(*pid));
    let of_others =
        started.filter_map(|status| Some(bytes(&status, "RssAnon:")? + bytes(&status, "RssShmem:")?));
    Some(own + shared + of_others.sum::<u64>())
}

/// The thread below `/proc` that shows what a process has: the first one, or another where that one has ended before it.
pub(super) fn who_shows(pid: u32) -> u32 {
    let has_memory = |thread: &u32| {
        let statm = fs::read_to_string(format!("/proc/{thread}/statm")).unwrap_or_default();
        statm
            .split(' ')
            .next()
            .is_some_and(|pages| !matches!(pages, "" | "0"))
    };
    if has_memory(&pid) {
        return pid;
    }
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let mut numbers = threads.filter_map(|thread| thread.file_name().to_str()?.parse().ok());
    numbers.find(has_memory).unwrap_or(pid)
}

/// Reads a field of `/proc/PID/status`: see proc_pid_status(5).
fn bytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_the_kernel_writes_them() {
        let status = "Name:\tsinkhost\nVmRSS:\t    9000 kB\nRssAnon:\t    1200 kB\nRssShmem:\t    6000 kB\n";
        assert_eq!(bytes(status, "RssAnon:"), Some(1_200 << 10));
        assert_eq!(bytes(status, "RssFile:"), None);
    }

    #[test]
    fn shared_memory_counts_where_it_can_be_made_and_so_do_others() {
        let this = std::process::id();
        let alone = held_by(this, false, &[]).unwrap();
        assert!(alone > 100 << 10);
        let with_itself = held_by(this, true, &[this]).unwrap();
        assert!(with_itself > alone, "{with_itself} and {alone}");
        assert_eq!(held_by(u32::MAX, true, &[]), None);
        assert_eq!([who_shows(this), who_shows(u32::MAX)], [this, u32::MAX]);
        assert!(held_by(this, false, &[u32::MAX]).is_some());
    }
}
