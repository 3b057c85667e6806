//! The scheduler's group of a child's session, by which it is slowed down where it has no cgroup: see sched(7), "The
//! autogroup feature". Its niceness counts against other sessions, for all threads of the child together, and can be
//! raised and lowered again without privileges.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;

use rustix::io::Errno;

use crate::share::Given;

/// Its niceness when it gets what others leave: the highest there is.
const LEAST: &str = "19";
/// That of every session.
const NORMAL: &str = "0";

/// The `autogroup` file of a child; none where the kernel has no autogroups.
#[derive(Debug)]
pub(crate) struct Autogroup(Option<File>);

impl Autogroup {
    /// Of a child that has just been started: once it is in its sandbox, its file is open to none but root.
    pub(crate) fn of(pid: u32) -> Self {
        let path = format!("/proc/{pid}/autogroup");
        Self(OpenOptions::new().read(true).write(true).open(path).ok())
    }

    /// Slows it down, or takes that back. The kernel takes one change in a tenth of a second from who is not root.
    pub(crate) fn slow(&self, slow: bool) -> Given {
        let Some(mut file) = self.0.as_ref() else {
            return Given::Never;
        };
        if !is_own(file) {
            return Given::NotYet;
        }
        let niceness = if slow { LEAST } else { NORMAL };
        // It has no place to write at.
        match file.write_all(niceness.as_bytes()) {
            Ok(()) => Given::Now,
            Err(error) if Errno::from_io_error(&error) == Some(Errno::AGAIN) => Given::NotYet,
            Err(_) => Given::Never,
        }
    }
}

/// Whether the child has made itself a session, which is the first that it does: in the hub's it would be the hub that is
/// slowed down.
fn is_own(file: &File) -> bool {
    let hub = File::open("/proc/self/autogroup");
    let names = (name(file), hub.ok().as_ref().and_then(name));
    matches!(names, (Some(child), Some(hub)) if child != hub)
}

/// The group's name, such as `/autogroup-57`, behind which its niceness stands.
fn name(file: &File) -> Option<String> {
    let mut text = [0; 64];
    let length = file.read_at(&mut text, 0).ok()?;
    let text = std::str::from_utf8(&text[..length]).ok()?;
    Some(text.split(' ').next()?.to_owned())
}
