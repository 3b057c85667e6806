//! How much a sink keeps in its directory.

use std::collections::HashSet;
use std::convert::Infallible;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fd::BorrowedFd;
use rustix::fs::Stat;
use watchpost_config::ByteSize;

use super::child::Processes;
use super::memory;
use super::state_dir::{self, Stopped};

/// The unit of `st_blocks`, whatever the file system's own is.
const BLOCK_BYTES: u64 = 512;

/// What is found so far.
#[derive(Debug, Default)]
struct Usage {
    bytes: u64,
    /// Files that were counted, by number: one of several names takes its room once.
    counted: HashSet<u64>,
    /// What is there and cannot be measured.
    hidden: Option<&'static str>,
}

/// Says what is too much, if anything is: what is in the directory, and files that these processes have open, or in their
/// memory, and that have no name any more.
pub(super) fn exceeded(state_dir: &Path, processes: &Processes, quota: ByteSize) -> Option<String> {
    let mut usage = Usage::default();
    let mut add = |_: BorrowedFd<'_>, _: &CStr, about: &Stat| {
        usage.add(about);
        Ok(true)
    };
    let stopped = match state_dir::open(state_dir) {
        Ok(dir) => state_dir::walk::<Infallible>(dir, &mut add).err(),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Some(Stopped::Closed),
        // There is none, so nothing is in it.
        Err(_) => None,
    };
    let device = fs::symlink_metadata(state_dir).map_or(0, |about| about.dev());
    for process in &processes.ids {
        usage.add_nameless(*process, state_dir, device, processes.socket);
    }
    let found = match (stopped, usage.hidden) {
        (Some(stopped), _) => stopped.to_string(),
        (None, Some(hidden)) => hidden.to_owned(),
        (None, None) if usage.bytes > quota.0 => {
            format!("{}, and may keep {quota}", ByteSize(usage.bytes))
        }
        (None, None) => return None,
    };
    let dir = state_dir.display();
    Some(format!(
        "it keeps {found} in {dir}; empty that, or raise `state_quota` in its [sink.sandbox]"
    ))
}

impl Usage {
    fn add(&mut self, about: &Stat) {
        let blocks = u64::try_from(about.st_blocks).unwrap_or(0);
        self.count(about.st_ino, blocks.saturating_mul(BLOCK_BYTES));
    }

    fn count(&mut self, inode: u64, bytes: u64) {
        if self.counted.insert(inode) {
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }

    /// Files of this device that a process holds and that have no name. A process that is gone, or cannot be looked at, holds
    /// none. Tasks of a program that was started may have descriptors of their own.
    fn add_nameless(&mut self, process: u32, state_dir: &Path, device: u64, socket: u64) {
        let tasks = fs::read_dir(format!("/proc/{process}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            let open = fs::read_dir(task.path().join("fd"));
            for file in open.into_iter().flatten().flatten() {
                self.add_open(&task.path(), &file, device, socket);
            }
        }
        let shown = memory::who_shows(process);
        let maps = fs::read_to_string(format!("/proc/{shown}/maps")).unwrap_or_default();
        for mapping in deleted(&maps, device) {
            let file = format!("/proc/{shown}/map_files/{}", mapping.range);
            match fs::metadata(file) {
                Ok(about) => self.count(about.ino(), about.blocks().saturating_mul(BLOCK_BYTES)),
                // Of its own files it may have as much more as it likes. Others are of libraries that were replaced.
                Err(_) if Path::new(mapping.path).starts_with(state_dir) => {
                    if !self.counted.contains(&mapping.inode) {
                        self.hidden = Some("a file without a name, which only its memory has,");
                    }
                }
                Err(_) => self.count(mapping.inode, mapping.bytes),
            }
        }
    }

    fn add_open(&mut self, task: &Path, file: &fs::DirEntry, device: u64, socket: u64) {
        // Through the link, to the file itself.
        let Ok(about) = fs::metadata(file.path()) else {
            return;
        };
        if about.is_file() && about.nlink() == 0 && about.dev() == device {
            self.count(about.ino(), about.blocks().saturating_mul(BLOCK_BYTES));
        }
        if about.file_type().is_socket() && about.ino() != socket {
            let info = fs::read_to_string(task.join("fdinfo").join(file.file_name()));
            if info.is_ok_and(|info| files_on_their_way(&info) > 0) {
                self.hidden = Some("open files in a socket, where they cannot be measured,");
            }
        }
    }
}

/// How many open files wait in a socket to be received, from Linux 5.6 on.
fn files_on_their_way(info: &str) -> u64 {
    let line = info.lines().find_map(|line| line.strip_prefix("scm_fds:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// A file without a name in a process's memory.
#[derive(Debug, PartialEq, Eq)]
struct Deleted<'a> {
    range: &'a str,
    inode: u64,
    bytes: u64,
    /// Where it was.
    path: &'a str,
}

/// The files of this device that are mapped and deleted: see proc_pid_maps(5).
fn deleted(maps: &str, device: u64) -> Vec<Deleted<'_>> {
    let of_device = format!(
        "{:02x}:{:02x}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    );
    let file = |line| -> Option<Deleted<'_>> {
        let mut fields = str::split_ascii_whitespace(line);
        let (range, on, inode) = (fields.next()?, fields.nth(2)?, fields.next()?);
        let (from, to) = range.split_once('-')?;
        let from = u64::from_str_radix(from, 16).ok()?;
        let path = line.strip_suffix(" (deleted)")?;
        (on == of_device).then_some(Deleted {
            range,
            inode: inode.parse().ok()?,
            bytes: u64::from_str_radix(to, 16).ok()?.checked_sub(from)?,
            path: path.get(path.find('/')?..)?,
        })
    };
    maps.lines().filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const MIB: usize = 1 << 20;

    fn said(dir: &Path, quota: u64) -> String {
        let this = Processes {
            ids: vec![std::process::id()],
            socket: 0,
        };
        exceeded(dir, &this, ByteSize(quota)).unwrap_or_default()
    }

    #[test]
    fn what_takes_room_counts_and_what_does_not_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("large"), vec![1; 4 * MIB]).unwrap();
        symlink(elsewhere.path(), dir.path().join("link")).unwrap();
        symlink(elsewhere.path().join("large"), dir.path().join("file-link")).unwrap();
        fs::File::create(dir.path().join("sparse"))
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        assert_eq!(said(dir.path(), MIB as u64), "");

        fs::create_dir(dir.path().join("below")).unwrap();
        fs::write(dir.path().join("below/file"), vec![1; 2 * MIB]).unwrap();
        fs::hard_link(dir.path().join("below/file"), dir.path().join("again")).unwrap();
        let words = said(dir.path(), MIB as u64);
        assert!(
            words.starts_with("it keeps ") && words.contains("and may keep 1MiB"),
            "{words}"
        );
        assert_eq!(
            said(dir.path(), 3 * MIB as u64),
            "",
            "a second name takes no room"
        );
    }

    #[test]
    fn files_without_a_name_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hidden");
        fs::write(&path, vec![1; 2 * MIB]).unwrap();
        let open = fs::File::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(said(dir.path(), MIB as u64).contains("may keep 1MiB"));
        drop(open);
        assert_eq!(said(dir.path(), MIB as u64), "");
    }

    #[test]
    fn mapped_files_without_a_name_are_found() {
        let maps = "7f00-8f00 rw-s 00000000 fe:01 4711    /var/lib/a b (deleted)\n\
                    7f00-8f00 rw-s 00000000 00:01 4712    /memfd:watchpost (deleted)\n\
                    7f00-8f00 r-xp 00000000 fe:01 4713    /usr/lib/libc.so\n";
        let device = rustix::fs::makedev(0xfe, 1);
        let expected = Deleted {
            range: "7f00-8f00",
            inode: 4711,
            bytes: 0x1000,
            path: "/var/lib/a b",
        };
        assert_eq!(deleted(maps, device), [expected]);
    }

    /// What is on its way to whom it may never be received by.
    #[test]
    fn files_in_a_socket_are_found() {
        use rustix::net::{
            AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
            sendmsg, socketpair,
        };
        let dir = tempfile::tempdir().unwrap();
        let (near, _far) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let hidden = "it keeps open files in a socket, where they cannot be measured, in ";
        assert_eq!(said(dir.path(), 0), "");
        let file = fs::File::create(dir.path().join("file")).unwrap();
        let files = [std::os::fd::AsFd::as_fd(&file)];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&files)));
        sendmsg(&near, &[io::IoSlice::new(b"x")], &mut control, SendFlags::empty()).unwrap();
        assert!(said(dir.path(), MIB as u64).starts_with(hidden));
        assert_eq!(files_on_their_way("pos:\t0\nscm_fds: 3\n"), 3);
        assert_eq!(files_on_their_way("pos:\t0\n"), 0);
    }

    /// To root nothing is closed.
    #[test]
    fn a_closed_directory_is_too_much() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let closed = dir.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::write(closed.join("file"), "x").unwrap();
        let close = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let root = rustix::process::geteuid().is_root();
        for (path, mode) in [
            (&closed, 0),
            (&closed, 0o400),
            (&closed, 0o300),
            (&dir.path().to_owned(), 0),
        ] {
            close(path, mode);
            let said = said(dir.path(), MIB as u64);
            close(path, 0o700);
            assert_eq!(said.contains("closed to the hub"), !root, "{mode:o}: {said}");
        }
    }

    #[test]
    fn more_than_a_sink_has_use_for_is_too_much() {
        let dir = tempfile::tempdir().unwrap();
        let mut deep = dir.path().to_owned();
        for _ in 0..=state_dir::MAX_DEPTH {
            deep.push("d");
        }
        fs::create_dir_all(&deep).unwrap();
        assert!(said(dir.path(), u64::MAX).contains("it keeps directories more than 32 deep in "));
    }
}
