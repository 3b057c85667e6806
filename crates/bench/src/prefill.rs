//! A store as years of service leave it behind, made in half a minute.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use watchpost_core::{
    Alert, AlertId, AlertKind, Camera, Confidence, DeliveryState, Details, Picture, Router, Target,
    UnixMillis, VisionGuard,
};
use watchpost_store::{Arrival, Batch, DeliveryUpdate, Receipt, Store, StoreOptions};

use crate::payload::frame_number;

/// Alerts in one transaction.
const BATCH: u64 = 2_000;

/// Cameras they came from.
const STREAMS: u64 = 16;

/// Time between two of them.
const APART: Duration = Duration::from_secs(10);

/// To whom they were delivered.
const SINK: &str = "archive";

/// Writes so many alerts without pictures, each delivered once, the last of them received just now.
pub(crate) fn fill(dir: &Path, rows: u64) -> Result<()> {
    let (mut store, _) = Store::open(StoreOptions::new(dir))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let target = Target {
        name: SINK.into(),
        ..Target::default()
    };
    let router = Router::new(vec![target], Vec::new());
    for first in (0..rows).step_by(usize::try_from(BATCH)?) {
        let mut batch = Batch::default();
        for row in first..rows.min(first + BATCH) {
            let age = APART * u32::try_from(rows - row)?;
            let received_at = UnixMillis(i64::try_from(now.saturating_sub(age).as_millis())?);
            let alert = alert(row, received_at);
            batch.updates.push(delivered(alert.id, received_at));
            batch.arrivals.push(Arrival { alert, frame: None });
        }
        let committed = store.commit(&batch, &|state, event| router.step(UnixMillis(0), state, event))?;
        ensure!(
            committed.receipts.iter().all(|r| *r == Receipt::Stored),
            "the store took an alert for a duplicate"
        );
    }
    Ok(())
}

fn alert(row: u64, received_at: UnixMillis) -> Alert {
    let id = AlertId(received_at.0.unsigned_abs() * 1_000);
    Alert {
        camera: Some(Camera::unnamed(format!(
            "b3f1a2c4-77d0-4e5b-8a9c-{:012x}",
            row % STREAMS
        ))),
        title: "Abnormal behaviour".into(),
        text: "Person 1, score -4.125".into(),
        details: Details {
            classification: Some("Abnormal".into()),
            confidence: Some(Confidence::Word("Low".into())),
            score: Some(-4.125),
            ..Details::default()
        },
        picture: Picture::Missing("retention removed it".into()),
        visionguard: Some(VisionGuard {
            person_id: 1,
            frame_number: i64::try_from(frame_number(row)).ok(),
            ..VisionGuard::default()
        }),
        ..Alert::new(id, AlertKind::Anomaly, "bench", received_at)
    }
}

fn delivered(alert: AlertId, at: UnixMillis) -> DeliveryUpdate {
    DeliveryUpdate {
        alert,
        sink: SINK.into(),
        state: DeliveryState::Delivered,
        attempts: 1,
        due_at: at,
        error: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_holds_what_was_asked_for_and_nothing_is_pending() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), 2_500).unwrap();
        let (store, report) = Store::open(StoreOptions::new(dir.path())).unwrap();
        assert_eq!(report.pending, 0);
        let mut reader = store.reader_factory()().unwrap();
        assert_eq!(reader.counts().unwrap().alerts, 2_500);
    }
}
