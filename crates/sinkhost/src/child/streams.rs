//! The first things the process does with its standard streams: hides the socket from the plugin, and lets each
//! line of output go at once.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr;

use rustix::fs::{FileType, fstat};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio::{dup2_stdin, stdin};

/// The socket is moved to this descriptor or above, out of the way of what a plugin guesses.
const SOCKET_FD: i32 = 200;

/// Takes the parent's socket from stdin and puts `/dev/null` there, so that a plugin that reads its stdin gets
/// nothing and not our packets. `None` when stdin is no socket: the parent is not Watchpost.
pub(super) fn take_socket() -> Option<OwnedFd> {
    let kind = FileType::from_raw_mode(fstat(stdin()).ok()?.st_mode);
    if kind != FileType::Socket {
        return None;
    }
    let socket = fcntl_dupfd_cloexec(stdin(), SOCKET_FD).ok()?;
    empty_stdin().ok()?;
    Some(socket)
}

fn empty_stdin() -> io::Result<()> {
    let null = OpenOptions::new().read(true).open("/dev/null")?;
    Ok(dup2_stdin(&null)?)
}

/// Lets a C plugin's `printf` reach the log at each line and not at the end.
pub(super) fn line_buffer_stdout() {
    unsafe extern "C" {
        static stdout: *mut libc::FILE;
    }
    // SAFETY: nothing was written to stdout yet, which is when setvbuf may be called.
    unsafe {
        libc::setvbuf(stdout, ptr::null_mut(), libc::_IOLBF, 0);
    }
}

/// Ends the process at once, with what C plugins have printed.
pub(super) fn leave(code: i32) -> ! {
    // SAFETY: flushing all streams takes a null pointer, and `_exit` may be called at any time.
    unsafe {
        libc::fflush(std::ptr::null_mut());
        libc::_exit(code)
    }
}
