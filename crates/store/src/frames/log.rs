//! Writing the frame log. What is appended stays provisional until the transaction that refers to it has
//! succeeded.

use std::collections::BTreeSet;
use std::fs;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::{debug, warn};

use super::page_cache::{PageCacheWindow, Range};
use super::segment::{Segment, file_name, numbers_in};
use super::{FRAME_BLOCK_BYTES, FrameRef};
use crate::StoreError;
use crate::paths::sync_dir;

/// Files kept for the next ones to overwrite. Retention frees them about as fast as they are needed.
const MAX_SPARES: usize = 2;

/// Fills up the last block of a write.
static PADDING: [u8; 4096] = [0; 4096];

/// Where the next picture goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Number of the file.
    pub(crate) number: i64,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Everything from here on is free.
    pub(crate) offset: u64,
}

/// The writing end of the frame log.
#[derive(Debug)]
pub(crate) struct FrameLog {
    dir: PathBuf,
    segment_size: u64,
    /// Where the last transaction left off; `None` in a log without files.
    committed: Option<Head>,
    /// Where the running transaction stands.
    head: Option<Head>,
    /// Open files: the committed one, if it could be opened, and those that were begun since.
    open: Vec<Segment>,
    /// Numbers of open files written to since the last sync.
    dirty: BTreeSet<i64>,
    /// What the running transaction has written.
    written: Vec<Range>,
    cached: PageCacheWindow,
    /// The directory has new entries.
    dir_dirty: bool,
    /// Files of the usual size that nothing refers to.
    spares: Vec<PathBuf>,
    last_number: i64,
}

/// Pictures on their way into one file.
struct Run<'a> {
    segment: usize,
    offset: u64,
    slices: Vec<IoSlice<'a>>,
}

impl FrameLog {
    /// Goes on at `head`. Files in `dir` that are not in `used` are free.
    pub(crate) fn open(
        dir: PathBuf,
        segment_size: u64,
        head: Option<Head>,
        used: &BTreeSet<i64>,
    ) -> Result<Self, StoreError> {
        let found = numbers_in(&dir).map_err(|e| StoreError::io("list", &dir, e))?;
        let mut log = Self {
            segment_size,
            committed: head,
            head,
            open: Vec::new(),
            dirty: BTreeSet::new(),
            written: Vec::new(),
            cached: PageCacheWindow::default(),
            dir_dirty: false,
            spares: Vec::new(),
            last_number: found.last().copied().max(used.last().copied()).unwrap_or(0),
            dir,
        };
        if let Some(Head { number, size, .. }) = head {
            // Its loss is reported with that of all other files, and the log goes on in a new one.
            log.open.extend(Segment::open(&log.dir, number, size).ok());
        }
        for number in found.into_iter().filter(|number| !used.contains(number)) {
            log.add_spare(log.dir.join(file_name(number)));
        }
        Ok(log)
    }

    /// Writes the pictures of one transaction and says where they stand. They are not on disk before
    /// [`FrameLog::sync`], and not there to stay before [`FrameLog::commit`].
    pub(crate) fn append(&mut self, frames: &[&[u8]]) -> Result<Vec<FrameRef>, StoreError> {
        let mut refs = Vec::with_capacity(frames.len());
        let mut runs: Vec<Run<'_>> = Vec::new();
        let mut position = 0;
        for &bytes in frames {
            let length =
                u32::try_from(bytes.len()).map_err(|_| StoreError::FrameTooLarge { bytes: bytes.len() })?;
            let end = position + u64::from(length);
            let run = match runs.last_mut() {
                Some(run) if end <= self.open[run.segment].size => run,
                _ => {
                    if let Some(full) = runs.last_mut() {
                        pad(full, position);
                    }
                    let (segment, offset) = self.room_for(u64::from(length), runs.is_empty())?;
                    position = offset;
                    runs.push(Run {
                        segment,
                        offset,
                        slices: Vec::with_capacity(frames.len() + 1),
                    });
                    // It was pushed a line ago.
                    runs.last_mut()
                        .ok_or(StoreError::FrameTooLarge { bytes: bytes.len() })?
                }
            };
            run.slices.push(IoSlice::new(bytes));
            refs.push(FrameRef {
                segment: self.open[run.segment].number,
                offset: position,
                length,
                crc: crc32c::crc32c(bytes),
            });
            position += u64::from(length);
        }
        if let Some(last) = runs.last_mut() {
            pad(last, position);
            let Segment { number, size, .. } = self.open[last.segment];
            self.head = Some(Head {
                number,
                size,
                offset: position.next_multiple_of(FRAME_BLOCK_BYTES),
            });
        }
        for run in &mut runs {
            let segment = &self.open[run.segment];
            self.dirty.insert(segment.number);
            self.written.push(Range {
                file: Arc::clone(segment.file()),
                offset: run.offset,
                length: run.slices.iter().map(|slice| slice.len() as u64).sum(),
            });
            segment.write(&mut run.slices, run.offset)?;
        }
        Ok(refs)
    }

    /// Returns when everything appended is on disk.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        for segment in self
            .open
            .iter()
            .filter(|segment| self.dirty.contains(&segment.number))
        {
            segment.sync()?;
        }
        self.dirty.clear();
        if std::mem::take(&mut self.dir_dirty) {
            sync_dir(&self.dir).inspect_err(|_| self.dir_dirty = true)?;
        }
        Ok(())
    }

    /// The transaction has succeeded.
    pub(crate) fn commit(&mut self) {
        self.committed = self.head;
        self.cached.add(self.written.drain(..));
        let current = self.committed.map(|head| head.number);
        self.open.retain(|segment| Some(segment.number) == current);
    }

    /// The transaction has failed: what was appended for it is free space again. Even if it
    /// reached the disk it is written again, for a failed sync may have dropped it.
    pub(crate) fn rollback(&mut self) {
        self.head = self.committed;
        self.dirty.clear();
        self.written.clear();
        let current = self.committed.map(|head| head.number);
        for segment in std::mem::take(&mut self.open) {
            if Some(segment.number) == current {
                self.open.push(segment);
            } else {
                self.add_spare(segment.path().to_owned());
            }
        }
    }

    /// Nothing refers to these files any more.
    pub(crate) fn free(&mut self, numbers: &[i64]) {
        for &number in numbers {
            self.add_spare(self.dir.join(file_name(number)));
        }
    }

    /// Where the running transaction stands.
    pub(crate) fn head(&self) -> Option<Head> {
        self.head
    }

    /// Size of an open file, in bytes.
    pub(crate) fn size_of(&self, number: i64) -> Option<u64> {
        self.open
            .iter()
            .find(|segment| segment.number == number)
            .map(|segment| segment.size)
    }

    /// Size of new files, in bytes.
    pub(crate) fn segment_size(&self) -> u64 {
        self.segment_size
    }

    /// Which open file takes a picture of this length, and where in it.
    fn room_for(&mut self, length: u64, first: bool) -> Result<(usize, u64), StoreError> {
        if let (Some(head), true) = (self.head, first)
            && head.offset + length <= head.size
            && let Some(index) = self.open.iter().position(|segment| segment.number == head.number)
        {
            return Ok((index, head.offset));
        }
        let number = self.last_number + 1;
        // A picture larger than a file gets one of its own size.
        let size = self.segment_size.max(length.next_multiple_of(FRAME_BLOCK_BYTES));
        let spare = if size == self.segment_size {
            self.spares.pop()
        } else {
            None
        };
        let segment = match spare {
            Some(spare) => Segment::reuse(&self.dir, &spare, number, size)?,
            None => Segment::create(&self.dir, number, size)?,
        };
        self.last_number = number;
        self.dir_dirty = true;
        self.open.push(segment);
        Ok((self.open.len() - 1, 0))
    }

    fn add_spare(&mut self, path: PathBuf) {
        let usual = fs::metadata(&path).is_ok_and(|file| file.len() == self.segment_size);
        if usual && self.spares.len() < MAX_SPARES {
            self.spares.push(path);
        } else {
            remove(&path);
        }
    }
}

fn pad(run: &mut Run<'_>, end: u64) {
    let rest = usize::try_from(end.next_multiple_of(FRAME_BLOCK_BYTES) - end).unwrap_or(0);
    run.slices.push(IoSlice::new(&PADDING[..rest]));
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Ok(()) => debug!("removed {}, which held no pictures any more", path.display()),
        // It costs space, nothing else, and the next start tries again.
        Err(e) => warn!(
            "cannot remove {}, which holds no pictures any more: {e}",
            path.display()
        ),
    }
}
