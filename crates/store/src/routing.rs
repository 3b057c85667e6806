//! The routing step within a transaction: what it remembers, and what follows from an event.

use std::collections::BTreeSet;

use rusqlite::{Connection, Transaction, params};
use serde::{Deserialize, Serialize};
use watchpost_core::{
    AlertId, Cancellation, CancelledAlerts, Digest, Effects, Hush, LetGo, RouteReason, RoutingEvent,
    RoutingState, Suppression, Unheld, UnixMillis,
};

use crate::codec::{json_column, key, optional_json_column, to_json};
use crate::deliveries::{self, CountDelta, Dropping, drop_muted, drop_pending};
use crate::error::Failed;
use crate::names::NameTable;
use crate::{Hushed, Selection};

/// The routing step: what follows from an event, given what was before. It is asked about new alerts only, and may be
/// asked again about an event whose transaction failed.
pub type RoutingStep<'a> = &'a dyn Fn(&RoutingState, RoutingEvent<'_>) -> Effects;

/// That a sink did not get an alert, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSuppression {
    /// Name of the sink; `None` where no route took the alert at all.
    pub sink: Option<String>,
    /// Why.
    pub reason: RouteReason,
    /// What became of it, where it was held for a digest.
    pub ended: Option<HoldEnd>,
}

/// What became of an alert that was held for a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldEnd {
    /// It was summed up.
    SummedUp {
        /// The alert that does so.
        digest: AlertId,
        /// When.
        at: UnixMillis,
    },
    /// It was not to be delivered any more.
    LetGo {
        /// Why.
        why: String,
        /// When.
        at: UnixMillis,
    },
}

/// The step, and what it remembers in the running transaction.
pub(crate) struct Routing<'a> {
    step: RoutingStep<'a>,
    state: RoutingState,
    changed: bool,
}

impl<'a> Routing<'a> {
    pub(crate) fn new(step: RoutingStep<'a>, state: &RoutingState) -> Self {
        Self {
            step,
            state: state.clone(),
            changed: false,
        }
    }

    /// What is remembered so far.
    pub(crate) fn state(&self) -> &RoutingState {
        &self.state
    }

    /// What follows from an event.
    pub(crate) fn ask(&mut self, event: RoutingEvent<'_>) -> Effects {
        let mut effects = (self.step)(&self.state, event);
        if let Some(state) = effects.state.take() {
            (self.state, self.changed) = (state, true);
        }
        effects
    }

    /// Writes what is remembered from now on, and gives it back for after the commit.
    pub(crate) fn save(self, tx: &Transaction<'_>) -> Result<RoutingState, Failed> {
        if self.changed {
            write(tx, &self.state)?;
        }
        Ok(self.state)
    }
}

/// Has the database remember this.
pub(crate) fn write(db: &Connection, state: &RoutingState) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE routing SET state = ?1")?
        .execute([to_json(state)])
        .map(drop)
}

/// What was remembered last.
pub(crate) fn load(db: &Connection) -> rusqlite::Result<RoutingState> {
    db.prepare_cached("SELECT state FROM routing")?
        .query_row([], |row| json_column(row, 0))
}

/// Writes what follows from an alert.
pub(crate) fn apply(
    tx: &Transaction<'_>,
    sinks: &mut NameTable,
    alert: AlertId,
    effects: &Effects,
    counts: &mut CountDelta,
) -> rusqlite::Result<()> {
    for planned in &effects.deliveries {
        deliveries::insert(tx, sinks, alert, planned, counts)?;
    }
    for Suppression { sink, reason } in &effects.suppressions {
        let sink = match sink {
            Some(name) => sinks.intern(tx, name)?,
            None => NO_SINK,
        };
        tx.prepare_cached("INSERT OR IGNORE INTO suppression (alert, sink, reason) VALUES (?1, ?2, ?3)")?
            .execute(params![key(alert), sink, to_json(reason)])?;
    }
    Ok(())
}

/// Notes which alerts a digest sums up, as far as it names them.
pub(crate) fn summed_up(
    tx: &Transaction<'_>,
    (digest, id): (&Digest, AlertId),
    at: UnixMillis,
) -> rusqlite::Result<()> {
    let end = HoldEnd::SummedUp { digest: id, at };
    digest
        .ids
        .iter()
        .try_for_each(|alert| end_hold(tx, (*alert, &digest.sink), &end))
}

/// Notes what is not held any more, and why.
pub(crate) fn let_go(
    tx: &Transaction<'_>,
    gone: &[LetGo],
    why: &str,
    at: UnixMillis,
) -> rusqlite::Result<()> {
    let why = why.to_owned();
    let end = HoldEnd::LetGo { why, at };
    gone.iter()
        .try_for_each(|gone| end_hold(tx, (gone.alert, &gone.sink), &end))
}

fn end_hold(tx: &Transaction<'_>, (alert, sink): (AlertId, &str), end: &HoldEnd) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE suppression SET reason = json_set(reason, '$.ended', json(?3))
         WHERE alert = ?1 AND sink = (SELECT id FROM sink WHERE name = ?2)",
    )?
    .execute(params![key(alert), sink, to_json(end)])
    .map(drop)
}

/// Stands for a sink where there is none: no route took the alert.
const NO_SINK: i64 = 0;

/// Drops what is cancelled; returns how many deliveries. When it is [`crate::MAX_CHANGED_ROWS`] there may be more.
pub(crate) fn cancel(
    tx: &Transaction<'_>,
    cancellation: &Cancellation,
    now: UnixMillis,
) -> rusqlite::Result<u64> {
    let Cancellation {
        alerts,
        except,
        reason,
    } = cancellation;
    let (alert, through) = match *alerts {
        CancelledAlerts::One(alert) => (Some(alert), None),
        CancelledAlerts::Through(alert) => (None, Some(alert)),
    };
    let which = Dropping {
        selection: Selection {
            alert,
            ..Selection::default()
        },
        cancelled: true,
        except: except.as_deref(),
        through,
    };
    drop_pending(tx, &which, &reason.to_string(), now)
}

/// Drops the deliveries that are to make no noise any more.
pub(crate) fn hush(tx: &Transaction<'_>, hush: &Hush, now: UnixMillis) -> rusqlite::Result<Hushed> {
    let covers = |alert: &watchpost_core::Alert, sink: &str| hush.covers(alert, sink);
    let alerts = drop_muted(tx, covers, &hush.reason.to_string(), now)?;
    Ok(Hushed {
        alerts: alerts.into_iter().map(|alert| alert.id).collect(),
        sinks: hush.sinks.clone(),
    })
}

/// Drops the deliveries of events that were withheld, or has them be due at once. `woken` gets the names of the sinks that have
/// something to do.
pub(crate) fn unhold(
    tx: &Transaction<'_>,
    sinks: &NameTable,
    unheld: Option<&Unheld>,
    now: UnixMillis,
    woken: &mut BTreeSet<String>,
) -> rusqlite::Result<()> {
    let Some(Unheld { events, drops }) = unheld else {
        return Ok(());
    };
    for event in events {
        for sink in &event.sinks {
            if *drops {
                let which = Dropping {
                    selection: Selection {
                        alert: Some(event.alert),
                        sink: Some(sink.clone()),
                        ..Selection::default()
                    },
                    ..Dropping::default()
                };
                drop_pending(tx, &which, &event.inhibited().to_string(), now)?;
            } else {
                deliveries::hasten(tx, sinks, event.alert, sink)?;
                woken.insert(sink.clone());
            }
        }
    }
    Ok(())
}

/// Who did not get an alert, each with the reason.
pub(crate) fn suppressions(db: &Connection, alert: AlertId) -> rusqlite::Result<Vec<StoredSuppression>> {
    db.prepare_cached(
        "SELECT s.name, p.reason, json_extract(p.reason, '$.ended') FROM suppression p
         LEFT JOIN sink s ON s.id = p.sink WHERE p.alert = ?1 ORDER BY p.sink",
    )?
    .query_map([key(alert)], |row| {
        Ok(StoredSuppression {
            sink: row.get(0)?,
            reason: json_column(row, 1)?,
            ended: optional_json_column(row, 2)?,
        })
    })?
    .collect()
}
