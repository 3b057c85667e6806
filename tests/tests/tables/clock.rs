//! The clock of a hub that runs on real processes, and stands still until it is said that time goes by.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use watchpost_core::UnixMillis;
use watchpost_hub::WallClock;

/// The file in a directory in which the time stands.
pub(crate) fn clock_file(dir: &Path) -> PathBuf {
    dir.join("clock")
}

/// Writes down the time: in milliseconds since 1970, and with as many digits each time, so that who reads it meanwhile reads
/// one time or the other.
pub(crate) fn write_time(file: &File, now: UnixMillis) -> Result<()> {
    let text = format!("{:020}\n", now.0);
    file.write_all_at(text.as_bytes(), 0)
        .context("the clock cannot be written")
}

/// A clock that is steered. What it shows stands in a file too, for all other processes.
#[derive(Debug)]
pub(crate) struct SteeredClock {
    unix_ms: AtomicI64,
    steady_ms: AtomicI64,
    ahead_ms: AtomicI64,
    file: File,
}

impl SteeredClock {
    /// A clock that shows `now`, `steady` after the machine was started.
    pub(crate) fn new(dir: &Path, now: UnixMillis, steady: Duration) -> Result<Self> {
        let file = File::options()
            .write(true)
            .open(clock_file(dir))
            .context("there is no clock")?;
        let steady_ms = i64::try_from(steady.as_millis())?;
        Ok(Self {
            unix_ms: AtomicI64::new(now.0),
            steady_ms: AtomicI64::new(steady_ms),
            ahead_ms: AtomicI64::new(now.0 - steady_ms),
            file,
        })
    }

    /// So much time goes by at once, on the runtime that calls it too.
    pub(crate) async fn advance(&self, time: Duration) -> Result<()> {
        let millis = i64::try_from(time.as_millis())?;
        self.steady_ms.fetch_add(millis, Ordering::SeqCst);
        self.set_by(millis)?;
        tokio::time::advance(time).await;
        Ok(())
    }

    /// It is set by so many milliseconds.
    pub(crate) fn set_by(&self, millis: i64) -> Result<()> {
        let before = self.unix_ms.fetch_add(millis, Ordering::SeqCst);
        write_time(&self.file, UnixMillis(before + millis))
    }
}

impl WallClock for SteeredClock {
    fn wall(&self) -> UnixMillis {
        UnixMillis(self.unix_ms.load(Ordering::SeqCst))
    }

    fn steady_ms(&self) -> i64 {
        self.steady_ms.load(Ordering::SeqCst)
    }

    fn ahead_ms(&self) -> &AtomicI64 {
        &self.ahead_ms
    }
}
