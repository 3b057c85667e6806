//! Deliveries within a transaction: planned, tried, made again, dropped; and the counts of them.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, Transaction, params, params_from_iter};
use watchpost_core::{Alert, AlertId, DeliveryState, PlannedDelivery, UnixMillis};

use crate::DeliveryUpdate;
use crate::codec::{AT_ONCE, json_column, key, shortened, state_code, state_of, to_json};
use crate::names::NameTable;
use crate::selection::{Condition, Selection};

/// Deliveries that one call changes at most, so that no alert waits long for it.
pub const MAX_CHANGED_ROWS: u64 = 10_000;

/// Retries of one sink that one batch can release.
const MAX_RELEASED_ROWS: u32 = 20_000;

/// Changes of the counts in `sink`, by sink and state.
#[derive(Debug, Default)]
pub(crate) struct CountDelta(BTreeMap<(i64, DeliveryState), i64>);

impl CountDelta {
    /// A delivery of this sink has come into one state, and left another.
    pub(crate) fn moved(&mut self, sink: i64, from: Option<DeliveryState>, to: Option<DeliveryState>) {
        if let Some(from) = from {
            *self.0.entry((sink, from)).or_default() -= 1;
        }
        if let Some(to) = to {
            *self.0.entry((sink, to)).or_default() += 1;
        }
    }

    /// Brings the counts in `sink` up to date.
    pub(crate) fn write(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut update = tx.prepare_cached(
            "UPDATE sink SET pending = pending + ?2, delivered = delivered + ?3, dead = dead + ?4,
             expired = expired + ?5, dropped = dropped + ?6 WHERE id = ?1",
        )?;
        let mut sinks: Vec<i64> = self.0.keys().map(|&(sink, _)| sink).collect();
        sinks.dedup();
        for sink in sinks {
            let by = |state| self.0.get(&(sink, state)).copied().unwrap_or(0);
            update.execute([
                sink,
                by(DeliveryState::Pending),
                by(DeliveryState::Delivered),
                by(DeliveryState::Dead),
                by(DeliveryState::Expired),
                by(DeliveryState::Dropped),
            ])?;
        }
        Ok(())
    }
}

pub(crate) fn insert(
    tx: &Transaction<'_>,
    sinks: &mut NameTable,
    alert: AlertId,
    planned: &PlannedDelivery,
    counts: &mut CountDelta,
) -> rusqlite::Result<()> {
    let sink = sinks.intern(tx, &planned.sink)?;
    let due = |at: Option<UnixMillis>| at.map_or(AT_ONCE, |at| at.0.max(AT_ONCE + 1));
    let due_at = due(planned.picture_by.or(planned.due_at));
    let inserted = tx
        .prepare_cached(
            "INSERT INTO delivery
               (alert, sink, state, attempts, due_at, expires_at, cancel_on_acknowledge, reason, with_picture_at)
             VALUES (?1, ?2, 0, 0, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            key(alert),
            sink,
            due_at,
            planned.expires_at.map(|at| at.0),
            planned.cancel_on_acknowledge,
            to_json(&planned.reason),
            planned.picture_by.map(|_| due(planned.due_at)),
        ])?;
    if inserted == 1 {
        enqueue(tx, sink, due_at, key(alert))?;
        counts.moved(sink, None, Some(DeliveryState::Pending));
    }
    Ok(())
}

/// Records what became of a delivery, if it is still pending.
pub(crate) fn apply(
    tx: &Transaction<'_>,
    sinks: &NameTable,
    update: &DeliveryUpdate,
    counts: &mut CountDelta,
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
    dequeue(tx, sink, was_due, alert)?;
    let pending = update.state == DeliveryState::Pending;
    let (due_at, finished_at) = if pending {
        (update.due_at.0.max(AT_ONCE + 1), None)
    } else {
        (was_due, Some(update.due_at.0))
    };
    tx.prepare_cached(
        "UPDATE delivery SET state = ?3, attempts = ?4, due_at = ?5, finished_at = ?6, error = ?7,
           with_picture_at = NULL
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
    counts.moved(sink, Some(DeliveryState::Pending), Some(update.state));
    Ok(())
}

/// Moves retries from the waiting part of the queue to the part that is ordered by alert. What was never tried keeps the
/// time that its route gave it.
pub(crate) fn release(tx: &Transaction<'_>, sinks: &NameTable, sink: &str) -> rusqlite::Result<()> {
    let Some(sink) = sinks.find(sink) else {
        return Ok(());
    };
    let waiting: Vec<(i64, i64)> = tx
        .prepare_cached(
            "SELECT q.due_at, q.alert FROM queue q CROSS JOIN delivery d ON d.alert = q.alert AND d.sink = q.sink
             WHERE q.sink = ?1 AND q.due_at > 0 AND d.attempts > 0 ORDER BY q.due_at, q.alert LIMIT ?2",
        )?
        .query_map(params![sink, MAX_RELEASED_ROWS], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    let mut update = tx.prepare_cached("UPDATE delivery SET due_at = 0 WHERE alert = ?1 AND sink = ?2")?;
    for (due_at, alert) in waiting {
        dequeue(tx, sink, due_at, alert)?;
        update.execute([alert, sink])?;
        enqueue(tx, sink, AT_ONCE, alert)?;
    }
    Ok(())
}

/// A delivery that waits for its first attempt is due at once.
pub(crate) fn hasten(
    tx: &Transaction<'_>,
    sinks: &NameTable,
    alert: AlertId,
    sink: &str,
) -> rusqlite::Result<()> {
    let Some(sink) = sinks.find(sink) else {
        return Ok(());
    };
    let alert = key(alert);
    let due_at: Option<i64> = tx
        .prepare_cached(
            "SELECT due_at FROM delivery WHERE alert = ?1 AND sink = ?2 AND state = 0 AND attempts = 0",
        )?
        .query_row([alert, sink], |row| row.get(0))
        .optional()?;
    let Some(due_at) = due_at else { return Ok(()) };
    dequeue(tx, sink, due_at, alert)?;
    tx.prepare_cached("UPDATE delivery SET due_at = ?3 WHERE alert = ?1 AND sink = ?2")?
        .execute([alert, sink, AT_ONCE])?;
    enqueue(tx, sink, AT_ONCE, alert)
}

/// The deliveries of this alert wait for its picture no longer. `sinks` gets the names of those that did.
pub(crate) fn bring_forward(
    tx: &Transaction<'_>,
    alert: i64,
    sinks: &mut BTreeSet<String>,
) -> rusqlite::Result<()> {
    let waiting: Vec<(i64, String, i64, i64)> = tx
        .prepare_cached(
            "SELECT s.id, s.name, d.due_at, d.with_picture_at FROM delivery d JOIN sink s ON s.id = d.sink
             WHERE d.alert = ?1 AND d.state = 0 AND d.with_picture_at IS NOT NULL",
        )?
        .query_map([alert], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect::<Result<_, _>>()?;
    let mut update = tx.prepare_cached(
        "UPDATE delivery SET due_at = ?3, with_picture_at = NULL WHERE alert = ?1 AND sink = ?2",
    )?;
    for (sink, name, due_at, with_picture_at) in waiting {
        dequeue(tx, sink, due_at, alert)?;
        update.execute([alert, sink, with_picture_at])?;
        enqueue(tx, sink, with_picture_at, alert)?;
        sinks.insert(name);
    }
    Ok(())
}

fn enqueue(tx: &Connection, sink: i64, due_at: i64, alert: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT INTO queue (sink, due_at, alert) VALUES (?1, ?2, ?3)")?
        .execute([sink, due_at, alert])
        .map(drop)
}

fn dequeue(tx: &Connection, sink: i64, due_at: i64, alert: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM queue WHERE sink = ?1 AND due_at = ?2 AND alert = ?3")?
        .execute([sink, due_at, alert])
        .map(drop)
}

/// Which pending deliveries are dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dropping<'a> {
    /// Those that meet these conditions.
    pub(crate) selection: Selection,
    /// And are cancelled once their alert is acknowledged.
    pub(crate) cancelled: bool,
    /// And do not go to this sink.
    pub(crate) except: Option<&'a str>,
    /// And belong to this alert or an older one.
    pub(crate) through: Option<AlertId>,
}

/// Drops pending deliveries, for this reason; returns how many. When it is [`MAX_CHANGED_ROWS`] there may be more.
pub(crate) fn drop_pending(
    tx: &Transaction<'_>,
    which: &Dropping<'_>,
    reason: &str,
    now: UnixMillis,
) -> rusqlite::Result<u64> {
    let states = &which.selection.states;
    if !states.is_empty() && !states.contains(&DeliveryState::Pending) {
        return Ok(0);
    }
    let mut condition = Condition::of(&Selection {
        states: vec![DeliveryState::Pending],
        ..which.selection.clone()
    });
    if which.cancelled {
        condition.and("d.cancel_on_acknowledge", None);
    }
    if let Some(except) = which.except {
        condition.and("s.name <> ?", Some(except.to_owned().into()));
    }
    if let Some(through) = which.through {
        condition.and("d.alert <= ?", Some(key(through).into()));
    }
    // A few deliveries of one alert, or some of all that are pending: never a search among those that are done.
    let from = if which.selection.alert.is_some() {
        "delivery d CROSS JOIN sink s ON s.id = d.sink"
    } else {
        "sink s CROSS JOIN queue q ON q.sink = s.id CROSS JOIN delivery d ON d.alert = q.alert AND d.sink = q.sink"
    };
    drop_found(tx, &find(tx, from, condition)?, reason, now)
}

/// Drops pending deliveries of the newest alerts that are muted, for this reason; returns those alerts, oldest first. It looks
/// at [`MAX_CHANGED_ROWS`] deliveries.
pub(crate) fn drop_muted(
    tx: &Transaction<'_>,
    mutes: impl Fn(&Alert, &str) -> bool,
    reason: &str,
    now: UnixMillis,
) -> rusqlite::Result<Vec<Alert>> {
    let (found, mut muted) = find_muted(tx, mutes)?;
    drop_found(tx, &found, reason, now)?;
    muted.reverse();
    Ok(muted)
}

/// Ids of the newest alerts with pending deliveries that are muted. It looks at [`MAX_CHANGED_ROWS`] deliveries.
pub(crate) fn muted(
    db: &Connection,
    mutes: impl Fn(&Alert, &str) -> bool,
) -> rusqlite::Result<BTreeSet<AlertId>> {
    let (_, muted) = find_muted(db, mutes)?;
    Ok(muted.into_iter().map(|alert| alert.id).collect())
}

/// The pending deliveries that are muted, and their alerts, newest first.
fn find_muted(
    db: &Connection,
    mutes: impl Fn(&Alert, &str) -> bool,
) -> rusqlite::Result<(Vec<Found>, Vec<Alert>)> {
    let (mut found, mut muted) = (Vec::new(), Vec::<Alert>::new());
    let mut pending = db.prepare_cached(
        "SELECT q.alert, q.sink, q.due_at, s.name, a.body FROM queue q
         JOIN sink s ON s.id = q.sink JOIN alert a ON a.id = q.alert ORDER BY q.alert DESC LIMIT ?1",
    )?;
    let mut rows = pending.query([i64::try_from(MAX_CHANGED_ROWS).unwrap_or(i64::MAX)])?;
    while let Some(row) = rows.next()? {
        let (sink, alert): (String, Alert) = (row.get(3)?, json_column(row, 4)?);
        if !mutes(&alert, &sink) {
            continue;
        }
        found.push(Found {
            alert: row.get(0)?,
            sink: row.get(1)?,
            state: DeliveryState::Pending,
            due_at: row.get(2)?,
        });
        if muted.last().is_none_or(|last| last.id != alert.id) {
            muted.push(alert);
        }
    }
    Ok((found, muted))
}

fn drop_found(tx: &Transaction<'_>, found: &[Found], reason: &str, now: UnixMillis) -> rusqlite::Result<u64> {
    let mut update = tx.prepare_cached(
        "UPDATE delivery SET state = ?3, finished_at = ?4, error = ?5 WHERE alert = ?1 AND sink = ?2",
    )?;
    let (mut counts, state) = (CountDelta::default(), DeliveryState::Dropped);
    for found in found {
        dequeue(tx, found.sink, found.due_at, found.alert)?;
        update.execute(params![
            found.alert,
            found.sink,
            state_code(state),
            now.0,
            shortened(reason)
        ])?;
        counts.moved(found.sink, Some(found.state), Some(state));
    }
    counts.write(tx)?;
    Ok(u64::try_from(found.len()).unwrap_or(u64::MAX))
}

/// Makes deliveries that have ended undelivered, or that wait for a retry, due at once; returns how many. When it is
/// [`MAX_CHANGED_ROWS`] there may be more.
pub(crate) fn retry(tx: &Transaction<'_>, selection: &Selection) -> rusqlite::Result<u64> {
    let wanted = |state: &DeliveryState| {
        *state != DeliveryState::Delivered
            && (selection.states.is_empty() || selection.states.contains(state))
    };
    let states: Vec<_> = DeliveryState::ALL.into_iter().filter(wanted).collect();
    if states.is_empty() {
        return Ok(0);
    }
    let mut condition = Condition::of(&Selection {
        states,
        ..selection.clone()
    });
    // What is due at once already is left as it is, or the same would be found over and over.
    condition.and("(d.state <> 0 OR d.due_at > 0)", None);
    let found = find(tx, "delivery d CROSS JOIN sink s ON s.id = d.sink", condition)?;
    let mut update = tx.prepare_cached(
        "UPDATE delivery SET state = 0, due_at = 0, expires_at = NULL, finished_at = NULL, with_picture_at = NULL
         WHERE alert = ?1 AND sink = ?2",
    )?;
    let mut counts = CountDelta::default();
    for found in &found {
        if found.state == DeliveryState::Pending {
            dequeue(tx, found.sink, found.due_at, found.alert)?;
        }
        update.execute([found.alert, found.sink])?;
        enqueue(tx, found.sink, AT_ONCE, found.alert)?;
        counts.moved(found.sink, Some(found.state), Some(DeliveryState::Pending));
    }
    counts.write(tx)?;
    Ok(u64::try_from(found.len()).unwrap_or(u64::MAX))
}

/// Keys of a delivery.
struct Found {
    alert: i64,
    sink: i64,
    state: DeliveryState,
    due_at: i64,
}

fn find(tx: &Connection, from: &str, condition: Condition) -> rusqlite::Result<Vec<Found>> {
    let (sql, mut values) = condition.parts();
    values.push(i64::try_from(MAX_CHANGED_ROWS).unwrap_or(i64::MAX).into());
    tx.prepare(&format!(
        "SELECT d.alert, d.sink, d.state, d.due_at FROM {from} WHERE {sql} LIMIT ?"
    ))?
    .query_map(params_from_iter(values), |row| {
        Ok(Found {
            alert: row.get(0)?,
            sink: row.get(1)?,
            state: state_of(row.get(2)?),
            due_at: row.get(3)?,
        })
    })?
    .collect()
}
