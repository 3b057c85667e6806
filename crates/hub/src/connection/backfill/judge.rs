//! Compares the backend's list with what is stored: which rows came over the socket, and which were missed.

use std::collections::HashSet;
use std::time::Duration;

use watchpost_core::{AlertId, UnixMillis};
use watchpost_store::{Annotation, Reader, StoreError, Twin, TwinOf};
use watchpost_visionguard::rest::Anomaly;

use super::listing::Row;
use super::record::{happened, person_id};

/// An alert and its record lie this far apart at the most: the backend writes the record after it has sent the alert,
/// and clocks drift.
const SLACK: Duration = Duration::from_secs(300);

/// By what a row is judged.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// Name of the connection.
    pub(super) connection: String,
    /// Rows from before this, by the backend's clock, are none of our business.
    pub(super) since: UnixMillis,
    /// Rows that are younger may still come over the socket.
    pub(super) settled: UnixMillis,
    /// This machine's clock minus the backend's, in milliseconds.
    pub(super) skew_ms: i64,
    /// Unreadable rows that were there the last time.
    pub(super) unreadable: HashSet<String>,
}

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Rows that were missed, oldest first.
    pub(super) missed: Vec<Row>,
    /// What rows say of alerts that came over the socket.
    pub(super) annotations: Vec<Annotation>,
    /// Unreadable rows that are there and not known.
    pub(super) unreadable: HashSet<String>,
    /// Something was too young to be judged.
    pub(super) look_again: bool,
}

/// Judges rows, newest first.
pub(super) fn judge(reader: &mut Reader, rows: &[Row], bounds: &Bounds) -> Result<Judged, StoreError> {
    let mut judged = Judged::default();
    let mut taken: HashSet<AlertId> = HashSet::new();
    let shown = |row: &Row| match row {
        Row::Readable(anomaly) => Some(anomaly.id.clone()),
        Row::Unreadable { .. } => None,
    };
    let shown: HashSet<String> = rows.iter().filter_map(shown).collect();
    for row in rows.iter().rev() {
        let (name, newest) = match row {
            Row::Readable(anomaly) => (&anomaly.id, happened(anomaly).unwrap_or(bounds.settled)),
            Row::Unreadable { place, newest } => (place, *newest),
        };
        if newest < bounds.since || reader.of_anomaly(&bounds.connection, name)?.is_some() {
            continue;
        }
        let twin = match row {
            Row::Readable(anomaly) => readable_twin(reader, anomaly, newest, bounds, &taken)?,
            Row::Unreadable { .. } => unreadable_twin(reader, newest, bounds, &taken, &shown)?,
        };
        if let Some(alert) = twin {
            taken.insert(alert);
            judged.annotations.push(annotation(row, alert, newest));
            continue;
        }
        let settled = match row {
            Row::Readable(_) => newest < bounds.settled,
            Row::Unreadable { place, .. } => {
                judged.unreadable.insert(place.clone());
                bounds.unreadable.contains(place)
            }
        };
        if settled {
            judged.missed.push(row.clone());
        } else {
            judged.look_again = true;
        }
    }
    Ok(judged)
}

fn window(around: UnixMillis, bounds: &Bounds) -> (UnixMillis, UnixMillis) {
    let here = UnixMillis(around.0.saturating_add(bounds.skew_ms));
    (here - SLACK, here + SLACK)
}

fn readable_twin(
    reader: &mut Reader,
    anomaly: &Anomaly,
    at: UnixMillis,
    bounds: &Bounds,
    taken: &HashSet<AlertId>,
) -> Result<Option<AlertId>, StoreError> {
    let Some((stream_id, extra)) = anomaly
        .extra_data
        .as_ref()
        .and_then(|extra| Some((extra.stream_id.as_deref()?, extra)))
    else {
        return Ok(None);
    };
    let known = TwinOf {
        stream_id,
        person_id: person_id(anomaly).unwrap_or(0),
        frame_number: extra.frame_number,
    };
    let twins = reader.twins(&Twin {
        connection: &bounds.connection,
        known: Some(known),
        received: window(at, bounds),
    })?;
    let free = |(id, known): &(AlertId, Option<String>)| known.is_none() && !taken.contains(id);
    Ok(twins.iter().find(|twin| free(twin)).map(|(id, _)| *id))
}

/// Of an infinite score the alert came without one; which record it has may be known from its notification.
fn unreadable_twin(
    reader: &mut Reader,
    newest: UnixMillis,
    bounds: &Bounds,
    taken: &HashSet<AlertId>,
    shown: &HashSet<String>,
) -> Result<Option<AlertId>, StoreError> {
    let (_, to) = window(newest, bounds);
    let (from, _) = window(bounds.since.min(newest), bounds);
    let twins = reader.twins(&Twin {
        connection: &bounds.connection,
        known: None,
        received: (from, to),
    })?;
    let free = |(id, known): &(AlertId, Option<String>)| {
        !taken.contains(id) && known.as_ref().is_none_or(|known| !shown.contains(known))
    };
    for (id, known) in twins.into_iter().filter(free) {
        // One that a place was found for already is another row's.
        if !reader.has_place(id)?
            && known.is_none_or(|known| !known.starts_with(watchpost_store::PLACE_PREFIX))
        {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

fn annotation(row: &Row, alert: AlertId, at: UnixMillis) -> Annotation {
    match row {
        Row::Readable(anomaly) => Annotation {
            alert,
            anomaly_id: anomaly.id.clone(),
            shop_id: anomaly.shop_id.clone(),
            occurred_at: Some(at),
        },
        Row::Unreadable { place, .. } => Annotation {
            alert,
            anomaly_id: place.clone(),
            shop_id: None,
            occurred_at: None,
        },
    }
}
