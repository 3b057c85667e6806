//! The transaction that keeps a batch.
//!
//! The order on disk is pictures, then rows: a row that can be read never refers to a picture that may
//! not be there.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use watchpost_core::{Alert, AlertId, DeliveryState, PlannedDelivery};

use crate::anomalies::{Annotating, annotate, insert_anomaly, set_horizon, stored_anomaly};
use crate::frames::{FrameLog, FrameRef, Head};
use crate::names::Names;
use crate::store::{id, key};
use crate::{Arrival, Batch, DeliveryUpdate, Receipt, Store, StoreError};

/// Retries of one sink that one batch can release.
const MAX_RELEASED_ROWS: u32 = 20_000;

/// Longest error text kept with a delivery, in bytes.
const MAX_ERROR_BYTES: usize = 1_000;

/// Due time of a delivery that waits for nothing.
pub(crate) const AT_ONCE: i64 = 0;

/// Changes of the counts in `sink`, by sink and state.
type Tally = BTreeMap<(i64, DeliveryState), i64>;

pub(crate) fn commit(store: &mut Store, batch: &Batch) -> Result<Vec<Receipt>, StoreError> {
    let path = store.place.database();
    let sql = |e| StoreError::database("store alerts in", &path, e);
    let bodies = batch
        .arrivals
        .iter()
        .map(|arrival| document(&arrival.alert))
        .collect::<Result<Vec<_>, _>>()?;
    let tx = store
        .db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(sql)?;
    let (connections, sinks) = (&mut store.connections, &mut store.sinks);

    let receipts = receipts(&tx, connections, &batch.arrivals, store.last_id).map_err(sql)?;
    let new = || {
        let stored = receipts.iter().map(|receipt| *receipt == Receipt::Stored);
        batch
            .arrivals
            .iter()
            .zip(&bodies)
            .zip(stored)
            .filter_map(|(new, stored)| stored.then_some(new))
    };
    // The pictures are on their way to the disk while SQLite works.
    let frames: Vec<&[u8]> = new()
        .filter_map(|(arrival, _)| arrival.frame.as_deref())
        .collect();
    let mut frame_refs = store.frames.append(&frames)?.into_iter();

    let least = new().map(|(arrival, _)| key(arrival.alert.id)).min();
    let cleared_through = stay_live(&tx, least, store.cleared_through).map_err(sql)?;
    let mut tally = Tally::new();
    let mut segments: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
    for (arrival, body) in new() {
        let frame = arrival.frame.as_ref().and_then(|_| frame_refs.next());
        let (alerts, bytes) = segments
            .entry(frame.map_or(0, |frame| frame.segment))
            .or_default();
        *alerts += 1;
        *bytes += frame.map_or(0, |frame| i64::from(frame.length));
        insert_alert(&tx, connections, arrival, body, frame).map_err(sql)?;
        for planned in &arrival.deliveries {
            insert_delivery(&tx, sinks, arrival.alert.id, planned, &mut tally).map_err(sql)?;
        }
    }
    for annotation in &batch.annotations {
        annotate(&tx, annotation).map_err(|e| match e {
            Annotating::Sql(e) => sql(e),
            Annotating::Document(e) => e,
        })?;
    }
    changes(&tx, (connections, sinks), batch, &mut tally).map_err(sql)?;
    count(&tx, &tally).map_err(sql)?;
    count_segments(&tx, &segments, &store.frames).map_err(sql)?;

    store.frames.sync()?;
    tx.commit().map_err(sql)?;

    store.frames.keep();
    store.cleared_through = cleared_through;
    store.last_id = new()
        .map(|(arrival, _)| key(arrival.alert.id))
        .fold(store.last_id, i64::max);
    Ok(receipts)
}

/// What a batch says of alerts and records that were there before.
fn changes(
    tx: &Transaction<'_>,
    (connections, sinks): (&mut Names, &mut Names),
    batch: &Batch,
    tally: &mut Tally,
) -> rusqlite::Result<()> {
    for update in &batch.updates {
        apply(tx, sinks, update, tally)?;
    }
    for (connection, horizon) in &batch.horizons {
        set_horizon(tx, connections, connection, *horizon)?;
    }
    for sink in &batch.release {
        release(tx, sinks, sink)?;
    }
    Ok(())
}

/// An alert's JSON form.
pub(crate) fn document(alert: &Alert) -> Result<String, StoreError> {
    serde_json::to_string(alert).map_err(|source| StoreError::Document {
        alert: alert.id.0,
        source,
    })
}

/// Finds out which arrivals are new: neither in the database nor earlier in the batch.
fn receipts(
    tx: &Transaction<'_>,
    connections: &mut Names,
    arrivals: &[Arrival],
    last_id: i64,
) -> rusqlite::Result<Vec<Receipt>> {
    let mut sources: HashMap<(i64, &str), AlertId> = HashMap::new();
    let mut anomalies: HashMap<(i64, &str), AlertId> = HashMap::new();
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
        let anomaly = alert.anomaly_id().map(|anomaly| (connection, anomaly));
        if let (None, Some(anomaly)) = (kept, anomaly) {
            kept = match anomalies.get(&anomaly) {
                Some(&kept) => Some(kept),
                None => stored_anomaly(tx, anomaly.0, anomaly.1)?,
            };
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
                anomalies.extend(anomaly.map(|anomaly| (anomaly, alert.id)));
                ids.push(alert.id);
                newest = newest.max(key(alert.id));
                Receipt::Stored
            }
        });
    }
    Ok(receipts)
}

fn stored_source(db: &Connection, (connection, source): (i64, &str)) -> rusqlite::Result<Option<AlertId>> {
    db.prepare_cached("SELECT id FROM alert WHERE connection = ?1 AND source_id = ?2")?
        .query_row(params![connection, source], |row| row.get(0).map(id))
        .optional()
}

fn is_stored(db: &Connection, id: AlertId) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM alert WHERE id = ?1")?
        .exists([key(id)])
}

fn insert_alert(
    tx: &Transaction<'_>,
    connections: &mut Names,
    Arrival { alert, .. }: &Arrival,
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
    if let Some(anomaly_id) = alert.anomaly_id() {
        insert_anomaly(tx, connection, anomaly_id, alert.id)?;
    }
    Ok(())
}

fn insert_delivery(
    tx: &Transaction<'_>,
    sinks: &mut Names,
    alert: AlertId,
    planned: &PlannedDelivery,
    tally: &mut Tally,
) -> rusqlite::Result<()> {
    let sink = sinks.intern(tx, &planned.sink)?;
    let inserted = tx
        .prepare_cached(
            "INSERT INTO delivery (alert, sink, state, attempts, due_at, expires_at)
             VALUES (?1, ?2, 0, 0, 0, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute(params![key(alert), sink, planned.expires_at.map(|at| at.0)])?;
    if inserted == 1 {
        enqueue(tx, sink, AT_ONCE, key(alert))?;
        *tally.entry((sink, DeliveryState::Pending)).or_default() += 1;
    }
    Ok(())
}

fn apply(
    tx: &Transaction<'_>,
    sinks: &Names,
    update: &DeliveryUpdate,
    tally: &mut Tally,
) -> rusqlite::Result<()> {
    let Some(sink) = sinks.find(&update.sink) else {
        return Ok(());
    };
    let alert = key(update.alert);
    let was_due: Option<i64> = tx
        .prepare_cached("SELECT due_at FROM delivery WHERE alert = ?1 AND sink = ?2 AND state = 0")?
        .query_row(params![alert, sink], |row| row.get(0))
        .optional()?;
    let Some(was_due) = was_due else { return Ok(()) };
    tx.prepare_cached("DELETE FROM queue WHERE sink = ?1 AND due_at = ?2 AND alert = ?3")?
        .execute(params![sink, was_due, alert])?;
    let pending = update.state == DeliveryState::Pending;
    let (due_at, finished_at) = if pending {
        (update.due_at.0.max(AT_ONCE + 1), None)
    } else {
        (was_due, Some(update.due_at.0))
    };
    tx.prepare_cached(
        "UPDATE delivery SET state = ?3, attempts = ?4, due_at = ?5, finished_at = ?6, error = ?7
         WHERE alert = ?1 AND sink = ?2",
    )?
    .execute(params![
        alert,
        sink,
        state_code(update.state),
        update.attempts,
        due_at,
        finished_at,
        update.error.as_deref().map(shortened),
    ])?;
    if pending {
        return enqueue(tx, sink, due_at, alert);
    }
    *tally.entry((sink, DeliveryState::Pending)).or_default() -= 1;
    *tally.entry((sink, update.state)).or_default() += 1;
    Ok(())
}

fn enqueue(tx: &Transaction<'_>, sink: i64, due_at: i64, alert: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT INTO queue (sink, due_at, alert) VALUES (?1, ?2, ?3)")?
        .execute([sink, due_at, alert])?;
    Ok(())
}

/// Moves retries from the waiting part of the queue to the part that is ordered by alert.
fn release(tx: &Transaction<'_>, sinks: &Names, sink: &str) -> rusqlite::Result<()> {
    let Some(sink) = sinks.find(sink) else {
        return Ok(());
    };
    let waiting: Vec<(i64, i64)> = tx
        .prepare_cached(
            "SELECT due_at, alert FROM queue WHERE sink = ?1 AND due_at > 0 ORDER BY due_at, alert LIMIT ?2",
        )?
        .query_map(params![sink, MAX_RELEASED_ROWS], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    let mut delete = tx.prepare_cached("DELETE FROM queue WHERE sink = ?1 AND due_at = ?2 AND alert = ?3")?;
    let mut update = tx.prepare_cached("UPDATE delivery SET due_at = 0 WHERE alert = ?1 AND sink = ?2")?;
    for (due_at, alert) in waiting {
        delete.execute([sink, due_at, alert])?;
        update.execute([alert, sink])?;
        enqueue(tx, sink, AT_ONCE, alert)?;
    }
    Ok(())
}

/// Brings the counts in `sink` up to date.
fn count(tx: &Transaction<'_>, tally: &Tally) -> rusqlite::Result<()> {
    let mut update = tx.prepare_cached(
        "UPDATE sink SET pending = pending + ?2, delivered = delivered + ?3, dead = dead + ?4,
         expired = expired + ?5 WHERE id = ?1",
    )?;
    let mut sinks: Vec<i64> = tally.keys().map(|&(sink, _)| sink).collect();
    sinks.dedup();
    for sink in sinks {
        let of = |state| tally.get(&(sink, state)).copied().unwrap_or(0);
        update.execute([
            sink,
            of(DeliveryState::Pending),
            of(DeliveryState::Delivered),
            of(DeliveryState::Dead),
            of(DeliveryState::Expired),
        ])?;
    }
    Ok(())
}

/// Brings the counts in `segment` up to date, and the place where the next picture goes.
fn count_segments(
    tx: &Transaction<'_>,
    segments: &BTreeMap<i64, (i64, i64)>,
    frames: &FrameLog,
) -> rusqlite::Result<()> {
    let mut upsert = tx.prepare_cached(
        "INSERT INTO segment (number, size, head, alerts, bytes) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (number) DO UPDATE SET
           head = excluded.head, alerts = alerts + excluded.alerts, bytes = bytes + excluded.bytes",
    )?;
    for (&number, &(alerts, bytes)) in segments {
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

/// An alert that comes after the live list was cleared is live, even when its id is a little smaller than
/// one that was there before: connections hand out ids side by side. So the watermark goes back, and what
/// it covered is dismissed row by row. Returns the new watermark.
fn stay_live(tx: &Transaction<'_>, least: Option<i64>, cleared_through: i64) -> rusqlite::Result<i64> {
    let Some(least) = least.filter(|&least| least <= cleared_through) else {
        return Ok(cleared_through);
    };
    tx.execute(
        "UPDATE alert SET dismissed_at = (SELECT cleared_at FROM live)
         WHERE id BETWEEN ?1 AND ?2 AND dismissed_at IS NULL",
        [least, cleared_through],
    )?;
    tx.execute("UPDATE live SET cleared_through = ?1", [least - 1])?;
    Ok(least - 1)
}

/// The number a state is stored as.
pub(crate) fn state_code(state: DeliveryState) -> i64 {
    match state {
        DeliveryState::Pending => 0,
        DeliveryState::Delivered => 1,
        DeliveryState::Dead => 2,
        DeliveryState::Expired => 3,
    }
}

/// The state stored as a number.
pub(crate) fn state_of(code: i64) -> DeliveryState {
    match code {
        0 => DeliveryState::Pending,
        1 => DeliveryState::Delivered,
        3 => DeliveryState::Expired,
        _ => DeliveryState::Dead,
    }
}

fn shortened(text: &str) -> &str {
    let mut end = text.len().min(MAX_ERROR_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
