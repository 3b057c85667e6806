//! The frame log: pictures one after the other in large files that are used again and again.
//!
//! The log has no framing of its own. The database says where each picture stands, how long it is and
//! what its checksum is, and where the next one goes; a second truth in the log could only differ from
//! it. A rescuer without the database finds the pictures by the marks every JPEG begins and ends with.
//!
//! It knows files and bytes, not alerts, and not SQL.

mod log;
mod page_cache;
mod read;
mod segment;

pub(crate) use self::log::{FrameLog, Head};
pub(crate) use self::read::FrameFiles;
pub(crate) use self::segment::numbers_in;

/// Writes to the log begin at multiples of this, in bytes: the page of the page cache and the block of
/// the disk. So no block that holds a committed picture is ever written again, and none has to be read
/// from disk to be changed in part.
pub(crate) const FRAME_BLOCK_BYTES: u64 = 4096;

/// Where a picture stands in the frame log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRef {
    pub(crate) segment: i64,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) crc: u32,
}

impl FrameRef {
    /// Size of the picture in bytes.
    pub fn len(&self) -> usize {
        // Frames exist where usize has at least 32 bits.
        usize::try_from(self.length).unwrap_or(usize::MAX)
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// Why one picture cannot be read. Its alert can.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The file that held it is not there.
    #[error(
        "the picture is gone: frames/{file} does not exist. Retention may just have removed it; else another program deleted the file."
    )]
    Missing {
        /// Name of the file in the frame log's directory.
        file: String,
    },
    /// Its bytes are not those that were written.
    #[error(
        "the picture is damaged: {length} bytes at {offset} of frames/{file} have checksum {found:08x} and not {expected:08x}. The disk may be failing."
    )]
    Damaged {
        /// Name of the file in the frame log's directory.
        file: String,
        /// Where in the file, in bytes.
        offset: u64,
        /// Its size in bytes.
        length: u32,
        /// CRC-32C of the bytes read.
        found: u32,
        /// CRC-32C of the bytes that were stored.
        expected: u32,
    },
    /// The caller's memory is not as large as the picture.
    #[error("the picture has {length} bytes, and the memory for it {given}")]
    WrongSize {
        /// Size of the picture in bytes.
        length: u32,
        /// Size of the memory in bytes.
        given: usize,
    },
    /// The system failed.
    #[error("cannot read frames/{file}: {source}")]
    Io {
        /// Name of the file in the frame log's directory.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
}
