//! What is stored moves along when the wall clock is set, so that no age grows by it.

use rusqlite::{Connection, Transaction, params};
use watchpost_core::{AlertId, ClockStep, ClockSteps, UnixMillis};

use crate::codec::{id, key};

/// The clock was set; `last` is the greatest id stored. Returns whether anything is to be moved: not for the same batch once
/// more.
pub(crate) fn apply(tx: &Transaction<'_>, step: &ClockStep, last: i64) -> rusqlite::Result<bool> {
    if step.millis > 0 {
        let new = tx
            .prepare_cached("INSERT OR IGNORE INTO clock_step (through, millis) VALUES (?1, ?2)")?
            .execute([key(step.through(id(last))), step.millis])?;
        // The same batch once more.
        if new == 0 {
            return Ok(false);
        }
    }
    // Asking for a picture too early does no harm.
    tx.prepare_cached("UPDATE picture SET due_at = 0")?.execute([])?;
    move_retries(tx, step).map(|()| true)
}

fn move_retries(tx: &Transaction<'_>, step: &ClockStep) -> rusqlite::Result<()> {
    let waiting: Vec<(i64, i64, i64)> = tx
        .prepare_cached("SELECT sink, due_at, alert FROM queue WHERE due_at > 0 AND due_at <= ?1")?
        .query_map([step.last_retry().0], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    let mut queue =
        tx.prepare_cached("UPDATE queue SET due_at = ?4 WHERE sink = ?1 AND due_at = ?2 AND alert = ?3")?;
    let mut delivery = tx.prepare_cached(
        "UPDATE delivery SET due_at = ?3,
           with_picture_at = iif(with_picture_at > 0, max(with_picture_at + ?3 - due_at, 1), with_picture_at)
         WHERE sink = ?1 AND alert = ?2",
    )?;
    for (sink, due_at, alert) in waiting {
        // 0 stands for what waits for nothing.
        let moved = step.due(UnixMillis(due_at)).0.max(1);
        queue.execute([sink, due_at, alert, moved])?;
        delivery.execute([sink, alert, moved])?;
    }
    Ok(())
}

/// How far the clock was set forward after the alerts that there are had been received.
pub(crate) fn steps(db: &Connection) -> rusqlite::Result<ClockSteps> {
    let steps: Vec<(AlertId, i64)> = db
        .prepare_cached("SELECT through, millis FROM clock_step ORDER BY through")?
        .query_map([], |row| Ok((row.get(0).map(id)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(ClockSteps::new(steps))
}

/// Forgets steps before all alerts that there are.
pub(crate) fn forget(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM clock_step WHERE through < (SELECT min(id) FROM alert)")?
        .execute(params![])
        .map(drop)
}
