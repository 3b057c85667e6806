//! What can go wrong with the store as a whole, in kinds that a caller can act on.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rusqlite::ffi;
use rustix::io::Errno;

/// A disk with less room than this is taken to be full when SQLite says only that it could not write.
const FULL_BELOW_BYTES: u64 = 1 << 20;

/// Why the store could not be opened, read or written.
///
/// After any of these the same store can be used again: what failed left nothing behind.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk, or the user's quota, is full. It works again when there is room.
    #[error("no space left to {doing} {}. Free some space on that disk, or let the store keep less.", path.display())]
    Full {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
    },
    /// The file system does not let us, by its permissions or because it is mounted read-only.
    #[error("not allowed to {doing} {}: {why}. It must be writable for the user that runs the hub.", path.display())]
    Denied {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The database is damaged. To open it again checks it and quarantines it.
    #[error("{} is damaged: {what}. The hub keeps the damaged file under another name and begins a new one.", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What SQLite found.
        what: String,
    },
    /// It is a good database, but of another program.
    #[error("{} is a database of another program (application id {application_id:#x}). Move it away or choose another data directory.", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
        /// What it says it is.
        application_id: i32,
    },
    /// The database was written by a newer release.
    #[error("{} has schema {found}, and this release knows schemas up to {known}. Run the newer release that wrote it, or restore a backup.", path.display())]
    TooNew {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest schema known here.
        known: u32,
    },
    /// Another process has it.
    #[error("{} is in use by {by}. Stop that process, or give each hub a data directory of its own.", path.display())]
    Locked {
        /// The data directory or the database.
        path: PathBuf,
        /// By whom, as far as known.
        by: String,
    },
    /// A picture is too large for the frame log.
    #[error("a picture of {bytes} bytes cannot be stored: the limit is 4 GiB")]
    FrameTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// An alert could not be turned into its stored form or back.
    #[error(
        "the stored form of alert {alert} is not right: {source}. It was written by another release or damaged."
    )]
    Document {
        /// Its id.
        alert: u64,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The system failed otherwise.
    #[error("cannot {doing} {}: {source}. If it happens again, look into the system's log for the health of that disk.", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite failed otherwise.
    #[error("cannot {doing} {}: {source}. If it happens again, look into the system's log for the health of that disk.", path.display())]
    Database {
        /// What was being done.
        doing: &'static str,
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// Sorts an error of the system.
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match Errno::from_io_error(&source) {
            Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => Self::Full { doing, path },
            Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Self::Denied {
                doing,
                path,
                why: source.to_string(),
            },
            _ => Self::Io { doing, path, source },
        }
    }

    /// Sorts an error of SQLite.
    pub(crate) fn database(doing: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        let file = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { doing, path: file },
            Some(ErrorCode::SystemIoFailure) if is_full(path) => Self::Full { doing, path: file },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::Denied {
                doing,
                path: file,
                why: source.to_string(),
            },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt {
                path: file,
                what: source.to_string(),
            },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked {
                path: file,
                by: "another program, which locks the database".into(),
            },
            _ => Self::Database {
                doing,
                path: file,
                source,
            },
        }
    }

    /// Whether it may pass by itself, or when the operator frees space, mounts a disk or stops another program.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Full { .. }
            | Self::Denied { .. }
            | Self::Corrupt { .. }
            | Self::Locked { .. }
            | Self::Io { .. } => true,
            Self::Database { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory | ErrorCode::CannotOpen)
            ),
            Self::Foreign { .. }
            | Self::TooNew { .. }
            | Self::FrameTooLarge { .. }
            | Self::Document { .. } => false,
        }
    }

    /// Whether the database is damaged, so that a new one must be begun.
    pub fn is_corruption(&self) -> bool {
        match self {
            Self::Corrupt { .. } => true,
            Self::Database {
                source: rusqlite::Error::SqliteFailure(e, _),
                ..
            } => matches!(
                e.extended_code,
                ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS
            ),
            _ => false,
        }
    }
}

/// SQLite reports a full disk found out while syncing or mapping as an I/O error without its cause.
fn is_full(path: &Path) -> bool {
    let dir = path.parent().unwrap_or(path);
    rustix::fs::statvfs(dir).is_ok_and(|fs| fs.f_bavail.saturating_mul(fs.f_frsize) < FULL_BELOW_BYTES)
}

/// Why a transaction failed, before it is known what it was for.
#[derive(Debug)]
pub(crate) enum Failed {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl Failed {
    /// Says what was being done, to which database.
    pub(crate) fn at(self, doing: &'static str, database: &Path) -> StoreError {
        match self {
            Self::Sql(e) => StoreError::database(doing, database, e),
            Self::Store(e) => e,
        }
    }
}

impl From<rusqlite::Error> for Failed {
    fn from(e: rusqlite::Error) -> Self {
        Self::Sql(e)
    }
}

impl From<StoreError> for Failed {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}
