//! Alerts within a transaction: which of them are new, their rows, the counts of their pictures, the live list.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use watchpost_core::{Actor, Alert, AlertId, Picture, UnixMillis};

use crate::codec::{frame, id, json_column, key, to_json};
use crate::frames::{FrameLog, FrameRef, Head};
use crate::names::NameTable;
use crate::records::{insert_record, stored_record};
use crate::twins::Twins;
use crate::{Arrival, Receipt, pictures, twins};

/// Finds out which arrivals are new: neither in the database nor earlier in the batch.
pub(crate) fn receipts(
    tx: &Transaction<'_>,
    connections: &mut NameTable,
    arrivals: &[Arrival],
    last_id: i64,
) -> rusqlite::Result<Vec<Receipt>> {
    let mut sources: HashMap<(i64, &str), AlertId> = HashMap::new();
    let mut records: HashMap<&str, AlertId> = HashMap::new();
    let mut twins = Twins::default();
    let mut newest = last_id;
    let mut ids: Vec<AlertId> = Vec::with_capacity(arrivals.len());
    let mut receipts = Vec::with_capacity(arrivals.len());
    for Arrival { alert, .. } in arrivals {
        let connection = connections.intern(tx, &alert.connection)?;
        let source = alert.source_id.as_deref().map(|source| (connection, source));
        let mut kept = match source {
            Some(source) => match sources.get(&source) {
                Some(&kept) => Some(kept),
                None => stored_source(tx, source)?,
            },
            None => None,
        };
        let record = alert.anomaly_id();
        if let (None, Some(record)) = (kept, record) {
            kept = match records.get(&record) {
                Some(&kept) => Some(kept),
                None => stored_record(tx, record)?,
            };
        }
        if kept.is_none() {
            kept = twins.find(tx, alert)?;
        }
        // Ids grow, so one that is greater than all before it needs no looking up.
        if kept.is_none() && key(alert.id) <= newest && (ids.contains(&alert.id) || is_stored(tx, alert.id)?)
        {
            kept = Some(alert.id);
        }
        receipts.push(match kept {
            Some(of) => Receipt::Duplicate { of },
            None => {
                sources.extend(source.map(|source| (source, alert.id)));
                records.extend(record.map(|record| (record, alert.id)));
                ids.push(alert.id);
                twins.add(alert);
                newest = newest.max(key(alert.id));
                Receipt::Stored
            }
        });
    }
    Ok(receipts)
}

/// Whether an alert is stored, by its number, its source's id or its record. `connection` is the number of its connection,
/// if that is known.
pub(crate) fn is_known(db: &Connection, connection: Option<i64>, alert: &Alert) -> rusqlite::Result<bool> {
    if let (Some(connection), Some(source)) = (connection, &alert.source_id)
        && stored_source(db, (connection, source))?.is_some()
    {
        return Ok(true);
    }
    if let Some(record) = alert.anomaly_id()
        && stored_record(db, record)?.is_some()
    {
        return Ok(true);
    }
    if Twins::default().find(db, alert)?.is_some() {
        return Ok(true);
    }
    is_stored(db, alert.id)
}

fn stored_source(db: &Connection, (connection, source): (i64, &str)) -> rusqlite::Result<Option<AlertId>> {
    db.prepare_cached("SELECT id FROM alert WHERE connection = ?1 AND source_id = ?2")?
        .query_row(params![connection, source], |row| row.get(0).map(id))
        .optional()
}

pub(crate) fn is_stored(db: &Connection, id: AlertId) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM alert WHERE id = ?1")?
        .exists([key(id)])
}

/// An alert; `None` when there is none of that id.
pub(crate) fn load(db: &Connection, id: AlertId) -> rusqlite::Result<Option<Alert>> {
    db.prepare_cached("SELECT body FROM alert WHERE id = ?1")?
        .query_row([key(id)], |row| json_column(row, 0))
        .optional()
}

/// What is known of an alert's picture, and where it stands.
pub(crate) fn picture_of(
    tx: &Transaction<'_>,
    alert: AlertId,
) -> rusqlite::Result<Option<(Picture, Option<FrameRef>)>> {
    let row: Option<(Option<FrameRef>, String)> = tx
        .prepare_cached("SELECT segment, offset, length, crc, body FROM alert WHERE id = ?1")?
        .query_row([key(alert)], |row| Ok((frame(row)?, row.get(4)?)))
        .optional()?;
    let known = row.and_then(|(frame, body)| {
        let known: Alert = serde_json::from_str(&body).ok()?;
        Some((known.picture, frame))
    });
    Ok(known)
}

pub(crate) fn insert(
    tx: &Transaction<'_>,
    connections: &mut NameTable,
    alert: &Alert,
    body: &str,
    frame: Option<FrameRef>,
) -> rusqlite::Result<()> {
    let connection = connections.intern(tx, &alert.connection)?;
    let offset = frame.map(|frame| i64::try_from(frame.offset).unwrap_or(i64::MAX));
    tx.prepare_cached(
        "INSERT INTO alert (id, connection, source_id, stream, segment, offset, length, crc, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        key(alert.id),
        connection,
        alert.source_id,
        alert.camera_id(),
        frame.map_or(0, |frame| frame.segment),
        offset,
        frame.map(|frame| frame.length),
        frame.map(|frame| frame.crc),
        body,
    ])?;
    if let Some(record) = alert.anomaly_id() {
        insert_record(tx, connection, record, alert.id)?;
    }
    twins::insert(tx, alert)?;
    pictures::queue(tx, connection, alert)
}

/// Notes who has taken an alert. Returns whether nobody had before.
pub(crate) fn acknowledge(
    tx: &Transaction<'_>,
    alert: AlertId,
    by: &Actor,
    now: UnixMillis,
) -> rusqlite::Result<bool> {
    let rows = tx
        .prepare_cached(
            "UPDATE alert SET acknowledged_at = ?2, acknowledged_by = ?3
             WHERE id = ?1 AND acknowledged_at IS NULL AND dismissed_at IS NULL
               AND id > (SELECT cleared_through FROM live)",
        )?
        .execute(params![key(alert), now.0, to_json(by)])?;
    Ok(rows > 0)
}

/// Takes an alert off the live list, if there is such an alert.
pub(crate) fn dismiss(tx: &Transaction<'_>, alert: AlertId, now: UnixMillis) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE alert SET dismissed_at = coalesce(dismissed_at, ?2) WHERE id = ?1")?
        .execute(params![key(alert), now.0])
        .map(drop)
}

/// Takes all alerts up to this one off the live list.
pub(crate) fn clear(tx: &Transaction<'_>, through: i64, now: UnixMillis) -> rusqlite::Result<()> {
    tx.execute(
        "UPDATE live SET cleared_through = ?1, cleared_at = ?2",
        params![through, now.0],
    )
    .map(drop)
}

/// An alert that comes after the live list was cleared is live, even when its id is a little smaller than
/// one that was there before: connections hand out ids side by side. So the watermark goes back, and what
/// it covered is dismissed row by row. Returns the new watermark.
pub(crate) fn rewind_clear_watermark(
    tx: &Transaction<'_>,
    least: Option<i64>,
    cleared_through: i64,
) -> rusqlite::Result<i64> {
    let Some(least) = least.filter(|&least| least <= cleared_through) else {
        return Ok(cleared_through);
    };
    tx.execute(
        "UPDATE alert SET dismissed_at = cleared_at, acknowledged_at = coalesce(acknowledged_at, cleared_at),
           acknowledged_by = coalesce(acknowledged_by, ?3)
         FROM live WHERE id BETWEEN ?1 AND ?2 AND dismissed_at IS NULL",
        params![least, cleared_through, to_json(&Actor::Operator)],
    )?;
    tx.execute("UPDATE live SET cleared_through = ?1", [least - 1])?;
    Ok(least - 1)
}

/// Alerts and bytes of pictures that a transaction adds to each file of the frame log.
#[derive(Debug, Default)]
pub(crate) struct SegmentCounts(BTreeMap<i64, (i64, i64)>);

impl SegmentCounts {
    /// Counts an alert with this picture.
    pub(crate) fn add(&mut self, frame: Option<FrameRef>) {
        let (alerts, bytes) = self.0.entry(frame.map_or(0, |frame| frame.segment)).or_default();
        *alerts += 1;
        *bytes += frame.map_or(0, |frame| i64::from(frame.length));
    }

    /// Brings the counts in `segment` up to date, and the place where the next picture goes.
    pub(crate) fn write(&self, tx: &Transaction<'_>, frames: &FrameLog) -> rusqlite::Result<()> {
        let mut upsert = tx.prepare_cached(
            "INSERT INTO segment (number, size, head, alerts, bytes) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (number) DO UPDATE SET
               head = excluded.head, alerts = alerts + excluded.alerts, bytes = bytes + excluded.bytes",
        )?;
        for (&number, &(alerts, bytes)) in &self.0 {
            let (size, head) = match frames.head() {
                // Number 0 is no file.
                _ if number == 0 => (0, 0),
                Some(Head {
                    number: current,
                    size,
                    offset,
                }) if current == number => (size, offset),
                // It was filled within this transaction.
                _ => frames.size_of(number).map_or((0, 0), |size| (size, size)),
            };
            let [size, head] = [size, head].map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
            upsert.execute([number, size, head, alerts, bytes])?;
        }
        Ok(())
    }
}
