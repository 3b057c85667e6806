//! Alerts that were fetched from the list, and may come over the socket all the same: a slow link delivers them late.

use std::collections::{HashMap, VecDeque};

use watchpost_core::{Alert, MatchKey};

/// Fetched alerts that are remembered; of more, the oldest are forgotten.
const MAX_REMEMBERED: usize = 20_000;

/// The fetched alerts by what they have in common with those of the socket.
#[derive(Debug, Default)]
pub(super) struct FetchedRows {
    records: HashMap<MatchKey, String>,
    order: VecDeque<MatchKey>,
}

impl FetchedRows {
    /// An alert was fetched. Only one that can be recognised for certain is remembered.
    pub(super) fn remember(&mut self, alert: &Alert) {
        let (Some(key), Some(record)) = (key(alert), alert.anomaly_id()) else {
            return;
        };
        if self.order.len() == MAX_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.records.remove(&oldest);
        }
        if self.records.insert(key.clone(), record.to_owned()).is_none() {
            self.order.push_back(key);
        }
    }

    /// An alert came over the socket. One that had been fetched before gets its record, by which the store recognises
    /// the duplicate: it gets its receipt and is not stored a second time.
    pub(super) fn identify(&self, alert: &mut Alert) {
        let Some(record) = key(alert).and_then(|key| self.records.get(&key)) else {
            return;
        };
        alert.visionguard.get_or_insert_default().anomaly_id = Some(record.clone());
    }
}

/// By what an alert is recognised, where all of it is known.
fn key(alert: &Alert) -> Option<MatchKey> {
    let fields = alert.visionguard.as_ref()?;
    Some(MatchKey {
        stream_id: alert.camera.as_ref()?.id.clone(),
        person_id: fields.person_id,
        frame_number: Some(fields.frame_number?),
    })
}

#[cfg(test)]
mod tests {
    use watchpost_core::{AlertId, AlertKind, Camera, UnixMillis, VisionGuard};

    use super::*;

    fn alert(stream: &str, frame: Option<i64>, record: Option<&str>) -> Alert {
        Alert {
            camera: Some(Camera::unnamed(stream)),
            visionguard: Some(VisionGuard {
                person_id: 1,
                frame_number: frame,
                anomaly_id: record.map(str::to_owned),
                ..VisionGuard::default()
            }),
            ..Alert::new(AlertId(1), AlertKind::Anomaly, "shop", UnixMillis(1))
        }
    }

    #[test]
    fn an_alert_that_comes_after_it_was_fetched_gets_its_record() {
        let mut rows = FetchedRows::default();
        rows.remember(&alert("door", Some(30), Some("record-1")));
        rows.remember(&alert("yard", None, Some("record-2")));
        for (mut came, expected) in [
            (alert("door", Some(30), None), Some("record-1")),
            (alert("door", Some(31), None), None),
            (alert("yard", None, None), None),
        ] {
            rows.identify(&mut came);
            assert_eq!(came.anomaly_id(), expected);
        }
    }

    #[test]
    fn it_forgets_rather_than_grows() {
        let mut rows = FetchedRows::default();
        for frame in 0..=20_000 {
            rows.remember(&alert("door", Some(frame), Some("record")));
        }
        assert_eq!((rows.records.len(), rows.order.len()), (20_000, 20_000));
    }
}
