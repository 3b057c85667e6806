//! Pictures on their way to plugins: one sealed memfd each.
//!
//! A memfd is written once by the parent, sealed so that it cannot change, and mapped read-only by every
//! child that gets it. So a picture for several sinks is copied once, and a plugin cannot touch what another
//! one reads.
#![allow(unsafe_code, reason = "mapping memory takes a promise about who else has it")]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use memmap2::MmapOptions;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
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
        let fd = sealed_memfd(bytes)?;
        Ok(Self {
            meta,
            fd: Arc::new(fd),
            len: bytes.len() as u64,
        })
    }

    /// Has `fill` write a picture of `len` bytes straight into the memory that will be sent: the one copy on its way from
    /// the disk to the plugins. The memory is zero before. What `fill` refuses with is passed on.
    pub fn filled<E: From<io::Error>>(
        meta: FrameMeta,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        if len == 0 {
            fill(&mut [])?;
            return Ok(Self::from_bytes(meta, &[])?);
        }
        let file = new_memfd()?;
        file.set_len(len as u64).map_err(E::from)?;
        // SAFETY: the memfd was made here and has this length; no other process or mapping has it.
        let mut map = unsafe { MmapOptions::new().len(len).populate().map_mut(&file) }.map_err(E::from)?;
        fill(&mut map)?;
        // The kernel seals only what is not mapped for writing.
        drop(map);
        Ok(Self {
            meta,
            fd: Arc::new(seal(file)?),
            len: len as u64,
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

/// Makes a memfd of these bytes and seals it for good.
pub(crate) fn sealed_memfd(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = new_memfd()?;
    file.write_all(bytes)?;
    seal(file)
}

fn new_memfd() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(memfd_create("watchpost", flags)?.into())
}

fn seal(file: File) -> io::Result<OwnedFd> {
    let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    fcntl_add_seals(&file, seals)?;
    Ok(file.into())
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
    fn it_is_filled_in_place() {
        let frame = FrameFd::filled::<io::Error>(meta(), 10_000, |bytes| {
            assert!(bytes.iter().all(|byte| *byte == 0));
            bytes.fill(7);
            Ok(())
        })
        .unwrap();
        assert_eq!(content(&frame), [7; 10_000]);
        let file = File::from(frame.fd.try_clone().unwrap());
        assert!(file.write_at(b"x", 0).is_err());

        let empty = FrameFd::filled::<io::Error>(meta(), 0, |_| Ok(())).unwrap();
        assert!(empty.is_empty());
        let refused = FrameFd::filled(meta(), 5, |_| Err(io::Error::other("damaged")));
        assert_eq!(refused.unwrap_err().to_string(), "damaged");
    }

    #[test]
    fn it_is_sealed_against_writing() {
        let frame = FrameFd::from_bytes(meta(), b"picture").unwrap();
        assert_eq!(content(&frame), b"picture");
        let file = File::from(frame.fd.try_clone().unwrap());
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.set_len(1).is_err());
    }
}
