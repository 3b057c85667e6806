//! What an alert says is what its row says: its picture, byte for byte, the record that it is, and when it happened.

use std::collections::BTreeMap;
use std::path::Path;

use watchpost_core::UnixMillis;
use watchpost_store::{FrameRef, Reader, StoredAlert};

use super::{PLACE, Stored, key};
use crate::backend::{Backend, Row};

/// The hub learns the backend's time in whole seconds, from answers that are on their way for a while.
const SLACK_MS: u64 = 30_000;

/// What is not so. `clocks` says that clocks were set, so that times say little.
pub fn contents(backend: &Backend, stored: &Stored, dir: &Path, clocks: bool) -> Vec<String> {
    let mut reader = match Reader::open(dir) {
        Ok(reader) => reader,
        Err(e) => return vec![format!("the store cannot be read: {e}")],
    };
    let state = backend.state();
    let rows: BTreeMap<_, _> = state.rows.iter().map(|row| (row.key(), row)).collect();
    let mut wrong = Vec::new();
    for anomaly in stored.anomalies() {
        let Some(row) = key(anomaly).and_then(|key| rows.get(&key)) else {
            continue;
        };
        if let Some(frame) = &anomaly.frame {
            wrong.extend(picture(&mut reader, anomaly, frame, row));
        }
        wrong.extend(record(anomaly, row));
        if !clocks {
            wrong.extend(time(anomaly, row));
        }
    }
    wrong
}

fn picture(reader: &mut Reader, anomaly: &StoredAlert, frame: &FrameRef, row: &Row) -> Option<String> {
    let id = anomaly.alert.id;
    match reader.read_frame(frame) {
        Ok(bytes) if bytes == row.picture => None,
        Ok(_) => Some(format!(
            "alert {id} has another picture than anomaly {}",
            row.number
        )),
        Err(e) => Some(format!("the picture of alert {id} cannot be read: {e}")),
    }
}

fn record(anomaly: &StoredAlert, row: &Row) -> Option<String> {
    let said = anomaly
        .alert
        .anomaly_id()
        .filter(|said| !said.starts_with(PLACE))?;
    (said != row.id).then(|| {
        format!(
            "alert {} is said to be record {said}, and is {} of anomaly {}",
            anomaly.alert.id, row.id, row.number
        )
    })
}

fn time(anomaly: &StoredAlert, row: &Row) -> Option<String> {
    let (said, happened) = (anomaly.alert.occurred_at?, UnixMillis::from(row.at));
    let off = said.0.abs_diff(happened.0);
    (off > SLACK_MS).then(|| {
        format!(
            "alert {} says {said}, and anomaly {} happened {happened}",
            anomaly.alert.id, row.number
        )
    })
}
