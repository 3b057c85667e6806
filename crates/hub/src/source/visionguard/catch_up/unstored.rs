//! Alerts that the store has in hand and not on disk yet, of which there may be many for long while the disk is full. A row
//! of the backend's list that belongs to one of them was not missed.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;

use watchpost_core::{Alert, AlertId, AlertKind, MatchKey, Unmatched};
use watchpost_store::{Reader, StoreError};

/// The alerts. The connection's buffer bounds them. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Unstored(Rc<RefCell<BTreeMap<AlertId, Unmatched>>>);

/// Those of one moment.
#[derive(Debug)]
pub(super) struct InHand(Vec<Unmatched>);

impl Unstored {
    /// An alert goes to the store.
    pub(super) fn add(&self, alert: &Alert) {
        let own = alert.visionguard.as_ref();
        let record = alert.anomaly_id().map(str::to_owned);
        // As the store has it: only these are compared with records.
        if record.is_none() && alert.kind != AlertKind::Anomaly {
            return;
        }
        let unmatched = Unmatched {
            alert: alert.id,
            key: MatchKey {
                stream_id: alert.camera_id().to_owned(),
                person_id: own.map_or(0, |own| own.person_id),
                frame_number: own.and_then(|own| own.frame_number),
            },
            scored: alert.details.score.is_some(),
            record,
            shop: own.and_then(|own| own.shop_id.clone()),
            placed: false,
        };
        self.0.borrow_mut().insert(alert.id, unmatched);
    }

    /// The store has dealt with it.
    pub(super) fn remove(&self, alert: AlertId) {
        self.0.borrow_mut().remove(&alert);
    }

    /// Those of this moment. What is stored afterwards is found in both.
    pub(super) fn in_hand(&self) -> InHand {
        InHand(self.0.borrow().values().cloned().collect())
    }
}

impl InHand {
    /// The records that are known to belong to one of them.
    pub(super) fn records(&self) -> HashSet<&str> {
        let records = self.0.iter().filter_map(|alert| alert.record.as_deref());
        records.collect()
    }

    /// Adds those to what the store has that it does not have, oldest first, and of which no record is known.
    pub(super) fn join(
        &self,
        stored: Vec<Unmatched>,
        reader: &mut Reader,
    ) -> Result<Vec<Unmatched>, StoreError> {
        let known: BTreeSet<AlertId> = stored.iter().map(|alert| alert.alert).collect();
        let mut joined = stored;
        for alert in &self.0 {
            let new = alert.record.is_none() && !known.contains(&alert.alert);
            // What is stored and not among those has its record by now.
            if new && reader.get(alert.alert)?.is_none() {
                joined.push(alert.clone());
            }
        }
        joined.sort_unstable_by_key(|alert| alert.alert);
        Ok(joined)
    }
}

#[cfg(test)]
mod tests {
    use watchpost_core::{Camera, Details, RoutingState, UnixMillis, VisionGuard};
    use watchpost_store::{Arrival, Batch, Store, StoreOptions};

    use super::*;

    fn alert(id: u64, record: Option<&str>) -> Alert {
        Alert {
            camera: Some(Camera::unnamed("door")),
            details: Details {
                score: Some(-1.0),
                ..Details::default()
            },
            visionguard: Some(VisionGuard {
                person_id: 1,
                frame_number: i64::try_from(id).ok(),
                anomaly_id: record.map(str::to_owned),
                ..VisionGuard::default()
            }),
            ..Alert::new(AlertId(id), AlertKind::Anomaly, "shop", UnixMillis(0))
        }
    }

    #[test]
    fn what_is_in_hand_counts_until_it_is_dealt_with_and_what_is_stored_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(StoreOptions::new(dir.path())).unwrap();
        let unstored = Unstored::default();
        for alert in [
            alert(1, None),
            alert(2, Some("r-2")),
            alert(3, None),
            alert(4, None),
        ] {
            unstored.add(&alert);
        }
        unstored.remove(AlertId(4));
        let in_hand = unstored.in_hand();
        assert_eq!(in_hand.records(), HashSet::from(["r-2"]));
        // One of them is stored before it is compared.
        let batch = Batch {
            arrivals: vec![Arrival {
                alert: alert(1, Some("r-1")),
                frame: None,
            }],
            ..Batch::default()
        };
        let step = |_: &RoutingState, _: watchpost_core::RoutingEvent<'_>| watchpost_core::Effects::default();
        store.commit(&batch, &step).unwrap();
        let joined = in_hand.join(Vec::new(), &mut store.reader().unwrap()).unwrap();
        let ids: Vec<u64> = joined.iter().map(|alert| alert.alert.0).collect();
        assert_eq!(ids, [3]);
    }
}
