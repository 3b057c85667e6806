//! The bare loop's table: alerts with their pictures as blobs, committed in groups.

use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use rusqlite::{Connection, params};
use tokio::sync::mpsc::UnboundedSender;

/// The most alerts one transaction takes.
const GROUP_COMMIT: usize = 64;

/// An alert to store.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) stream_id: String,
    pub(super) person_id: i64,
    pub(super) score: f64,
    pub(super) jpeg: Vec<u8>,
}

/// Stores what comes, as much at once as there is, and has the streams acknowledge after each commit.
pub(super) fn write_all(
    file: &Path,
    rows: &Receiver<Row>,
    committed: &UnboundedSender<Vec<String>>,
) -> Result<()> {
    let mut database = open(file)?;
    while let Ok(first) = rows.recv() {
        let mut streams = Vec::with_capacity(GROUP_COMMIT);
        let transaction = database.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO alert (stream_id, person_id, score, received_at, jpeg) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for row in std::iter::once(first).chain(rows.try_iter().take(GROUP_COMMIT - 1)) {
                insert.execute(params![
                    row.stream_id,
                    row.person_id,
                    row.score,
                    unix_ms(),
                    row.jpeg
                ])?;
                streams.push(row.stream_id);
            }
        }
        transaction.commit()?;
        if committed.send(streams).is_err() {
            break;
        }
    }
    Ok(())
}

fn open(file: &Path) -> Result<Connection> {
    let database = Connection::open(file)?;
    database.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         CREATE TABLE IF NOT EXISTS alert (
             id INTEGER PRIMARY KEY, stream_id TEXT NOT NULL, person_id INTEGER NOT NULL, score REAL NOT NULL,
             received_at INTEGER NOT NULL, jpeg BLOB NOT NULL
         ) STRICT;",
    )?;
    Ok(database)
}

fn unix_ms() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn rows_are_on_disk_before_their_streams_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bare.sqlite3");
        let (rows, received) = mpsc::channel();
        let (committed, mut acks) = tokio::sync::mpsc::unbounded_channel();
        for n in 0..100 {
            let row = Row {
                stream_id: n.to_string(),
                person_id: 1,
                score: -1.0,
                jpeg: vec![7; 10],
            };
            rows.send(row).unwrap();
        }
        drop(rows);
        write_all(&file, &received, &committed).unwrap();
        assert_eq!(acks.try_recv().unwrap().len(), GROUP_COMMIT);
        assert_eq!(acks.try_recv().unwrap().last().unwrap(), "99");
        let database = open(&file).unwrap();
        let count: i64 = database
            .query_row("SELECT count(*) FROM alert WHERE length(jpeg) = 10", [], |r| {
                r.get(0)
            })
            .unwrap();
        assert_eq!(count, 100);
    }
}
