//! The writing end of the store, as its one owner uses it.

use std::fs::{self, File};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use watchpost_core::{AlertId, UnixMillis};

use crate::frames::FrameLog;
use crate::names::Names;
use crate::place::Place;
use crate::{Batch, OpenReport, Reader, ReaderFactory, Receipt, StoreError, StoreOptions, commit, open};

/// The one that writes. It belongs to one thread; while it lives, no other process can open the store.
///
/// When a call fails, nothing of it is kept and the store can be used as before: the caller tries again
/// when the cause may have passed.
#[derive(Debug)]
pub struct Store {
    pub(crate) db: Connection,
    pub(crate) frames: FrameLog,
    pub(crate) connections: Names,
    pub(crate) sinks: Names,
    pub(crate) place: Place,
    pub(crate) options: StoreOptions,
    /// Greatest id stored; a smaller one may be a repetition.
    pub(crate) last_id: i64,
    /// The live list shows what is newer.
    pub(crate) cleared_through: i64,
    /// How far the running sweep of retention has come.
    pub(crate) sweep: crate::retention::Sweep,
    /// Held for its lock, and dropped last.
    pub(crate) _lock: File,
}

impl Store {
    /// Opens the store, begins a new one, or sets aside one that cannot be read and begins a new one.
    ///
    /// # Errors
    /// When another process has it, when the directory cannot be written, when the disk is full, or when
    /// the database belongs to a newer release or another program. Nothing is changed then.
    pub fn open(options: StoreOptions) -> Result<(Self, OpenReport), StoreError> {
        open::open(options)
    }

    /// Puts a batch on disk: first the pictures, synced once, then the transaction that refers to them.
    /// The receipts stand in the order of the arrivals. To give the same batch again does no harm.
    ///
    /// # Errors
    /// When it is not kept, and nothing of it is.
    pub fn commit(&mut self, batch: &Batch) -> Result<Vec<Receipt>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let names = (self.connections.len(), self.sinks.len());
        let outcome = commit::commit(self, batch);
        if let Err(e) = &outcome {
            self.connections.forget_from(names.0);
            self.sinks.forget_from(names.1);
            self.frames.forget();
            self.note(e);
        }
        outcome
    }

    /// Takes an alert off the live list. Returns whether there is such an alert.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn dismiss(&mut self, id: AlertId, now: UnixMillis) -> Result<bool, StoreError> {
        let outcome = self.db.execute(
            "UPDATE alert SET dismissed_at = coalesce(dismissed_at, ?2) WHERE id = ?1",
            params![key(id), now.0],
        );
        self.outcome("dismiss an alert in", outcome).map(|rows| rows > 0)
    }

    /// Takes all alerts off the live list.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn clear(&mut self, now: UnixMillis) -> Result<(), StoreError> {
        let through = self.last_id;
        let sql = "UPDATE live SET cleared_through = ?1, cleared_at = ?2";
        let outcome = self.db.execute(sql, params![through, now.0]);
        self.outcome("clear the live list in", outcome)?;
        self.cleared_through = through;
        Ok(())
    }

    /// Ends all pending deliveries to a sink as dead, for this reason: nobody will take them, because the
    /// sink is no longer configured. They would keep their alerts from retention for ever. Works on 10,000
    /// at a time; returns whether there may be more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn give_up(&mut self, sink: &str, why: &str, now: UnixMillis) -> Result<bool, StoreError> {
        let Some(id) = self.sinks.find(sink) else {
            return Ok(false);
        };
        let outcome = give_up(&mut self.db, id, why, now);
        self.outcome("give up deliveries in", outcome)
    }

    /// Names of the sinks that have pending deliveries.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn waiting_sinks(&mut self) -> Result<Vec<String>, StoreError> {
        let names = || -> rusqlite::Result<Vec<String>> {
            let mut query = self
                .db
                .prepare_cached("SELECT name FROM sink WHERE pending > 0 ORDER BY id")?;
            query.query_map([], |row| row.get(0))?.collect()
        };
        let outcome = names();
        self.outcome("read", outcome)
    }

    /// Opens a reader.
    ///
    /// # Errors
    /// When the database cannot be opened once more.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.place.dir)
    }

    /// Opens readers for whoever needs one, on any thread.
    pub fn reader_factory(&self) -> ReaderFactory {
        let dir = self.place.dir.clone();
        Arc::new(move || Reader::open(&dir))
    }

    /// Gives an error of SQLite its place.
    pub(crate) fn outcome<T>(
        &self,
        doing: &'static str,
        outcome: rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        outcome
            .map_err(|e| StoreError::database(doing, &self.place.database(), e))
            .inspect_err(|e| self.note(e))
    }

    /// Remembers damage for the next start, which then looks through the whole database.
    fn note(&self, error: &StoreError) {
        if error.is_ruin() {
            // Without the mark the next start only sees what it stumbles over, as this one did.
            let _ = fs::write(self.place.suspicion(), error.to_string());
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SQLite does so itself only when no reader is left. Without it the next start finds an unclean end.
        let _ = self
            .db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
}

/// The key of an alert's row. Ids stay far below 2^63 until the year 294,000.
pub(crate) fn key(id: AlertId) -> i64 {
    i64::try_from(id.0).unwrap_or(i64::MAX)
}

/// The id in a row's key.
pub(crate) fn id(key: i64) -> AlertId {
    AlertId(u64::try_from(key).unwrap_or(0))
}

/// Deliveries that one call of [`Store::give_up`] ends.
const GIVE_UP_ROWS: usize = 10_000;

fn give_up(db: &mut Connection, sink: i64, why: &str, now: UnixMillis) -> rusqlite::Result<bool> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut given_up = 0;
    while given_up < GIVE_UP_ROWS {
        let next = tx
            .prepare_cached("SELECT due_at, alert FROM queue WHERE sink = ?1 ORDER BY due_at, alert LIMIT 1")?
            .query_row([sink], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
            .optional()?;
        let Some((due_at, alert)) = next else { break };
        tx.prepare_cached("DELETE FROM queue WHERE sink = ?1 AND due_at = ?2 AND alert = ?3")?
            .execute(params![sink, due_at, alert])?;
        tx.prepare_cached(
            "UPDATE delivery SET state = 2, finished_at = ?3, error = ?4 WHERE alert = ?1 AND sink = ?2",
        )?
        .execute(params![alert, sink, now.0, why])?;
        given_up += 1;
    }
    tx.execute(
        "UPDATE sink SET pending = pending - ?2, dead = dead + ?2 WHERE id = ?1",
        params![sink, i64::try_from(given_up).unwrap_or(i64::MAX)],
    )?;
    tx.commit()?;
    Ok(given_up == GIVE_UP_ROWS)
}
