//! How much a sink keeps in its directory.

use std::collections::HashSet;
use std::convert::Infallible;
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fd::BorrowedFd;
use rustix::fs::Stat;
use watchpost_config::ByteSize;

use super::state_dir;

/// The unit of `st_blocks`, whatever the file system's own is.
const BLOCK_BYTES: u64 = 512;

/// What is found so far.
#[derive(Debug, Default)]
struct Usage {
    bytes: u64,
    /// Files that were counted, by number: one of several names takes its room once.
    counted: HashSet<u64>,
}

/// Says what is too much, if anything is: what is in the directory, and files that the process has open, or has in its
/// memory, and that have no name any more.
pub(super) fn exceeded(state_dir: &Path, process: Option<u32>, quota: ByteSize) -> Option<String> {
    let mut usage = Usage::default();
    let mut add = |_: BorrowedFd<'_>, _: &CStr, about: &Stat| {
        usage.add(about);
        Ok(true)
    };
    // One that cannot be read holds nothing that a plugin without special rights could have put there.
    let opened = state_dir::open(state_dir).ok();
    let too_much = opened.and_then(|dir| state_dir::walk::<Infallible>(dir, &mut add).err());
    if let Some(process) = process {
        let device = fs::symlink_metadata(state_dir).map_or(0, |about| about.dev());
        nameless(process, device, &mut usage);
    }
    let found = match too_much {
        Some(stopped) => stopped.to_string(),
        None if usage.bytes > quota.0 => format!("{}, and may keep {quota}", ByteSize(usage.bytes)),
        None => return None,
    };
    let dir = state_dir.display();
    Some(format!(
        "it keeps {found} in {dir}; empty that, or raise `state_quota` in its [sink.sandbox]"
    ))
}

/// Files of this device that a process holds and that have no name. What cannot be looked at holds none.
fn nameless(process: u32, device: u64, usage: &mut Usage) {
    let open = fs::read_dir(format!("/proc/{process}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    for file in open {
        // Through the link, to the file itself.
        let Ok(about) = fs::metadata(file.path()) else {
            continue;
        };
        if about.is_file() && about.nlink() == 0 && about.dev() == device {
            usage.count(about.ino(), about.blocks().saturating_mul(BLOCK_BYTES));
        }
    }
    for (inode, bytes) in deleted(&maps(process).unwrap_or_default(), device) {
        usage.count(inode, bytes);
    }
}

fn maps(process: u32) -> io::Result<String> {
    fs::read_to_string(format!("/proc/{process}/maps"))
}

/// Number and length of the files of this device that are mapped and deleted: see proc_pid_maps(5).
fn deleted(maps: &str, device: u64) -> Vec<(u64, u64)> {
    let of_device = format!(
        "{:02x}:{:02x}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    );
    let file = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (range, on, inode) = (fields.next()?, fields.nth(2)?, fields.next()?);
        let (from, to) = range.split_once('-')?;
        let length = u64::from_str_radix(to, 16)
            .ok()?
            .checked_sub(u64::from_str_radix(from, 16).ok()?)?;
        (on == of_device && line.ends_with(" (deleted)")).then(|| Some((inode.parse().ok()?, length)))?
    };
    maps.lines().filter_map(file).collect()
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
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const MIB: usize = 1 << 20;

    fn said(dir: &Path, quota: u64) -> String {
        exceeded(dir, Some(std::process::id()), ByteSize(quota)).unwrap_or_default()
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
        let maps = "7f00-8f00 rw-s 00000000 fe:01 4711    /var/lib/x (deleted)\n\
                    7f00-8f00 rw-s 00000000 00:01 4712    /memfd:watchpost (deleted)\n\
                    7f00-8f00 r-xp 00000000 fe:01 4713    /usr/lib/libc.so\n";
        let device = rustix::fs::makedev(0xfe, 1);
        assert_eq!(deleted(maps, device), [(4711, 0x1000)]);
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
