//! The first things the process does: hides the socket from the plugin, and gives up what it will never need.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use rustix::fs::{FileType, fstat};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, setrlimit};
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

/// Gives up what the process will never need. What fails here is missing on this kernel, and the plugin runs
/// all the same.
pub(super) fn harden(socket: &OwnedFd) {
    // A core dump would hold the alert's picture and the plugin's secrets.
    let _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
    let _ = rustix::thread::set_no_new_privs(true);
    close_inherited(socket.as_raw_fd().unsigned_abs());
    line_buffer_stdout();
}

/// Closes what a careless library in the hub may have left open across `exec`. There is nothing of ours yet
/// above stderr but the socket.
fn close_inherited(socket: u32) {
    // SAFETY: no descriptor in these ranges is owned by anything in this process.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3_u32, socket - 1, 0_u32);
        libc::syscall(libc::SYS_close_range, socket + 1, u32::MAX, 0_u32);
    }
}

/// Lets a C plugin's `printf` reach the log at each line and not at the end.
fn line_buffer_stdout() {
    unsafe extern "C" {
        static stdout: *mut libc::FILE;
    }
    // SAFETY: nothing was written to stdout yet, which is when setvbuf may be called.
    unsafe {
        libc::setvbuf(stdout, ptr::null_mut(), libc::_IOLBF, 0);
    }
}
