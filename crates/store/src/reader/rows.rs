//! Rows of the database as they come out of queries.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, ToSql, params_from_iter};
use watchpost_core::{Actor, DeliveryState, UnixMillis};

use super::{Acknowledgement, Counts, Delivery, DeliveryRow, StoredAlert};
use crate::codec::{count, frame, id, optional_json_column, state_column, state_of};
use crate::frames::FrameRef;
use crate::selection::Condition;
use crate::{Selection, StoreError, routing};

/// A [`StoredAlert`] whose document has not been looked into.
pub(super) struct StoredRow {
    id: i64,
    body: String,
    dismissed: bool,
    acknowledged: Option<Acknowledgement>,
    frame: Option<FrameRef>,
    deliveries: Vec<DeliveryRow>,
}

impl StoredRow {
    pub(super) fn parsed(self) -> Result<StoredAlert, StoreError> {
        let Self {
            id,
            body,
            dismissed,
            acknowledged,
            frame,
            deliveries,
        } = self;
        let alert = serde_json::from_str(&body).map_err(|source| StoreError::Document {
            alert: u64::try_from(id).unwrap_or(0),
            source,
        })?;
        Ok(StoredAlert {
            alert,
            body,
            dismissed,
            acknowledged,
            frame,
            deliveries,
        })
    }
}

/// Alerts that meet a condition, with their deliveries, all of one moment.
pub(super) fn alerts(
    db: &mut Connection,
    condition: &str,
    parameters: &[&dyn ToSql],
) -> rusqlite::Result<Vec<StoredRow>> {
    let moment = db.transaction()?;
    let mut query = moment.prepare_cached(&format!(
        "SELECT a.segment, a.offset, a.length, a.crc, a.id, a.body,
           a.dismissed_at IS NOT NULL OR a.id <= cleared_through,
           coalesce(a.acknowledged_at, a.dismissed_at, iif(a.id <= cleared_through, cleared_at, NULL)),
           a.acknowledged_by, a.dismissed_at IS NULL
         FROM alert a CROSS JOIN live {condition}"
    ))?;
    let mut found = query
        .query_map(parameters, |row| {
            Ok(StoredRow {
                frame: frame(row)?,
                id: row.get(4)?,
                body: row.get(5)?,
                dismissed: row.get(6)?,
                acknowledged: acknowledgement(row)?,
                deliveries: Vec::new(),
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut query = moment.prepare_cached(
        "SELECT s.name, d.state, d.attempts, d.due_at, d.expires_at, d.finished_at, d.error,
           d.reason, d.cancel_on_acknowledge
         FROM delivery d JOIN sink s ON s.id = d.sink WHERE d.alert = ?1 ORDER BY d.sink",
    )?;
    for alert in &mut found {
        alert.deliveries = query.query_map([alert.id], delivery)?.collect::<Result<_, _>>()?;
    }
    Ok(found)
}

/// Who has acknowledged an alert, out of a row of [`alerts`].
fn acknowledgement(row: &Row<'_>) -> rusqlite::Result<Option<Acknowledgement>> {
    let Some(at) = row.get::<_, Option<i64>>(7)?.map(UnixMillis) else {
        return Ok(None);
    };
    let by = match optional_json_column(row, 8)? {
        // It was there when the live list was cleared, which only an operator does.
        None if row.get(9)? => Some(Actor::Operator),
        by => by,
    };
    Ok(Some(Acknowledgement { at, by }))
}

pub(super) fn counts(db: &mut Connection) -> rusqlite::Result<Counts> {
    let moment = db.transaction()?;
    let (alerts, frame_bytes) = moment
        .prepare_cached("SELECT sum(alerts), sum(bytes) FROM segment")?
        .query_row([], |row| Ok((count(row, 0)?, count(row, 1)?)))?;
    let columns = DeliveryState::ALL.map(state_column).join(", ");
    let deliveries = moment
        .prepare_cached(&format!("SELECT name, {columns} FROM sink"))?
        .query_map([], |row| {
            let states = DeliveryState::ALL.into_iter().zip(1..);
            let states = states.map(|(state, column)| Ok((state, count(row, column)?)));
            Ok((row.get(0)?, states.collect::<rusqlite::Result<_>>()?))
        })?
        .collect::<Result<_, _>>()?;
    let unmatched = routing::load(&moment)?.unmatched;
    Ok(Counts {
        alerts,
        frame_bytes,
        deliveries,
        unmatched,
    })
}

/// See [`super::Reader::deliveries`].
pub(super) fn deliveries(
    db: &Connection,
    selection: &Selection,
    limit: u32,
) -> rusqlite::Result<Vec<Delivery>> {
    let (condition, mut values) = Condition::of(selection).parts();
    values.push(Value::from(limit));
    // The order of the primary key, so that nothing is sorted.
    let mut query = db.prepare(&format!(
        "SELECT s.name, d.state, d.attempts, d.due_at, d.expires_at, d.finished_at, d.error,
           d.reason, d.cancel_on_acknowledge, d.alert
         FROM delivery d CROSS JOIN sink s ON s.id = d.sink WHERE {condition}
         ORDER BY d.alert DESC, d.sink DESC LIMIT ?"
    ))?;
    query
        .query_map(params_from_iter(values), |row| {
            Ok(Delivery {
                alert: id(row.get(9)?),
                row: delivery(row)?,
            })
        })?
        .collect()
}

/// A delivery out of a row that begins with the sink's name and goes on with the columns of `delivery`.
fn delivery(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    let time = |column| row.get::<_, Option<i64>>(column).map(|time| time.map(UnixMillis));
    let state = state_of(row.get(1)?);
    Ok(DeliveryRow {
        sink: row.get(0)?,
        state,
        attempts: row.get(2)?,
        due_at: time(3)?.filter(|due| state == DeliveryState::Pending && due.0 > 0),
        expires_at: time(4)?,
        finished_at: time(5)?,
        error: row.get(6)?,
        reason: optional_json_column(row, 7)?,
        cancel_on_acknowledge: row.get(8)?,
    })
}
