//! The names of the store's files.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::StoreError;

/// The files of one store. Knows what they are called, not what is in them.
#[derive(Clone, Debug)]
pub(crate) struct StorePaths {
    /// The data directory.
    pub(crate) dir: PathBuf,
}

impl StorePaths {
    pub(crate) fn database(&self) -> PathBuf {
        self.dir.join("watchpost.db")
    }

    /// A file that belongs to the database, as SQLite names it.
    pub(crate) fn companion(&self, suffix: &str) -> PathBuf {
        self.dir.join(format!("watchpost.db{suffix}"))
    }

    pub(crate) fn frames(&self) -> PathBuf {
        self.dir.join("frames")
    }

    /// What is armed and silenced, beside the database.
    pub(crate) fn standby(&self) -> PathBuf {
        self.dir.join("armed.json")
    }

    /// The same while it is being written.
    pub(crate) fn standby_draft(&self) -> PathBuf {
        self.dir.join("armed.json.new")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join("store.lock")
    }

    /// Its presence asks the next start to check the integrity of the whole database.
    pub(crate) fn suspicion(&self) -> PathBuf {
        self.dir.join("watchpost.db.suspect")
    }
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|e| StoreError::io("sync", dir, e))
}

/// Makes a directory, and its entry durable. It may exist.
pub(crate) fn make_dir(dir: &Path) -> Result<(), StoreError> {
    match fs::create_dir(dir) {
        Ok(()) => dir.parent().map_or(Ok(()), sync_dir),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(StoreError::io("make", dir, e)),
    }
}
