//! Reading pictures out of the frame log.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::segment::file_name;
use super::{FrameError, FrameRef};

/// Files kept open: deliveries come from the newest, and a backlog from one old one.
const MAX_OPEN_FILES: usize = 4;

/// The reading end of the frame log.
#[derive(Debug)]
pub(crate) struct FrameFiles {
    dir: PathBuf,
    /// Last used last.
    open: Vec<(i64, File)>,
}

impl FrameFiles {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            open: Vec::with_capacity(MAX_OPEN_FILES),
        }
    }

    /// Reads a picture into memory of just its size and checks it.
    pub(crate) fn read(&mut self, frame: &FrameRef, into: &mut [u8]) -> Result<(), FrameError> {
        if into.len() != frame.len() {
            return Err(FrameError::WrongSize {
                length: frame.length,
                given: into.len(),
            });
        }
        let was_open = self.open.iter().any(|&(number, _)| number == frame.segment);
        match self.read_once(frame, into) {
            // A file that was open may since have been taken over under another number.
            Err(FrameError::Damaged { .. }) if was_open => {
                self.open.retain(|&(number, _)| number != frame.segment);
                self.read_once(frame, into)
            }
            outcome => outcome,
        }
    }

    fn read_once(&mut self, frame: &FrameRef, into: &mut [u8]) -> Result<(), FrameError> {
        let name = || file_name(frame.segment);
        self.file(frame.segment)
            .and_then(|file| file.read_exact_at(into, frame.offset))
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => FrameError::Missing { file: name() },
                _ => FrameError::Io { file: name(), source },
            })?;
        let found = crc32c::crc32c(into);
        if found != frame.crc {
            return Err(FrameError::Damaged {
                file: name(),
                offset: frame.offset,
                length: frame.length,
                found,
                expected: frame.crc,
            });
        }
        Ok(())
    }

    fn file(&mut self, number: i64) -> io::Result<&File> {
        let entry = match self.open.iter().position(|&(open, _)| open == number) {
            Some(index) => self.open.remove(index),
            None => {
                let file = File::open(self.dir.join(file_name(number)))?;
                if self.open.len() == MAX_OPEN_FILES {
                    self.open.remove(0);
                }
                (number, file)
            }
        };
        self.open.push(entry);
        self.open
            .last()
            .map(|(_, file)| file)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
