//! What a sink has to do next, found without stepping over what is not due.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use watchpost_core::{AlertId, UnixMillis};

use super::DueDelivery;
use crate::codec::{AT_ONCE, frame, id};

/// See [`super::Reader::due`].
pub(super) fn due(
    db: &mut Connection,
    sink: &str,
    now: UnixMillis,
    limit: usize,
    skip: &dyn Fn(AlertId, bool) -> bool,
) -> rusqlite::Result<Vec<DueDelivery>> {
    let moment = db.transaction()?;
    let Some(sink) = sink_id(&moment, sink)? else {
        return Ok(Vec::new());
    };
    let mut alerts = alerts_due(&moment, sink, (AT_ONCE, AT_ONCE), limit, skip)?;
    alerts.extend(alerts_due(&moment, sink, (AT_ONCE + 1, now.0), limit, skip)?);
    alerts.sort_unstable();
    alerts.truncate(limit);
    let mut query = moment.prepare_cached(
        "SELECT a.segment, a.offset, a.length, a.crc, a.body, d.attempts, d.expires_at,
           d.cancel_on_acknowledge
         FROM alert a JOIN delivery d ON d.alert = a.id AND d.sink = ?2 WHERE a.id = ?1",
    )?;
    let mut due = Vec::with_capacity(alerts.len());
    for alert in alerts {
        due.extend(
            query
                .query_row([alert, sink], |row| {
                    Ok(DueDelivery {
                        alert: id(alert),
                        attempts: row.get(5)?,
                        expires_at: row.get::<_, Option<i64>>(6)?.map(UnixMillis),
                        cancel_on_acknowledge: row.get(7)?,
                        body: row.get(4)?,
                        frame: frame(row)?,
                    })
                })
                .optional()?,
        );
    }
    Ok(due)
}

/// See [`super::Reader::next_due`].
pub(super) fn next_due(
    db: &Connection,
    sink: &str,
    skip: &dyn Fn(AlertId, bool) -> bool,
) -> rusqlite::Result<Option<UnixMillis>> {
    let Some(sink) = sink_id(db, sink)? else {
        return Ok(None);
    };
    let mut query = db.prepare_cached(
        "SELECT q.due_at, q.alert, d.cancel_on_acknowledge
             FROM queue q CROSS JOIN delivery d ON d.alert = q.alert AND d.sink = q.sink
             WHERE q.sink = ?1 ORDER BY q.due_at, q.alert",
    )?;
    let mut rows = query.query([sink])?;
    while let Some(row) = rows.next()? {
        if !skip(id(row.get(1)?), row.get(2)?) {
            return Ok(Some(UnixMillis(row.get(0)?)));
        }
    }
    Ok(None)
}

/// See [`super::Reader::waiting_since`].
pub(super) fn waiting_since(db: &Connection) -> rusqlite::Result<BTreeMap<String, UnixMillis>> {
    // What waits for its retry is little: no more than what was in flight when its sink went down. What was never tried and
    // waits all the same has a time of its own.
    let mut query = db.prepare_cached(
        "SELECT name, min(coalesce(fresh, tried, delayed), coalesce(tried, delayed, fresh), coalesce(delayed, fresh, tried))
         FROM (
           SELECT s.name AS name,
             (SELECT min(alert) FROM queue WHERE sink = s.id AND due_at = ?1) AS fresh,
             (SELECT min(q.alert) FROM queue q JOIN delivery d ON d.alert = q.alert AND d.sink = q.sink
              WHERE q.sink = s.id AND q.due_at > ?1 AND d.attempts > 0) AS tried,
             (SELECT min(q.due_at) * 1000 FROM queue q JOIN delivery d ON d.alert = q.alert AND d.sink = q.sink
              WHERE q.sink = s.id AND q.due_at > ?1 AND d.attempts = 0) AS delayed
           FROM sink s WHERE s.pending > 0)
         WHERE coalesce(fresh, tried, delayed) IS NOT NULL",
    )?;
    let rows = query.query_map([AT_ONCE], |row| {
        let micros: i64 = row.get(1)?;
        Ok((row.get(0)?, UnixMillis(micros / 1_000)))
    })?;
    rows.collect()
}

/// Parameters: the sink, and the span of time.
const DUE_BETWEEN: &str = "SELECT q.alert, d.cancel_on_acknowledge
    FROM queue q CROSS JOIN delivery d ON d.alert = q.alert AND d.sink = q.sink
    WHERE q.sink = ?1 AND q.due_at BETWEEN ?2 AND ?3 ORDER BY q.due_at, q.alert";

/// Keys of alerts whose delivery is due within a span of time.
fn alerts_due(
    db: &Connection,
    sink: i64,
    (from, to): (i64, i64),
    limit: usize,
    skip: &dyn Fn(AlertId, bool) -> bool,
) -> rusqlite::Result<Vec<i64>> {
    let mut query = db.prepare_cached(DUE_BETWEEN)?;
    let mut rows = query.query(params![sink, from, to])?;
    let mut alerts = Vec::new();
    while alerts.len() < limit
        && let Some(row) = rows.next()?
    {
        let alert: i64 = row.get(0)?;
        if !skip(id(alert), row.get(1)?) {
            alerts.push(alert);
        }
    }
    Ok(alerts)
}

fn sink_id(db: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT id FROM sink WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rusqlite::StatementStatus;

    use super::*;
    use crate::schema;

    #[test]
    fn asking_for_another_time_does_not_plan_the_question_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.db");
        File::create(&path).unwrap();
        let (mut writer, version) = schema::open(&path).unwrap();
        schema::migrate(&mut writer, version, &[]).unwrap();
        for db in [&writer, &schema::open_reader(&path).unwrap()] {
            for now in 1..10 {
                assert!(
                    alerts_due(db, 1, (AT_ONCE + 1, now), 10, &|_, _| false)
                        .unwrap()
                        .is_empty()
                );
            }
            let query = db.prepare_cached(DUE_BETWEEN).unwrap();
            assert_eq!(query.get_status(StatementStatus::RePrepare), 0);
        }
    }
}
