//! Removing what is old: a little at a time, so that alerts that come in meanwhile never wait long.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use watchpost_core::UnixMillis;

use crate::anomalies::forget;
use crate::{Retention, Store, StoreError};

/// Alerts that one call looks at. It takes a few milliseconds.
const MAX_ALERTS_PER_CALL: u32 = 500;

/// How long a sweep that met a backlog waits before it is begun again, in milliseconds: stepping over a
/// million alerts every few seconds would be work for nothing.
const SWEEP_PAUSE_MS: i64 = 60_000;

/// What one call of [`Store::retain`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// Alerts removed.
    pub alerts: u64,
    /// Size of their pictures in bytes.
    pub frame_bytes: u64,
    /// There may be more to remove: call again soon, after whatever is more urgent.
    pub more: bool,
    /// Set with the last call of a sweep when alerts beyond the limits had to stay, because deliveries of
    /// them are pending.
    pub held: Option<Held>,
}

/// What keeps the store above its limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Alerts beyond the limits.
    pub alerts: u64,
    /// The sinks they wait for.
    pub sinks: Vec<String>,
}

/// How far a sweep over the alerts, oldest first, has come.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// The last alert looked at; 0 at the beginning.
    through: i64,
    held: u64,
    held_for: BTreeSet<i64>,
    /// When the next sweep may begin.
    resting_until: UnixMillis,
}

/// How far the store is beyond its limits.
struct Excess {
    /// Alerts with smaller ids are too old.
    older_than: i64,
    /// Alerts too many.
    alerts: u64,
    /// Bytes too many on disk.
    bytes: u64,
}

struct Row {
    alert: i64,
    segment: i64,
    frame_bytes: i64,
}

impl Store {
    /// Removes alerts beyond the limits, oldest first, with their deliveries and pictures. An alert that
    /// has a pending delivery stays, and so does what is younger than the oldest that is within the limits.
    ///
    /// # Errors
    /// When it cannot be written. Nothing is removed then.
    pub fn retain(&mut self, now: UnixMillis) -> Result<RetentionReport, StoreError> {
        let current = self.frames.head().map_or(0, |head| head.number);
        let spare_bytes = self.frames.segment_size();
        let limits = self.options.retention;
        let outcome = forget(&self.db, now);
        self.outcome("forget old records in", outcome)?;
        if limits == Retention::default() {
            return Ok(RetentionReport::default());
        }
        // A clock that was set back must not make a long rest of it.
        let rest = self.sweep.resting_until.0.saturating_sub(now.0);
        if (1..=SWEEP_PAUSE_MS).contains(&rest) {
            return Ok(RetentionReport::default());
        }
        let outcome = remove_some(&mut self.db, &limits, spare_bytes, current, &mut self.sweep, now);
        let (report, freed) = self.outcome("remove old alerts from", outcome)?;
        self.frames.free(&freed);
        Ok(report)
    }
}

fn remove_some(
    db: &mut Connection,
    limits: &Retention,
    spare_bytes: u64,
    current: i64,
    sweep: &mut Sweep,
    now: UnixMillis,
) -> rusqlite::Result<(RetentionReport, Vec<i64>)> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut removal = Removal::default();
    removal.give_up_files(&tx, current)?;
    let mut excess = excess(&tx, limits, spare_bytes, now)?;
    let rows = next_rows(&tx, sweep.through)?;
    let mut more = rows.len() == usize::try_from(MAX_ALERTS_PER_CALL).unwrap_or(usize::MAX);
    let (mut through, mut held, mut held_for) = (sweep.through, 0, BTreeSet::new());
    for row in rows {
        if row.alert >= excess.older_than && excess.alerts == 0 && excess.bytes == 0 {
            more = false;
            break;
        }
        through = row.alert;
        let waiting = waiting_sinks(&tx, row.alert)?;
        if !waiting.is_empty() {
            held += 1;
            held_for.extend(waiting);
            continue;
        }
        removal.remove(&tx, &row)?;
        excess.alerts = excess.alerts.saturating_sub(1);
        if is_empty(&tx, row.segment)? {
            let freed = removal.give_up_files(&tx, current)?;
            excess.bytes = excess.bytes.saturating_sub(freed);
        }
    }
    removal.count(&tx)?;
    tx.commit()?;

    sweep.through = through;
    sweep.held += held;
    sweep.held_for.extend(held_for);
    let mut report = RetentionReport {
        alerts: removal.alerts,
        frame_bytes: removal.frame_bytes,
        more,
        held: None,
    };
    if !more {
        let Sweep {
            held: alerts,
            held_for,
            ..
        } = std::mem::take(sweep);
        if alerts > 0 {
            if alerts >= u64::from(MAX_ALERTS_PER_CALL) {
                sweep.resting_until = UnixMillis(now.0.saturating_add(SWEEP_PAUSE_MS));
            }
            report.held = Some(Held {
                alerts,
                sinks: names(db, &held_for)?,
            });
        }
    }
    Ok((report, removal.freed))
}

fn excess(
    tx: &Transaction<'_>,
    limits: &Retention,
    spare_bytes: u64,
    now: UnixMillis,
) -> rusqlite::Result<Excess> {
    let positive = |number: i64| u64::try_from(number).unwrap_or(0);
    let (alerts, segments) = tx
        .prepare_cached("SELECT sum(alerts), sum(size) FROM segment")?
        .query_row([], |row| Ok((positive(row.get(0)?), positive(row.get(1)?))))?;
    let pragma = |name| {
        tx.pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map(positive)
    };
    let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
    let bytes = segments + spare_bytes + pages * pragma("page_size")?;
    let micros = |age: std::time::Duration| i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    Ok(Excess {
        older_than: limits
            .keep_for
            .map_or(0, |age| now.0.saturating_mul(1_000).saturating_sub(micros(age))),
        alerts: limits.keep_max.map_or(0, |most| alerts.saturating_sub(most)),
        bytes: limits.max_size.map_or(0, |most| bytes.saturating_sub(most)),
    })
}

fn next_rows(tx: &Transaction<'_>, after: i64) -> rusqlite::Result<Vec<Row>> {
    tx.prepare_cached(
        "SELECT id, segment, coalesce(length, 0) FROM alert WHERE id > ?1 ORDER BY id LIMIT ?2",
    )?
    .query_map(params![after, MAX_ALERTS_PER_CALL], |row| {
        Ok(Row {
            alert: row.get(0)?,
            segment: row.get(1)?,
            frame_bytes: row.get(2)?,
        })
    })?
    .collect()
}

fn waiting_sinks(tx: &Transaction<'_>, alert: i64) -> rusqlite::Result<Vec<i64>> {
    tx.prepare_cached("SELECT sink FROM delivery WHERE alert = ?1 AND state = 0")?
        .query_map([alert], |row| row.get(0))?
        .collect()
}

fn is_empty(tx: &Transaction<'_>, segment: i64) -> rusqlite::Result<bool> {
    tx.prepare_cached("SELECT 1 FROM segment WHERE number = ?1 AND alerts = 0")?
        .exists([segment])
}

fn names(db: &Connection, sinks: &BTreeSet<i64>) -> rusqlite::Result<Vec<String>> {
    let mut query = db.prepare_cached("SELECT name FROM sink WHERE id = ?1")?;
    sinks
        .iter()
        .map(|sink| query.query_row([sink], |row| row.get(0)))
        .collect()
}

/// What a transaction has removed so far.
#[derive(Default)]
struct Removal {
    alerts: u64,
    frame_bytes: u64,
    /// Changes of the counts in `sink`: delivered, dead, expired.
    sinks: BTreeMap<i64, [i64; 3]>,
    /// Files that hold nothing any more.
    freed: Vec<i64>,
}

impl Removal {
    fn remove(&mut self, tx: &Transaction<'_>, row: &Row) -> rusqlite::Result<()> {
        let mut deliveries = tx.prepare_cached("SELECT sink, state FROM delivery WHERE alert = ?1")?;
        let mut rows = deliveries.query([row.alert])?;
        while let Some(delivery) = rows.next()? {
            let state: usize = usize::try_from(delivery.get::<_, i64>(1)?).unwrap_or(0);
            let counts = self.sinks.entry(delivery.get(0)?).or_default();
            if let Some(count) = state
                .checked_sub(1)
                .and_then(|final_state| counts.get_mut(final_state))
            {
                *count += 1;
            }
        }
        tx.prepare_cached("DELETE FROM delivery WHERE alert = ?1")?
            .execute([row.alert])?;
        tx.prepare_cached("DELETE FROM alert WHERE id = ?1")?
            .execute([row.alert])?;
        tx.prepare_cached("UPDATE segment SET alerts = alerts - 1, bytes = bytes - ?2 WHERE number = ?1")?
            .execute([row.segment, row.frame_bytes])?;
        self.alerts += 1;
        self.frame_bytes += u64::try_from(row.frame_bytes).unwrap_or(0);
        Ok(())
    }

    /// Gives up the files that hold nothing any more, but for the one that is written to: it is given up
    /// here once the next one is begun. Returns the bytes that this sets free.
    fn give_up_files(&mut self, tx: &Transaction<'_>, current: i64) -> rusqlite::Result<u64> {
        let mut delete = tx.prepare_cached(
            "DELETE FROM segment WHERE alerts = 0 AND number NOT IN (0, ?1) RETURNING number, size",
        )?;
        let mut bytes = 0;
        let mut rows = delete.query([current])?;
        while let Some(row) = rows.next()? {
            self.freed.push(row.get(0)?);
            bytes += u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        }
        Ok(bytes)
    }

    fn count(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut update = tx.prepare_cached(
            "UPDATE sink SET delivered = delivered - ?2, dead = dead - ?3, expired = expired - ?4 WHERE id = ?1",
        )?;
        for (&sink, &[delivered, dead, expired]) in &self.sinks {
            update.execute([sink, delivered, dead, expired])?;
        }
        Ok(())
    }
}
