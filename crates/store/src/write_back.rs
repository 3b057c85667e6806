//! What the backend is still to learn: alerts that were acknowledged here.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use watchpost_core::{AlertId, UnixMillis};

use crate::WriteBackResult;
use crate::codec::{id, key};
use crate::records::PLACE_PREFIX;

/// An alert that was acknowledged, which is to be reported to the backend now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteBack {
    /// Which.
    pub alert: AlertId,
    /// The backend's record.
    pub anomaly_id: String,
    /// Attempts so far.
    pub attempts: u32,
    /// Whether the alert has a score. The backend cannot show the record of one that has none.
    pub scored: bool,
}

/// Queues the report of this alert, if its connection is one of these.
pub(crate) fn queue(tx: &Transaction<'_>, alert: AlertId, connections: &[String]) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT OR IGNORE INTO write_back (alert, connection, attempts, due_at)
         SELECT a.id, a.connection, 0, 0 FROM alert a JOIN connection c ON c.id = a.connection
         WHERE a.id = ?1 AND c.name = ?2",
    )?;
    connections
        .iter()
        .try_for_each(|connection| insert.execute(params![key(alert), connection]).map(drop))
}

/// Queues the reports of all alerts on the live list of these connections that are not acknowledged.
pub(crate) fn queue_all(
    tx: &Transaction<'_>,
    cleared_through: i64,
    connections: &[String],
) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT OR IGNORE INTO write_back (alert, connection, attempts, due_at)
         SELECT a.id, a.connection, 0, 0 FROM alert a JOIN connection c ON c.id = a.connection
         WHERE a.id > ?1 AND a.dismissed_at IS NULL AND a.acknowledged_at IS NULL AND c.name = ?2",
    )?;
    connections
        .iter()
        .try_for_each(|connection| insert.execute(params![cleared_through, connection]).map(drop))
}

/// Records what became of an attempt to report.
pub(crate) fn record(tx: &Transaction<'_>, result: &WriteBackResult) -> rusqlite::Result<()> {
    let alert = key(result.alert);
    match result.retry_at {
        None => tx
            .prepare_cached("DELETE FROM write_back WHERE alert = ?1")?
            .execute([alert]),
        Some(at) => tx
            .prepare_cached("UPDATE write_back SET attempts = attempts + 1, due_at = ?2 WHERE alert = ?1")?
            .execute(params![alert, at.0]),
    }
    .map(drop)
}

/// Reports that are due, oldest alert first.
pub(crate) fn due(
    db: &Connection,
    connection: &str,
    now: UnixMillis,
    limit: u32,
) -> rusqlite::Result<Vec<WriteBack>> {
    db.prepare_cached(
        "SELECT w.alert, a.anomaly_id, w.attempts,
           (SELECT json_extract(body, '$.details.score') IS NOT NULL FROM alert WHERE id = w.alert)
         FROM write_back w JOIN anomaly a ON a.alert = w.alert
         WHERE substr(a.anomaly_id, 1, length(?4)) <> ?4
           AND w.connection = (SELECT id FROM connection WHERE name = ?1) AND w.due_at <= ?2
         ORDER BY w.alert LIMIT ?3",
    )?
    .query_map(params![connection, now.0, limit, PLACE_PREFIX], |row| {
        Ok(WriteBack {
            alert: row.get(0).map(id)?,
            anomaly_id: row.get(1)?,
            attempts: row.get(2)?,
            scored: row.get::<_, Option<bool>>(3)?.unwrap_or(true),
        })
    })?
    .collect()
}

/// When the next report is due. Those whose record is not known yet wait for that, not for a time.
pub(crate) fn next_due(db: &Connection, connection: &str) -> rusqlite::Result<Option<UnixMillis>> {
    db.prepare_cached(
        "SELECT min(w.due_at) FROM write_back w JOIN anomaly a ON a.alert = w.alert
         WHERE substr(a.anomaly_id, 1, length(?2)) <> ?2
           AND w.connection = (SELECT id FROM connection WHERE name = ?1)",
    )?
    .query_row(params![connection, PLACE_PREFIX], |row| {
        row.get::<_, Option<i64>>(0)
    })
    .optional()
    .map(|due| due.flatten().map(UnixMillis))
}
