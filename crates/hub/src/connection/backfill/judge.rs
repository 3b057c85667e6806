//! Compares the backend's list with what is stored: which rows came over the socket, and which were missed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use watchpost_core::{AlertId, UnixMillis};
use watchpost_store::{Annotation, PLACE_PREFIX, Reader, StoreError, Unrecorded};

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
    let mut unknown = Vec::new();
    for row in rows.iter().rev() {
        let (name, at) = match row {
            Row::Readable(anomaly) => (&anomaly.id, happened(anomaly).unwrap_or(bounds.settled)),
            Row::Unreadable { place, newest } => (place, *newest),
        };
        if at >= bounds.since && reader.of_anomaly(&bounds.connection, name)?.is_none() {
            unknown.push((row, at));
        }
    }
    let (Some((_, oldest)), Some((_, newest))) = (unknown.first(), unknown.last()) else {
        return Ok(judged);
    };
    let here = |there: UnixMillis| UnixMillis(there.0.saturating_add(bounds.skew_ms));
    let oldest = if unknown
        .iter()
        .any(|(row, _)| matches!(row, Row::Unreadable { .. }))
    {
        bounds.since.min(*oldest)
    } else {
        *oldest
    };
    let came = reader.unrecorded(&bounds.connection, here(oldest) - SLACK, here(*newest) + SLACK)?;
    let mut twins = Twins::new(reader, came, rows)?;
    // First the rows that can be told apart: what they leave without a score belongs to those that cannot.
    let found: Vec<_> = unknown.iter().map(|(row, _)| twins.of(row)).collect();
    for ((row, at), found) in unknown.into_iter().zip(found) {
        let twin = match row {
            Row::Readable(_) => found,
            Row::Unreadable { .. } => twins.unscored.pop_front(),
        };
        if let Some(alert) = twin {
            judged.annotations.push(annotation(row, alert, at));
            continue;
        }
        let settled = match row {
            Row::Readable(_) => at < bounds.settled,
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

/// What an alert and its record have in common: stream, person and number of the video frame.
type Mark = (String, i64, Option<i64>);

/// Alerts that came over the socket and whose records are looked for, oldest first.
struct Twins {
    marked: HashMap<Mark, VecDeque<AlertId>>,
    /// Those without a score, whose records the backend cannot show.
    unscored: VecDeque<AlertId>,
}

impl Twins {
    fn new(reader: &mut Reader, came: Vec<Unrecorded>, rows: &[Row]) -> Result<Self, StoreError> {
        let shown: HashSet<&str> = rows
            .iter()
            .filter_map(|row| match row {
                Row::Readable(anomaly) => Some(anomaly.id.as_str()),
                Row::Unreadable { .. } => None,
            })
            .collect();
        let mut twins = Self {
            marked: HashMap::new(),
            unscored: VecDeque::new(),
        };
        for alert in came {
            // Which record it has may be known from its notification; one that is shown is not a hidden one.
            let recorded = alert.anomaly_id.as_deref();
            let hidden = recorded.is_none_or(|id| !shown.contains(id) && !id.starts_with(PLACE_PREFIX));
            if !alert.scored && hidden && !reader.has_place(alert.alert)? {
                twins.unscored.push_back(alert.alert);
            }
            if recorded.is_none() {
                let mark = (alert.stream_id, alert.person_id, alert.frame_number);
                twins.marked.entry(mark).or_default().push_back(alert.alert);
            }
        }
        Ok(twins)
    }

    /// The alert of a row that is shown.
    fn of(&mut self, row: &Row) -> Option<AlertId> {
        let Row::Readable(anomaly) = row else { return None };
        let extra = anomaly.extra_data.as_ref()?;
        let mark = (
            extra.stream_id.clone()?,
            person_id(anomaly).unwrap_or(0),
            extra.frame_number,
        );
        let alert = self.marked.get_mut(&mark)?.pop_front()?;
        self.unscored.retain(|unscored| *unscored != alert);
        Some(alert)
    }
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
