//! Alerts that come a second time without a name by which they would be recognised: over the socket and from the list, or over two
//! connections. Those of the last day are looked up by what distinguishes them.

use std::collections::HashMap;

use rusqlite::{Connection, Transaction, params};
use watchpost_core::{Alert, AlertId, TWIN_WINDOW, TwinKey, UnixMillis, are_twins};

use crate::codec::{document, first_key, key};
use crate::error::Failed;
use crate::{Annotation, records};

/// Sightings forgotten in one go.
const MAX_FORGOTTEN_ROWS: u32 = 20_000;

/// The alerts of a batch that are new, by what distinguishes them.
#[derive(Debug, Default)]
pub(crate) struct Twins<'a> {
    new: HashMap<i64, Vec<&'a Alert>>,
    /// The records that alerts without one have got in this batch.
    named: HashMap<AlertId, &'a str>,
}

impl<'a> Twins<'a> {
    /// The alert that this one is, if it is there already.
    pub(crate) fn find(&mut self, db: &Connection, alert: &'a Alert) -> rusqlite::Result<Option<AlertId>> {
        let Some(hash) = TwinKey::of(alert).map(|key| key.hash()) else {
            return Ok(None);
        };
        let in_batch = self.new.get(&hash).into_iter().flatten();
        let mut found: Vec<AlertId> = in_batch
            .filter(|other| are_twins(alert, other))
            .map(|other| other.id)
            .collect();
        let since = first_key(alert.received_at - TWIN_WINDOW);
        let mut query = db.prepare_cached(
            "SELECT a.body FROM sighting s CROSS JOIN alert a ON a.id = s.alert
             WHERE s.hash = ?1 AND s.alert >= ?2 ORDER BY s.alert",
        )?;
        let mut rows = query.query([hash, since])?;
        while let Some(row) = rows.next()? {
            let known: Option<Alert> = serde_json::from_str(row.get_ref(0)?.as_str()?).ok();
            found.extend(
                known
                    .filter(|known| are_twins(alert, known))
                    .map(|known| known.id),
            );
        }
        let record = alert.anomaly_id();
        let twin = found
            .into_iter()
            .find(|twin| match (self.named.get(twin), record) {
                (Some(named), Some(record)) => *named == record,
                _ => true,
            });
        if let (Some(twin), Some(record)) = (twin, record) {
            self.named.insert(twin, record);
        }
        Ok(twin)
    }

    /// This one is new.
    pub(crate) fn add(&mut self, alert: &'a Alert) {
        if let Some(key) = TwinKey::of(alert) {
            self.new.entry(key.hash()).or_default().push(alert);
        }
    }
}

/// Remembers an alert that is stored.
pub(crate) fn insert(tx: &Transaction<'_>, alert: &Alert) -> rusqlite::Result<()> {
    let Some(twin) = TwinKey::of(alert) else {
        return Ok(());
    };
    tx.prepare_cached("INSERT OR IGNORE INTO sighting (alert, hash) VALUES (?1, ?2)")?
        .execute([key(alert.id), twin.hash()])
        .map(drop)
}

/// An alert that is there has come once more: what this one knows of it, and over which connection it came.
pub(crate) fn seen_again(tx: &Transaction<'_>, of: AlertId, again: &Alert) -> Result<(), Failed> {
    if let Some(record) = again.anomaly_id() {
        let annotation = Annotation {
            alert: of,
            anomaly_id: record.to_owned(),
            shop_id: again
                .visionguard
                .as_ref()
                .and_then(|fields| fields.shop_id.clone()),
            occurred_at: again.occurred_at,
        };
        records::annotate(tx, &annotation, None)?;
    }
    let bodies: Vec<String> = tx
        .prepare_cached("SELECT body FROM alert WHERE id = ?1")?
        .query_map([key(of)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for body in bodies {
        let Ok(mut known) = serde_json::from_str::<Alert>(&body) else {
            continue;
        };
        if known.connection == again.connection || known.also_over.contains(&again.connection) {
            continue;
        }
        known.also_over.push(again.connection.clone());
        tx.prepare_cached("UPDATE alert SET body = ?2 WHERE id = ?1")?
            .execute(params![key(of), document(&known)?])?;
    }
    Ok(())
}

/// Forgets alerts that are too old to come once more.
pub(crate) fn forget(db: &Connection, now: UnixMillis) -> rusqlite::Result<()> {
    db.prepare_cached(
        "DELETE FROM sighting WHERE alert IN (SELECT alert FROM sighting WHERE alert < ?1 ORDER BY alert LIMIT ?2)",
    )?
    .execute(params![first_key(now - TWIN_WINDOW), MAX_FORGOTTEN_ROWS])
    .map(drop)
}
