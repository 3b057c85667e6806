//! What the tests of the store have in common: how to make alerts and read them back.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::Path;

use watchpost_core::{
    Alert, AlertId, AlertKind, Camera, DeliveryState, Details, Picture, PlannedDelivery, UnixMillis,
    VisionGuard,
};
use watchpost_store::{
    Arrival, Batch, DeliveryUpdate, OperatorAct, Reader, Receipt, Retention, Store, StoreOptions,
};

/// Time of the first alert of a test, in milliseconds since 1970.
pub(crate) const START_MS: i64 = 1_795_396_590_000;

/// A store with small files, so that tests get to the end of one.
pub(crate) fn options(dir: &Path) -> StoreOptions {
    StoreOptions {
        segment_size: 64 << 10,
        ..StoreOptions::new(dir)
    }
}

pub(crate) fn keeping(dir: &Path, retention: Retention) -> StoreOptions {
    StoreOptions {
        retention,
        ..options(dir)
    }
}

pub(crate) fn open(dir: &Path) -> Store {
    Store::open(options(dir)).unwrap().0
}

/// The id of the alert that comes `n` milliseconds after the start.
pub(crate) fn id(n: u64) -> AlertId {
    AlertId((u64::try_from(START_MS).unwrap() + n) * 1_000)
}

pub(crate) fn at(n: i64) -> UnixMillis {
    UnixMillis(START_MS + n)
}

/// An alert for these sinks, without a picture.
pub(crate) fn arrival(id: AlertId, sinks: &[&str]) -> Arrival {
    let received_at = UnixMillis(i64::try_from(id.0 / 1_000).unwrap());
    let alert = Alert {
        camera: Some(Camera::unnamed("front-door")),
        title: "Anomaly at front-door".into(),
        text: "Person 1, score -1.23".into(),
        details: Details {
            score: Some(-1.23),
            ..Details::default()
        },
        visionguard: Some(VisionGuard {
            person_id: 1,
            ..VisionGuard::default()
        }),
        ..Alert::new(id, AlertKind::Anomaly, "shop", received_at)
    };
    let planned = |&sink: &&str| PlannedDelivery {
        sink: sink.into(),
        expires_at: None,
        cancel_on_acknowledge: false,
    };
    Arrival {
        alert,
        frame: None,
        deliveries: sinks.iter().map(planned).collect(),
    }
}

/// The same with a picture of that many bytes, which are [`picture`].
pub(crate) fn with_picture(id: AlertId, bytes: usize, sinks: &[&str]) -> Arrival {
    let mut arrival = arrival(id, sinks);
    arrival.alert.picture = Picture::Jpeg {
        bytes: u32::try_from(bytes).unwrap(),
        width: 640,
        height: 480,
    };
    arrival.frame = Some(picture(id, bytes));
    arrival
}

/// Bytes that belong to this alert and to no other.
pub(crate) fn picture(id: AlertId, bytes: usize) -> Vec<u8> {
    let mut state = id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..bytes).map(|_| next()).collect()
}

pub(crate) fn arrivals(arrivals: Vec<Arrival>) -> Batch {
    Batch {
        arrivals,
        ..Batch::default()
    }
}

pub(crate) fn update(alert: AlertId, sink: &str, state: DeliveryState, due_at: UnixMillis) -> DeliveryUpdate {
    DeliveryUpdate {
        alert,
        sink: sink.into(),
        state,
        attempts: 1,
        due_at,
        error: (state != DeliveryState::Delivered).then(|| "451 busy".into()),
    }
}

pub(crate) fn updates(updates: Vec<DeliveryUpdate>) -> Batch {
    Batch {
        updates,
        ..Batch::default()
    }
}

/// Performs what an operator wants, with all that is left of it; returns how many rows were changed.
pub(crate) fn perform(store: &mut Store, act: OperatorAct, now: UnixMillis) -> u64 {
    let (mut changed, mut next) = (0, Some(act));
    while let Some(act) = next {
        let performed = store.perform(&act, now).unwrap();
        changed += performed.changed;
        next = performed.rest;
    }
    changed
}

/// Takes an alert off the live list; whether there was one.
pub(crate) fn dismiss(store: &mut Store, alert: AlertId, now: UnixMillis) -> bool {
    perform(store, OperatorAct::Dismiss { alert, by: None }, now) == 1
}

/// Commits alerts of which none is a duplicate.
pub(crate) fn store_all(store: &mut Store, new: Vec<Arrival>) {
    let receipts = store.commit(&arrivals(new)).unwrap();
    assert!(receipts.iter().all(|receipt| *receipt == Receipt::Stored));
}

pub(crate) fn due(reader: &mut Reader, sink: &str, now: UnixMillis, limit: usize) -> Vec<AlertId> {
    let due = reader.due(sink, now, limit, &|_, _| false).unwrap();
    due.iter().map(|due| due.alert).collect()
}

pub(crate) fn live(reader: &mut Reader) -> Vec<AlertId> {
    reader
        .live(1_000)
        .unwrap()
        .iter()
        .map(|stored| stored.alert.id)
        .collect()
}

/// Names in a directory, sorted.
pub(crate) fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
