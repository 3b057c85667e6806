//! The directories that the hub and its sinks keep their files in: made where they are missing, private to the hub's user.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use watchpost_config::Settings;

use crate::blueprint::Blueprint;

/// What others than the owner may do.
const OTHERS: u32 = 0o077;
/// Who is neither the owner nor in the group may pass through a directory, without seeing what is in it.
const PASS: u32 = 0o001;

/// A directory cannot be made, or used.
#[derive(Debug, thiserror::Error)]
pub enum NoDirectory {
    /// It cannot be made.
    #[error("cannot make the directory {}: {source}. It must be writable for the hub's user.", path.display())]
    Make {
        /// Which.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// Users of sinks cannot be let through.
    #[error("cannot let the users of sinks through {} (`chmod o+x`): {source}", path.display())]
    Pass {
        /// Which.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

/// Makes what this hub needs. What a sink with a user of its own keeps lies below what is the hub's: it is let through
/// there.
pub(crate) fn make_directories(blueprint: &Blueprint) -> Result<(), NoDirectory> {
    let data_dir = &blueprint.settings.hub.data_dir;
    make_directory(data_dir)?;
    for sink in &blueprint.sinks {
        make_directory(&sink.state_dir)?;
    }
    make_granted(&blueprint.settings);
    let others = blueprint
        .sinks
        .iter()
        .filter(|sink| sink.settings.sandbox.user.is_some());
    // Above each is the one for all sinks, and above that the hub's own.
    let above = others.flat_map(|sink| sink.state_dir.ancestors().skip(1).take(2));
    for dir in above.collect::<std::collections::BTreeSet<_>>() {
        let_through(dir).map_err(|source| NoDirectory::Pass {
            path: dir.to_owned(),
            source,
        })?;
    }
    Ok(())
}

/// Makes the directories that sinks are granted within the hub's own; elsewhere a missing one may be a disk that is not
/// there, and must not be made in its place.
fn make_granted(settings: &Settings) {
    let granted = settings.sink.iter().flat_map(|sink| &sink.sandbox.write);
    let ours = |path: &&PathBuf| path.starts_with(&settings.hub.data_dir) && !path.exists();
    for path in granted.filter(ours) {
        // What cannot be made keeps the sink from starting, which says so.
        let _ = make_directory(path);
    }
}

fn make_directory(path: &Path) -> Result<(), NoDirectory> {
    // Pictures of people are in there.
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| NoDirectory::Make {
        path: path.to_owned(),
        source,
    })
}

/// Lets other users pass through a directory of which they see nothing else: what is in it and relied on its being closed
/// is closed itself. One that someone has opened in part is left as it is.
fn let_through(dir: &Path) -> io::Result<()> {
    let opened = open(dir)?;
    let mode = opened.metadata()?.permissions().mode();
    if mode & OTHERS != 0 {
        return Ok(());
    }
    for entry in fs::read_dir(dir)?.flatten() {
        // No one else can use a socket or a link that is not theirs. Directories of sinks are closed, or theirs.
        let Ok(file) = open(&entry.path()) else { continue };
        let mode = file.metadata()?.permissions().mode();
        if mode & OTHERS != 0 {
            file.set_permissions(Permissions::from_mode(mode & !OTHERS & 0o7777))?;
        }
    }
    opened.set_permissions(Permissions::from_mode((mode | PASS) & 0o7777))
}

/// Opens a file or a directory, and no link, nor waits for who is at the other end.
fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn who_passes_through_reaches_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let (dir, outside) = (root.path().join("data"), root.path().join("outside"));
        fs::create_dir_all(dir.join("frames")).unwrap();
        for file in [&dir.join("database"), &dir.join("frames/1"), &outside] {
            fs::write(file, "").unwrap();
            set(file, 0o644);
        }
        symlink(&outside, dir.join("link")).unwrap();
        set(&dir, 0o700);
        let_through(&dir).unwrap();
        assert_eq!(mode(&dir), 0o701);
        assert_eq!(mode(&dir.join("database")), 0o600);
        assert_eq!(mode(&dir.join("frames")), 0o700);
        assert_eq!(mode(&outside), 0o644);
    }

    #[test]
    fn what_was_open_in_part_stays_so() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("data");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("database"), "").unwrap();
        set(&dir.join("database"), 0o640);
        set(&dir, 0o750);
        let_through(&dir).unwrap();
        assert_eq!((mode(&dir), mode(&dir.join("database"))), (0o750, 0o640));
    }
}
