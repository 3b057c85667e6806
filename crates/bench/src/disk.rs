//! The disk under the measurements: what it is, and what a sync costs on it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use crate::statistics::quantile;

/// How often a sync is timed.
const SYNCS: usize = 300;

/// What is overwritten before each sync, in bytes.
const BLOCK_BYTES: usize = 4_096;

/// `statfs` types of file systems that have no disk below them (linux/magic.h: tmpfs, ramfs).
const MEMORY_FILE_SYSTEMS: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// Refuses a directory that lies in memory, where a sync costs nothing and proves nothing.
pub(crate) fn ensure_real(dir: &Path) -> Result<()> {
    let kind = rustix::fs::statfs(dir)
        .with_context(|| format!("cannot look at {}", dir.display()))?
        .f_type;
    ensure!(
        !MEMORY_FILE_SYSTEMS.contains(&u64::try_from(kind).unwrap_or_default()),
        "{} lies in memory, so nothing measured there would be durable: choose a directory on a disk with --dir",
        dir.display()
    );
    Ok(())
}

/// The median time of fdatasync after one block of a preallocated file was overwritten.
pub(crate) fn median_fdatasync(dir: &Path) -> Result<Duration> {
    let path = dir.join("fdatasync");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let block = [0x5a; BLOCK_BYTES];
    for at in 0..SYNCS {
        file.write_all_at(&block, (at * BLOCK_BYTES) as u64)?;
    }
    file.sync_all()?;
    let mut times = Vec::with_capacity(SYNCS);
    for at in 0..SYNCS {
        file.write_all_at(&block, (at * BLOCK_BYTES) as u64)?;
        let began = Instant::now();
        file.sync_data()?;
        times.push(began.elapsed());
    }
    fs::remove_file(&path)?;
    Ok(quantile(&mut times, 0.5))
}

/// Asks ext4 to put each directory made in this one into another region of the disk, so that files which one run deleted
/// are not in the way of the next. Where that is not possible, nothing changes.
pub(crate) fn spread_directories(dir: &Path) {
    if let Ok(opened) = File::open(dir)
        && let Ok(flags) = ioctl_getflags(&opened)
    {
        let _ = ioctl_setflags(&opened, flags | IFlags::TOPDIR);
    }
}

/// Puts everything written so far on the disk, so that one run does not pay for the one before it.
pub(crate) fn settle() {
    rustix::fs::sync();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_refused_and_a_sync_takes_time() {
        if let Ok(()) = fs::metadata("/dev/shm").map(|_| ()) {
            assert!(
                ensure_real(Path::new("/dev/shm"))
                    .unwrap_err()
                    .to_string()
                    .contains("lies in memory")
            );
        }
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        assert!(median_fdatasync(dir.path()).unwrap() > Duration::ZERO);
    }
}
