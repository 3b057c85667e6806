//! Opening the store: the lock, the database, what to do with one that cannot be read.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};
use time::OffsetDateTime;
use time::macros::format_description;
use watchpost_core::AlertId;

use crate::frames::{FrameLog, Head, numbers_in};
use crate::names::Names;
use crate::place::{Place, make_dir, sync_dir};
use crate::retention::Sweep;
use crate::store::id;
use crate::{Store, StoreError, StoreOptions, schema};

/// Largest database that is looked through after an unclean end, in bytes: reading it takes at most
/// some 30 ms. A larger one is looked through only when damage was met while it was in use.
const MAX_CHECKED_BYTES: u64 = 16 << 20;

/// What was found when the store was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenReport {
    /// How it began.
    pub beginning: Beginning,
    /// The schema that was found; 0 for a new database.
    pub schema_from: u32,
    /// The schema that it has now.
    pub schema_to: u32,
    /// What could not be read and was put aside, to begin anew.
    pub set_aside: Option<SetAside>,
    /// Files of the frame log that alerts refer to and that are not there.
    pub missing_files: usize,
    /// The greatest id in the store.
    pub last_id: Option<AlertId>,
    /// Pending deliveries of all sinks.
    pub pending: u64,
}

/// How the store began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// There was none.
    Created,
    /// It had been closed properly.
    Clean,
    /// It had not, so SQLite recovered what was committed. Everything in the frame log behind the last
    /// committed picture is free again.
    Recovered,
}

/// A database that was put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Its new name. Its other files and the frame log were renamed likewise.
    pub path: PathBuf,
    /// What was wrong with it.
    pub why: String,
}

impl OpenReport {
    /// What an operator should be told, in sentences; `None` when all is well.
    pub fn remarkable(&self) -> Option<String> {
        let mut told = Vec::new();
        if let Some(SetAside { path, why }) = &self.set_aside {
            told.push(format!(
                "The store could not be read and a new one was begun: {why} The old one is kept as {}, with its pictures beside it.",
                path.display()
            ));
        }
        if self.missing_files > 0 {
            told.push(format!(
                "{} files with pictures have disappeared from the frame log; their alerts are still there.",
                self.missing_files
            ));
        }
        if self.schema_from != 0 && self.schema_from != self.schema_to {
            told.push(format!(
                "The store was brought from schema {} to {}.",
                self.schema_from, self.schema_to
            ));
        }
        if self.beginning == Beginning::Recovered && self.set_aside.is_none() {
            told.push(
                "The store was not closed properly last time; everything committed is there.".to_owned(),
            );
        }
        if told.is_empty() {
            None
        } else {
            Some(told.join(" "))
        }
    }
}

pub(crate) fn open(options: StoreOptions) -> Result<(Store, OpenReport), StoreError> {
    let place = Place {
        dir: options.dir.clone(),
    };
    fs::create_dir_all(&place.dir).map_err(|e| StoreError::io("make", &place.dir, e))?;
    let lock = lock(&place)?;
    open_locked(options, place, lock, None)
}

/// Opens the store whose lock is held. With `ruin` it is known to be beyond use and put aside unseen.
pub(crate) fn open_locked(
    options: StoreOptions,
    place: Place,
    lock: File,
    ruin: Option<&StoreError>,
) -> Result<(Store, OpenReport), StoreError> {
    let aside = |why: &StoreError| -> Result<SetAside, StoreError> {
        let why = why.to_string();
        Ok(SetAside {
            path: put_aside(&place)?,
            why,
        })
    };
    let mut set_aside = ruin.map(aside).transpose()?;
    let opened = match Opened::open(&place) {
        Err(e) if e.is_ruin() => {
            set_aside = Some(aside(&e)?);
            Opened::open(&place)?
        }
        outcome => outcome?,
    };
    if opened.beginning == Beginning::Created && set_aside.is_none() {
        set_aside = put_orphans_aside(&place)?;
    }
    make_dir(&place.frames())?;
    let frames = FrameLog::open(
        place.frames(),
        options.effective_segment_size(),
        opened.head,
        &opened.used,
    )?;
    let found: BTreeSet<i64> = numbers_in(&place.frames())
        .map_err(|e| StoreError::io("list", &place.frames(), e))?
        .into_iter()
        .collect();
    let report = OpenReport {
        beginning: opened.beginning,
        schema_from: opened.schema_from,
        schema_to: schema::newest(),
        set_aside,
        missing_files: opened.used.difference(&found).count(),
        last_id: (opened.last_id > 0).then(|| id(opened.last_id)),
        pending: opened.pending,
    };
    let store = Store {
        db: opened.db,
        frames,
        connections: opened.connections,
        sinks: opened.sinks,
        place,
        options,
        last_id: opened.last_id,
        cleared_through: opened.cleared_through,
        sweep: Sweep::default(),
        _lock: lock,
    };
    Ok((store, report))
}

/// A database in the newest schema, and what has to be known of it.
struct Opened {
    db: Connection,
    beginning: Beginning,
    schema_from: u32,
    connections: Names,
    sinks: Names,
    head: Option<Head>,
    used: BTreeSet<i64>,
    last_id: i64,
    cleared_through: i64,
    pending: u64,
}

impl Opened {
    fn open(place: &Place) -> Result<Self, StoreError> {
        let path = place.database();
        let sql = |e| StoreError::database("open", &path, e);
        create_file(place)?;
        let unclean = fs::metadata(place.companion("-wal")).is_ok_and(|wal| wal.len() > 0);
        let (mut db, schema_from) = schema::open(&path)?;
        let suspicious = place.suspicion().exists();
        let size = fs::metadata(&path).map_or(0, |file| file.len());
        if suspicious || unclean && size <= MAX_CHECKED_BYTES {
            look_through(&db, &path)?;
        }
        schema::migrate(&mut db, schema_from).map_err(sql)?;
        if suspicious {
            fs::remove_file(place.suspicion())
                .map_err(|e| StoreError::io("remove", &place.suspicion(), e))?;
        }
        let beginning = match schema_from {
            0 => Beginning::Created,
            _ if unclean => Beginning::Recovered,
            _ => Beginning::Clean,
        };
        Self::load(db, beginning, schema_from).map_err(sql)
    }

    fn load(db: Connection, beginning: Beginning, schema_from: u32) -> rusqlite::Result<Self> {
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
            beginning,
            schema_from,
            connections: Names::load(&db, "connection")?,
            sinks: Names::load(&db, "sink")?,
            head,
            used,
            last_id: number("SELECT coalesce(max(id), 0) FROM alert")?,
            cleared_through: number("SELECT cleared_through FROM live")?,
            pending: u64::try_from(number("SELECT coalesce(sum(pending), 0) FROM sink")?).unwrap_or(0),
            db,
        })
    }
}

/// Takes the lock that keeps a second hub away, and writes into it who holds it.
fn lock(place: &Place) -> Result<File, StoreError> {
    let path = place.lock();
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
            let told = file
                .set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| write!(file, "{}", std::process::id()));
            told.or_else(|e| {
                if e.kind() == std::io::ErrorKind::StorageFull {
                    Ok(())
                } else {
                    Err(e)
                }
            })
            .map_err(fail("write"))?;
            Ok(file)
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
                path: place.dir.clone(),
                by,
            })
        }
        Err(TryLockError::Error(e)) => Err(fail("lock")(e)),
    }
}

/// Makes the database's file, or sees that it can be written. SQLite would hide the reason.
fn create_file(place: &Place) -> Result<(), StoreError> {
    let path = place.database();
    let is_new = !path.exists();
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|e| StoreError::io("open", &path, e))?;
    if is_new { sync_dir(&place.dir) } else { Ok(()) }
}

fn look_through(db: &Connection, path: &Path) -> Result<(), StoreError> {
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

/// Renames the database with all that belongs to it. The database itself goes last, so that a start that
/// is cut short here meets it again.
fn put_aside(place: &Place) -> Result<PathBuf, StoreError> {
    let mark = mark(&place.dir, "corrupt");
    rename(&place.frames(), &place.dir.join(format!("frames.{mark}")))?;
    let kept = place.companion(&format!(".{mark}"));
    for suffix in ["-wal", "-shm"] {
        rename(
            &place.companion(suffix),
            &place.companion(&format!(".{mark}{suffix}")),
        )?;
    }
    rename(&place.suspicion(), &place.companion(&format!(".{mark}.why")))?;
    rename(&place.database(), &kept)?;
    sync_dir(&place.dir)?;
    Ok(kept)
}

/// Pictures without a database are somebody's pictures still.
fn put_orphans_aside(place: &Place) -> Result<Option<SetAside>, StoreError> {
    let frames = place.frames();
    if !fs::read_dir(&frames).is_ok_and(|mut files| files.next().is_some()) {
        return Ok(None);
    }
    let path = place.dir.join(format!("frames.{}", mark(&place.dir, "orphaned")));
    rename(&frames, &path)?;
    sync_dir(&place.dir)?;
    let why = format!(
        "{} had disappeared, and only its pictures were left.",
        place.database().display()
    );
    Ok(Some(SetAside { path, why }))
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
