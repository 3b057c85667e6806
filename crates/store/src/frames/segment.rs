//! One file of the frame log: made, taken over from a spare, written to, made durable.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, fadvise};
use rustix::io::{Errno, pwritev};

use crate::StoreError;

/// Slices that one system call takes; the kernel's own limit (`IOV_MAX`).
const MAX_SLICES: usize = 1_024;

/// A file that is written to.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: i64,
    /// In bytes.
    pub(crate) size: u64,
    path: PathBuf,
    file: Arc<File>,
}

impl Segment {
    /// Opens a file that exists, to go on writing to it.
    pub(crate) fn open(dir: &Path, number: i64, size: u64) -> io::Result<Self> {
        let path = dir.join(file_name(number));
        let file = OpenOptions::new().write(true).open(&path)?;
        Ok(Self {
            number,
            size,
            path,
            file: Arc::new(file),
        })
    }

    /// Makes a new file of its full size without any blocks: they come with the writes.
    ///
    /// Reserving them at once (`fallocate`) was measured and is worse. Ext4 turns reserved blocks into
    /// written ones from a worker thread after the data is on disk, which makes a sync take 4 to 12 ms
    /// instead of 0.5 for 640 KiB, and more on a busy machine.
    pub(crate) fn create(dir: &Path, number: i64, size: u64) -> Result<Self, StoreError> {
        let path = dir.join(file_name(number));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path);
        match file.and_then(|file| file.set_len(size).map(|()| file)) {
            Ok(file) => Ok(Self {
                number,
                size,
                path,
                file: Arc::new(file),
            }),
            Err(e) => Err(StoreError::io("make", &path, e)),
        }
    }

    /// Takes over a file that nothing refers to any more. Overwriting it in place is several times faster
    /// than filling a new one, whose every block costs the file system's bookkeeping: 1.2 ms instead
    /// of 2.9 ms for 4 MiB.
    pub(crate) fn reuse(dir: &Path, spare: &Path, number: i64, size: u64) -> Result<Self, StoreError> {
        let path = dir.join(file_name(number));
        fs::rename(spare, &path)
            .and_then(|()| OpenOptions::new().write(true).open(&path))
            .map(|file| Self {
                number,
                size,
                path: path.clone(),
                file: Arc::new(file),
            })
            .map_err(|e| StoreError::io("take over", &path, e))
    }

    /// Writes slices one after the other, beginning at `offset`, and starts them on their way to the disk.
    pub(crate) fn write(&self, mut slices: &mut [IoSlice<'_>], offset: u64) -> Result<(), StoreError> {
        let mut at = offset;
        while !slices.is_empty() {
            let some = slices.len().min(MAX_SLICES);
            match pwritev(&*self.file, &slices[..some], at) {
                Ok(0) => {
                    let stuck = io::Error::from(io::ErrorKind::WriteZero);
                    return Err(StoreError::io("write to", &self.path, stuck));
                }
                Ok(written) => {
                    // The advice starts the write-back of what is dirty; the sync then finds it well in progress.
                    // It is an advice: nothing depends on it.
                    let length = NonZeroU64::new(u64::try_from(written).unwrap_or(u64::MAX));
                    let _ = fadvise(&*self.file, at, length, Advice::DontNeed);
                    at += u64::try_from(written).unwrap_or(u64::MAX);
                    IoSlice::advance_slices(&mut slices, written);
                }
                Err(Errno::INTR) => {}
                Err(e) => return Err(StoreError::io("write to", &self.path, e.into())),
            }
        }
        Ok(())
    }

    /// Returns when everything written is on disk.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.file
            .sync_data()
            .map_err(|e| StoreError::io("sync", &self.path, e))
    }

    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// The name of the file with that number.
pub(crate) fn file_name(number: i64) -> String {
    format!("{number:08}.seg")
}

/// The numbers of all files of the log in a directory.
pub(crate) fn numbers_in(dir: &Path) -> io::Result<Vec<i64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".seg"));
        numbers.extend(digits.and_then(|digits| digits.parse::<i64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
