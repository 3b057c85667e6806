//! How much of what was just written stays in the kernel's memory: enough for the sinks that read it next, and not
//! all there is.

use std::collections::VecDeque;
use std::fs::File;
use std::num::NonZeroU64;
use std::sync::Arc;

use rustix::fs::{Advice, fadvise};

/// Pictures that stay in the page cache, in bytes. Sinks that keep up find theirs there; one that comes back after a
/// while reads from the disk.
///
/// Without a limit each new picture takes memory that is not in any cache of the processor, on a virtual machine even
/// memory that the host has to find first: that made copying 200 KB pictures four times slower. And the memory of a
/// small machine is better left to others.
const CACHED_BYTES: u64 = 64 << 20;

/// What was written and is on disk, oldest first.
#[derive(Debug, Default)]
pub(crate) struct PageCacheWindow {
    ranges: VecDeque<Range>,
    bytes: u64,
}

/// A part of a file.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    pub(crate) file: Arc<File>,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl PageCacheWindow {
    /// Adds what has come to the disk, and lets go of the oldest beyond the limit.
    pub(crate) fn add(&mut self, ranges: impl Iterator<Item = Range>) {
        for range in ranges {
            self.bytes += range.length;
            self.ranges.push_back(range);
        }
        while self.bytes > CACHED_BYTES
            && let Some(oldest) = self.ranges.pop_front()
        {
            self.bytes -= oldest.length;
            // Clean pages of the page cache are let go. It is an advice: nothing depends on it.
            let length = NonZeroU64::new(oldest.length);
            let _ = fadvise(&*oldest.file, oldest.offset, length, Advice::DontNeed);
        }
    }
}
