//! The writing end of the store, as its one owner uses it.

use std::fs;
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};
use watchpost_core::{Alert, RoutingState, UnixMillis};

use crate::commit::Watermarks;
use crate::error::Failed;
use crate::frames::FrameLog;
use crate::names::Names;
use crate::open::{OpenReport, Opened, StoreLock};
use crate::paths::StorePaths;
use crate::retention::{RetentionReport, Sweep};
use crate::routing::{Routing, RoutingStep};
use crate::standby::Standby;
use crate::{
    Batch, Committed, OperatorAct, Performed, Reader, ReaderFactory, StoreError, StoreOptions, StorePolicy,
    alerts, clock, commit, open, operator, records, retention, twins,
};

/// The one that writes. It belongs to one thread; while it lives, no other process can open the store.
///
/// When a call fails, nothing of it is kept and the store can be used as before: the caller tries again
/// when the cause may have passed.
#[derive(Debug)]
pub struct Store {
    db: Connection,
    frames: FrameLog,
    names: Names,
    paths: StorePaths,
    options: StoreOptions,
    marks: Watermarks,
    /// What the routing step remembers.
    routing: RoutingState,
    /// What of that stands beside the database too.
    standby: Standby,
    /// How far the running sweep of retention has come.
    sweep: Sweep,
    /// Dropped last.
    lock: Arc<StoreLock>,
}

impl Store {
    /// Opens the store, begins a new one, or quarantines one that cannot be read and begins a new one.
    ///
    /// # Errors
    /// When another process has it, when the directory cannot be written, when the disk is full, or when
    /// the database belongs to a newer release or another program. Nothing is changed then.
    pub fn open(options: StoreOptions) -> Result<(Self, OpenReport), StoreError> {
        let paths = StorePaths {
            dir: options.dir.clone(),
        };
        fs::create_dir_all(&paths.dir).map_err(|e| StoreError::io("make", &paths.dir, e))?;
        let lock = Arc::new(open::lock(&paths)?);
        Self::open_locked(options, paths, lock, None, None)
    }

    fn open_locked(
        options: StoreOptions,
        paths: StorePaths,
        lock: Arc<StoreLock>,
        corruption: Option<&StoreError>,
        known: Option<&RoutingState>,
    ) -> Result<(Self, OpenReport), StoreError> {
        let Opened {
            db,
            frames,
            names,
            marks,
            routing,
            standby,
            report,
        } = open::open(&paths, &options, corruption, known)?;
        let mut store = Self {
            db,
            frames,
            names,
            paths,
            options,
            marks,
            routing,
            standby,
            sweep: Sweep::default(),
            lock,
        };
        // It may be older than what the database has, if the hub was killed in between.
        store.standby.keep(&store.paths, &store.routing);
        Ok((store, report))
    }

    /// Closes the store, checks all of its integrity and opens it again, or quarantines it and begins a new one when it is
    /// damaged. Readers opened before then read what was quarantined: open new ones.
    ///
    /// # Errors
    /// When it can neither be opened nor quarantined. The store is closed then, and nothing works but another call of
    /// this or of [`Self::recreate`].
    pub fn reopen(&mut self) -> Result<OpenReport, StoreError> {
        // The mark asks for the check. Without it damage is met again, and marked then.
        let _ = fs::write(self.paths.suspicion(), "the hub had reason to check it");
        self.renew(None)
    }

    /// Quarantines the store because of `corruption`, even if it looks sound, and begins a new one.
    ///
    /// # Errors
    /// As for [`Self::reopen`].
    pub fn recreate(&mut self, corruption: &StoreError) -> Result<OpenReport, StoreError> {
        self.renew(Some(corruption))
    }

    fn renew(&mut self, corruption: Option<&StoreError>) -> Result<OpenReport, StoreError> {
        let path = self.paths.database();
        let lock = Arc::clone(&self.lock);
        // SQLite removes its log by name when it closes, so the old one is closed before a new one has that name.
        self.db = Connection::open_in_memory().map_err(|e| StoreError::database("close", &path, e))?;
        let (store, report) = {
            let (options, paths) = (self.options.clone(), self.paths.clone());
            Self::open_locked(options, paths, lock, corruption, Some(&self.routing))?
        };
        *self = store;
        Ok(report)
    }

    /// Puts a batch on disk: first the pictures, synced once, then the transaction that refers to them. `step` is asked
    /// about each alert that is new, in their order, and what follows is part of the transaction. To give the same batch
    /// again does no harm.
    ///
    /// # Errors
    /// When it is not kept, and nothing of it is.
    pub fn commit(&mut self, batch: &Batch, step: RoutingStep<'_>) -> Result<Committed, StoreError> {
        if batch.is_empty() {
            return Ok(Committed::default());
        }
        let names = self.names.len();
        let outcome = self.try_commit(batch, step);
        if outcome.is_err() {
            self.names.rollback(names);
            self.frames.rollback();
        }
        self.outcome("store alerts in", outcome)
    }

    fn try_commit(&mut self, batch: &Batch, step: RoutingStep<'_>) -> Result<Committed, Failed> {
        let tx = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut routing = Routing::new(step, &self.routing);
        let (names, frames) = (&mut self.names, &mut self.frames);
        let (committed, marks) = commit::write(&tx, names, frames, self.marks, batch, &mut routing)?;
        let routing = routing.save(&tx)?;
        self.frames.sync()?;
        tx.commit()?;
        self.frames.commit();
        (self.marks, self.routing) = (marks, routing);
        self.standby.keep(&self.paths, &self.routing);
        Ok(committed)
    }

    /// Whether an alert is on disk already, under any of the names by which it would be recognised.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn knows(&self, alert: &Alert) -> Result<bool, StoreError> {
        let connection = self.names.connections.find(&alert.connection);
        let outcome = alerts::is_known(&self.db, connection, alert).map_err(Failed::from);
        self.outcome("read", outcome)
    }

    /// What the routing step remembers.
    pub fn routing_state(&self) -> &RoutingState {
        &self.routing
    }

    /// Performs what an operator wants, in one transaction with what follows from it by `step`.
    ///
    /// # Errors
    /// When it is not kept, and nothing of it is.
    pub fn perform(
        &mut self,
        act: &OperatorAct,
        now: UnixMillis,
        step: RoutingStep<'_>,
    ) -> Result<Performed, StoreError> {
        let (mut marks, write_back) = (self.marks, &self.options.policy.write_back);
        let mut routing = Routing::new(step, &self.routing);
        let transaction = || -> Result<(Performed, RoutingState), Failed> {
            let tx = self
                .db
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let performed = operator::perform(&tx, act, write_back, &mut marks, &mut routing, now)?;
            let routing = routing.save(&tx)?;
            tx.commit()?;
            Ok((performed, routing))
        };
        let outcome = transaction();
        let (performed, routing) = self.outcome("record what an operator did in", outcome)?;
        (self.marks, self.routing) = (marks, routing);
        self.standby.keep(&self.paths, &self.routing);
        Ok(performed)
    }

    /// Goes by another policy from now on.
    pub fn set_policy(&mut self, policy: StorePolicy) {
        self.options.policy = policy;
        // What had to stay may go now.
        self.sweep = Sweep::default();
    }

    /// Removes alerts beyond the limits, oldest first, with their deliveries and pictures. An alert that has a pending
    /// delivery to one of [`StorePolicy::sinks`] stays, and so does what is younger than the oldest that is within the
    /// limits.
    ///
    /// # Errors
    /// When it cannot be written. Nothing is removed then.
    pub fn retain(&mut self, now: UnixMillis) -> Result<RetentionReport, StoreError> {
        let forgotten = records::forget(&self.db, now)
            .and_then(|()| twins::forget(&self.db, now))
            .and_then(|()| clock::forget(&self.db));
        let outcome = forgotten.map_err(Failed::from);
        self.outcome("forget old records in", outcome)?;
        let limits = retention::Limits {
            keep: self.options.policy.retention,
            sinks: self.options.policy.sinks.as_ref(),
            spare_bytes: self.frames.segment_size(),
            current_file: self.frames.head().map_or(0, |head| head.number),
        };
        let outcome = retention::sweep(&mut self.db, &limits, &mut self.sweep, now).map_err(Failed::from);
        let (report, freed) = self.outcome("remove old alerts from", outcome)?;
        self.frames.free(&freed);
        Ok(report)
    }

    /// Opens a reader.
    ///
    /// # Errors
    /// When the database cannot be opened once more.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.paths.dir)
    }

    /// Opens readers for whoever needs one, on any thread.
    pub fn reader_factory(&self) -> ReaderFactory {
        let dir = self.paths.dir.clone();
        Arc::new(move || Reader::open(&dir))
    }

    /// Gives an error its place, and remembers damage for the next start, which then checks the whole database. Without
    /// the mark it only sees what it meets, as this one did.
    fn outcome<T>(&self, doing: &'static str, outcome: Result<T, Failed>) -> Result<T, StoreError> {
        outcome
            .map_err(|failed| failed.at(doing, &self.paths.database()))
            .inspect_err(|error| {
                if error.is_corruption() {
                    let _ = fs::write(self.paths.suspicion(), error.to_string());
                }
            })
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
