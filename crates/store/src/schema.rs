//! The schema of the database and the way to it from every released one.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::StoreError;

/// Says that a database is ours: `WPST` in ASCII.
const APPLICATION_ID: i32 = 0x5750_5354;

/// Migration number n (from 1) leads from schema n-1 to schema n. A released one never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001.sql"),
    include_str!("../migrations/0002.sql"),
    include_str!("../migrations/0003.sql"),
];

/// The schema in which a delivery says itself whether an acknowledgement cancels it.
const ROWS_SAY_WHAT_CANCELS: u32 = 3;

/// Size of a page of the database, in bytes. It is what one changed row costs in the write-ahead log, so
/// it is the disk's own block and no larger.
const PAGE_BYTES: u32 = 4096;

/// Pages in the write-ahead log after which they are moved to the database: 16 MiB. Most of them are the
/// same few pages over and over, and a move costs two syncs, so it is done rarely.
const CHECKPOINT_PAGES: u32 = 4_000;

/// Memory for pages of a writing connection, in KiB.
const WRITER_CACHE_KIB: i64 = 2_048;

/// Memory for pages of a reading connection, in KiB. There is one a sink.
const READER_CACHE_KIB: i64 = 512;

/// How long to wait for another program that has locked the database, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements kept prepared on each connection: more than there are.
const STATEMENTS: usize = 128;

/// The newest schema known.
pub(crate) fn newest() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// Opens a database for writing and sees that it is ours or empty. Returns its schema, 0 when empty.
pub(crate) fn open(path: &Path) -> Result<(Connection, u32), StoreError> {
    let sql = |e| StoreError::database("open", path, e);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(sql)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(sql)?;
    let number = |name: &str| {
        db.pragma_query_value(None, name, |row| row.get::<_, i32>(0))
            .map_err(sql)
    };
    let (application_id, version) = (number("application_id")?, number("user_version")?);
    // A start that was cut short leaves a database without tables, which is as good as none.
    let tables: i64 = db
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sql)?;
    let fresh = application_id == 0 && tables == 0;
    if application_id != APPLICATION_ID && !fresh {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
            application_id,
        });
    }
    let version = u32::try_from(version).unwrap_or(u32::MAX);
    if version > newest() {
        return Err(StoreError::TooNew {
            path: path.to_owned(),
            found: version,
            known: newest(),
        });
    }
    configure(&db, fresh).map_err(sql)?;
    Ok((db, version))
}

/// Opens a database for reading only.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let sql = |e| StoreError::database("open", path, e);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(sql)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(sql)?;
    db.pragma_update(None, "cache_size", -READER_CACHE_KIB)
        .map_err(sql)?;
    keep_statements(&db).map_err(sql)?;
    Ok(db)
}

/// Brings a database to the newest schema. Each step is a transaction of its own, so that a step that
/// fails leaves the schema before it.
///
/// Before schema 3 the configuration of the moment said whose deliveries an acknowledgement cancels. So it says it once more
/// here, with the names of these sinks, for the deliveries that are already there.
pub(crate) fn migrate(
    db: &mut Connection,
    from: u32,
    cancel_on_acknowledge: &[String],
) -> rusqlite::Result<()> {
    let mut version = from;
    for migration in MIGRATIONS
        .iter()
        .skip(usize::try_from(from).unwrap_or(usize::MAX))
    {
        let step = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        step.execute_batch(migration)?;
        version += 1;
        if version == ROWS_SAY_WHAT_CANCELS {
            for sink in cancel_on_acknowledge {
                step.execute(
                    "UPDATE delivery SET cancel_on_acknowledge = 1
                     WHERE state <> 1 AND sink = (SELECT id FROM sink WHERE name = ?1)",
                    [sink],
                )?;
            }
        }
        step.pragma_update(None, "application_id", APPLICATION_ID)?;
        step.pragma_update(None, "user_version", version)?;
        step.commit()?;
    }
    Ok(())
}

fn configure(db: &Connection, fresh: bool) -> rusqlite::Result<()> {
    if fresh {
        // Pages freed by retention are used again, so the file never needs to shrink: auto_vacuum would
        // write a map page with every change for nothing.
        db.pragma_update(None, "page_size", PAGE_BYTES)?;
    }
    db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |row| {
        row.get::<_, i64>(0)
    })?;
    db.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    keep_statements(db)
}

/// Has statements stay as they were prepared. Otherwise SQLite may plan one again because another value is bound, which for a
/// sink's queue is at each fetch.
fn keep_statements(db: &Connection) -> rusqlite::Result<()> {
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}
