//! The backend's own records: which of them is which alert, and how far they are known.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use watchpost_core::{Alert, AlertId, UnixMillis};

use crate::codec::{document, first_key, id, key};
use crate::error::Failed;
use crate::names::NameTable;
use crate::{Annotation, ShopCheckpoint};

/// A record is remembered for this long at least, also when its alert has been removed: it stays in the backend's
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
pub struct Unmatched {
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
    /// The shop that its stream belongs to, where that is known.
    pub shop_id: Option<String>,
}

/// The alert of a record. Two connections that see one shop see the same records, and the same places of those that the
/// backend cannot show.
pub(crate) fn stored_record(db: &Connection, record: &str) -> rusqlite::Result<Option<AlertId>> {
    db.prepare_cached(
        "SELECT alert FROM anomaly WHERE anomaly_id = ?1 AND connection IN (SELECT id FROM connection) LIMIT 1",
    )?
    .query_row([record], |row| row.get(0).map(id))
    .optional()
}

/// Which of these records belong to an alert.
pub(crate) fn known(db: &mut Connection, records: Vec<String>) -> rusqlite::Result<HashSet<String>> {
    // Each look of its own would take and release the database's locks.
    let moment = db.transaction()?;
    let mut known = HashSet::new();
    for record in records {
        if stored_record(&moment, &record)?.is_some() {
            known.insert(record);
        }
    }
    Ok(known)
}

pub(crate) fn insert_record(
    tx: &Transaction<'_>,
    connection: i64,
    record: &str,
    alert: AlertId,
) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT OR IGNORE INTO anomaly (connection, anomaly_id, alert) VALUES (?1, ?2, ?3)")?
        .execute(params![connection, record, key(alert)])
        .map(drop)
}

/// Writes what has become known into the alert's document. What it says already stays, but for whether it was late, which
/// follows from when it happened.
pub(crate) fn annotate(
    tx: &Transaction<'_>,
    annotation: &Annotation,
    late_after: Option<Duration>,
) -> Result<(), Failed> {
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
    if stored_record(tx, &annotation.anomaly_id)?.is_some() {
        return Ok(());
    }
    insert_record(tx, connection, &annotation.anomaly_id, annotation.alert)?;
    let known = alert.visionguard.get_or_insert_default();
    if known.anomaly_id.is_some() || annotation.anomaly_id.starts_with(PLACE_PREFIX) {
        return Ok(());
    }
    known.anomaly_id = Some(annotation.anomaly_id.clone());
    if known.shop_id.is_none() {
        known.shop_id.clone_from(&annotation.shop_id);
    }
    if alert.occurred_at.is_none() {
        alert.occurred_at = annotation.occurred_at;
        if let Some(late_after) = late_after {
            alert.mark_late(late_after);
        }
    }
    tx.prepare_cached("UPDATE alert SET body = ?2 WHERE id = ?1")?
        .execute(params![key(annotation.alert), document(&alert)?])?;
    Ok(())
}

pub(crate) fn set_checkpoint(
    tx: &Transaction<'_>,
    connections: &mut NameTable,
    checkpoint: &ShopCheckpoint,
) -> rusqlite::Result<()> {
    let connection = connections.intern(tx, &checkpoint.connection)?;
    tx.prepare_cached("INSERT OR REPLACE INTO checkpoint (connection, shop, at) VALUES (?1, ?2, ?3)")?
        .execute(params![connection, checkpoint.shop, checkpoint.at.0])
        .map(drop)
}

/// How far the records of a connection are known, by shop.
pub(crate) fn checkpoints(
    db: &Connection,
    connection: &str,
) -> rusqlite::Result<BTreeMap<String, UnixMillis>> {
    db.prepare_cached(
        "SELECT shop, at FROM checkpoint WHERE connection = (SELECT id FROM connection WHERE name = ?1)",
    )?
    .query_map([connection], |row| Ok((row.get(0)?, row.get(1).map(UnixMillis)?)))?
    .collect()
}

/// Of these records, the alerts that no person has acknowledged here.
pub(crate) fn unacknowledged(db: &Connection, records: &[String]) -> rusqlite::Result<Vec<AlertId>> {
    let mut open = db.prepare_cached(
        "SELECT 1 FROM alert a CROSS JOIN live WHERE a.id = ?1 AND a.acknowledged_at IS NULL
           AND a.dismissed_at IS NULL AND a.id > cleared_through",
    )?;
    let mut alerts = Vec::new();
    for record in records {
        if let Some(alert) = stored_record(db, record)?
            && open.exists([key(alert)])?
        {
            alerts.push(alert);
        }
    }
    Ok(alerts)
}

/// Records of alerts received since then whose deliveries an acknowledgement would cancel, newest first.
pub(crate) fn sounding(
    db: &Connection,
    connection: &str,
    since: UnixMillis,
    limit: u32,
) -> rusqlite::Result<Vec<String>> {
    // Most of the time nothing waits for any sink, and this is asked every few seconds.
    if !db.prepare_cached("SELECT 1 FROM queue LIMIT 1")?.exists([])? {
        return Ok(Vec::new());
    }
    db.prepare_cached(
        "SELECT n.anomaly_id FROM alert a CROSS JOIN live JOIN anomaly n ON n.alert = a.id
         WHERE a.id > max(?2, cleared_through) AND a.connection = (SELECT id FROM connection WHERE name = ?1)
           AND a.acknowledged_at IS NULL AND a.dismissed_at IS NULL
           AND substr(n.anomaly_id, 1, length(?4)) <> ?4
           AND EXISTS (SELECT 1 FROM delivery d
                       WHERE d.alert = a.id AND d.state = 0 AND d.cancel_on_acknowledge)
         ORDER BY a.id DESC LIMIT ?3",
    )?
    .query_map(
        params![connection, first_key(since), limit, PLACE_PREFIX],
        |row| row.get(0),
    )?
    .collect()
}

/// Whether a record that the backend cannot show has been found to be this alert.
pub(crate) fn has_place(db: &Connection, alert: AlertId) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM anomaly WHERE alert = ?1 AND substr(anomaly_id, 1, length(?2)) = ?2")?
        .exists(params![key(alert), PLACE_PREFIX])
}

/// Forgets records whose alerts are long gone, and the reports to the backend of such alerts.
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

/// Between which ids are the alerts that were received within this time, by the clock as it is now. What was received before
/// it was set forward has an id by the clock as it was. After it was set back ids go on from the greatest one.
fn ids_received(
    db: &Connection,
    from: UnixMillis,
    to: UnixMillis,
    now: UnixMillis,
) -> rusqlite::Result<[i64; 2]> {
    let number = |sql| db.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
    let set_forward_ms = number("SELECT coalesce(sum(millis), 0) FROM clock_step")?;
    let newest = number("SELECT coalesce(max(id), 0) FROM alert")?;
    let from = first_key(UnixMillis(from.0.saturating_sub(set_forward_ms)));
    let is_ahead = newest > first_key(now);
    Ok([from, if is_ahead { newest } else { first_key(to) }])
}

/// Alerts received within this time, oldest first, of which no record is known, or whose record the backend cannot show:
/// those of this connection, and those of others that the same stream may have raised.
pub(crate) fn unmatched(
    db: &Connection,
    connection: &str,
    from: UnixMillis,
    to: UnixMillis,
    now: UnixMillis,
) -> rusqlite::Result<Vec<Unmatched>> {
    let [from, to] = ids_received(db, from, to, now)?;
    db.prepare_cached(
        "SELECT id, stream, person, frame, score IS NOT NULL, anomaly, shop FROM (
           SELECT id, stream, connection IS (SELECT id FROM connection WHERE name = ?3) AS own,
             coalesce(json_extract(body, '$.visionguard.person_id'), 0) AS person,
             json_extract(body, '$.visionguard.frame_number') AS frame,
             json_extract(body, '$.details.score') AS score,
             json_extract(body, '$.visionguard.anomaly_id') AS anomaly,
             max(json_extract(body, '$.visionguard.shop_id')) OVER (PARTITION BY stream) AS shop
           FROM alert
           WHERE id BETWEEN ?1 AND ?2 AND json_extract(body, '$.kind') = 'anomaly'
             AND json_extract(body, '$.visionguard') IS NOT NULL)
         WHERE (own OR frame IS NOT NULL) AND (anomaly IS NULL OR score IS NULL)
         ORDER BY id LIMIT ?4",
    )?
    .query_map(params![from, to, connection, MAX_COMPARED_ALERTS], |row| {
        Ok(Unmatched {
            alert: row.get(0).map(id)?,
            stream_id: row.get(1)?,
            person_id: row.get(2)?,
            frame_number: row.get(3)?,
            scored: row.get(4)?,
            anomaly_id: row.get(5)?,
            shop_id: row.get(6)?,
        })
    })?
    .collect()
}
