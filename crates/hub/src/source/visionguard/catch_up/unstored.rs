//! Alerts that the store has in hand and not on disk yet, of which there may be many for long while the disk is full. A row
//! of the backend's list that belongs to one of them was not missed, over whichever connection it came.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use watchpost_core::{Alert, AlertId, AlertKind, MatchKey, Unmatched};
use watchpost_store::{Annotation, Reader, StoreError};

/// The alerts of all connections, whose buffers bound them. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unstored(Arc<Mutex<BTreeMap<AlertId, Held>>>);

/// One of them.
#[derive(Clone, Debug)]
struct Held {
    connection: String,
    alert: Unmatched,
}

/// Those of one moment.
#[derive(Debug)]
pub(super) struct InHand(Vec<Held>);

impl Unstored {
    /// Never held across an await.
    fn held(&self) -> MutexGuard<'_, BTreeMap<AlertId, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
        let connection = alert.connection.clone();
        let held = Held {
            connection,
            alert: unmatched,
        };
        self.held().insert(alert.id, held);
    }

    /// Of which record an alert is has become known.
    pub(super) fn name(&self, annotation: &Annotation) {
        if let Some(Held { alert, .. }) = self.held().get_mut(&annotation.alert) {
            alert.record = Some(annotation.anomaly_id.clone());
            alert.shop.clone_from(&annotation.shop_id);
        }
    }

    /// The store has dealt with it.
    pub(super) fn remove(&self, alert: AlertId) {
        self.held().remove(&alert);
    }

    /// How many came over a connection.
    pub(super) fn len(&self, connection: &str) -> usize {
        let held = self.held();
        held.values().filter(|held| held.connection == connection).count()
    }

    /// A connection has ended: there is no one any more who would learn what becomes of its alerts.
    pub(super) fn forget(&self, connection: &str) {
        self.held().retain(|_, held| held.connection != connection);
    }

    /// Those of this moment. What is stored afterwards is found in both.
    pub(super) fn in_hand(&self) -> InHand {
        InHand(self.held().values().cloned().collect())
    }
}

impl InHand {
    /// The records that are known to belong to one of them.
    pub(super) fn records(&self) -> HashSet<&str> {
        let records = self.0.iter().filter_map(|held| held.alert.record.as_deref());
        records.collect()
    }

    /// Adds those to what the store has that it does not have, oldest first: those of which no record is known, or whose
    /// record the backend cannot show. Of other connections those that the same stream may have raised.
    pub(super) fn join(
        &self,
        connection: &str,
        stored: Vec<Unmatched>,
        reader: &mut Reader,
    ) -> Result<Vec<Unmatched>, StoreError> {
        let known: BTreeSet<AlertId> = stored.iter().map(|alert| alert.alert).collect();
        let mut joined = stored;
        for Held {
            connection: of,
            alert,
        } in &self.0
        {
            let fits = of == connection || alert.key.frame_number.is_some();
            let wanted = alert.record.is_none() || !alert.scored;
            let new = fits && wanted && !known.contains(&alert.alert);
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
        let joined = in_hand
            .join("shop", Vec::new(), &mut store.reader().unwrap())
            .unwrap();
        let ids: Vec<u64> = joined.iter().map(|alert| alert.alert.0).collect();
        assert_eq!(ids, [3]);
    }
}
