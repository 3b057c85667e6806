//! How values stand in the database: keys, states, times, documents.

use rusqlite::Row;
use rusqlite::types::Type;
use serde::Serialize;
use serde::de::DeserializeOwned;
use watchpost_core::{Alert, AlertId, DeliveryState, UnixMillis};

use crate::StoreError;
use crate::frames::FrameRef;

/// Due time of a delivery that waits for nothing.
pub(crate) const AT_ONCE: i64 = 0;

/// Longest error text kept with a delivery, in bytes.
const MAX_ERROR_BYTES: usize = 1_000;

/// The key of an alert's row. Ids stay far below 2^63 until the year 294,000.
pub(crate) fn key(id: AlertId) -> i64 {
    i64::try_from(id.0).unwrap_or(i64::MAX)
}

/// The id in a row's key.
pub(crate) fn id(key: i64) -> AlertId {
    AlertId(u64::try_from(key).unwrap_or(0))
}

/// The least key that an alert received at this time may have: an id is a time in microseconds.
pub(crate) fn first_key(received_at: UnixMillis) -> i64 {
    received_at.0.saturating_mul(1_000)
}

/// The number a state is stored as.
pub(crate) fn state_code(state: DeliveryState) -> i64 {
    match state {
        DeliveryState::Pending => 0,
        DeliveryState::Delivered => 1,
        DeliveryState::Dead => 2,
        DeliveryState::Expired => 3,
        DeliveryState::Dropped => 4,
    }
}

/// The state stored as a number.
pub(crate) fn state_of(code: i64) -> DeliveryState {
    match code {
        0 => DeliveryState::Pending,
        1 => DeliveryState::Delivered,
        3 => DeliveryState::Expired,
        4 => DeliveryState::Dropped,
        _ => DeliveryState::Dead,
    }
}

/// The column of `sink` that counts deliveries in this state.
pub(crate) fn state_column(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Pending => "pending",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Dead => "dead",
        DeliveryState::Expired => "expired",
        DeliveryState::Dropped => "dropped",
    }
}

/// An alert's JSON form.
pub(crate) fn document(alert: &Alert) -> Result<String, StoreError> {
    serde_json::to_string(alert).map_err(|source| StoreError::Document {
        alert: alert.id.0,
        source,
    })
}

/// The JSON of a small value of our own: a reason, a state, a name. These have no form that JSON lacks.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A value out of a column that [`to_json`] has filled.
pub(crate) fn json_column<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(e)))
}

/// The same where the column may say nothing, as rows of earlier schemas do.
pub(crate) fn optional_json_column<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    match row.get_ref(column)?.as_str_or_null()? {
        None | Some("") => Ok(None),
        Some(_) => json_column(row, column).map(Some),
    }
}

/// An error's text as it is kept.
pub(crate) fn shortened(text: &str) -> &str {
    let mut end = text.len().min(MAX_ERROR_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The frame of a row that begins with segment, offset, length, crc.
pub(crate) fn frame(row: &Row<'_>) -> rusqlite::Result<Option<FrameRef>> {
    let (Some(offset), Some(length), Some(crc)) = (row.get::<_, Option<i64>>(1)?, row.get(2)?, row.get(3)?)
    else {
        return Ok(None);
    };
    let offset = u64::try_from(offset).unwrap_or(0);
    Ok(Some(FrameRef {
        segment: row.get(0)?,
        offset,
        length,
        crc,
    }))
}

/// A count out of a column. Counts are never negative.
pub(crate) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(|n: i64| u64::try_from(n).unwrap_or(0))
}
