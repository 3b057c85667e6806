//! Reading the store, beside the writer and without ever making it wait.

mod cameras;
mod due;
mod rows;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, params};
use watchpost_core::{
    Actor, Alert, AlertId, ClockSteps, DeliveryState, Hush, RouteReason, RoutingState, UnixMillis,
};

pub use self::cameras::SeenCamera;
use crate::codec::key;
use crate::frames::{FrameError, FrameFiles, FrameRef};
use crate::paths::StorePaths;
use crate::{
    PictureDue, Selection, StoreError, StoredSuppression, Unmatched, WriteBack, clock, deliveries, pictures,
    records, routing, schema, write_back,
};

/// Opens readers.
pub type ReaderFactory = Arc<dyn Fn() -> Result<Reader, StoreError> + Send + Sync>;

/// Reads what is committed, through a connection of its own. It can be given from thread to thread.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
    frames: FrameFiles,
    paths: StorePaths,
}

/// An alert with what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredAlert {
    /// The alert.
    pub alert: Alert,
    /// Its JSON form, byte for byte as it was stored.
    pub body: String,
    /// Whether it has been taken off the live list, alone or with all others.
    pub dismissed: bool,
    /// When and by whom it was acknowledged first. What is dismissed is acknowledged too.
    pub acknowledged: Option<Acknowledgement>,
    /// Where its picture stands, if it has one.
    pub frame: Option<FrameRef>,
    /// One for each sink it goes to, in the order in which the sinks became known.
    pub deliveries: Vec<DeliveryRow>,
}

/// That a person has taken an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// When.
    pub at: UnixMillis,
    /// Who; `None` where an earlier release has not written it down.
    pub by: Option<Actor>,
}

/// What became of an alert at one sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Name of the sink.
    pub sink: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts made so far.
    pub attempts: u32,
    /// When the next attempt may be made; `None` at once, or never again.
    pub due_at: Option<UnixMillis>,
    /// When it stops being worth anything.
    pub expires_at: Option<UnixMillis>,
    /// When it reached its final state.
    pub finished_at: Option<UnixMillis>,
    /// What went wrong last.
    pub error: Option<String>,
    /// Why it was planned; `None` where an earlier release has not written it down.
    pub reason: Option<RouteReason>,
    /// Whether it is cancelled once its alert is acknowledged.
    pub cancel_on_acknowledge: bool,
}

/// A delivery on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Of which alert.
    pub alert: AlertId,
    /// What became of it.
    pub row: DeliveryRow,
}

/// A delivery to be attempted now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueDelivery {
    /// Which alert.
    pub alert: AlertId,
    /// Attempts made so far.
    pub attempts: u32,
    /// When it stops being worth anything. It may be past: then it is to be recorded as expired.
    pub expires_at: Option<UnixMillis>,
    /// Whether it is cancelled once its alert is acknowledged.
    pub cancel_on_acknowledge: bool,
    /// The alert's JSON form, as it was stored.
    pub body: String,
    /// Where its picture stands, if it has one.
    pub frame: Option<FrameRef>,
}

/// Which alerts to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// How many at most.
    pub limit: u32,
    /// Only those with smaller ids: the last one of the page before.
    pub before: Option<AlertId>,
    /// Only those of this connection.
    pub connection: Option<String>,
    /// Only those of this stream. There is no index for it: rare ones are looked for among all.
    pub stream: Option<String>,
}

/// How much there is. Exact, and as cheap with a million alerts as with one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Alerts stored.
    pub alerts: u64,
    /// Size of their pictures in bytes.
    pub frame_bytes: u64,
    /// Deliveries of stored alerts by sink and state. Every sink ever known has all states.
    pub deliveries: BTreeMap<String, BTreeMap<DeliveryState, u64>>,
    /// Alerts that no route took, those removed since among them.
    pub unmatched: u64,
}

impl Reader {
    /// Opens the store in `dir` for reading. It must exist.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let paths = StorePaths { dir: dir.to_owned() };
        let db = schema::open_reader(&paths.database())?;
        Ok(Self {
            db,
            frames: FrameFiles::new(paths.frames()),
            paths,
        })
    }

    /// The newest alerts that have not been dismissed, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn live(&mut self, limit: u32) -> Result<Vec<StoredAlert>, StoreError> {
        self.alerts(
            "WHERE a.id > (SELECT cleared_through FROM live) AND a.dismissed_at IS NULL
             ORDER BY a.id DESC LIMIT ?1",
            params![limit],
        )
    }

    /// Alerts, dismissed or not, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&mut self, filter: &Filter) -> Result<Vec<StoredAlert>, StoreError> {
        let before = filter.before.map_or(i64::MAX, key);
        self.alerts(
            "WHERE a.id < ?2 AND (?3 IS NULL OR a.stream = ?3)
               AND (?4 IS NULL OR a.connection = (SELECT id FROM connection WHERE name = ?4))
             ORDER BY a.id DESC LIMIT ?1",
            params![filter.limit, before, filter.stream, filter.connection],
        )
    }

    /// One alert; `None` when there is none of that id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn get(&mut self, id: AlertId) -> Result<Option<StoredAlert>, StoreError> {
        Ok(self.alerts("WHERE a.id = ?1", params![key(id)])?.pop())
    }

    /// Who did not get an alert, each with the reason.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn suppressions(&mut self, id: AlertId) -> Result<Vec<StoredSuppression>, StoreError> {
        let outcome = routing::suppressions(&self.db, id);
        self.outcome(outcome)
    }

    /// Deliveries that are due, oldest alert first, except those that `skip` names by their alert and
    /// by whether an acknowledgement cancels them. Retries that
    /// have come due are found in the order of their time, so with more than `limit` of them the order
    /// among the alerts holds only within each answer.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn due(
        &mut self,
        sink: &str,
        now: UnixMillis,
        limit: usize,
        skip: &dyn Fn(AlertId, bool) -> bool,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        let outcome = due::due(&mut self.db, sink, now, limit, skip);
        self.outcome(outcome)
    }

    /// Since when a delivery has been due longest, of each sink that has one: since its alert was received, or the time that
    /// its route gave it, which may be still to come.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn waiting_since(&mut self) -> Result<BTreeMap<String, UnixMillis>, StoreError> {
        let outcome = due::waiting_since(&self.db);
        self.outcome(outcome)
    }

    /// When the next delivery is due, except those that `skip` names by their alert and
    /// by whether an acknowledgement cancels them: the beginning of 1970 for one
    /// that is due at once, `None` when nothing is pending.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next_due(
        &mut self,
        sink: &str,
        skip: &dyn Fn(AlertId, bool) -> bool,
    ) -> Result<Option<UnixMillis>, StoreError> {
        let outcome = due::next_due(&self.db, sink, skip);
        self.outcome(outcome)
    }

    /// Deliveries, those of the newest alerts first, at most `limit`. There is no index for states: rare ones are
    /// looked for among all.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn deliveries(&mut self, selection: &Selection, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let outcome = rows::deliveries(&self.db, selection, limit);
        self.outcome(outcome)
    }

    /// The cameras of the newest `limit` alerts, the one with the newest alert first. Every one of these alerts is looked
    /// into.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn cameras(&mut self, limit: u32) -> Result<Vec<SeenCamera>, StoreError> {
        let outcome = cameras::cameras(&self.db, limit);
        self.outcome(outcome)
    }

    /// How far the wall clock was set forward after alerts had been received.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn clock_steps(&mut self) -> Result<ClockSteps, StoreError> {
        let outcome = clock::steps(&self.db);
        self.outcome(outcome)
    }

    /// How far the records of a connection are known: everything of a shop that happened before, by its backend's clock. Empty
    /// before the first time.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn checkpoints(&mut self, connection: &str) -> Result<BTreeMap<String, UnixMillis>, StoreError> {
        let outcome = records::checkpoints(&self.db, connection);
        self.outcome(outcome)
    }

    /// Of these records, the alerts that are not acknowledged.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn unacknowledged(&mut self, records: &[String]) -> Result<Vec<AlertId>, StoreError> {
        let outcome = records::unacknowledged(&self.db, records);
        self.outcome(outcome)
    }

    /// Records of alerts received since then that are not acknowledged and have pending deliveries which that would cancel,
    /// newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn sounding(
        &mut self,
        connection: &str,
        since: UnixMillis,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let outcome = records::sounding(&self.db, connection, since, limit);
        self.outcome(outcome)
    }

    /// The alert of this record.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn of_anomaly(&mut self, anomaly_id: &str) -> Result<Option<AlertId>, StoreError> {
        let outcome = records::stored_record(&self.db, anomaly_id);
        self.outcome(outcome)
    }

    /// Which of these records belong to an alert, in one look at the database.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn known_records(&mut self, records: Vec<String>) -> Result<HashSet<String>, StoreError> {
        let outcome = records::known(&mut self.db, records);
        self.outcome(outcome)
    }

    /// What routing remembers: silences, areas, and when what is expected was heard.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn routing_state(&mut self) -> Result<RoutingState, StoreError> {
        let outcome = routing::load(&self.db);
        self.outcome(outcome)
    }

    /// The newest alerts with pending deliveries that make this noise.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn noise(&mut self, hush: &Hush) -> Result<BTreeSet<AlertId>, StoreError> {
        let outcome = deliveries::muted(&self.db, |alert, sink| hush.covers(alert, sink));
        self.outcome(outcome)
    }

    /// Alerts received within this time, oldest first, of which no record is known, or whose record the backend cannot
    /// show: those of this connection, and those of others that the same stream may have raised. All times are by the clock
    /// as it is now, and may be off by as much as it was set.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn unmatched(
        &mut self,
        connection: &str,
        from: UnixMillis,
        to: UnixMillis,
        now: UnixMillis,
    ) -> Result<Vec<Unmatched>, StoreError> {
        let outcome = records::unmatched(&self.db, connection, from, to, now);
        self.outcome(outcome)
    }

    /// Whether a record that the backend cannot show has been found to be this alert.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn has_place(&mut self, alert: AlertId) -> Result<bool, StoreError> {
        let outcome = records::has_place(&self.db, alert);
        self.outcome(outcome)
    }

    /// Pictures of a connection that are to be fetched now.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn pictures_due(
        &mut self,
        connection: &str,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<PictureDue>, StoreError> {
        let outcome = pictures::due(&self.db, connection, now, limit);
        self.outcome(outcome)
    }

    /// When the next of those is to be fetched; `None` when none is missing.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next_picture(&mut self, connection: &str) -> Result<Option<UnixMillis>, StoreError> {
        let outcome = pictures::next_due(&self.db, connection);
        self.outcome(outcome)
    }

    /// How many pictures of each connection are still to be fetched. Connections of which none is are left out.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn pictures_missing(&mut self) -> Result<BTreeMap<String, u64>, StoreError> {
        let outcome = pictures::missing(&self.db);
        self.outcome(outcome)
    }

    /// Acknowledgements that are to be reported to the backend now, oldest alert first. Alerts whose record is not known yet
    /// wait for it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn write_backs(
        &mut self,
        connection: &str,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<WriteBack>, StoreError> {
        let outcome = write_back::due(&self.db, connection, now, limit);
        self.outcome(outcome)
    }

    /// When the next of those is due; `None` when none is queued whose record is known.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next_write_back(&mut self, connection: &str) -> Result<Option<UnixMillis>, StoreError> {
        let outcome = write_back::next_due(&self.db, connection);
        self.outcome(outcome)
    }

    /// How much there is.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn counts(&mut self) -> Result<Counts, StoreError> {
        let outcome = rows::counts(&mut self.db);
        self.outcome(outcome)
    }

    /// Reads a picture into memory of just its size, for instance a mapped memfd, and checks it.
    ///
    /// # Errors
    /// When it is gone or damaged, or the size is another.
    pub fn read_frame_into(&mut self, frame: &FrameRef, into: &mut [u8]) -> Result<(), FrameError> {
        self.frames.read(frame, into)
    }

    /// Reads a picture and checks it.
    ///
    /// # Errors
    /// When it is gone or damaged.
    pub fn read_frame(&mut self, frame: &FrameRef) -> Result<Vec<u8>, FrameError> {
        let mut bytes = vec![0; frame.len()];
        self.frames.read(frame, &mut bytes)?;
        Ok(bytes)
    }

    fn alerts(
        &mut self,
        condition: &str,
        parameters: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<StoredAlert>, StoreError> {
        let outcome = rows::alerts(&mut self.db, condition, parameters);
        let rows = self.outcome(outcome)?;
        rows.into_iter().map(rows::StoredRow::parsed).collect()
    }

    fn outcome<T>(&self, outcome: rusqlite::Result<T>) -> Result<T, StoreError> {
        outcome.map_err(|e| {
            let e = StoreError::database("read", &self.paths.database(), e);
            if e.is_corruption() {
                // As the writer does, for whoever starts next.
                let _ = std::fs::write(self.paths.suspicion(), e.to_string());
            }
            e
        })
    }
}
