//! Where in the machine's cgroup tree a process is, and whether that part of it was handed over. Reads no file.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// Why there is no cgroup to make others in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoPlace {
    #[error("this machine has no unified cgroup tree (cgroup v2)")]
    NoTree,
    #[error("the cgroup of this service lies outside of what it sees of the tree")]
    OutOfSight,
    #[error(
        "the service manager keeps this cgroup to itself; a systemd service gets one with `Delegate=yes`"
    )]
    NotDelegated,
}

/// To whom a cgroup's directory belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ownership {
    /// Whether the service manager has marked it as handed over.
    pub(super) marked: bool,
    /// Its owner.
    pub(super) owner: u32,
    /// The owner of the one above.
    pub(super) parent_owner: u32,
    /// Who asks.
    pub(super) user: u32,
}

impl Ownership {
    /// Whether this user may make cgroups in it. That it could is not enough: root could everywhere, and so could a user
    /// in all that the user's own service manager keeps. Where there is no mark, for which systemd 251 is needed, a
    /// cgroup was handed over that belongs to the user while the one above does not.
    pub(super) fn is_delegated(self) -> bool {
        self.marked || (self.owner == self.user && self.parent_owner != self.user)
    }
}

/// The directory of a process's cgroup, from its `/proc/PID/cgroup` and `/proc/PID/mountinfo`.
pub(super) fn directory(cgroup: &str, mounts: &str) -> Result<PathBuf, NoPlace> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"));
    let path = Path::new(path.ok_or(NoPlace::NoTree)?);
    let mut mounts = mounts.lines().filter_map(mount).peekable();
    mounts.peek().ok_or(NoPlace::NoTree)?;
    // What is above the root that a process sees begins with `..`.
    mounts
        .find_map(|(root, point)| Some(point.join(path.strip_prefix(root).ok()?)))
        .filter(|found| !found.components().any(|part| part.as_os_str() == ".."))
        .ok_or(NoPlace::OutOfSight)
}

/// A mount of the unified tree: which part of it, and where. See proc_pid_mountinfo(5).
fn mount(line: &str) -> Option<(PathBuf, PathBuf)> {
    let (mount, file_system) = line.split_once(" - ")?;
    if file_system.split(' ').next() != Some("cgroup2") {
        return None;
    }
    let mut fields = mount.split(' ').skip(3);
    Some((unescape(fields.next()?), unescape(fields.next()?)))
}

/// Spaces and the like stand there as a backslash and three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let octal = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &after[3..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIFIED: &str = "24 1 0:21 / /proc rw - proc proc rw\n\
                           35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    const HYBRID: &str = "30 24 0:25 / /sys/fs/cgroup ro shared:8 - tmpfs tmpfs ro,mode=755\n\
                          31 30 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                          32 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
    const LEGACY: &str = "32 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
    const PART: &str = "35 24 0:30 /box/1 /sys/fs\\040x/cgroup rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn the_directory_is_found_in_every_kind_of_tree() {
        let cases = [
            (
                "0::/system.slice/a.service",
                UNIFIED,
                Ok("/sys/fs/cgroup/system.slice/a.service"),
            ),
            ("0::/", UNIFIED, Ok("/sys/fs/cgroup/")),
            (
                "4:memory:/m\n0::/a.service",
                HYBRID,
                Ok("/sys/fs/cgroup/unified/a.service"),
            ),
            ("4:memory:/m", HYBRID, Err(NoPlace::NoTree)),
            ("4:memory:/m\n0::/a", LEGACY, Err(NoPlace::NoTree)),
            ("", UNIFIED, Err(NoPlace::NoTree)),
            ("0::/box/1/a", PART, Ok("/sys/fs x/cgroup/a")),
            ("0::/box/10", PART, Err(NoPlace::OutOfSight)),
            ("0::/../other", UNIFIED, Err(NoPlace::OutOfSight)),
        ];
        for (cgroup, mounts, expected) in cases {
            assert_eq!(directory(cgroup, mounts), expected.map(PathBuf::from), "{cgroup}");
        }
    }

    #[test]
    fn what_is_escaped_is_read_back() {
        for (text, expected) in [
            (r"/a\040b", "/a b"),
            (r"/a\134b", r"/a\b"),
            (r"/a\04", r"/a\04"),
            (r"/a\", r"/a\"),
            (r"/\777", r"/\777"),
        ] {
            assert_eq!(unescape(text), Path::new(expected));
        }
    }

    #[test]
    fn a_cgroup_is_used_that_was_handed_over_and_no_other() {
        let cases = [
            ("a system service with a user", false, 990, 0, 990, true),
            ("root's own service", true, 0, 0, 0, true),
            ("root's session, which is systemd's", false, 0, 0, 0, false),
            (
                "a service of a user's own service manager",
                false,
                1000,
                1000,
                1000,
                false,
            ),
            ("the same, handed over", true, 1000, 1000, 1000, true),
            ("another's", false, 0, 0, 990, false),
        ];
        for (what, marked, owner, parent_owner, user, expected) in cases {
            let ownership = Ownership {
                marked,
                owner,
                parent_owner,
                user,
            };
            assert_eq!(ownership.is_delegated(), expected, "{what}");
        }
    }
}
