//! Which file lies at a path: whether it is the one that was read, another by the same name, or the same with other
//! contents.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{self, Path, PathBuf};

use crate::files;

/// A path, and the file that lay there at one time. The same path after its file was replaced, by renaming or by writing
/// over it, is not equal to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownFile {
    path: PathBuf,
    file: Option<FileIdentity>,
}

impl KnownFile {
    /// What lies at the path now, links followed. It blocks, and so do the questions below.
    pub fn now(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let file = FileIdentity::of(&path);
        Self { path, file }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a file lies there that is another by now, was written over, or was not there.
    pub fn is_changed(&self) -> bool {
        let now = FileIdentity::of(&self.path);
        now.is_some() && now != self.file
    }

    /// Whether a file lies there that is another by now, or was not there. One that was written over is the same.
    pub fn is_replaced(&self) -> bool {
        match (&self.file, FileIdentity::of(&self.path)) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(then), Some(now)) => !then.is_same_file(&now),
        }
    }
}

/// A file as it was at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FileIdentity {
    device: u64,
    inode: u64,
    /// In bytes.
    size: u64,
    /// In seconds since 1970, and nanoseconds.
    modified: (i64, i64),
}

impl FileIdentity {
    /// Whether both are one file, whatever has been written to it.
    fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// `None` when nothing lies at the path, or nothing that may be looked at.
    fn of(path: &Path) -> Option<Self> {
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
pub struct ConfigFiles(Vec<KnownFile>);

impl ConfigFiles {
    /// The main file and those in `conf.d` beside it, as they are now. They are the same however the path is written.
    pub fn now(main: &Path) -> Self {
        let main = path::absolute(main).unwrap_or_else(|_| main.to_owned());
        let files = files::list(&main).unwrap_or_else(|_| vec![main]);
        Self(files.into_iter().map(KnownFile::now).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_replaced_or_written_over_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plugin.so");
        let before = KnownFile::now(&path);
        assert!(!before.is_changed() && !before.is_replaced(), "there is none");
        fs::write(&path, "one").unwrap();
        assert!(before.is_changed() && before.is_replaced(), "it has appeared");
        let first = KnownFile::now(&path);
        assert_eq!(KnownFile::now(&path), first);
        assert!(!first.is_changed());
        fs::write(&path, "longer").unwrap();
        let second = KnownFile::now(&path);
        assert_ne!(second, first);
        assert!(first.is_changed() && !first.is_replaced(), "written over");
        fs::write(dir.path().join("new"), "longer").unwrap();
        fs::rename(dir.path().join("new"), &path).unwrap();
        assert_ne!(KnownFile::now(&path), second, "another file of the same size");
        assert!(second.is_changed() && second.is_replaced());
        fs::remove_file(&path).unwrap();
        assert!(
            !second.is_changed() && !second.is_replaced(),
            "what is gone is no other"
        );
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

    #[test]
    fn the_same_files_by_a_relative_path_have_not_changed() {
        let absolute = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let relative = Path::new("Cargo.toml");
        assert_eq!(ConfigFiles::now(relative), ConfigFiles::now(&absolute));
    }
}
