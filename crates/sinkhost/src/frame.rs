//! Pictures on their way to plugins: one sealed memfd each.
//!
//! A memfd is written once by the parent, sealed so that nobody can change it, and mapped read-only by every
//! child that gets it. So a picture for several sinks is copied once, and a plugin cannot touch what another
//! one reads.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create, sendfile};
use serde::{Deserialize, Serialize};

/// What is known of a picture besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameMeta {
    /// Media type, for instance `image/jpeg`.
    pub mime: String,
    /// A file name without directory, for instance `frame.jpg`.
    pub name: String,
    /// Pixels, 0 when not known.
    pub width: u32,
    /// Pixels, 0 when not known.
    pub height: u32,
}

/// A picture in a sealed memfd. Cloning shares the memory.
#[derive(Clone, Debug)]
pub struct FrameFd {
    meta: FrameMeta,
    fd: Arc<OwnedFd>,
    len: u64,
}

impl FrameFd {
    /// Copies a picture that is in memory.
    pub fn from_bytes(meta: FrameMeta, bytes: &[u8]) -> io::Result<Self> {
        let fd = sealed_memfd(|file| file.write_all(bytes))?;
        Ok(Self {
            meta,
            fd: Arc::new(fd),
            len: bytes.len() as u64,
        })
    }

    /// Copies `len` bytes from `offset` on out of a file, without taking them through this process where the
    /// file system can do that. Fails with `UnexpectedEof` when the file is shorter.
    pub fn from_file_range(meta: FrameMeta, source: &File, offset: u64, len: u64) -> io::Result<Self> {
        let fd = sealed_memfd(|memfd| copy_range(source, memfd, offset, len))?;
        Ok(Self {
            meta,
            fd: Arc::new(fd),
            len,
        })
    }

    /// What is known of it.
    pub fn meta(&self) -> &FrameMeta {
        &self.meta
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is not a byte in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl AsFd for FrameFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Makes a memfd, lets `fill` write it, and seals it for good.
pub(crate) fn sealed_memfd(fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(
        "watchpost",
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )?);
    fill(&mut file)?;
    fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
    )?;
    Ok(file.into())
}

fn copy_range(source: &File, target: &mut File, offset: u64, len: u64) -> io::Result<()> {
    let (mut at, end) = (offset, offset.saturating_add(len));
    while at < end {
        let wanted = usize::try_from(end - at).unwrap_or(usize::MAX);
        match sendfile(&*target, source, Some(&mut at), wanted) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            // The kernel has advanced `at`.
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                return copy_by_hand(source, target, at, end - at);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// For file systems that cannot splice. Leaves the position of `source` changed, which nobody here relies on.
fn copy_by_hand(mut source: &File, target: &mut File, offset: u64, len: u64) -> io::Result<()> {
    source.seek(SeekFrom::Start(offset))?;
    match io::copy(&mut source.take(len), target)? {
        copied if copied == len => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    fn meta() -> FrameMeta {
        FrameMeta {
            mime: "image/jpeg".into(),
            name: "frame.jpg".into(),
            width: 4,
            height: 3,
        }
    }

    fn content(frame: &FrameFd) -> Vec<u8> {
        let mut bytes = vec![0; frame.len() as usize];
        File::from(frame.fd.try_clone().unwrap())
            .read_exact_at(&mut bytes, 0)
            .unwrap();
        bytes
    }

    #[test]
    fn a_range_of_a_file_arrives_whole_and_alone() {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..300_000_u32).map(|index| (index % 251) as u8).collect();
        file.write_all(&bytes).unwrap();
        let frame = FrameFd::from_file_range(meta(), &file, 1_000, 200_000).unwrap();
        assert_eq!(content(&frame), bytes[1_000..201_000]);

        let mut by_hand = tempfile::tempfile().unwrap();
        copy_by_hand(&file, &mut by_hand, 1_000, 200_000).unwrap();
        assert_eq!(by_hand.metadata().unwrap().len(), 200_000);
    }

    #[test]
    fn a_range_past_the_end_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        let error = FrameFd::from_file_range(meta(), &file, 0, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn nobody_can_write_to_it_any_more() {
        let frame = FrameFd::from_bytes(meta(), b"picture").unwrap();
        assert_eq!(content(&frame), b"picture");
        let file = File::from(frame.fd.try_clone().unwrap());
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.set_len(1).is_err());
    }
}
