//! What the kernel says about a process: memory, processor time, bytes written.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Resident memory now, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    status_bytes(pid, "VmRSS:")
}

/// The most resident memory there ever was, in bytes.
pub(crate) fn peak_resident_bytes(pid: u32) -> Result<u64> {
    status_bytes(pid, "VmHWM:")
}

/// Memory with shared pages divided among those who share them, in bytes.
pub(crate) fn proportional_bytes(pid: u32) -> Result<u64> {
    kib_line(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

/// Bytes the process caused to be sent to the disk, all of its threads together.
pub(crate) fn written_bytes(pid: u32) -> Result<u64> {
    let file = format!("/proc/{pid}/io");
    let text = read(&file)?;
    number_after(&text, "write_bytes:").with_context(|| format!("{file} has no write_bytes"))
}

/// User and system time together.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let file = format!("/proc/{pid}/stat");
    let ticks = ticks_of(&read(&file)?).with_context(|| format!("{file} has no utime and stime"))?;
    Ok(Duration::from_secs_f64(
        ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
    ))
}

/// A process and all its descendants.
pub(crate) fn family(pid: u32) -> Result<Vec<u32>> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        let tasks = fs::read_dir(format!("/proc/{parent}/task"))
            .with_context(|| format!("process {parent} is gone"))?;
        for task in tasks {
            // A thread may end while its siblings are listed.
            let children = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
            family.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
        next += 1;
    }
    Ok(family)
}

fn status_bytes(pid: u32, key: &str) -> Result<u64> {
    kib_line(&format!("/proc/{pid}/status"), key)
}

fn kib_line(file: &str, key: &str) -> Result<u64> {
    let kib = number_after(&read(file)?, key).with_context(|| format!("{file} has no {key}"))?;
    Ok(kib * 1_024)
}

fn read(file: &str) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {file}"))
}

fn number_after(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Fields 14 and 15 of `/proc/PID/stat`, counted behind the name, which may hold anything.
fn ticks_of(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_time_and_relatives() {
        let pid = std::process::id();
        // No order among them can be asserted: other tests allocate between the readings.
        for reading in [resident_bytes, peak_resident_bytes, proportional_bytes] {
            assert!(reading(pid).unwrap() > 50_000);
        }
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let family = family(pid).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(family.contains(&pid) && family.contains(&child.id()));
    }

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 7 5 0 0 20 0 1 0 300 1000 200";
        assert_eq!(ticks_of(stat), Some(12));
    }
}
