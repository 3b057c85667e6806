//! What the figures were measured on, and what else kept it busy, in a line for people.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::disk;

/// Processor, cores, memory, kernel, what a sync costs on the disk below `dir`, and how busy the machine is now. Call it
/// before measuring: afterwards the load is our own.
pub(crate) fn describe(dir: &Path) -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".into());
    let kernel = rustix::system::uname();
    let sync = disk::median_fdatasync(dir)?;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    Ok(format!(
        "{cores} cores ({processor}), memory {memory}, {} {} {}, median fdatasync {:.3} ms, release build; \
         load average before the run {load}\n",
        kernel.sysname().to_string_lossy(),
        kernel.release().to_string_lossy(),
        kernel.machine().to_string_lossy(),
        sync.as_secs_f64() * 1_000.0
    ))
}

/// The value of the first `key : value` line of a file.
fn field(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_cores_and_a_kernel() {
        let dir = tempfile::tempdir().unwrap();
        let text = describe(dir.path()).unwrap();
        assert!(
            text.contains(" cores (")
                && text.contains("Linux")
                && text.contains("load average before the run")
        );
    }
}
