//! The directory that a sink keeps its own files in. A plugin puts there what it likes, so nothing in it is followed or
//! believed: whoever looks into it goes by descriptors, over no link, no deeper and no further than a sink has use for.

mod owner;

use std::ffi::CStr;
use std::fmt;
use std::io;
use std::path::Path;

use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;

pub(super) use owner::{HandedOver, hand_over};

/// Files and directories that a sink may keep.
pub(super) const MAX_FILES: u64 = 10_000;
/// How deep its directories may be.
pub(super) const MAX_DEPTH: usize = 32;

/// How a directory is opened that may be a link by now.
const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Why a walk has ended early.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stopped<E> {
    /// There are directories more than [`MAX_DEPTH`] deep.
    Deep,
    /// There are more than [`MAX_FILES`] files.
    Many,
    /// One of its directories is closed to the hub.
    Closed,
    /// Who looks wants to see no more.
    By(E),
}

impl<E: fmt::Display> fmt::Display for Stopped<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deep => write!(f, "directories more than {MAX_DEPTH} deep"),
            Self::Many => write!(f, "more than {MAX_FILES} files"),
            Self::Closed => f.write_str("a directory that is closed to the hub"),
            Self::By(reason) => reason.fmt(f),
        }
    }
}

/// Opens a sink's directory. It and the one that it lies in are the hub's own to make, and are none if they are links.
///
/// # Errors
/// When it cannot be read, or is no directory.
pub(super) fn open(state_dir: &Path) -> io::Result<OwnedFd> {
    let parts = || {
        let within = state_dir.parent()?;
        Some((within.parent()?, within.file_name()?, state_dir.file_name()?))
    };
    let (above, within, name) = parts().ok_or(io::ErrorKind::InvalidInput)?;
    let search = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let above = openat(CWD, above, search, Mode::empty())?;
    let within = openat(above, within, DIRECTORY | OFlags::PATH, Mode::empty())?;
    Ok(openat(within, name, DIRECTORY, Mode::empty())?)
}

/// Shows all that is below a directory: the directory that it is in, its name there, and what it is. `visit` says whether
/// to look into it, where it is a directory. What is gone by then is passed over.
///
/// # Errors
/// When there is more than a sink has use for, a directory cannot be looked into, or `visit` has failed.
pub(super) fn walk<E>(
    dir: OwnedFd,
    visit: &mut impl FnMut(BorrowedFd<'_>, &CStr, &Stat) -> Result<bool, E>,
) -> Result<(), Stopped<E>> {
    walk_below(dir, visit, &mut 0, 0)
}

fn walk_below<E>(
    dir: OwnedFd,
    visit: &mut impl FnMut(BorrowedFd<'_>, &CStr, &Stat) -> Result<bool, E>,
    files: &mut u64,
    depth: usize,
) -> Result<(), Stopped<E>> {
    if depth > MAX_DEPTH {
        return Err(Stopped::Deep);
    }
    let Ok(entries) = Dir::read_from(&dir) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let about = match statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(about) => about,
            Err(Errno::ACCESS) => return Err(Stopped::Closed),
            Err(_) => continue,
        };
        *files += 1;
        if *files > MAX_FILES {
            return Err(Stopped::Many);
        }
        let look_into = visit(dir.as_fd(), name, &about).map_err(Stopped::By)?;
        if look_into && FileType::from_raw_mode(about.st_mode) == FileType::Directory {
            match openat(&dir, name, DIRECTORY, Mode::empty()) {
                Ok(below) => walk_below(below, visit, files, depth + 1)?,
                Err(Errno::ACCESS) => return Err(Stopped::Closed),
                Err(_) => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names = Vec::new();
        let mut note = |_: BorrowedFd<'_>, name: &CStr, _: &Stat| {
            names.push(name.to_string_lossy().into_owned());
            Ok::<_, Infallible>(true)
        };
        walk(open(dir).unwrap(), &mut note).unwrap();
        names.sort_unstable();
        names
    }

    #[test]
    fn no_link_is_followed() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("sinks/mail/below")).unwrap();
        fs::create_dir_all(at("elsewhere/mail")).unwrap();
        fs::write(at("elsewhere/secret"), "").unwrap();
        symlink(at("elsewhere"), at("sinks/mail/link")).unwrap();
        assert_eq!(names(&at("sinks/mail")), ["below", "link"]);
        symlink(at("elsewhere"), at("sinks/siren")).unwrap();
        assert!(open(&at("sinks/siren")).is_err(), "the directory is a link");
        fs::rename(at("sinks"), at("away")).unwrap();
        symlink(at("elsewhere"), at("sinks")).unwrap();
        assert!(open(&at("sinks/mail")).is_err(), "the one above is a link");
    }

    #[test]
    fn many_files_and_deep_directories_end_it() {
        let root = tempfile::tempdir().unwrap();
        let end = |dir: &str| {
            let dir = open(&root.path().join("sinks").join(dir)).unwrap();
            walk(dir, &mut |_, _, _| Ok::<_, Infallible>(true))
        };
        let mut deep = root.path().join("sinks/deep");
        for _ in 0..=MAX_DEPTH {
            deep.push("d");
        }
        fs::create_dir_all(&deep).unwrap();
        assert_eq!(end("deep"), Err(Stopped::Deep));
        let many = root.path().join("sinks/many");
        fs::create_dir(&many).unwrap();
        for number in 0..=MAX_FILES {
            fs::File::create(many.join(number.to_string())).unwrap();
        }
        assert_eq!(end("many"), Err(Stopped::Many));
    }
}
