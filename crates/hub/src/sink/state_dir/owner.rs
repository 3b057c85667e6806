//! Whose a sink's directory is. A sink may get another user, of the configuration or an id that was free at this start, and
//! then everything that it keeps changes hands, before its process runs.

use std::ffi::CStr;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd as _, BorrowedFd};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid, chownat, fstat, openat};
use rustix::io::Errno;
use watchpost_sinkhost_client::sandbox::RunAs;

use super::{Stopped, open, walk};

/// What has changed hands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HandedOver {
    /// Files and directories that were another user's.
    pub(crate) given: u64,
    /// Files that were left as they are, for they have further names, which may be anywhere.
    pub(crate) shared: u64,
}

/// A sink's directory is not its user's.
#[derive(Debug, thiserror::Error)]
#[error("cannot give {} to user {uid}: {reason}", path.display())]
pub(crate) struct HandOverError {
    path: PathBuf,
    uid: u32,
    reason: String,
}

/// Gives a directory, with all that is in it and is another user's, to this one. Nothing outside of it changes hands,
/// whatever was put in there: links are given themselves and not followed, files with further names and other file systems
/// are left.
///
/// # Errors
/// When it cannot be given, or holds more than a sink may keep.
pub(crate) fn hand_over(state_dir: &Path, to: &RunAs) -> Result<HandedOver, HandOverError> {
    let failed = |reason: String| HandOverError {
        path: state_dir.to_owned(),
        uid: to.uid,
        reason,
    };
    let dir = open(state_dir).map_err(|error| failed(error.to_string()))?;
    let about = fstat(&dir).map_err(|error| failed(error.to_string()))?;
    let mut handed_over = HandedOver::default();
    if about.st_uid != to.uid {
        give(dir.as_fd(), to).map_err(|error| failed(error.to_string()))?;
        handed_over.given += 1;
    }
    let mut visit = |within: BorrowedFd<'_>, name: &CStr, _: &Stat| {
        let named = |error: Errno| failed(format!("{}: {}", name.to_string_lossy(), io::Error::from(error)));
        hand_over_one(within, name, about.st_dev, to, &mut handed_over).map_err(named)
    };
    match walk(dir, &mut visit) {
        Ok(()) => Ok(handed_over),
        Err(Stopped::By(error)) => Err(error),
        Err(too_much) => Err(failed(format!("it holds {too_much}"))),
    }
}

/// Gives one entry. Says whether to look into it.
fn hand_over_one(
    within: BorrowedFd<'_>,
    name: &CStr,
    device: u64,
    to: &RunAs,
    handed_over: &mut HandedOver,
) -> Result<bool, Errno> {
    // From here on it is this file, whatever becomes of its name.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match openat(within, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(false),
        Err(error) => return Err(error),
    };
    let about = fstat(&file)?;
    if about.st_dev != device {
        return Ok(false);
    }
    if about.st_uid == to.uid {
        return Ok(true);
    }
    if about.st_nlink > 1 && FileType::from_raw_mode(about.st_mode) != FileType::Directory {
        handed_over.shared += 1;
        return Ok(false);
    }
    give(file.as_fd(), to)?;
    handed_over.given += 1;
    Ok(true)
}

/// Gives what this descriptor is of, also where it is a link.
fn give(file: BorrowedFd<'_>, to: &RunAs) -> Result<(), Errno> {
    // The kernel takes the highest number for "leave it as it is".
    if to.uid == u32::MAX || to.gid == u32::MAX {
        return Err(Errno::INVAL);
    }
    let (uid, gid) = (Uid::from_raw(to.uid), Gid::from_raw(to.gid));
    chownat(file, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    const OTHER: RunAs = RunAs {
        uid: 61_300,
        gid: 61_300,
        groups: Vec::new(),
    };

    fn owner(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().uid()
    }

    /// As root everything changes hands, and nothing that is elsewhere; as another user nothing can.
    #[test]
    fn all_that_is_in_it_changes_hands_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("sinks/mail/below")).unwrap();
        fs::create_dir(at("elsewhere")).unwrap();
        for file in [
            "elsewhere/victim",
            "elsewhere/linked",
            "sinks/mail/kept",
            "sinks/mail/below/kept",
        ] {
            fs::write(at(file), file).unwrap();
        }
        symlink(at("elsewhere"), at("sinks/mail/folder")).unwrap();
        symlink(at("elsewhere/victim"), at("sinks/mail/below/file")).unwrap();
        fs::hard_link(at("elsewhere/linked"), at("sinks/mail/linked")).unwrap();
        let before = owner(root.path());
        let handed_over = hand_over(&at("sinks/mail"), &OTHER);
        if before != 0 {
            let said = handed_over.unwrap_err().to_string();
            assert!(
                said.starts_with("cannot give ") && said.contains("to user 61300"),
                "{said}"
            );
            return;
        }
        assert_eq!(handed_over.unwrap(), HandedOver { given: 6, shared: 1 });
        for mine in ["", "/kept", "/below", "/below/kept", "/folder", "/below/file"] {
            assert_eq!(owner(&at(&format!("sinks/mail{mine}"))), OTHER.uid, "{mine}");
        }
        for others in [
            "sinks",
            "sinks/mail/linked",
            "elsewhere",
            "elsewhere/victim",
            "elsewhere/linked",
        ] {
            assert_eq!(owner(&at(others)), before, "{others}");
        }
        assert_eq!(
            hand_over(&at("sinks/mail"), &OTHER).unwrap(),
            HandedOver { given: 0, shared: 1 }
        );
    }

    #[test]
    fn a_directory_that_is_a_link_is_given_to_no_one() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir(at("elsewhere")).unwrap();
        fs::create_dir(at("sinks")).unwrap();
        symlink(at("elsewhere"), at("sinks/mail")).unwrap();
        assert!(hand_over(&at("sinks/mail"), &OTHER).is_err());
        assert_eq!(owner(&at("elsewhere")), owner(root.path()));
    }

    #[test]
    fn the_number_that_is_no_user_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let none = RunAs {
            uid: u32::MAX,
            ..OTHER
        };
        let dir = root.path().join("sinks/mail");
        fs::create_dir_all(&dir).unwrap();
        assert!(hand_over(&dir, &none).is_err());
    }
}
