//! Closing what a process has inherited. Knows only numbers.

#![allow(
    unsafe_code,
    reason = "no safe wrapper has close_range, since it closes what others may own"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The first descriptor that is no standard stream.
const FIRST: u32 = 3;

/// Closes every descriptor but the standard streams and those in `keep`. On refusal, says why.
pub(super) fn close_all_but(keep: &[BorrowedFd<'_>]) -> Result<(), String> {
    let mut kept: Vec<u32> = keep
        .iter()
        .filter_map(|fd| u32::try_from(fd.as_raw_fd()).ok())
        .collect();
    kept.sort_unstable();
    let mut first = FIRST;
    for fd in kept.into_iter().filter(|fd| *fd >= FIRST) {
        if fd > first {
            close(first, fd - 1)?;
        }
        first = fd + 1;
    }
    close(first, u32::MAX)
}

fn close(first: u32, last: u32) -> Result<(), String> {
    // SAFETY: no memory is touched. Of descriptors, the one caller is the first thing a process does (see `apply`):
    // nothing in it owns any but those it keeps.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if answer == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    Err(match error.raw_os_error() {
        Some(libc::ENOSYS) => "needs Linux 5.9".into(),
        _ => error.to_string(),
    })
}
