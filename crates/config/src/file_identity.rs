//! Which file lies at a path: whether it is the one that was read, another by the same name, or the same with other
//! contents.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::files;

/// A file as it was at one time. One that was replaced, by renaming or by writing over it, is not equal to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
    /// In bytes.
    size: u64,
    /// In seconds since 1970, and nanoseconds.
    modified: (i64, i64),
}

impl FileIdentity {
    /// Whether both are one file, whatever has been written to it.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// What lies at the path now, links followed; `None` when nothing does, or nothing that may be looked at.
    pub fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
        })
    }
}

/// The files that a configuration consists of, as they were at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFiles(Vec<(PathBuf, Option<FileIdentity>)>);

impl ConfigFiles {
    /// The main file and those in `conf.d` beside it, as they are now.
    pub fn now(main: &Path) -> Self {
        let files = files::list(main).unwrap_or_else(|_| vec![main.to_owned()]);
        let with_identity = |path: PathBuf| {
            let identity = FileIdentity::of(&path);
            (path, identity)
        };
        Self(files.into_iter().map(with_identity).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_replaced_or_written_over_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plugin.so");
        assert_eq!(FileIdentity::of(&path), None);
        fs::write(&path, "one").unwrap();
        let first = FileIdentity::of(&path);
        assert_eq!(FileIdentity::of(&path), first);
        fs::write(&path, "longer").unwrap();
        let second = FileIdentity::of(&path);
        assert_ne!(second, first);
        let same = |one: &Option<FileIdentity>, other: &Option<FileIdentity>| {
            one.as_ref().unwrap().is_same_file(other.as_ref().unwrap())
        };
        assert!(same(&first, &second));
        fs::write(dir.path().join("new"), "longer").unwrap();
        fs::rename(dir.path().join("new"), &path).unwrap();
        let third = FileIdentity::of(&path);
        assert_ne!(third, second, "another file of the same size");
        assert!(!same(&second, &third));
    }

    #[test]
    fn a_fragment_that_appears_changes_the_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let main = dir.path().join("watchpost.toml");
        fs::write(&main, "").unwrap();
        let before = ConfigFiles::now(&main);
        assert_eq!(ConfigFiles::now(&main), before);
        fs::create_dir(dir.path().join("conf.d")).unwrap();
        assert_eq!(ConfigFiles::now(&main), before);
        fs::write(dir.path().join("conf.d/10-mail.toml"), "").unwrap();
        assert_ne!(ConfigFiles::now(&main), before);
    }
}
