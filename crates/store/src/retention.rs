//! Removing what is old: a little at a time, so that alerts that come in meanwhile never wait long.

use std::collections::BTreeSet;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use watchpost_core::{ClockSteps, UnixMillis};

use crate::Retention;
use crate::clock;
use crate::codec::{id, state_of};
use crate::deliveries::CountDelta;

/// Alerts that one call looks at. It takes a few milliseconds.
const MAX_ALERTS_PER_CALL: u32 = 500;

/// How long a sweep that met a backlog waits before it is begun again, in milliseconds: stepping over a
/// million alerts every few seconds would be work for nothing.
const SWEEP_PAUSE_MS: i64 = 60_000;

/// What one call of [`crate::Store::retain`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// Alerts removed.
    pub alerts: u64,
    /// Size of their pictures in bytes.
    pub frame_bytes: u64,
    /// Deliveries removed with them that waited for sinks that are no longer there.
    pub undelivered: u64,
    /// There may be more to remove: call again soon, after whatever is more urgent.
    pub more: bool,
    /// Set with the last call of a sweep when alerts beyond the limits had to stay, because deliveries of
    /// them are pending.
    pub held: Option<Held>,
    /// Nothing was looked at: the sweep before met a backlog, and the next one waits a while.
    pub resting: bool,
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
    /// Alerts received before then are too old.
    older_than: UnixMillis,
    steps: ClockSteps,
    /// Alerts too many.
    alerts: u64,
    /// Bytes too many on disk.
    bytes: u64,
}

impl Excess {
    fn is_too_old(&self, alert: i64) -> bool {
        let alert = id(alert);
        self.steps.moved(alert, alert.received_at()) < self.older_than
    }
}

struct Row {
    alert: i64,
    segment: i64,
    frame_bytes: i64,
}

/// What a sweep keeps to.
pub(crate) struct Limits<'a> {
    pub(crate) keep: Retention,
    /// Names of the sinks that alerts are kept for; `None` for all.
    pub(crate) sinks: Option<&'a BTreeSet<String>>,
    /// A file of the frame log that is free, in bytes: it counts as used.
    pub(crate) spare_bytes: u64,
    /// The file that is written to.
    pub(crate) current_file: i64,
}

/// Removes some alerts beyond the limits; returns the files of the frame log that hold nothing any more, too.
pub(crate) fn sweep(
    db: &mut Connection,
    limits: &Limits<'_>,
    sweep: &mut Sweep,
    now: UnixMillis,
) -> rusqlite::Result<(RetentionReport, Vec<i64>)> {
    if limits.keep == Retention::default() {
        return Ok((RetentionReport::default(), Vec::new()));
    }
    // A clock that was set back must not make a long rest of it.
    let rest = sweep.resting_until.0.saturating_sub(now.0);
    if (1..=SWEEP_PAUSE_MS).contains(&rest) {
        let report = RetentionReport {
            resting: true,
            ..RetentionReport::default()
        };
        return Ok((report, Vec::new()));
    }
    remove_some(db, limits, sweep, now)
}

fn remove_some(
    db: &mut Connection,
    limits: &Limits<'_>,
    sweep: &mut Sweep,
    now: UnixMillis,
) -> rusqlite::Result<(RetentionReport, Vec<i64>)> {
    let current = limits.current_file;
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut removal = Removal::default();
    removal.free_files(&tx, current)?;
    let mut excess = excess(&tx, limits, now)?;
    let there = limits.sinks.map(|names| sinks_there(&tx, names)).transpose()?;
    let rows = next_rows(&tx, sweep.through)?;
    let mut more = rows.len() == usize::try_from(MAX_ALERTS_PER_CALL).unwrap_or(usize::MAX);
    let (mut through, mut held, mut held_for) = (sweep.through, 0, BTreeSet::new());
    for row in rows {
        if !excess.is_too_old(row.alert) && excess.alerts == 0 && excess.bytes == 0 {
            more = false;
            break;
        }
        through = row.alert;
        let (kept_for, gone): (Vec<i64>, Vec<i64>) = waiting_sinks(&tx, row.alert)?
            .into_iter()
            .partition(|sink| there.as_ref().is_none_or(|there| there.contains(sink)));
        if !kept_for.is_empty() {
            held += 1;
            held_for.extend(kept_for);
            continue;
        }
        removal.remove(&tx, &row)?;
        removal.undelivered += gone.len() as u64;
        excess.alerts = excess.alerts.saturating_sub(1);
        if is_empty(&tx, row.segment)? {
            let freed = removal.free_files(&tx, current)?;
            excess.bytes = excess.bytes.saturating_sub(freed);
        }
    }
    removal.counts.write(&tx)?;
    tx.commit()?;

    sweep.through = through;
    sweep.held += held;
    sweep.held_for.extend(held_for);
    let mut report = RetentionReport {
        alerts: removal.alerts,
        frame_bytes: removal.frame_bytes,
        undelivered: removal.undelivered,
        more,
        held: None,
        resting: false,
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

fn excess(tx: &Transaction<'_>, limits: &Limits<'_>, now: UnixMillis) -> rusqlite::Result<Excess> {
    let Limits {
        keep, spare_bytes, ..
    } = limits;
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
    Ok(Excess {
        older_than: keep.keep_for.map_or(UnixMillis(i64::MIN), |age| now - age),
        steps: clock::steps(tx)?,
        alerts: keep.keep_max.map_or(0, |most| alerts.saturating_sub(most)),
        bytes: keep.max_size.map_or(0, |most| bytes.saturating_sub(most)),
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

/// Of the sinks that the store knows, those with these names.
fn sinks_there(tx: &Transaction<'_>, names: &BTreeSet<String>) -> rusqlite::Result<BTreeSet<i64>> {
    let mut known = tx.prepare_cached("SELECT id, name FROM sink")?;
    let known = known.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    let known: Vec<(i64, String)> = known.collect::<Result<_, _>>()?;
    let there = known.into_iter().filter(|(_, name)| names.contains(name));
    Ok(there.map(|(id, _)| id).collect())
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
    undelivered: u64,
    counts: CountDelta,
    /// Files that hold nothing any more.
    freed: Vec<i64>,
}

impl Removal {
    fn remove(&mut self, tx: &Transaction<'_>, row: &Row) -> rusqlite::Result<()> {
        let mut deliveries = tx.prepare_cached("SELECT sink, state FROM delivery WHERE alert = ?1")?;
        let mut rows = deliveries.query([row.alert])?;
        while let Some(delivery) = rows.next()? {
            let state = state_of(delivery.get(1)?);
            self.counts.moved(delivery.get(0)?, Some(state), None);
        }
        for sql in [
            "DELETE FROM delivery WHERE alert = ?1",
            "DELETE FROM suppression WHERE alert = ?1",
            "DELETE FROM picture WHERE alert = ?1",
            "DELETE FROM sighting WHERE alert = ?1",
            "DELETE FROM alert WHERE id = ?1",
        ] {
            tx.prepare_cached(sql)?.execute([row.alert])?;
        }
        tx.prepare_cached("UPDATE segment SET alerts = alerts - 1, bytes = bytes - ?2 WHERE number = ?1")?
            .execute([row.segment, row.frame_bytes])?;
        self.alerts += 1;
        self.frame_bytes += u64::try_from(row.frame_bytes).unwrap_or(0);
        Ok(())
    }

    /// Frees the files that hold nothing any more, but for the one that is written to: it is freed
    /// here once the next one is begun. Returns their size in bytes.
    fn free_files(&mut self, tx: &Transaction<'_>, current: i64) -> rusqlite::Result<u64> {
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
}
