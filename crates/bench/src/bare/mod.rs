//! The bare loop: what a programmer would write who wants the same job done with nothing around it.
//!
//! It receives with awc, reads the message with serde without copying, decodes the picture with base64-simd, writes
//! alert and picture into one SQLite table, and acknowledges after the commit. No actors, no routes, no deliveries, no
//! recovery. Receiving and writing have a thread each, because that is what a fast program would do.

mod store;

use std::path::Path;
use std::sync::mpsc;

use actix_codec::Framed;
use actix_rt::System;
use anyhow::{Context as _, Result, anyhow};
use awc::ws::{self, Codec};
use awc::{BoxedSocket, Client};
use futures_util::{SinkExt, StreamExt as _};
use serde::Deserialize;
use tokio::sync::mpsc as acks;

use self::store::Row;
use crate::firehose::TOKEN;
use crate::payload::USER_ID;

/// The largest message it takes, as the hub's own limit has it.
const MAX_MESSAGE_BYTES: usize = 32 << 20;

/// What it reads of a message.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    stream_id: &'a str,
    result: Verdict,
    annotated_frame: &'a str,
}

#[derive(Deserialize)]
struct Verdict {
    person_id: i64,
    score: f64,
}

/// Connects and works until the server disconnects.
pub(crate) fn run(url: &str, dir: &Path) -> Result<()> {
    let (rows, received_rows) = mpsc::channel();
    let (committed, mut acks) = acks::unbounded_channel();
    let file = dir.join("bare.sqlite3");
    let writer = std::thread::Builder::new()
        .name("writer".into())
        .spawn(move || store::write_all(&file, &received_rows, &committed))?;
    let served = System::new().block_on(async {
        let mut socket = connect(url).await?;
        loop {
            tokio::select! {
                frame = socket.next() => match frame {
                    Some(frame) => take(frame?, &rows)?,
                    None => return Ok(()),
                },
                streams = acks.recv() => {
                    let streams = streams.context("the writer has ended")?;
                    acknowledge(&mut socket, streams, &mut acks).await?;
                }
            }
        }
    });
    drop(rows);
    writer.join().map_err(|_| anyhow!("the writer panicked"))??;
    served
}

async fn connect(url: &str) -> Result<Framed<BoxedSocket, Codec>> {
    let address = format!("{url}/ws/alerts/{USER_ID}?token={TOKEN}");
    let opened = Client::new()
        .ws(address)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .connect()
        .await;
    let (_, socket) = opened.map_err(|e| anyhow!("cannot connect to {url}: {e}"))?;
    Ok(socket)
}

/// Reads and decodes one message; the picture is copied once, out of its base64.
fn take(frame: ws::Frame, rows: &mpsc::Sender<Row>) -> Result<()> {
    let ws::Frame::Text(text) = frame else {
        return Ok(());
    };
    let wire: Wire<'_> = serde_json::from_slice(&text).context("unreadable message")?;
    if wire.kind == "anomaly_detected" {
        let jpeg = base64_simd::STANDARD.decode_to_vec(wire.annotated_frame)?;
        rows.send(Row {
            stream_id: wire.stream_id.to_owned(),
            person_id: wire.result.person_id,
            score: wire.result.score,
            jpeg,
        })
        .ok()
        .context("the writer has ended")?;
    }
    Ok(())
}

/// Acknowledges everything that is committed by now, with one flush.
async fn acknowledge(
    socket: &mut Framed<BoxedSocket, Codec>,
    first: Vec<String>,
    more: &mut acks::UnboundedReceiver<Vec<String>>,
) -> Result<()> {
    let mut streams = Some(first);
    while let Some(batch) = streams {
        for stream in batch {
            let ack = format!(r#"{{"type":"ack","stream_id":"{stream}"}}"#);
            socket.feed(ws::Message::Text(ack.into())).await?;
        }
        streams = more.try_recv().ok();
    }
    SinkExt::<ws::Message>::flush(socket).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::firehose::{Firehose, Load, Pace, RunResult};
    use crate::payload::PictureText;

    /// Fires at a bare loop in a thread; the result, and how many rows are in its table afterwards.
    fn fire(pace: Pace) -> (RunResult, u64) {
        let dir = tempfile::tempdir().unwrap();
        let firehose = Firehose::start().unwrap();
        let (url, path) = (firehose.url(), dir.path().to_owned());
        let bare = std::thread::spawn(move || run(&url, &path));
        firehose.wait_connected(Duration::from_secs(10)).unwrap();
        let load = Load {
            pace,
            window: 16,
            warm_up: Duration::ZERO,
            measure: Duration::from_millis(300),
            most: u64::MAX,
        };
        let result = firehose
            .fire(&PictureText::of_size(10_000).unwrap(), load)
            .unwrap();
        drop(firehose);
        bare.join().unwrap().unwrap();
        let database = rusqlite::Connection::open(dir.path().join("bare.sqlite3")).unwrap();
        let count = "SELECT count(*) FROM alert WHERE length(jpeg) = 10000";
        let rows: i64 = database.query_row(count, [], |row| row.get(0)).unwrap();
        (result, rows.unsigned_abs())
    }

    #[test]
    fn a_flood_is_stored_and_acknowledged_to_the_last_alert() {
        let (result, rows) = fire(Pace::Flood);
        let tally = &result.tally;
        assert!(tally.sent > 16, "more than one window was sent");
        assert_eq!(
            (tally.acknowledged, tally.unmatched, rows),
            (tally.sent, 0, tally.sent)
        );
        assert_eq!(result.sent_unix_ns.len() as u64, tally.sent);
        assert!(result.rate() > 0.0);
    }

    #[test]
    fn an_even_load_is_as_large_as_its_rate() {
        let (result, rows) = fire(Pace::PerSecond(100.0));
        // The machine may stall, but never send early.
        assert!(
            (1..=31).contains(&result.tally.sent),
            "{} sent",
            result.tally.sent
        );
        assert_eq!(rows, result.tally.sent);
        assert!(result.sent_unix_ns.is_sorted());
    }
}
