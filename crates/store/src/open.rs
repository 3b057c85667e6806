//! Opening the store: the lock, the database, what to do with one that cannot be read.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use tracing::warn;
use watchpost_core::{AlertId, RoutingState};

use crate::codec::id;
use crate::commit::Watermarks;
use crate::frames::{FrameLog, Head, numbers_in};
use crate::names::Names;
use crate::paths::{StorePaths, make_dir, sync_dir};
use crate::quarantine::{Quarantined, quarantine, quarantine_orphans};
use crate::standby::{self, Standby};
use crate::{StoreError, StoreOptions, routing, schema};

/// Largest database that is checked after an unclean end, in bytes: reading it takes at most
/// some 30 ms. A larger one is checked only when damage was met while it was in use.
const MAX_CHECKED_BYTES: u64 = 16 << 20;

/// What was found when the store was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenReport {
    /// How it was found.
    pub kind: OpenKind,
    /// The schema that was found; 0 for a new database.
    pub schema_from: u32,
    /// The schema that it has now.
    pub schema_to: u32,
    /// What could not be read and was quarantined, so that a new store was begun.
    pub quarantined: Option<Quarantined>,
    /// Files of the frame log that alerts refer to and that are not there.
    pub missing_files: usize,
    /// The greatest id in the store.
    pub last_id: Option<AlertId>,
    /// Pending deliveries of all sinks.
    pub pending: u64,
    /// What became of what was armed and silenced.
    pub armed: Armed,
}

/// What became of what was armed and silenced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Armed {
    /// The database has it; or there is nothing that says that there ever was any, and areas are what their policy says.
    #[default]
    Known,
    /// The database was lost, and it came back from the file beside it.
    Restored,
    /// The database was lost, and the file cannot be read.
    Lost,
}

/// How the store was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenKind {
    /// There was none.
    Created,
    /// It had been closed properly.
    Clean,
    /// It had not, so SQLite recovered what was committed. Everything in the frame log behind the last
    /// committed picture is free again.
    Recovered,
}

impl OpenReport {
    /// What an operator should know, in sentences; `None` when all is well.
    pub fn summary(&self) -> Option<String> {
        let mut sentences = Vec::new();
        if let Some(Quarantined { path, why }) = &self.quarantined {
            sentences.push(format!(
                "The store could not be read and a new one was begun: {why} The old one is kept as {}, with its pictures beside it.",
                path.display()
            ));
        }
        match self.armed {
            Armed::Known => {}
            Armed::Restored => sentences.push("What was armed and silenced is as it was.".to_owned()),
            Armed::Lost => sentences.push("What was armed and silenced is not known any more.".to_owned()),
        }
        if self.missing_files > 0 {
            sentences.push(format!(
                "{} files with pictures have disappeared from the frame log; their alerts are still there.",
                self.missing_files
            ));
        }
        if self.schema_from != 0 && self.schema_from != self.schema_to {
            sentences.push(format!(
                "The store was brought from schema {} to {}.",
                self.schema_from, self.schema_to
            ));
        }
        if self.kind == OpenKind::Recovered && self.quarantined.is_none() {
            sentences.push(
                "The store was not closed properly last time; everything committed is there.".to_owned(),
            );
        }
        (!sentences.is_empty()).then(|| sentences.join(" "))
    }
}

/// What an open store is made of.
pub(crate) struct Opened {
    pub(crate) db: Connection,
    pub(crate) frames: FrameLog,
    pub(crate) names: Names,
    pub(crate) marks: Watermarks,
    pub(crate) routing: RoutingState,
    pub(crate) standby: Standby,
    pub(crate) report: OpenReport,
}

/// Opens the store whose lock is held. With `corruption` it is known to be damaged and quarantined unseen. `known` is what a hub
/// that runs knows of what is armed and silenced.
pub(crate) fn open(
    paths: &StorePaths,
    options: &StoreOptions,
    corruption: Option<&StoreError>,
    known: Option<&RoutingState>,
) -> Result<Opened, StoreError> {
    let mut quarantined = corruption.map(|why| quarantine(paths, why)).transpose()?;
    let mut database = match Database::open(paths, options) {
        Err(e) if e.is_corruption() => {
            quarantined = Some(quarantine(paths, &e)?);
            Database::open(paths, options)?
        }
        outcome => outcome?,
    };
    if database.kind == OpenKind::Created && quarantined.is_none() {
        quarantined = quarantine_orphans(paths)?;
    }
    // A hub that runs has known all the time whether its connections are up.
    if known.is_none() {
        database.routing.set_restored();
    }
    let (armed, standby) = remember(paths, &mut database, quarantined.is_some(), known)?;
    make_dir(&paths.frames())?;
    let segment_size = options.effective_segment_size();
    let frames = FrameLog::open(paths.frames(), segment_size, database.head, &database.used)?;
    let found: BTreeSet<i64> = numbers_in(&paths.frames())
        .map_err(|e| StoreError::io("list", &paths.frames(), e))?
        .into_iter()
        .collect();
    let report = OpenReport {
        kind: database.kind,
        schema_from: database.schema_from,
        schema_to: schema::newest(),
        quarantined,
        missing_files: database.used.difference(&found).count(),
        last_id: (database.marks.last_id > 0).then(|| id(database.marks.last_id)),
        pending: database.pending,
        armed,
    };
    Ok(Opened {
        db: database.db,
        frames,
        names: database.names,
        marks: database.marks,
        routing: database.routing,
        standby,
        report,
    })
}

/// Has a database that knows nothing of it remember what was armed and silenced. It is a new one, or one whose first start was
/// cut short before this.
fn remember(
    paths: &StorePaths,
    database: &mut Database,
    replaced: bool,
    known: Option<&RoutingState>,
) -> Result<(Armed, Standby), StoreError> {
    let nothing = RoutingState::default();
    let found = standby::read(paths);
    let standby = Standby::holding(found.as_ref().ok().and_then(Option::as_ref).unwrap_or(&nothing));
    if database.routing.outline() != nothing {
        return Ok((Armed::Known, standby));
    }
    let armed = match known.map_or(found, |known| Ok(Some(known.to_keep()))) {
        Ok(Some(kept)) if kept != nothing => {
            (database.routing.areas, database.routing.silences) = (kept.areas, kept.silences);
            Armed::Restored
        }
        // Where nothing was ever armed and silenced there is no file either.
        Ok(None) if replaced => {
            database.routing.set_lost();
            Armed::Known
        }
        Err(why) if replaced || database.kind == OpenKind::Created => {
            warn!("{} cannot be read: {why}", paths.standby().display());
            database.routing.set_lost();
            Armed::Lost
        }
        _ => return Ok((Armed::Known, standby)),
    };
    routing::write(&database.db, &database.routing)
        .map_err(|e| StoreError::database("write", &paths.database(), e))?;
    Ok((armed, standby))
}

/// A database in the newest schema, and what has to be known of it.
struct Database {
    db: Connection,
    kind: OpenKind,
    schema_from: u32,
    names: Names,
    head: Option<Head>,
    used: BTreeSet<i64>,
    marks: Watermarks,
    routing: RoutingState,
    pending: u64,
}

impl Database {
    fn open(paths: &StorePaths, options: &StoreOptions) -> Result<Self, StoreError> {
        let path = paths.database();
        let sql = |e| StoreError::database("open", &path, e);
        create_file(paths)?;
        let unclean = fs::metadata(paths.companion("-wal")).is_ok_and(|wal| wal.len() > 0);
        let (mut db, schema_from) = schema::open(&path)?;
        let suspicious = paths.suspicion().exists();
        let size = fs::metadata(&path).map_or(0, |file| file.len());
        if suspicious || unclean && size <= MAX_CHECKED_BYTES {
            check_integrity(&db, &path)?;
        }
        schema::migrate(&mut db, schema_from, &options.cancel_on_acknowledge).map_err(sql)?;
        if suspicious {
            fs::remove_file(paths.suspicion())
                .map_err(|e| StoreError::io("remove", &paths.suspicion(), e))?;
        }
        let kind = match schema_from {
            0 => OpenKind::Created,
            _ if unclean => OpenKind::Recovered,
            _ => OpenKind::Clean,
        };
        Self::load(db, kind, schema_from).map_err(sql)
    }

    fn load(db: Connection, kind: OpenKind, schema_from: u32) -> rusqlite::Result<Self> {
        let number = |sql| db.query_row(sql, [], |row| row.get::<_, i64>(0));
        let head = db
            .query_row(
                "SELECT number, size, head FROM segment WHERE number > 0 ORDER BY number DESC LIMIT 1",
                [],
                |row| {
                    let bytes = |column| {
                        row.get(column)
                            .map(|bytes: i64| u64::try_from(bytes).unwrap_or(0))
                    };
                    Ok(Head {
                        number: row.get(0)?,
                        size: bytes(1)?,
                        offset: bytes(2)?,
                    })
                },
            )
            .optional()?;
        let used = db
            .prepare("SELECT number FROM segment WHERE number > 0")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok(Self {
            kind,
            schema_from,
            names: Names::load(&db)?,
            routing: routing::load(&db)?,
            head,
            used,
            marks: Watermarks {
                last_id: number("SELECT coalesce(max(id), 0) FROM alert")?,
                cleared_through: number("SELECT cleared_through FROM live")?,
            },
            pending: u64::try_from(number("SELECT coalesce(sum(pending), 0) FROM sink")?).unwrap_or(0),
            db,
        })
    }
}

/// The lock that keeps a second hub away, held until this is dropped.
#[derive(Debug)]
pub(crate) struct StoreLock(File);

impl Drop for StoreLock {
    fn drop(&mut self) {
        // To close the file is not enough: a child that is just being started has it too, until it runs its program.
        let _ = self.0.unlock();
    }
}

/// Takes the lock, and writes into it who holds it.
pub(crate) fn lock(paths: &StorePaths) -> Result<StoreLock, StoreError> {
    let path = paths.lock();
    let fail = |doing| {
        let path = path.clone();
        move |e| StoreError::io(doing, &path, e)
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(fail("open"))?;
    match file.try_lock() {
        Ok(()) => {
            // Only for the message below: the lock itself is in the kernel and ends with the process.
            let written = file
                .set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| write!(file, "{}", std::process::id()));
            written
                .or_else(|e| {
                    if e.kind() == std::io::ErrorKind::StorageFull {
                        Ok(())
                    } else {
                        Err(e)
                    }
                })
                .map_err(fail("write"))?;
            Ok(StoreLock(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            let by = if pid.is_empty() {
                "another process".to_owned()
            } else {
                format!("process {pid}")
            };
            Err(StoreError::Locked {
                path: paths.dir.clone(),
                by,
            })
        }
        Err(TryLockError::Error(e)) => Err(fail("lock")(e)),
    }
}

/// Makes the database's file, or checks that it can be written. SQLite would hide the reason.
fn create_file(paths: &StorePaths) -> Result<(), StoreError> {
    let path = paths.database();
    let is_new = !path.exists();
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|e| StoreError::io("open", &path, e))?;
    if is_new { sync_dir(&paths.dir) } else { Ok(()) }
}

fn check_integrity(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let verdict: String = db
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|e| StoreError::database("check", path, e))?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(StoreError::Corrupt {
        path: path.to_owned(),
        what: verdict,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_was_closed_can_be_opened_though_a_new_child_still_has_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let paths = StorePaths {
            dir: dir.path().to_owned(),
        };
        let first = lock(&paths).unwrap();
        let of_the_child = first.0.try_clone().unwrap();
        assert!(matches!(lock(&paths), Err(StoreError::Locked { .. })));
        drop(first);
        let second = lock(&paths).unwrap();
        drop(of_the_child);
        assert!(matches!(lock(&paths), Err(StoreError::Locked { .. })));
        drop(second);
    }
}
