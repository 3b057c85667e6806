//! Pictures that come after their alerts: which are still to be fetched, and how one gets to its alert.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use watchpost_core::{Alert, AlertId, Picture, UnixMillis};

use crate::alerts::SegmentCounts;
use crate::codec::{count, document, id, key};
use crate::deliveries;
use crate::error::Failed;
use crate::frames::{FrameLog, FrameRef};
use crate::{PictureOutcome, PictureResult};

/// A picture that is to be fetched now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureDue {
    /// Of which alert.
    pub alert: AlertId,
    /// Where its source has it.
    pub source: String,
    /// Attempts so far.
    pub attempts: u32,
}

/// From when on a picture is to be fetched: at once, and that of a message about many before those of the many.
const AT_ONCE: i64 = 0;

/// See [`AT_ONCE`].
const BEFORE_ALL: i64 = -1;

/// Notes that the picture of a new alert is to be fetched, if it is. That of a message about another alert is the
/// other one's, which the connection of that can fetch.
pub(crate) fn queue(tx: &Transaction<'_>, connection: i64, alert: &Alert) -> rusqlite::Result<()> {
    let Picture::Pending { from } = &alert.picture else {
        return Ok(());
    };
    let (of, due_at) = match alert.shows() {
        Some(shown) => (key(shown), BEFORE_ALL),
        None => (key(alert.id), AT_ONCE),
    };
    tx.prepare_cached(
        "INSERT INTO picture (alert, connection, source, attempts, due_at)
         VALUES (?1, coalesce((SELECT connection FROM alert WHERE id = ?2), ?3), ?4, 0, ?5)",
    )?
    .execute(params![key(alert.id), of, connection, from, due_at])
    .map(drop)
}

/// Records what became of an attempt to fetch a picture. `sinks` gets the names of those that waited for it.
pub(crate) fn record(
    tx: &Transaction<'_>,
    frames: &mut FrameLog,
    result: &PictureResult,
    sinks: &mut BTreeSet<String>,
) -> Result<(), Failed> {
    match &result.outcome {
        PictureOutcome::Later(at) => {
            tx.prepare_cached("UPDATE picture SET attempts = attempts + 1, due_at = ?2 WHERE alert = ?1")?
                .execute(params![key(result.alert), at.0])?;
            Ok(())
        }
        PictureOutcome::Fetched { picture, frame } => {
            settle(tx, frames, result.alert, picture, Some(frame), sinks)
        }
        PictureOutcome::Gone(why) => {
            let picture = Picture::Missing(why.clone());
            settle(tx, frames, result.alert, &picture, None, sinks)
        }
    }
}

/// Ends the waiting for an alert's picture, if anything waits for it. `sinks` gets the names of those that did.
pub(crate) fn settle(
    tx: &Transaction<'_>,
    frames: &mut FrameLog,
    alert: AlertId,
    picture: &Picture,
    frame: Option<&[u8]>,
    sinks: &mut BTreeSet<String>,
) -> Result<(), Failed> {
    let alert = key(alert);
    let wanted = tx
        .prepare_cached("DELETE FROM picture WHERE alert = ?1")?
        .execute([alert])?;
    if wanted == 0 {
        return Ok(());
    }
    let frame = match frame {
        Some(bytes) => frames.append(&[bytes])?.pop(),
        None => None,
    };
    set(tx, frames, alert, picture.clone(), frame)?;
    deliveries::bring_forward(tx, alert, sinks)?;
    Ok(())
}

/// Writes into an alert's row what has become of its picture.
fn set(
    tx: &Transaction<'_>,
    frames: &FrameLog,
    alert: i64,
    picture: Picture,
    frame: Option<FrameRef>,
) -> Result<(), Failed> {
    let row: Option<(String, i64)> = tx
        .prepare_cached("SELECT body, segment FROM alert WHERE id = ?1")?
        .query_row([alert], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((body, segment)) = row else {
        return Ok(());
    };
    // A document that cannot be read is delivered as it is, and its picture with it.
    let body = match serde_json::from_str::<Alert>(&body) {
        Ok(known) => document(&Alert { picture, ..known })?,
        Err(_) => body,
    };
    if frame.is_some() {
        let mut counts = SegmentCounts::default();
        counts.add(frame);
        counts.write(tx, frames)?;
        tx.prepare_cached("UPDATE segment SET alerts = alerts - 1 WHERE number = ?1")?
            .execute([segment])?;
    }
    tx.prepare_cached(
        "UPDATE alert SET body = ?2, segment = coalesce(?3, segment), offset = ?4, length = ?5, crc = ?6
         WHERE id = ?1",
    )?
    .execute(params![
        alert,
        body,
        frame.map(|frame| frame.segment),
        frame.map(|frame| i64::try_from(frame.offset).unwrap_or(i64::MAX)),
        frame.map(|frame| frame.length),
        frame.map(|frame| frame.crc),
    ])?;
    Ok(())
}

/// Pictures of a connection that are to be fetched now, oldest alert first among those that were not tried yet.
pub(crate) fn due(
    db: &Connection,
    connection: &str,
    now: UnixMillis,
    limit: u32,
) -> rusqlite::Result<Vec<PictureDue>> {
    db.prepare_cached(
        "SELECT alert, source, attempts FROM picture
         WHERE connection = (SELECT id FROM connection WHERE name = ?1) AND due_at <= ?2
         ORDER BY due_at, alert LIMIT ?3",
    )?
    .query_map(params![connection, now.0, limit], |row| {
        Ok(PictureDue {
            alert: row.get(0).map(id)?,
            source: row.get(1)?,
            attempts: row.get(2)?,
        })
    })?
    .collect()
}

/// When the next picture of a connection is to be fetched.
pub(crate) fn next_due(db: &Connection, connection: &str) -> rusqlite::Result<Option<UnixMillis>> {
    db.prepare_cached(
        "SELECT min(due_at) FROM picture WHERE connection = (SELECT id FROM connection WHERE name = ?1)",
    )?
    .query_row([connection], |row| row.get::<_, Option<i64>>(0))
    .map(|due| due.map(UnixMillis))
}

/// How many pictures of each connection are still to be fetched.
pub(crate) fn missing(db: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    db.prepare_cached(
        "SELECT c.name, count(*) FROM picture p JOIN connection c ON c.id = p.connection GROUP BY p.connection",
    )?
    .query_map([], |row| Ok((row.get(0)?, count(row, 1)?)))?
    .collect()
}
