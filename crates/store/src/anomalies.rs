//! The backend's own records: which of them is which alert, how far they are known, and what the backend is still to
//! be told of them.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use watchpost_core::{Alert, AlertId, UnixMillis};

use crate::commit::document;
use crate::names::Names;
use crate::store::{id, key};
use crate::{Annotation, Reader, Store, StoreError};

/// A record is remembered for this long at the least, also when its alert has been removed: it stays in the backend's
/// list, and would be fetched again.
const REMEMBERED_MICROS: i64 = 7 * 24 * 3_600 * 1_000_000;

/// Records forgotten in one go.
const MAX_FORGOTTEN_ROWS: u32 = 500;

/// Begins the name of a record that the backend cannot show, so that it is known only by its place in the list.
pub const PLACE_PREFIX: &str = "after:";

/// Alerts that are compared with records in one go, the oldest first.
const MAX_COMPARED_ALERTS: u32 = 100_000;

/// An alert that came over the socket, by what it has in common with the backend's record of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrecorded {
    /// Which.
    pub alert: AlertId,
    /// The stream.
    pub stream_id: String,
    /// The person within it.
    pub person_id: i64,
    /// The number of the video frame.
    pub frame_number: Option<i64>,
    /// Whether it came with a score that is a number. The backend cannot show the record of one that did not.
    pub scored: bool,
    /// The record, where that is known already.
    pub anomaly_id: Option<String>,
}

/// An alert that was dismissed, of which the backend is to be told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteBack {
    /// Which.
    pub alert: AlertId,
    /// The backend's record.
    pub anomaly_id: String,
    /// Attempts so far.
    pub attempts: u32,
}

impl Reader {
    /// How far the backend's records are known: everything that happened before, by its clock. `None` before the first
    /// time.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn horizon(&mut self, connection: &str) -> Result<Option<UnixMillis>, StoreError> {
        let outcome = self
            .db
            .prepare_cached("SELECT horizon FROM connection WHERE name = ?1")
            .and_then(|mut query| {
                let row = query.query_row([connection], |row| row.get::<_, Option<i64>>(0));
                row.optional()
            });
        Ok(self.outcome(outcome)?.flatten().map(UnixMillis))
    }

    /// The alert of this record.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn of_anomaly(&mut self, connection: &str, anomaly_id: &str) -> Result<Option<AlertId>, StoreError> {
        let outcome = self
            .db
            .prepare_cached(
                "SELECT alert FROM anomaly WHERE anomaly_id = ?2
                   AND connection = (SELECT id FROM connection WHERE name = ?1)",
            )
            .and_then(|mut query| {
                let row = query.query_row([connection, anomaly_id], |row| row.get(0).map(id));
                row.optional()
            });
        self.outcome(outcome)
    }

    /// Alerts received within this time, oldest first, of which no record is known, or whose record the backend cannot
    /// show.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn unrecorded(
        &mut self,
        connection: &str,
        from: UnixMillis,
        to: UnixMillis,
    ) -> Result<Vec<Unrecorded>, StoreError> {
        let outcome = unrecorded(&self.db, connection, from, to);
        self.outcome(outcome)
    }

    /// Whether a record that the backend cannot show has been found to be this alert.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn has_place(&mut self, alert: AlertId) -> Result<bool, StoreError> {
        let outcome = self
            .db
            .prepare_cached(
                "SELECT 1 FROM anomaly WHERE alert = ?1 AND substr(anomaly_id, 1, length(?2)) = ?2",
            )
            .and_then(|mut query| query.exists(params![key(alert), PLACE_PREFIX]));
        self.outcome(outcome)
    }

    /// What the backend is to be told now, oldest alert first. Alerts whose record is not known yet wait for it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn write_backs(
        &mut self,
        connection: &str,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<WriteBack>, StoreError> {
        let outcome = self
            .db
            .prepare_cached(
                "SELECT w.alert, a.anomaly_id, w.attempts FROM write_back w JOIN anomaly a ON a.alert = w.alert
                 WHERE substr(a.anomaly_id, 1, length(?4)) <> ?4 AND w.connection = (SELECT id FROM connection WHERE name = ?1) AND w.due_at <= ?2
                 ORDER BY w.alert LIMIT ?3",
            )
            .and_then(|mut query| {
                query
                    .query_map(params![connection, now.0, limit, PLACE_PREFIX], |row| {
                        Ok(WriteBack {
                            alert: row.get(0).map(id)?,
                            anomaly_id: row.get(1)?,
                            attempts: row.get(2)?,
                        })
                    })?
                    .collect()
            });
        self.outcome(outcome)
    }
}

impl Store {
    /// Notes that the backend is to be told of this alert when it is one of these connections.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn queue_write_back(&mut self, alert: AlertId, connections: &[String]) -> Result<(), StoreError> {
        let outcome = connections.iter().try_for_each(|connection| {
            self.db
                .execute(
                    "INSERT OR IGNORE INTO write_back (alert, connection, attempts, due_at)
                     SELECT a.id, a.connection, 0, 0 FROM alert a JOIN connection c ON c.id = a.connection
                     WHERE a.id = ?1 AND c.name = ?2",
                    params![key(alert), connection],
                )
                .map(drop)
        });
        self.outcome("queue a change for the backend in", outcome)
    }

    /// Notes that the backend is to be told of all alerts on the live list of these connections.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn queue_all_write_backs(&mut self, connections: &[String]) -> Result<(), StoreError> {
        let outcome = connections.iter().try_for_each(|connection| {
            self.db
                .execute(
                    "INSERT OR IGNORE INTO write_back (alert, connection, attempts, due_at)
                     SELECT a.id, a.connection, 0, 0 FROM alert a JOIN connection c ON c.id = a.connection
                     WHERE a.id > ?1 AND a.dismissed_at IS NULL AND c.name = ?2",
                    params![self.cleared_through, connection],
                )
                .map(drop)
        });
        self.outcome("queue changes for the backend in", outcome)
    }

    /// What became of telling the backend: `None` when there is nothing more to do, otherwise when it is tried again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn written_back(&mut self, alert: AlertId, again_at: Option<UnixMillis>) -> Result<(), StoreError> {
        let outcome = match again_at {
            None => self
                .db
                .execute("DELETE FROM write_back WHERE alert = ?1", [key(alert)]),
            Some(at) => self.db.execute(
                "UPDATE write_back SET attempts = attempts + 1, due_at = ?2 WHERE alert = ?1",
                params![key(alert), at.0],
            ),
        };
        self.outcome("note a change of the backend in", outcome).map(drop)
    }
}

/// The alert of a record, for a writer.
pub(crate) fn stored_anomaly(
    db: &Connection,
    connection: i64,
    anomaly_id: &str,
) -> rusqlite::Result<Option<AlertId>> {
    db.prepare_cached("SELECT alert FROM anomaly WHERE connection = ?1 AND anomaly_id = ?2")?
        .query_row(params![connection, anomaly_id], |row| row.get(0).map(id))
        .optional()
}

pub(crate) fn insert_anomaly(
    tx: &Transaction<'_>,
    connection: i64,
    anomaly_id: &str,
    alert: AlertId,
) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT OR IGNORE INTO anomaly (connection, anomaly_id, alert) VALUES (?1, ?2, ?3)")?
        .execute(params![connection, anomaly_id, key(alert)])?;
    Ok(())
}

/// Writes what has become known into the alert's document. What it says already stays.
pub(crate) fn annotate(tx: &Transaction<'_>, annotation: &Annotation) -> Result<(), Annotating> {
    let row: Option<(i64, String)> = tx
        .prepare_cached("SELECT connection, body FROM alert WHERE id = ?1")?
        .query_row([key(annotation.alert)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((connection, body)) = row else {
        return Ok(());
    };
    let Ok(mut alert) = serde_json::from_str::<Alert>(&body) else {
        return Ok(());
    };
    if stored_anomaly(tx, connection, &annotation.anomaly_id)?.is_some() {
        return Ok(());
    }
    insert_anomaly(tx, connection, &annotation.anomaly_id, annotation.alert)?;
    let known = alert.visionguard.get_or_insert_default();
    if known.anomaly_id.is_some() || annotation.anomaly_id.starts_with(PLACE_PREFIX) {
        return Ok(());
    }
    known.anomaly_id = Some(annotation.anomaly_id.clone());
    if known.shop_id.is_none() {
        known.shop_id.clone_from(&annotation.shop_id);
    }
    alert.occurred_at = alert.occurred_at.or(annotation.occurred_at);
    tx.prepare_cached("UPDATE alert SET body = ?2 WHERE id = ?1")?
        .execute(params![key(annotation.alert), document(&alert)?])?;
    Ok(())
}

/// Why an annotation failed.
pub(crate) enum Annotating {
    Sql(rusqlite::Error),
    Document(StoreError),
}

impl From<rusqlite::Error> for Annotating {
    fn from(e: rusqlite::Error) -> Self {
        Self::Sql(e)
    }
}

impl From<StoreError> for Annotating {
    fn from(e: StoreError) -> Self {
        Self::Document(e)
    }
}

pub(crate) fn set_horizon(
    tx: &Transaction<'_>,
    connections: &mut Names,
    connection: &str,
    horizon: UnixMillis,
) -> rusqlite::Result<()> {
    let connection = connections.intern(tx, connection)?;
    tx.prepare_cached("UPDATE connection SET horizon = ?2 WHERE id = ?1")?
        .execute(params![connection, horizon.0])?;
    Ok(())
}

/// Forgets records whose alerts are long gone, and what the backend was to be told of them.
pub(crate) fn forget(db: &Connection, now: UnixMillis) -> rusqlite::Result<()> {
    let oldest: Option<i64> = db
        .prepare_cached("SELECT min(id) FROM alert")?
        .query_row([], |row| row.get(0))?;
    let remembered = now.0.saturating_mul(1_000).saturating_sub(REMEMBERED_MICROS);
    let before = oldest.unwrap_or(remembered).min(remembered);
    db.prepare_cached(
        "DELETE FROM anomaly WHERE (connection, anomaly_id) IN
           (SELECT connection, anomaly_id FROM anomaly INDEXED BY anomaly_alert WHERE alert < ?1 LIMIT ?2)",
    )?
    .execute(params![before, MAX_FORGOTTEN_ROWS])?;
    db.prepare_cached("DELETE FROM write_back WHERE alert < ?1")?
        .execute([before])?;
    Ok(())
}

fn unrecorded(
    db: &Connection,
    connection: &str,
    from: UnixMillis,
    to: UnixMillis,
) -> rusqlite::Result<Vec<Unrecorded>> {
    let [from, to] = [from, to].map(|time| time.0.saturating_mul(1_000));
    db.prepare_cached(
        "SELECT id, stream, person, frame, score IS NOT NULL, anomaly FROM (
           SELECT id, stream,
             coalesce(json_extract(body, '$.visionguard.person_id'), 0) AS person,
             json_extract(body, '$.visionguard.frame_number') AS frame,
             json_extract(body, '$.details.score') AS score,
             json_extract(body, '$.visionguard.anomaly_id') AS anomaly
           FROM alert
           WHERE id BETWEEN ?1 AND ?2 AND connection = (SELECT id FROM connection WHERE name = ?3)
             AND json_extract(body, '$.kind') = 'anomaly')
         WHERE anomaly IS NULL OR score IS NULL
         ORDER BY id LIMIT ?4",
    )?
    .query_map(params![from, to, connection, MAX_COMPARED_ALERTS], |row| {
        Ok(Unrecorded {
            alert: row.get(0).map(id)?,
            stream_id: row.get(1)?,
            person_id: row.get(2)?,
            frame_number: row.get(3)?,
            scored: row.get(4)?,
            anomaly_id: row.get(5)?,
        })
    })?
    .collect()
}
