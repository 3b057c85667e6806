//! Deliveries by themselves: listing them, having them made again, giving them up.

use rusqlite::types::Value;
use rusqlite::{Connection, TransactionBehavior, params, params_from_iter};
use watchpost_core::{AlertId, DeliveryState, UnixMillis};

use crate::commit::{AT_ONCE, state_code, state_of};
use crate::reader::delivery;
use crate::store::{id, key};
use crate::{DeliveryRow, Reader, Store, StoreError};

/// Deliveries that one call changes at the most, so that no alert waits long for it.
pub const MAX_CHANGED_ROWS: u64 = 10_000;

/// Which deliveries: those that meet every condition given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Those of this alert.
    pub alert: Option<AlertId>,
    /// Those to the sink of this name.
    pub sink: Option<String>,
    /// Those in one of these states; empty means any.
    pub states: Vec<DeliveryState>,
    /// Those of alerts received at this time or later.
    pub since: Option<UnixMillis>,
    /// Those of alerts received before this time.
    pub until: Option<UnixMillis>,
}

impl Selection {
    /// Whether a delivery of this alert, to this sink, in this state, is among them. The same as the condition in SQL,
    /// for deliveries that are known without asking the database.
    pub fn matches(&self, alert: AlertId, sink: &str, state: DeliveryState) -> bool {
        let received = |time: UnixMillis| i128::from(time.0) * 1_000;
        let id = i128::from(alert.0);
        self.alert.is_none_or(|wanted| wanted == alert)
            && self.sink.as_ref().is_none_or(|wanted| wanted == sink)
            && (self.states.is_empty() || self.states.contains(&state))
            && self.since.is_none_or(|since| id >= received(since))
            && self.until.is_none_or(|until| id < received(until))
    }
}

/// A delivery on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Of which alert.
    pub alert: AlertId,
    /// What became of it.
    pub row: DeliveryRow,
}

impl Reader {
    /// Deliveries, those of the newest alerts first, at most `limit`. There is no index for states: rare ones are
    /// looked for among all.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn deliveries(&mut self, selection: &Selection, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let outcome = list(&self.db, selection, limit);
        self.outcome(outcome)
    }
}

impl Store {
    /// Makes deliveries that were given up or have expired, or that wait for a retry, due at once. Their age no longer
    /// matters: whoever asks for this wants them delivered. Of [`Selection::states`] none means all but delivered.
    ///
    /// Returns how many; when it is [`MAX_CHANGED_ROWS`] there may be more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn retry_deliveries(&mut self, selection: &Selection) -> Result<u64, StoreError> {
        let sql = "UPDATE delivery SET state = 0, due_at = 0, expires_at = NULL, finished_at = NULL
                   WHERE alert = ?1 AND sink = ?2";
        let states = [
            DeliveryState::Pending,
            DeliveryState::Dead,
            DeliveryState::Expired,
        ];
        // What is due at once already is left as it is, or the same would be found over and over.
        let outcome = change(
            &mut self.db,
            selection,
            &states,
            "d.state <> 0 OR d.due_at > 0",
            |tx, found| {
                tx.prepare_cached(sql)?
                    .execute(params![found.alert, found.sink])?;
                tx.prepare_cached("INSERT INTO queue (sink, due_at, alert) VALUES (?1, ?2, ?3)")?
                    .execute(params![found.sink, AT_ONCE, found.alert])?;
                Ok(DeliveryState::Pending)
            },
        );
        self.outcome("retry deliveries in", outcome)
    }

    /// Gives up pending deliveries, for this reason. One that is under way may succeed all the same.
    ///
    /// Returns how many; when it is [`MAX_CHANGED_ROWS`] there may be more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn drop_deliveries(
        &mut self,
        selection: &Selection,
        why: &str,
        now: UnixMillis,
    ) -> Result<u64, StoreError> {
        let sql =
            "UPDATE delivery SET state = 2, finished_at = ?3, error = ?4 WHERE alert = ?1 AND sink = ?2";
        let outcome = change(
            &mut self.db,
            selection,
            &[DeliveryState::Pending],
            "TRUE",
            |tx, found| {
                tx.prepare_cached(sql)?
                    .execute(params![found.alert, found.sink, now.0, why])?;
                Ok(DeliveryState::Dead)
            },
        );
        self.outcome("give up deliveries in", outcome)
    }
}

fn list(db: &Connection, selection: &Selection, limit: u32) -> rusqlite::Result<Vec<Delivery>> {
    let (condition, mut values) = condition(selection);
    values.push(Value::from(limit));
    // The order of the primary key, so that nothing is sorted.
    let mut query = db.prepare(&format!(
        "SELECT s.name, d.state, d.attempts, d.due_at, d.expires_at, d.finished_at, d.error, d.alert
         FROM delivery d CROSS JOIN sink s ON s.id = d.sink WHERE {condition}
         ORDER BY d.alert DESC, d.sink DESC LIMIT ?"
    ))?;
    query
        .query_map(params_from_iter(values), |row| {
            Ok(Delivery {
                alert: id(row.get(7)?),
                row: delivery(row)?,
            })
        })?
        .collect()
}

/// Keys of a delivery.
struct Found {
    alert: i64,
    sink: i64,
    state: DeliveryState,
    due_at: i64,
}

/// Takes deliveries out of the queue and lets `step` change each; it returns the new state.
fn change(
    db: &mut Connection,
    selection: &Selection,
    among: &[DeliveryState],
    which: &str,
    step: impl Fn(&Connection, &Found) -> rusqlite::Result<DeliveryState>,
) -> rusqlite::Result<u64> {
    let states: Vec<_> = among
        .iter()
        .copied()
        .filter(|state| selection.states.is_empty() || selection.states.contains(state))
        .collect();
    if states.is_empty() {
        return Ok(0);
    }
    let (condition, mut values) = condition(&Selection {
        states,
        ..selection.clone()
    });
    values.push(Value::from(i64::try_from(MAX_CHANGED_ROWS).unwrap_or(i64::MAX)));
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: Vec<Found> = tx
        .prepare(&format!(
            "SELECT d.alert, d.sink, d.state, d.due_at FROM delivery d CROSS JOIN sink s ON s.id = d.sink
             WHERE ({which}) AND {condition} ORDER BY d.alert, d.sink LIMIT ?"
        ))?
        .query_map(params_from_iter(values), |row| {
            Ok(Found {
                alert: row.get(0)?,
                sink: row.get(1)?,
                state: state_of(row.get(2)?),
                due_at: row.get(3)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    for found in &found {
        if found.state == DeliveryState::Pending {
            tx.prepare_cached("DELETE FROM queue WHERE sink = ?1 AND due_at = ?2 AND alert = ?3")?
                .execute([found.sink, found.due_at, found.alert])?;
        }
        let state = step(&tx, found)?;
        for (column, by) in [(column(found.state), -1), (column(state), 1)] {
            tx.prepare_cached(&format!("UPDATE sink SET {column} = {column} + ?2 WHERE id = ?1"))?
                .execute(params![found.sink, by])?;
        }
    }
    tx.commit()?;
    Ok(u64::try_from(found.len()).unwrap_or(u64::MAX))
}

/// A condition on `delivery d` and `sink s`, with its values in order.
fn condition(selection: &Selection) -> (String, Vec<Value>) {
    let mut condition = "TRUE".to_owned();
    let mut values = Vec::new();
    let mut and = |text: &str, value: Option<Value>| {
        condition += &format!(" AND {text}");
        values.extend(value);
    };
    // An alert's id is its time in microseconds.
    let micros = |time: UnixMillis| Value::from(time.0.saturating_mul(1_000));
    if let Some(alert) = selection.alert {
        and("d.alert = ?", Some(Value::from(key(alert))));
    }
    if let Some(sink) = &selection.sink {
        and("s.name = ?", Some(Value::from(sink.clone())));
    }
    if let Some(since) = selection.since {
        and("d.alert >= ?", Some(micros(since)));
    }
    if let Some(until) = selection.until {
        and("d.alert < ?", Some(micros(until)));
    }
    if !selection.states.is_empty() {
        let codes: Vec<_> = selection
            .states
            .iter()
            .map(|&state| state_code(state).to_string())
            .collect();
        and(&format!("d.state IN ({})", codes.join(", ")), None);
    }
    (condition, values)
}

fn column(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Pending => "pending",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Dead => "dead",
        DeliveryState::Expired => "expired",
    }
}
