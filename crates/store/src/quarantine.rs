//! Quarantine: what cannot be read is renamed and kept, so that a new store can be begun in its place.

use std::fs;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use time::macros::format_description;

use crate::StoreError;
use crate::paths::{StorePaths, sync_dir};

/// A database that was quarantined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its new name. Its other files and the frame log were renamed likewise.
    pub path: PathBuf,
    /// What was wrong with it.
    pub why: String,
}

/// Quarantines the database, for this reason.
pub(crate) fn quarantine(paths: &StorePaths, why: &StoreError) -> Result<Quarantined, StoreError> {
    Ok(Quarantined {
        path: rename_all(paths)?,
        why: why.to_string(),
    })
}

/// Renames the database with all that belongs to it. The database itself goes last, so that a start that
/// is cut short here meets it again.
fn rename_all(paths: &StorePaths) -> Result<PathBuf, StoreError> {
    let mark = mark(&paths.dir, "corrupt");
    rename(&paths.frames(), &paths.dir.join(format!("frames.{mark}")))?;
    let kept = paths.companion(&format!(".{mark}"));
    for suffix in ["-wal", "-shm"] {
        rename(
            &paths.companion(suffix),
            &paths.companion(&format!(".{mark}{suffix}")),
        )?;
    }
    rename(&paths.suspicion(), &paths.companion(&format!(".{mark}.why")))?;
    rename(&paths.database(), &kept)?;
    sync_dir(&paths.dir)?;
    Ok(kept)
}

/// Quarantines pictures without a database: they are still pictures of people.
pub(crate) fn quarantine_orphans(paths: &StorePaths) -> Result<Option<Quarantined>, StoreError> {
    let frames = paths.frames();
    if !fs::read_dir(&frames).is_ok_and(|mut files| files.next().is_some()) {
        return Ok(None);
    }
    let path = paths.dir.join(format!("frames.{}", mark(&paths.dir, "orphaned")));
    rename(&frames, &path)?;
    sync_dir(&paths.dir)?;
    let why = format!(
        "{} had disappeared, and only its pictures were left.",
        paths.database().display()
    );
    Ok(Some(Quarantined { path, why }))
}

/// The end of a name that nothing has yet, such as `corrupt-20261123T011630Z`.
fn mark(dir: &Path, word: &str) -> String {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    #[allow(
        clippy::disallowed_methods,
        reason = "it only names a file, and no test depends on it"
    )]
    let now = OffsetDateTime::now_utc().format(format).unwrap_or_default();
    let taken = |mark: &str| {
        ["watchpost.db.", "frames."]
            .iter()
            .any(|stem| dir.join(format!("{stem}{mark}")).exists())
    };
    let mut mark = format!("{word}-{now}");
    let mut count = 1;
    while taken(&mark) {
        count += 1;
        mark = format!("{word}-{now}-{count}");
    }
    mark
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    match fs::rename(from, to) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("rename", from, e)),
        _ => Ok(()),
    }
}
